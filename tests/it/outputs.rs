//! What commands print: the shapes of `-o json`, and suggestions for a name that is spelled wrong.

use std::collections::BTreeSet;

use serde_json::Value;
use shared::domain::Stream;

use crate::{
    operations::{Office, fail_for_good, workspace},
    support::{assert_shape, described_commands},
};

const SERVICE_KEY: &str = "a-service-key-for-the-outputs-only-12345";

#[tokio::test(flavor = "multi_thread")]
async fn every_command_prints_what_its_shape_says() {
    let office = Office::open().await;
    let case = office.world.connect(workspace(1)).await;
    let api = office.world.api_with(&[("SERVICE_KEY", SERVICE_KEY)]).await;
    let variables = [
        ("PATHBOUND_PUBLIC_URL".as_ref(), api.as_ref()),
        ("PATHBOUND_SERVICE_KEY".as_ref(), SERVICE_KEY.as_ref()),
    ];
    let fleet = office.world.fleet(1);
    case.until_complete().await;
    let mut seen = BTreeSet::new();
    let mut run = |command: &str, arguments: &[&str]| -> Value {
        let words = command.split(' ').chain(arguments.iter().copied());
        let words: Vec<&str> = ["-o", "json"].into_iter().chain(words).collect();
        let printed = office.world.command_with(&words, &variables);
        let said = String::from_utf8_lossy(&printed.stderr);
        assert!(printed.status.success(), "{words:?}: {said}");
        let output: Value = serde_json::from_slice(&printed.stdout).unwrap();
        assert_shape(command, &output);
        seen.insert(command.to_owned());
        output
    };
    let tenant = &*case.tenant.to_string();
    for command in [
        "overview",
        "queues",
        "top",
        "doctor",
        "jobs list",
        "tenants list",
        "schedule",
    ] {
        run(command, &[]);
    }
    let shown = run("tenants show", &[tenant]);
    assert!(!shown["connections"][0]["rate"].is_null(), "{shown}");
    fleet.stop().await;
    let other = office.world.connect(workspace(2)).await;
    fail_for_good(&other, Stream::Contacts, "status 503", 1).await;
    run("dead causes", &[]);
    let dead = run("dead list", &["--tenant", &other.tenant.to_string()]);
    run("dead show", &[dead["items"][0]["id"].as_str().unwrap()]);
    run("dead retry", &["--all", "--dry-run"]);
    let asked = run("dead retry", &["--all", "--no-wait"]);
    let bulk = asked["id"].as_str().unwrap();
    run("dead bulk cancel", &[bulk]);
    run("dead bulk show", &[bulk]);
    run("dead bulk list", &[]);
    run("dead drop", &["--all", "--yes"]);
    run("resync", &[tenant]);
    let jobs = run("jobs list", &["--state", "ready"]);
    run("jobs show", &[jobs["items"][0]["id"].as_str().unwrap()]);
    run("why", &[tenant]);
    run("tenants pause", &[tenant, "--reason", "a test"]);
    run("tenants resume", &[tenant]);
    run("pause", &["backfill"]);
    run("overview", &[]);
    run("resume", &["backfill"]);
    run("actions", &[]);
    run("events", &[]);
    run("replay", &[tenant, "--dry-run"]);
    run("keys status", &[]);
    run("keys rotate", &["--dry-run"]);
    run("migrate", &["--check"]);
    run("config show", &[]);
    run("config check", &[]);
    let rules = std::env::temp_dir().join(format!("pathbound-rules-{tenant}.json"));
    for kind in ["merge-rules", "identity-rules"] {
        let shown = run(&format!("{kind} show"), &[tenant]);
        std::fs::write(&rules, shown.to_string()).unwrap();
        run(&format!("{kind} set"), &[tenant, rules.to_str().unwrap()]);
    }
    std::fs::remove_file(&rules).unwrap();
    // The chapter about the demo runs its commands.
    seen.extend(["demo", "demo chaos", "demo env"].map(str::to_owned));
    assert_eq!(seen, described_commands().into_iter().collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_spelled_wrong_gets_the_nearest_one() {
    let office = Office::open().await;
    let case = office.world.connect(workspace(1)).await;
    fail_for_good(&case, Stream::Contacts, "status 503", 1).await;
    let (_, tenants) = office.pathbound(&["-o", "json", "tenants", "list"]);
    let name = tenants["items"][0]["name"].as_str().unwrap();
    let id = case.tenant.to_string();
    // The whole name and the beginning of the id are enough.
    for named in [name, &id[..13]] {
        let (code, why) = office.pathbound(&["-o", "json", "why", named]);
        assert_eq!(
            (code, why["tenant_id"].as_str()),
            (0, Some(&*id)),
            "{named}"
        );
    }
    let said = |arguments: &[&str]| {
        let output = office.world.command(arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap(), text)
    };
    let wrong = format!("{name}x");
    let (_, jobs) = office.pathbound(&["-o", "json", "jobs", "list", "--state", "ready"]);
    let ticket = jobs["items"][0]["id"].as_str().unwrap();
    let (ticket_before, last) = ticket.split_at(ticket.len() - 1);
    let wrong_ticket = format!("{ticket_before}{last}{last}");
    for (arguments, code, near) in [
        (
            &["why", &wrong][..],
            1,
            format!("did you mean {name} ({id})?"),
        ),
        (
            &["tenants", "pause", &wrong],
            1,
            format!("did you mean {name} ({id})?"),
        ),
        (
            &["jobs", "show", &wrong_ticket],
            1,
            format!("did you mean {ticket}?"),
        ),
        (
            &["dead", "list", "--cause", "status 504"],
            0,
            "did you mean --cause 'status 503'?".to_owned(),
        ),
        (
            &["dead", "list", "--stream", "contact"],
            2,
            "'contacts'".to_owned(),
        ),
        (&["pause", "backfil"], 2, "'backfill'".to_owned()),
        (&["tenants", "lst"], 2, "'list'".to_owned()),
        (
            &["tenants", "list", "--serch", "x"],
            2,
            "'--search'".to_owned(),
        ),
    ] {
        let (got, text) = said(arguments);
        assert_eq!(got, code, "{arguments:?}: {text}");
        assert!(text.contains(&near), "{arguments:?}: {text}");
    }
    let (code, text) = said(&["why", "something-else-entirely"]);
    assert_eq!(code, 1);
    assert!(!text.contains("did you mean"), "{text}");
}
