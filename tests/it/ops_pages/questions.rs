//! Twenty questions of a person on call. A command and a page answer each of them.

use std::ffi::OsStr;

use chrono::{TimeDelta, Utc};
use intercom_simulator::{Fault, WorkspaceSpec};
use serde_json::json;
use shared::{
    domain::{Mode, Stream, TenantId},
    store::ConnectionState,
};

use super::signed_in;
use crate::{
    operations::{KEY, Office, fail_for_good},
    support::{Fleet, OBJECTS, World, tiny, wait_for},
};

/// A fleet in which much is wrong.
struct Troubled {
    office: Office,
    fine: TenantId,
    failing: TenantId,
    refused: TenantId,
    revoked: TenantId,
    dead: TenantId,
    paused: TenantId,
}

async fn troubled() -> (Troubled, Fleet) {
    let office =
        Office::of(World::with(&[("OPERATOR_KEY", KEY), ("REFUSAL_CONFIRMATION", "1s")]).await);
    let world = &office.world;
    let of = |seed| WorkspaceSpec { seed, ..tiny() };
    let named = async |name, seed| world.case(of(seed)).await.of_tenant(name).await;
    let dead = named("dead-co", 5).await.connect().await;
    let path = format!("/ops/tenants/{}/pause", dead.tenant);
    office
        .post(&path, json!({"reason": "its letters are looked at"}))
        .await;
    fail_for_good(&dead, Stream::Contacts, "status 418", 1_000_000).await;
    let failing = named("failing-co", 2).await;
    failing.inject(Fault::status(503).operation("list_contacts"));
    let refused = named("refused-co", 3).await;
    refused.workspace.set_plan(false);
    let paused = named("paused-co", 6).await.connect().await;
    let pause = [
        "tenants",
        "pause",
        "paused-co",
        "--reason",
        "asked by sales",
    ];
    let ada = (OsStr::new("PATHBOUND_OPERATOR_NAME"), OsStr::new("Ada"));
    assert!(world.command_with(&pause, &[ada]).status.success());
    let aside = world
        .case(WorkspaceSpec {
            contacts: 1,
            contacts_over_10_companies: 1.0,
            companies: 30,
            ..of(1)
        })
        .await
        .of_tenant("fine-co")
        .await;
    aside.inject(Fault::status(404).operation("contact_companies"));
    let fleet = world.fleet(1);
    let (failing, refused) = (failing.connect().await, refused.connect().await);
    let fine = aside.connect().await;
    let revoked = named("revoked-co", 4).await.connect().await;
    revoked.until_complete().await;
    revoked.workspace.revoke_tokens();
    revoked.request(Mode::Incremental, OBJECTS).await;
    revoked.until_state(ConnectionState::ReauthRequired).await;
    refused.until_blocked(Stream::Conversations).await;
    failing.until_error(Stream::Contacts).await;
    fine.until_run_ends().await;
    let troubled = Troubled {
        fine: fine.tenant,
        failing: failing.tenant,
        refused: refused.tenant,
        revoked: revoked.tenant,
        dead: dead.tenant,
        paused: paused.tenant,
        office,
    };
    (troubled, fleet)
}

/// A question, the command and the page that answer it, and what both say.
type Question = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

