//! What operators do: dead letters and pauses, over the ops listener and the command line.

use intercom_simulator::WorkspaceSpec;
use scheduler::BulkWorker;
use serde_json::{Value, json};
use shared::{
    domain::{Class, ConnectionId, Mode, Stream},
    queue::PauseScope,
    store::{AfterDisconnect, CursorAfterFailure, SliceKey, StreamClaim},
};

use tokio::task::JoinHandle;

use crate::support::{Case, Process, World, wait_for};

pub(crate) const KEY: &str = "an-operator-key-of-thirty-two-characters";

pub(crate) fn workspace(seed: u64) -> WorkspaceSpec {
    WorkspaceSpec {
        seed,
        contacts: 30,
        companies: 5,
        conversations: 10,
        limit_per_window: 100_000,
        ..WorkspaceSpec::default()
    }
}

/// A world with an ops listener at a known port.
pub(crate) struct Office {
    pub(crate) world: World,
    pub(crate) base: String,
    pub(crate) api: Process,
    bulk: Option<JoinHandle<()>>,
}

impl Drop for Office {
    fn drop(&mut self) {
        if let Some(bulk) = &self.bulk {
            bulk.abort();
        }
    }
}

impl Office {
    pub(crate) async fn open() -> Self {
        Self::of(World::with(&[("OPERATOR_KEY", KEY)]).await)
    }

    /// The ops listener of an API in this world, which has the key. A scheduler works bulk actions beside it and makes no
    /// tickets, so that a test says itself when work begins.
    pub(crate) fn of(world: World) -> Self {
        let mut office = Self::quiet(world);
        let world = office.world.clone();
        office.bulk = Some(tokio::spawn(async move {
            let store = world.scheduler_store().await;
            BulkWorker::new(store, world.queue).run().await;
        }));
        office
    }

    /// The same without a scheduler.
    pub(crate) fn quiet(mut world: World) -> Self {
        let (api, address) = world.listening("api");
        Self {
            bulk: None,
            world,
            base: format!("http://{address}"),
            api,
        }
    }

    /// Reads a path with the key.
    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let call = reqwest::Client::new()
            .get(format!("{}{path}", self.base))
            .bearer_auth(KEY);
        let answer = call.send().await.unwrap();
        (
            answer.status().as_u16(),
            answer.json().await.unwrap_or(Value::Null),
        )
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let call = reqwest::Client::new()
            .post(format!("{}{path}", self.base))
            .bearer_auth(KEY)
            .json(&body);
        let answer = call.send().await.unwrap();
        (
            answer.status().as_u16(),
            answer.json().await.unwrap_or(Value::Null),
        )
    }

    /// The command line, its standard output read as JSON.
    pub(crate) fn pathbound(&self, arguments: &[&str]) -> (i32, Value) {
        let output = self.world.command(arguments);
        let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        (output.status.code().unwrap_or(-1), json)
    }
}

