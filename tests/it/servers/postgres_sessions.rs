//! How many sessions a process opens, and that its parts do not stop each other.

use futures::future::join_all;
use intercom_simulator::WorkspaceSpec;
use reqwest::{Client, Method, StatusCode};

use crate::support::{Caller, Process, World, client, tiny, wait_for};

const OPERATOR: &str = "operator-key-of-more-than-thirty-two-characters";

/// The role `all` with its operators and the fewest sessions that it may have, and the addresses of its listeners.
const FEWEST: &str = "7";

#[tokio::test(flavor = "multi_thread")]
async fn all_roles_work_under_load_with_the_fewest_sessions() {
    let world = World::new().await;
    let url = world.config.database.url.expose();
    let port = servers::free_port().unwrap();
    let (_all, ops) = world.listening_with(
        "all",
        &[
            (
                "PATHBOUND_DATABASE_URL",
                &format!("{url}?application_name=counted"),
            ),
            ("PATHBOUND_DATABASE_CONNECTIONS", FEWEST),
            ("PATHBOUND_OPERATOR_KEY", OPERATOR),
            ("PATHBOUND_LISTEN", &format!("127.0.0.1:{port}")),
        ],
    );
    let spec = |seed| WorkspaceSpec {
        seed,
        contacts: 200,
        conversations: 150,
        ..tiny()
    };
    let cases = [world.connect(spec(1)).await, world.connect(spec(2)).await];
    let base = format!("http://127.0.0.1:{port}");
    let http = client();
    // More requests at once than sessions, for as long as workers and scheduler are busy.
    while !cases[0].status().await.complete || !cases[1].status().await.complete {
        let of_tenants = cases.iter().cycle().take(10).map(async |case| {
            let caller = Caller::service(&world, &base, Some(case.tenant));
            let (status, body) = caller
                .call(Method::GET, "/v1/conversations?limit=50", None)
                .await;
            assert_eq!(status, StatusCode::OK, "{body}");
        });
        let of_operators = ["ops/dead", "ops/events"].map(|path| get(&http, &ops, path));
        let ready = Process::until_ready(&ops);
        tokio::join!(join_all(of_tenants), join_all(of_operators), ready);
        until_few_sessions(&world).await;
    }
    for case in &cases {
        case.assert_exact().await;
    }
    until_few_sessions(&world).await;
}

/// Waits until no more sessions are open than the process may have. The server may count one for a moment longer that
/// was cut off, and the others stay.
async fn until_few_sessions(world: &World) {
    wait_for("no more sessions are open than may be", async || {
        let open = world.sessions("counted").await;
        let is_allowed = (1..=7).contains(&open);
        is_allowed
            .then_some(())
            .ok_or_else(|| format!("{open} are"))
    })
    .await;
}

async fn get(http: &Client, ops: &str, path: &str) {
    let call = http.get(format!("http://{ops}/{path}"));
    let answer = call.bearer_auth(OPERATOR).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_few_sessions_are_bad_configuration() {
    let world = World::new().await;
    for (role, few) in [
        ("all", "5"),
        ("api", "3"),
        ("worker", "2"),
        ("scheduler", "2"),
    ] {
        let variables = [("PATHBOUND_DATABASE_CONNECTIONS".as_ref(), few.as_ref())];
        let said = world.command_with(&[role], &variables);
        let text = String::from_utf8_lossy(&said.stderr).into_owned();
        assert_eq!(said.status.code(), Some(78), "{role}: {text}");
        assert!(
            text.contains("DATABASE_CONNECTIONS") && text.contains(role),
            "{text}"
        );
    }
}