/// `FAILING` and the like stand for tenants: in a path for their ids, elsewhere for their names.
const QUESTIONS: [Question; 20] = [
    (
        "what state is the fleet in",
        "overview",
        "/ops/",
        &[
            "paused",
            "What is ready belongs to a class or to tenants that are paused.",
        ],
    ),
    (
        "which tenant is furthest behind",
        "overview",
        "/ops/",
        &["DEAD", "never"],
    ),
    (
        "and who else is behind",
        "tenants list",
        "/ops/tenants",
        &["FAILING", "REFUSED", "PAUSED", "DEAD"],
    ),
    (
        "why is it behind",
        "why DEAD",
        "/ops/tenants/DEAD",
        &["Paused by an operator since", "its letters are looked at"],
    ),
    (
        "who paused this, and when",
        "actions --tenant PAUSED",
        "/ops/actions?tenant_id=PAUSED",
        &["work.paused", "asked by sales", "Ada", "key"],
    ),
    (
        "what is paused now, and why",
        "overview",
        "/ops/",
        &[
            "PAUSED",
            "asked by sales",
            "DEAD",
            "its letters are looked at",
        ],
    ),
    (
        "who has to connect again",
        "tenants list --state reauth_required",
        "/ops/tenants?state=reauth_required",
        &[
            "REVOKED",
            "stopped",
            "A workspace has to be connected again.",
        ],
    ),
    (
        "will this one be tried again",
        "why REVOKED",
        "/ops/tenants/REVOKED",
        &["There is no further try, because the workspace has to be connected again."],
    ),
    (
        "what does Intercom refuse, and until when",
        "why REFUSED",
        "/ops/tenants/REFUSED",
        &[
            "api_plan_restricted",
            "Upgrade the Intercom plan",
            "The next check is at",
        ],
    ),
    (
        "what fails here",
        "tenants show FAILING",
        "/ops/tenants/FAILING",
        &["intercom is unavailable: status 503"],
    ),
    (
        "where do its streams stand",
        "why FAILING",
        "/ops/tenants/FAILING",
        &[
            "retrying",
            "The last attempt failed. The next one is at",
            "scheduled",
        ],
    ),
    (
        "what will happen next",
        "schedule",
        "/ops/schedule",
        &[
            "Checks whether Intercom still refuses conversations (api_plan_restricted).",
            "Tries contacts again",
            "Asks whether Intercom accepts the connection's token again.",
        ],
    ),
    (
        "what will happen at that time",
        "schedule --from LATER",
        "/ops/schedule?from=LATER",
        &["Reads what has changed of companies.", "FINE"],
    ),
    (
        "what was not given in full",
        "why FINE",
        "/ops/tenants/FINE",
        &[
            "1 contact was not given in full by Intercom",
            "intercom shows ten of its companies",
        ],
    ),
    (
        "what was given up, and for which cause",
        "dead causes",
        "/ops/dead",
        &["status 418"],
    ),
    (
        "whose letters are these",
        "dead list",
        "/ops/tenants/DEAD",
        &["contacts", "status 418"],
    ),
    (
        "what would a drop touch",
        "dead drop --cause 418 --dry-run",
        "/ops/dead/drop?cause=status+418",
        &["1"],
    ),
    (
        "how deep is the queue",
        "queues",
        "/ops/",
        &["fresh", "backfill", "ready"],
    ),
    (
        "which tickets wait for a time",
        "jobs list --state parked",
        "/ops/jobs?state=parked",
        &["FAILING", "contacts", "parked"],
    ),
    (
        "which workers work, and on which version",
        "overview",
        "/ops/",
        &["worker-", " of 32"],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_command_and_a_page_answer_each_question() {
    let (troubled, fleet) = troubled().await;
    let mut browser = signed_in(&troubled.office).await;
    for (question, command, page, answers) in QUESTIONS {
        let command = troubled.named(command);
        let words: Vec<&str> = command.split(' ').collect();
        let path = troubled.named(page);
        // The work of the fleet goes on meanwhile.
        wait_for(question, async || {
            let output = troubled.office.world.command(&words);
            let printed = String::from_utf8(output.stdout).unwrap();
            let shown = browser.clone().page(&path).await.text();
            for (source, text) in [(&command, &printed), (&path, &shown)] {
                for answer in answers {
                    if !text.contains(&troubled.named(answer)) {
                        return Err(format!("{source} does not say {answer:?}: {text}"));
                    }
                }
            }
            Ok(())
        })
        .await;
    }
    browser.page("/ops/").await;
    fleet.stop().await;
}

impl Troubled {
    fn named(&self, text: &str) -> String {
        let later = (Utc::now() + TimeDelta::hours(12)).format("%Y-%m-%dT%H:%M:%SZ");
        [
            ("FINE", self.fine),
            ("FAILING", self.failing),
            ("REFUSED", self.refused),
            ("REVOKED", self.revoked),
            ("DEAD", self.dead),
            ("PAUSED", self.paused),
        ]
        .iter()
        .fold(
            text.replace("LATER", &later.to_string()),
            |text, (name, tenant)| {
                let written = match text.starts_with('/') {
                    true => tenant.to_string(),
                    false => format!("{}-co", name.to_lowercase()),
                };
                text.replace(name, &written)
            },
        )
    }
}