/// Makes a dead letter of a stream, as a slice that fails for the tenth time does.
pub(crate) async fn fail_for_good(case: &Case, stream: Stream, cause: &str, fence: i64) {
    let store = case.world.worker_store(1).await;
    let key = SliceKey {
        tenant: case.tenant,
        connection: case.connection(),
        stream,
        fence,
    };
    // The claim raises the fence, as a slice does before it fails.
    assert!(matches!(
        store.claim_stream(key, 0).await.unwrap(),
        StreamClaim::Acquired(_)
    ));
    let mut tx = store.begin_fenced(key).await.unwrap();
    tx.write_dead_letter(key, cause, 10).await.unwrap();
    tx.fail_stream(key, cause, 3600.0, CursorAfterFailure::Keep)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_counted_retried_and_dropped() {
    let office = Office::open().await;
    let world = &office.world;
    let [one, two] = [
        world.connect(workspace(1)).await,
        world.connect(workspace(2)).await,
    ];
    for (case, stream, cause) in [
        (&one, Stream::Contacts, "status 503"),
        (&one, Stream::Companies, "Status 500 of the scroll"),
        (&two, Stream::Contacts, "the slice panicked"),
    ] {
        fail_for_good(case, stream, cause, 1).await;
    }

    let id = assert_listed(&office);

    // A dry run counts and touches nothing. Dropping by a filter has to be confirmed.
    let tenant = one.tenant.to_string();
    let (_, dry) = office.pathbound(&[
        "dead",
        "retry",
        "--tenant",
        &tenant,
        "--dry-run",
        "-o",
        "json",
    ]);
    assert_eq!(dry, json!({"count": 2, "retried": 0, "dry_run": true}));
    let (_, unsure) = office.pathbound(&["dead", "drop", "--all", "-o", "json"]);
    assert_eq!(unsure, json!({"count": 3, "dropped": 0, "dry_run": true}));
    assert_eq!(
        office.pathbound(&["dead", "drop"]).0,
        2,
        "nothing named is a usage error"
    );

    let (_, dropped) = office.pathbound(&["dead", "drop", &id, "-o", "json"]);
    assert_eq!(dropped, json!({"dropped": 1}));
    assert_eq!(office.pathbound(&["dead", "show", &id]).0, 1, "it is gone");
    let (code, retried) =
        office.pathbound(&["dead", "retry", "--stream", "contacts", "-o", "json"]);
    assert_eq!(
        (
            code,
            &retried["count"],
            &retried["retried"],
            &retried["dry_run"]
        ),
        (0, &json!(1), &json!(1), &json!(false)),
        "{retried}"
    );

    // The retried stream succeeds, which closes its letter. The other letter is still there.
    let _fleet = world.fleet(1);
    one.until("contacts have been walked", |status| {
        status
            .streams
            .iter()
            .any(|stream| stream.stream == Stream::Contacts && stream.last_ok_at.is_some())
    })
    .await;
    let (_, left) = office.pathbound(&["dead", "list", "-o", "json"]);
    assert_eq!(
        (&left["count"], &left["items"][0]["stream"]),
        (&json!(1), &json!("companies")),
        "{left}"
    );
    let (_, retried) = office.pathbound(&["dead", "retry", "--all", "-o", "json"]);
    assert_eq!(retried["retried"], 1);
    one.until_complete().await;
    assert_eq!(
        office.pathbound(&["dead", "list", "-o", "json"]).1["count"],
        0
    );
    one.assert_exact().await;
}

/// The three are listed, filtered and shown. Returns the id of the one that panicked.
fn assert_listed(office: &Office) -> String {
    let (code, all) = office.pathbound(&["dead", "list", "-o", "json"]);
    assert_eq!(
        (code, &all["count"], all["items"].as_array().unwrap().len()),
        (0, &json!(3), 3),
        "{all}"
    );
    let (_, filtered) = office.pathbound(&[
        "dead",
        "list",
        "--cause",
        "STATUS 50",
        "--limit",
        "1",
        "-o",
        "json",
    ]);
    assert_eq!(
        (
            &filtered["count"],
            filtered["items"].as_array().unwrap().len()
        ),
        (&json!(2), 1),
        "{filtered}"
    );
    let id = all["items"][2]["id"].as_str().unwrap();
    let (_, shown) = office.pathbound(&["dead", "show", id, "-o", "json"]);
    assert_eq!(shown["cause"], "the slice panicked");
    id.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_operator_key_opens_and_unknown_things_are_404() {
    let office = Office::open().await;
    for key in [
        "",
        "Bearer wrong",
        "Bearer an-operator-key-of-thirty-two-character",
    ] {
        let call = reqwest::Client::new()
            .get(format!("{}/ops/dead", office.base))
            .header("Authorization", key);
        assert_eq!(call.send().await.unwrap().status(), 401, "{key:?}");
    }
    let nobody = ConnectionId::new();
    for path in [
        format!("/ops/dead/{nobody}/retry"),
        format!("/ops/dead/{nobody}/drop"),
        format!("/ops/tenants/{nobody}/pause"),
        "/ops/tenants/not-an-id/pause".to_owned(),
        "/ops/queues/no-such-class/pause".to_owned(),
    ] {
        assert_eq!(office.post(&path, json!({})).await.0, 404, "{path}");
    }
    assert_eq!(
        office
            .post("/ops/dead/retry", json!({"strem": "contacts"}))
            .await
            .0,
        400,
        "a misspelt filter means all"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_of_a_tenant_survives_the_loss_of_redis() {
    let office = Office::open().await;
    let world = &office.world;
    let [paused, other] = [
        world.connect(workspace(1)).await,
        world.connect(workspace(2)).await,
    ];
    let (code, said) = office.pathbound(&[
        "tenants",
        "pause",
        &paused.tenant.to_string(),
        "--reason",
        "a test",
    ]);
    assert_eq!((code, said), (0, Value::Null), "a table, not json");
    // A pause is a row in Postgres. The scheduler writes it into a Redis that has lost it.
    world.empty_redis().await;
    let _fleet = world.fleet(1);
    other.until_complete().await;
    let calls = paused.calls("list_contacts");
    assert_eq!(calls, 0, "nothing is asked for a paused tenant");

    let (status, _) = office
        .post(&format!("/ops/tenants/{}/resume", paused.tenant), json!({}))
        .await;
    assert_eq!(status, 200);
    paused.until_complete().await;

    // A class is paused the same way: stubs come, threads wait.
    assert_eq!(
        office
            .post("/ops/queues/backfill/pause", json!({"reason": "quiet"}))
            .await
            .0,
        200
    );
    // The answer says that the pause is in Postgres. Redis may learn it from the scheduler.
    wait_for("the pause is in redis", async || {
        let paused = world.queue.paused().await;
        let paused = paused.map_err(|error| error.to_string())?;
        paused
            .contains(&PauseScope::Class(Class::Backfill))
            .then_some(())
            .ok_or_else(|| format!("{paused:?}"))
    })
    .await;
    // Connected while the class is paused, so its threads have never been worked.
    let third = world.connect(workspace(3)).await;
    third
        .until("stubs are held", |status| {
            status.threads.pending > 0
                && status
                    .streams
                    .iter()
                    .any(|s| s.stream == Stream::Conversations && s.last_ok_at.is_some())
        })
        .await;
    // A ticket that was pushed later is worked, and the threads still wait.
    let before = third.stream(Stream::Contacts).await.last_ok_at;
    third.request(Mode::Incremental, &[Stream::Contacts]).await;
    third.until_walked_after(Stream::Contacts, before).await;
    assert_eq!(third.calls("get_conversation"), 0);
    assert_eq!(
        office
            .post("/ops/queues/backfill/resume", json!({}))
            .await
            .0,
        200
    );
    third.until_complete().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn why_says_in_one_sentence_what_keeps_a_tenant() {
    let office = Office::open().await;
    let world = &office.world;
    let case = world.connect(workspace(5)).await;
    let tenant = case.tenant.to_string();
    let (_, why) = office.pathbound(&["why", &tenant, "-o", "json"]);
    let said = |why: &Value| why["sentence"].as_str().unwrap_or_default().to_owned();
    assert!(said(&why).starts_with("Not complete: "), "{why}");

    let _fleet = world.fleet(1);
    case.until_complete().await;
    let (code, why) = office.pathbound(&["why", &tenant, "-o", "json"]);
    assert_eq!(
        (code, &why["connections"][0]["complete"]),
        (0, &json!(true)),
        "{why}"
    );
    assert!(said(&why).starts_with("Complete as of "), "{why}");
    assert_eq!(
        said(&why),
        why["connections"][0]["sentence"].as_str().unwrap()
    );

    // As a person sees it: the sentence, then each reason.
    case.until_slices(0).await;
    case.make_due_without_a_ticket(Stream::Contacts).await;
    fail_for_good(&case, Stream::Contacts, "status 503", i64::MAX / 2).await;
    let shown = String::from_utf8(world.command(&["why", &tenant]).stdout).unwrap();
    let mut lines = shown.lines();
    assert!(
        lines
            .next()
            .unwrap()
            .starts_with("Not complete: Syncing contacts failed too often in a row, so it is now retried less often. Last error: status 503."),
        "{shown}"
    );
    assert!(
        lines.any(|line| line.contains("dead_letter") && line.contains("dead retry")),
        "{shown}"
    );

    // A pause explains everything behind it.
    office
        .post(
            &format!("/ops/tenants/{tenant}/pause"),
            json!({"reason": "their request"}),
        )
        .await;
    let (_, why) = office.pathbound(&["why", &tenant, "-o", "json"]);
    assert!(
        said(&why).contains("Paused") && said(&why).contains("their request"),
        "{why}"
    );
    let (_, other) =
        office.pathbound(&["why", &world.new_tenant().await.to_string(), "-o", "json"]);
    assert_eq!(
        (said(&other), &other["paused"]),
        ("No workspace is connected.".to_owned(), &json!([]))
    );
    assert_eq!(
        office
            .pathbound(&["why", &uuid::Uuid::now_v7().to_string()])
            .0,
        1,
        "no such tenant"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_connection_owes_nothing_to_a_dead_letter() {
    let office = Office::open().await;
    let case = office.world.connect(workspace(1)).await;
    fail_for_good(&case, Stream::Contacts, "status 503", 1).await;
    let mut tx = office.world.store.begin(case.tenant).await.unwrap();
    tx.disconnect(case.connection(), AfterDisconnect::Retain)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(case.open_dead_letters().await, []);

    // An earlier build left the letters of ended connections open.
    case.reopen_dead_letters().await;
    let (_, retried) = office.pathbound(&["dead", "retry", "--all", "-o", "json"]);
    assert_eq!(retried["retried"], 0);
    assert_eq!(case.due_in(Stream::Contacts).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_of_two_tenants_is_an_event() {
    let office = Office::open().await;
    let first = office.world.connect(workspace(1)).await;
    let (_, none) = office.pathbound(&["events", "-o", "json"]);
    assert_eq!(none, json!({"items": []}), "one tenant is no event");
    let second = first.connected_by_another_tenant().await;
    second.reconnect().await;
    let (code, listed) = office.pathbound(&["events", "-o", "json"]);
    assert_eq!(code, 0);
    let events = listed["items"].as_array().unwrap();
    assert_eq!(events.len(), 2, "a reconnect is one more: {listed}");
    for event in events {
        assert_eq!(event["code"], "workspace_shared");
        assert_eq!(event["tenant_id"], second.tenant.to_string());
        assert_eq!(event["workspace_id"], first.workspace.id_code());
        let message = event["message"].as_str().unwrap();
        assert!(message.contains("1 other tenant has"), "{message}");
    }
}
