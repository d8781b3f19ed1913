//! What operators see of the fleet, over the ops listener and the command line.

use std::collections::BTreeSet;

use intercom_simulator::{Fault, WorkspaceSpec};
use serde_json::{Value, json};
use servers::Relay;
use shared::{
    domain::{Mode, Stream, TenantId},
    store::AfterDisconnect,
};

use crate::{
    operations::{KEY, Office, fail_for_good, workspace},
    ops_pages::signed_in,
    support::{Case, World, servers, tiny, wait_for},
};

/// The ids of a page of tenants.
fn ids(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overview_counts_the_fleet_and_its_workers() {
    let office = Office::open().await;
    let world = &office.world;
    let [one, two] = [
        world.connect(workspace(1)).await,
        world.connect(workspace(2)).await,
    ];
    world.new_tenant().await;
    fail_for_good(&two, Stream::Contacts, "status 503", 1).await;
    let (code, seen) = office.pathbound(&["overview", "-o", "json"]);
    assert_eq!(code, 0, "{seen}");
    let fleet = &seen["fleet"]["data"];
    let exactly = |count: i64| json!({"count": count, "more": false});
    assert_eq!(fleet["tenants"], exactly(3), "{seen}");
    assert_eq!(fleet["connections"]["active"], exactly(2), "{seen}");
    assert_eq!(fleet["connections"]["reauth_required"], exactly(0));
    assert_eq!(fleet["dead_letters"], exactly(1), "{seen}");
    assert_eq!(fleet["furthest_behind"]["last_read_at"], Value::Null);
    let queue = &seen["queue"]["data"];
    assert_eq!(queue["workers"], json!([]), "{seen}");
    assert!(
        queue["classes"]["fresh"]["ready"].as_u64().unwrap() >= 7,
        "{seen}"
    );

    let fleet = world.fleet(1);
    one.until_complete().await;
    wait_for("the worker is seen", async || {
        let (_, seen) = office.get("/ops/overview").await;
        let workers = seen["queue"]["data"]["workers"].as_array().unwrap().clone();
        let is_seen = workers.len() == 1 && workers[0]["draining"] == false;
        is_seen.then_some(()).ok_or_else(|| seen.to_string())
    })
    .await;
    fleet.stop().await;
    wait_for("the worker has left the list", async || {
        let (_, seen) = office.get("/ops/overview").await;
        let is_gone = seen["queue"]["data"]["workers"] == json!([]);
        is_gone.then_some(()).ok_or_else(|| seen.to_string())
    })
    .await;
    // What an operator does shows with the next answer, however good the last one still is.
    let (code, paused) = office.pathbound(&["pause", "fleet", "--reason", "a test"]);
    assert_eq!((code, paused), (0, Value::Null));
    let (_, seen) = office.get("/ops/overview").await;
    assert_eq!(seen["state"], "paused", "{seen}");
    assert_eq!(seen["fleet"]["data"]["paused"][0]["reason"], "a test");
    let (_, resumed) = office.pathbound(&["resume", "fleet", "-o", "json"]);
    assert_eq!(resumed, json!({"paused": false, "scope": "fleet"}));
}

/// Sums of the last hour: slices, failures and calls.
async fn last_hour(office: &Office) -> [u64; 3] {
    let (_, seen) = office.get("/ops/overview").await;
    let minutes = seen["queue"]["data"]["minutes"].as_array().unwrap();
    assert_eq!(minutes.len(), 60, "{seen}");
    ["slices", "failures", "calls"].map(|name| {
        let counts = minutes.iter().map(|minute| minute[name].as_u64().unwrap());
        counts.sum()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_hour_counts_every_slice_failure_and_call_once() {
    let office = Office::open().await;
    let world = &office.world;
    let case = world.connect(workspace(1)).await;
    assert_eq!(last_hour(&office).await, [0, 0, 0]);
    // The calls of the OAuth flow are no slice's.
    case.reset_calls();
    let fleet = world.fleet(1);
    case.until_complete().await;
    case.until_slices(0).await;
    let [synced, failed, _] = wait_for("all calls are counted", async || {
        let seen = last_hour(&office).await;
        (seen[2] == case.all_calls())
            .then_some(seen)
            .ok_or_else(|| format!("{seen:?} of {}", case.all_calls()))
    })
    .await;
    assert!(synced >= 5, "{synced}");
    assert_eq!(failed, 0);
    // Each attempt that fails is a slice, and the calls of it count as well.
    case.inject(Fault::status(503).operation("list_tags"));
    case.request(Mode::Incremental, &[Stream::Reference]).await;
    case.until_error(Stream::Reference).await;
    fleet.stop().await;
    wait_for("all failures are counted", async || {
        let [slices, failures, calls] = last_hour(&office).await;
        let attempts = case.failed_attempts_of(Stream::Reference).await as u64;
        let is_exact = attempts > 0
            && (slices, failures, calls) == (synced + attempts, attempts, case.all_calls());
        is_exact
            .then_some(())
            .ok_or_else(|| format!("{slices} {failures} {calls} {attempts}"))
    })
    .await;
    // The worker is gone, and what it did is not.
    let mut browser = signed_in(&office).await;
    let page = browser.page("/ops/").await;
    let calls = case.all_calls();
    for shown in [
        format!("{calls} calls within an hour"),
        "Failures a minute".to_owned(),
    ] {
        assert!(page.text().contains(&shown), "{shown}: {}", page.text());
    }
    assert!(page.html.contains("<svg class=\"chart\""), "{}", page.html);
    let text = world.command(&["overview"]).stdout;
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.contains(&format!("{calls} calls to Intercom")),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overview_names_the_workspaces_that_stand_at_their_limit() {
    let office = Office::open().await;
    let world = &office.world;
    let busy = world
        .connect(WorkspaceSpec {
            conversations: 200,
            limit_per_window: 10,
            ..workspace(1)
        })
        .await;
    let idle = world.connect(workspace(2)).await;
    let _fleet = world.fleet(1);
    idle.until_complete().await;
    let rate = wait_for(
        "a window shows that a workspace is at its limit",
        async || {
            // It spends little of its own limit, in the same windows.
            idle.poll().await;
            let (_, seen) = office.get("/ops/overview").await;
            let rate = seen["rate"]["data"].clone();
            let at_limit = rate["at_limit"].as_array().cloned().unwrap_or_default();
            let names: Vec<&str> = at_limit
                .iter()
                .filter_map(|one| one["budget"].as_str())
                .collect();
            let is_told = names.contains(&busy.workspace.id_code().as_str())
                && rate["windows"][0]["budgets"] == 2;
            is_told
                .then_some(rate)
                .ok_or_else(|| seen["rate"].to_string())
        },
    )
    .await;
    let at_limit = &rate["at_limit"][0];
    assert_eq!(
        (&at_limit["allowed"], &rate["at_limit_count"]),
        (&json!(8), &json!(1))
    );
    assert_eq!(rate["windows"].as_array().unwrap().len(), 3);
    let last = &rate["windows"][0];
    assert!(
        last["calls"].as_u64() >= at_limit["calls"].as_u64(),
        "{rate}"
    );
    assert!(last["allowed"].as_u64().unwrap() >= 8, "{rate}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_are_listed_by_lag_by_state_and_by_name() {
    let office = Office::open().await;
    let world = &office.world;
    let [read, unread, ended] = [
        world.connect(workspace(1)).await,
        world.connect(workspace(2)).await,
        world.connect(workspace(3)).await,
    ];
    disconnect(&ended).await;
    let named: Vec<TenantId> = [
        world.tenant_named("Zebra & Söhne").await,
        world.tenant_named("zebra two").await,
    ]
    .into();
    // One tenant is read to the end, and the other waits.
    office
        .post(&format!("/ops/tenants/{}/pause", unread.tenant), json!({}))
        .await;
    let fleet = world.fleet(1);
    read.until_complete().await;
    fleet.stop().await;

    let of = |case: &Case| case.tenant.to_string();
    let (_, by_lag) = office.pathbound(&["tenants", "list", "-o", "json"]);
    assert_eq!(ids(&by_lag), [of(&unread), of(&read)], "{by_lag}");
    let rows = by_lag["items"].as_array().unwrap();
    assert_eq!(rows[0]["state"], "paused", "{by_lag}");
    assert_eq!(rows[0]["lag_seconds"], Value::Null);
    assert!(rows[1]["lag_seconds"].as_i64().unwrap() >= 0, "{by_lag}");
    assert_eq!(rows[1]["state"], "idle", "{by_lag}");

    // Page by page, each tenant comes once, in the same order.
    for query in ["sort=lag", "state=active", "sort=name"] {
        let whole = office.get(&format!("/ops/tenants?{query}")).await.1;
        assert_eq!(whole["next_cursor"], Value::Null, "{whole}");
        assert_eq!(pages(&office, query).await, ids(&whole), "{query}");
    }
    let everyone = ids(&office.get("/ops/tenants?sort=name").await.1);
    assert_eq!(everyone.len(), 5, "{everyone:?}");
    assert_eq!(
        everyone.iter().collect::<BTreeSet<_>>().len(),
        5,
        "{everyone:?}"
    );
    let (_, gone) = office.get("/ops/tenants?state=disconnected").await;
    assert_eq!(ids(&gone), [of(&ended)]);

    let zebras: Vec<String> = named.iter().map(ToString::to_string).collect();
    for (text, found) in [
        ("ZEBRA", zebras.clone()),
        ("zebra+%26+s%C3%B6", zebras[..1].to_vec()),
        ("ebra", vec![]),
        ("zebra%25", vec![]),
        (zebras[1].as_str(), zebras[1..].to_vec()),
        (read.workspace.id_code().as_str(), vec![of(&read)]),
    ] {
        let (status, page) = office.get(&format!("/ops/tenants?q={text}")).await;
        assert_eq!((status, ids(&page)), (200, found), "{text}");
    }
}

/// All pages of one tenant each, one after the other.
async fn pages(office: &Office, query: &str) -> Vec<String> {
    let pages = items_of_pages(office, &format!("/ops/tenants?{query}")).await;
    ids(&json!({ "items": pages }))
}

/// The items of a list, read page by page.
async fn items_of_pages(office: &Office, list: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("{list}&limit=1{cursor}");
        let (status, page) = office.get(&path).await;
        assert_eq!(status, 200, "{page}");
        found.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next_cursor"].as_str() else {
            return found;
        };
        cursor = format!("&cursor={next}");
    }
}

async fn disconnect(case: &Case) {
    let mut tx = case.world.store.begin(case.tenant).await.unwrap();
    tx.disconnect(case.connection(), AfterDisconnect::Retain)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_shown_with_all_that_keeps_it() {
    let office = Office::open().await;
    let world = &office.world;
    let case = world.connect(workspace(1)).await;
    let tenant = case.tenant.to_string();
    fail_for_good(&case, Stream::Companies, "status 503", 1).await;
    let (code, before) = office.pathbound(&["tenants", "show", &tenant, "-o", "json"]);
    assert_eq!((code, &before["name"]), (0, &json!("Acme")), "{before}");
    let connection = &before["connections"][0];
    let streams = connection["streams"].as_array().unwrap();
    assert_eq!(streams.len(), 5, "{before}");
    let companies = streams.iter().find(|s| s["stream"] == "companies").unwrap();
    assert_eq!(companies["work"]["last_error"], "status 503");
    assert_eq!(before["dead_letters"][0]["stream"], "companies");
    assert_eq!(connection["runs"][0]["status"], "queued");
    assert_eq!(connection["complete"], false);
    // The tickets that were pushed with the connect are ready. The one behind the first is known by its name.
    let jobs = before["jobs"].as_array().unwrap();
    assert_eq!(jobs.len(), 5, "{before}");
    assert!(jobs.iter().all(|job| job["state"] == "ready"), "{before}");

    let (_, retried) = office.pathbound(&["dead", "retry", "--all", "-o", "json"]);
    assert_eq!(retried["retried"], 1);
    let _fleet = world.fleet(1);
    case.until_complete().await;
    let (_, after) = office.get(&format!("/ops/tenants/{tenant}")).await;
    assert_eq!(after["connections"][0]["complete"], true, "{after}");
    assert_eq!(after["connections"][0]["threads"]["pending"], 0);
    assert_eq!(after["dead_letters"], json!([]));
    let text = world.command(&["tenants", "show", &tenant]).stdout;
    let text = String::from_utf8(text).unwrap();
    assert!(text.starts_with("Acme: Complete as of "), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_are_listed_by_state_and_shown_with_their_work() {
    let office = Office::open().await;
    let world = &office.world;
    let [one, two] = [
        world.connect(workspace(1)).await,
        world.connect(workspace(2)).await,
    ];
    let (code, ready) = office.pathbound(&["jobs", "list", "--state", "ready", "-o", "json"]);
    assert_eq!(code, 0, "{ready}");
    let items = ready["items"].as_array().unwrap();
    // The next ticket of each tenant, once for each class, and how many wait behind it.
    let seen: BTreeSet<(&str, &str)> = items
        .iter()
        .map(|job| {
            (
                job["tenant_id"].as_str().unwrap(),
                job["class"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(seen.len(), items.len(), "{ready}");
    let all: u64 = items
        .iter()
        .map(|job| 1 + job["behind"].as_u64().unwrap())
        .sum();
    assert_eq!(all, 10, "{ready}");
    // Page by page it is the same.
    let mut paged = Vec::new();
    for rank in 0..items.len() {
        let (_, page) = office
            .get(&format!("/ops/jobs?state=ready&limit=1&cursor={rank}"))
            .await;
        paged.push(page["items"][0]["id"].clone());
    }
    let listed: Vec<Value> = items.iter().map(|job| job["id"].clone()).collect();
    assert_eq!(paged, listed);
    assert_eq!(office.get("/ops/jobs").await.1, json!({"items": []}));

    let ticket = listed[0].as_str().unwrap();
    let (_, shown) = office.pathbound(&["jobs", "show", ticket, "-o", "json"]);
    assert_eq!(shown["id"], ticket, "{shown}");
    assert_eq!(shown["work"]["attempts"], 0, "{shown}");
    let (_, of_one) = office
        .get(&format!("/ops/jobs?tenant_id={}", one.tenant))
        .await;
    assert_eq!(of_one["items"].as_array().unwrap().len(), 5, "{of_one}");

    let fleet = world.fleet(1);
    for case in [&one, &two] {
        case.until_complete().await;
        case.until_slices(0).await;
    }
    fleet.stop().await;
    assert_eq!(
        office.pathbound(&["jobs", "show", ticket]).0,
        1,
        "it is done"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_action_of_an_operator_is_kept() {
    let office = Office::open().await;
    let case = office.world.connect(tiny()).await;
    let tenant = case.tenant.to_string();
    fail_for_good(&case, Stream::Contacts, "status 503", 1).await;
    for arguments in [
        &["tenants", "pause", &tenant, "--reason", "their wish"][..],
        &["tenants", "resume", &tenant],
        &["pause", "backfill", "--reason", "quiet"],
        &["resume", "backfill"],
        &["dead", "retry", "--tenant", &tenant],
        &["dead", "drop", "--cause", "503", "--yes"],
        // Reading and counting is no action.
        &["dead", "list"],
        &["dead", "drop", "--all", "--dry-run"],
    ] {
        assert_eq!(office.pathbound(arguments).0, 0, "{arguments:?}");
    }
    let (_, listed) = office.pathbound(&["actions", "-o", "json"]);
    let seen: Vec<String> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|action| {
            format!(
                "{} {} {} {} {}",
                action["action"].as_str().unwrap(),
                action["channel"].as_str().unwrap(),
                action["tenant_id"]
                    .as_str()
                    .unwrap_or("-")
                    .replace(&tenant, "T"),
                action["subject"].as_str().unwrap(),
                action["changed"],
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            "work.paused key T the tenant 1",
            "work.resumed key T the tenant 1",
            "work.paused key - the class backfill 1",
            "work.resumed key - the class backfill 1",
            "dead_letters.retried key T all dead letters of the tenant 1",
            "dead_letters.dropped key - cause \"503\" 1",
        ],
        "{listed}"
    );
    assert_eq!(listed["items"][5]["reason"], "their wish");
    let (_, second) = office.get("/ops/actions?limit=2").await;
    assert_eq!(second["next_cursor"], listed["items"][1]["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_questions_name_the_fault_and_need_the_key() {
    let office = Office::open().await;
    let nobody = uuid::Uuid::now_v7();
    for (path, status, field) in [
        ("/ops/tenants?sort=size", 400, "sort"),
        ("/ops/tenants?state=broken", 400, "state"),
        ("/ops/tenants?cursor=e30", 400, "cursor"),
        ("/ops/tenants?limit=0", 400, "limit"),
        ("/ops/tenants?limit=201", 400, "limit"),
        ("/ops/tenants?colour=red", 400, "colour"),
        ("/ops/tenants?q=a%00b", 400, "q"),
        ("/ops/tenants?q=a&state=active", 400, "q"),
        (&format!("/ops/tenants?q={}", "a".repeat(201)), 400, "q"),
        ("/ops/jobs?state=lost", 400, "state"),
        ("/ops/jobs?cursor=-1", 400, "cursor"),
        ("/ops/jobs?cursor=99999999", 400, "cursor"),
        ("/ops/actions?cursor=x", 400, "cursor"),
        ("/ops/jobs/not-a-ticket", 404, ""),
        (&format!("/ops/tenants/{nobody}"), 404, ""),
        (&format!("/ops/jobs?tenant_id={nobody}"), 404, ""),
    ] {
        let (answered, problem) = office.get(path).await;
        assert_eq!(answered, status, "{path}: {problem}");
        let named = problem["errors"][0]["field"].as_str().unwrap_or_default();
        // A name that is not known belongs to the whole query.
        let is_unknown = field == "colour" && problem.to_string().contains(field);
        assert!(named == field || is_unknown, "{path}: {problem}");
    }
    for path in ["/ops/overview", "/ops/tenants", "/ops/jobs", "/ops/actions"] {
        let answer = reqwest::get(format!("{}{path}", office.base))
            .await
            .unwrap();
        assert_eq!(answer.status(), 401, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_leaves_the_last_numbers_with_their_age() {
    let relay = Relay::start(&format!("127.0.0.1:{}", servers().postgres().port())).unwrap();
    let world = World::with(&[("OPERATOR_KEY", KEY)]).await;
    world.connect(tiny()).await;
    let office = Office::of(world.through(&relay));
    let (_, before) = office.get("/ops/overview").await;
    assert_eq!(before["fleet"]["fault"], Value::Null, "{before}");

    relay.freeze();
    wait_for("the fault shows", async || {
        let (status, seen) = office.get("/ops/overview").await;
        assert_eq!(status, 200, "{seen}");
        let is_told = seen["fleet"]["fault"].is_string();
        is_told.then_some(()).ok_or_else(|| seen.to_string())
    })
    .await;
    let (_, seen) = office.get("/ops/overview").await;
    assert_eq!(seen["state"], "unknown");
    assert_eq!(seen["fleet"]["data"], before["fleet"]["data"], "{seen}");
    assert!(
        seen["fleet"]["age_seconds"].as_f64().unwrap() >= 1.0,
        "{seen}"
    );
    assert_eq!(seen["queue"]["fault"], Value::Null, "{seen}");
    // A list says so instead of waiting for ever.
    assert_eq!(office.get("/ops/tenants").await.0, 503);

    relay.abandon();
    wait_for("the numbers are new", async || {
        let (_, seen) = office.get("/ops/overview").await;
        let is_new = seen["fleet"]["fault"].is_null() && seen["state"] != "unknown";
        is_new.then_some(()).ok_or_else(|| seen.to_string())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schedule_tells_what_becomes_due_when() {
    let office = Office::open().await;
    let world = &office.world;
    let read = world.connect(workspace(1)).await;
    let fleet = world.fleet(1);
    read.until_complete().await;
    fleet.stop().await;
    // Without a fleet, nobody makes its tickets.
    let waits = world.connect(workspace(2)).await;
    waits.make_due_in_2099().await;
    let (_, whole) = office.get("/ops/schedule?limit=200").await;
    let items = whole["items"].as_array().unwrap();
    let due: Vec<&str> = items
        .iter()
        .map(|item| item["due_at"].as_str().unwrap())
        .collect();
    assert!(due.is_sorted(), "{due:?}");
    // Contacts, companies, conversations and the reference data of one, and the five streams of the other.
    assert_eq!(items.len(), 4 + 5, "{whole}");
    assert_eq!(items_of_pages(&office, "/ops/schedule?").await, *items);
    let what = |item: &Value| json!([item["stream"], item["what"], item["paused"]]);
    let (_, later) = office
        .get("/ops/schedule?from=2098-12-31T23:00:00-01:00")
        .await;
    let later: Vec<Value> = later["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(what)
        .collect();
    let first = |stream| json!([stream, "first_sync", false]);
    let all = [
        "companies",
        "contacts",
        "conversations",
        "reference",
        "threads",
    ];
    assert_eq!(later, all.map(first));
    office.post("/ops/queues/backfill/pause", json!({})).await;
    let (_, paused) =
        office.pathbound(&["schedule", "--from", "2099-01-01T00:00:00Z", "-o", "json"]);
    let paused: Vec<&Value> = paused["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["paused"])
        .collect();
    assert_eq!(paused, [false, false, false, false, true]);
    for bad in [
        "from=noon",
        "from=99:00",
        "cursor=x",
        "limit=0",
        "until=14:00",
    ] {
        let (status, answer) = office.get(&format!("/ops/schedule?{bad}")).await;
        assert_eq!(status, 400, "{bad}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_pauses_ends_and_shows_the_widest_first() {
    let office = Office::open().await;
    office.world.pause_strangers(130).await;
    office
        .post("/ops/queues/backfill/pause", json!({"reason": "wide"}))
        .await;
    for (path, at) in [("/ops/queues", ""), ("/ops/overview", "/fleet/data")] {
        let (_, answer) = office.get(path).await;
        let shown = answer.pointer(at).unwrap();
        let scopes: Vec<&str> = shown["paused"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pause| pause["scope"].as_str().unwrap())
            .collect();
        assert_eq!((scopes.len(), scopes[0]), (101, "backfill"), "{path}");
        // md5 of 1, the newest.
        assert_eq!(scopes[1], "c4ca4238-a0b9-2382-0dcc-509a6f75849b", "{path}");
        assert_eq!(shown["paused_more"], true, "{path}");
    }
}
