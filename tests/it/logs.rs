//! What processes write to their logs: ids, and nothing of a customer, no token and no key, at whatever level.

use std::collections::BTreeSet;

use intercom_simulator::{Fault, FaultAction, Garble, Kind, TokenState, WorkspaceSpec};
use serde_json::Value;
use shared::domain::Stream;

use crate::{
    operations::{KEY, workspace},
    support::{Case, Process, World, wait_for},
};

/// As chatty as it gets.
const ALL: [(&str, &str); 2] = [("PATHBOUND_LOG", "trace"), ("PATHBOUND_LOG_FORMAT", "json")];

/// Every text in a workspace that a customer wrote or that names a person, the token, and the keys.
pub(crate) fn secrets(world: &World, case: &Case) -> BTreeSet<String> {
    let mut secrets = BTreeSet::from([case.workspace.token(), KEY.to_owned()]);
    for kind in [Kind::Contact, Kind::Company, Kind::Conversation, Kind::Part] {
        for line in case.live(kind) {
            let value = line.value();
            for field in ["email", "name", "phone", "body", "title", "website"] {
                secrets.extend(value[field].as_str().map(str::to_owned));
            }
            secrets.extend(value["source"]["body"].as_str().map(str::to_owned));
        }
    }
    let keys = world.config.encryption_keys.expose().split(',');
    secrets.extend(keys.filter_map(|key| Some(key.split_once(':')?.1.to_owned())));
    // A short word is in any text.
    secrets.retain(|secret| secret.len() >= 6);
    secrets
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_says_who_a_customer_is() {
    let world = World::with(&[("OPERATOR_KEY", KEY)]).await;
    let mut processes = Vec::new();
    for command in ["api", "scheduler", "worker"] {
        let (process, address) = world.listening_with(command, &ALL);
        Process::until_ready(&address).await;
        processes.push(process);
    }
    let spec = WorkspaceSpec {
        conversations: 20,
        ..workspace(1)
    };
    let case = world.case(spec).await;
    let garble = FaultAction::Garble {
        how: Garble::WrongTypes,
        id: None,
        place: 0,
        part: true,
    };
    case.inject(Fault::new(garble).operation("get_conversation").times(3));
    case.inject(Fault::status(500).operation("list_contacts").times(2));
    let case = case.connect().await;
    case.until_walked().await;
    // What fails for good says so as well.
    case.inject(
        Fault::status(404)
            .operation("search_conversations")
            .times(1),
    );
    case.make_due(&[Stream::Contacts, Stream::Conversations])
        .await;
    case.until_not_due(&[Stream::Contacts, Stream::Conversations])
        .await;
    case.workspace.set_token_state(TokenState::Revoked);
    case.make_due(&[Stream::Reference, Stream::Contacts]).await;
    wait_for("the token is known to be revoked", async || {
        let state = format!("{:?}", case.connection_row().await.state);
        (state == "ReauthRequired").then_some(()).ok_or(state)
    })
    .await;
    let secrets = secrets(&world, &case);
    assert!(
        secrets.len() > 50,
        "only {} texts are looked for",
        secrets.len()
    );
    let mut lines = 0;
    for process in &processes {
        for line in process
            .written()
            .lines()
            .filter(|line| line.starts_with('{'))
        {
            lines += 1;
            let read: Result<Value, _> = serde_json::from_str(line);
            assert!(read.is_ok(), "this is no JSON: {line}");
            let said: Vec<_> = secrets
                .iter()
                .filter(|secret| line.contains(*secret))
                .collect();
            assert!(said.is_empty(), "{said:?} in {line}");
        }
    }
    assert!(lines > 15, "only {lines} lines were written");
}
