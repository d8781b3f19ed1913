//! Retries and drops of many dead letters: batch by batch, through kills, and beside a second scheduler.

use std::collections::HashSet;

use scheduler::BulkWorker;
use serde_json::{Value, json};
use shared::{
    domain::Stream,
    store::{BulkStep, Due},
};
use uuid::Uuid;

use crate::{
    operations::{KEY, Office, fail_for_good, workspace},
    support::{COMMON_CAUSE, RARE_CAUSE, World, wait_for},
};

/// Letters of a test. 2,100 of them have the common cause, and 300 the rare one.
const LETTERS: i64 = 2_400;
const COMMON: i64 = 2_100;
const RARE: i64 = 300;

/// An ops listener without a scheduler beside it.
async fn quiet_office() -> Office {
    Office::quiet(World::with(&[("OPERATOR_KEY", KEY)]).await)
}

async fn worker(world: &World) -> BulkWorker {
    BulkWorker::new(world.scheduler_store().await, world.queue.clone())
}

async fn asked(office: &Office, verb: &str, body: Value) -> (Uuid, Value) {
    let (status, answer) = office.post(&format!("/ops/dead/{verb}"), body).await;
    assert_eq!(status, 202, "{answer}");
    let id = answer["id"].as_str().unwrap().parse().unwrap();
    (id, answer)
}

async fn seen(office: &Office, id: Uuid) -> Value {
    let (status, action) = office.get(&format!("/ops/dead/bulk/{id}")).await;
    assert_eq!(status, 200, "{action}");
    action
}

/// The numbers of an action: its status, total, done, skipped and waiting.
fn numbers(action: &Value) -> (String, [i64; 4]) {
    let number = |name: &str| action[name].as_i64().unwrap();
    (
        action["status"].as_str().unwrap().to_owned(),
        [
            number("total"),
            number("done"),
            number("skipped"),
            number("waiting"),
        ],
    )
}

async fn worked(worker: &BulkWorker, id: Uuid) -> Vec<Due> {
    match worker.step(id).await.unwrap() {
        BulkStep::Worked { due } => due,
        other => panic!("{other:?}"),
    }
}

/// What operators have done, the last one first: action, subject and how much it changed.
async fn actions(office: &Office) -> Vec<Value> {
    let (_, listed) = office.get("/ops/actions").await;
    let items = listed["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| json!([item["action"], item["subject"], item["changed"]]))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_retried_batch_by_batch_and_no_faster_than_workers_take_them() {
    let office = quiet_office().await;
    let world = &office.world;
    let case = world.connect(workspace(1)).await;
    case.add_letters(LETTERS).await;
    let (id, started) = asked(&office, "retry", json!({"cause": "STATUS 503"})).await;
    assert_eq!(numbers(&started), ("queued".to_owned(), [COMMON, 0, 0, 0]));
    assert_eq!(
        (&started["count"], &started["dry_run"], &started["filter"]),
        (
            &json!(COMMON),
            &json!(false),
            &json!({"cause": "STATUS 503"})
        )
    );
    assert_eq!(
        (&started["action"], &started["requested_by"]),
        (&json!("retry"), &json!("key"))
    );
    // A second press finds the first one.
    let (again, _) = asked(&office, "retry", json!({"cause": "STATUS 503"})).await;
    assert_eq!(again, id);
    // What dies now is not part of it.
    fail_for_good(&case, Stream::Contacts, COMMON_CAUSE, 1).await;
    // Nothing can be done for these two any more.
    world.end_connection_of_letter(1).await;
    world.close_letter(2).await;

    let worker = worker(world).await;
    let first = worked(&worker, id).await;
    // Of 499 letters 62 have the other cause, one is of an ended connection, and the next one is not there.
    assert_eq!(first.len() as i64, 499 - 62 + 1 - 1);
    assert_eq!(world.retried_streams().await, first.len() as i64);
    let ready = world.queue.stats().await.unwrap().fresh.ready;
    for _ in 0..3 {
        let step = worker.step(id).await.unwrap();
        let BulkStep::Waits { streams } = step else {
            panic!("{step:?}");
        };
        assert_eq!(streams, first.len() as i64);
    }
    assert_eq!(world.queue.stats().await.unwrap().fresh.ready, ready);
    let action = seen(&office, id).await;
    let retried = first.len() as i64;
    assert_eq!(
        numbers(&action),
        ("running".to_owned(), [COMMON, retried, 1, retried])
    );
    // All but one are taken over, and the batch still waits for that one.
    world.take_over(&first[1..]).await;
    let step = worker.step(id).await.unwrap();
    assert!(matches!(step, BulkStep::Waits { streams: 1 }), "{step:?}");
    world.take_over(&first[..1]).await;

    let mut all: Vec<Due> = first;
    let last = loop {
        match worker.step(id).await.unwrap() {
            BulkStep::Worked { due } => {
                assert!(due.len() <= 500, "{}", due.len());
                world.take_over(&due).await;
                all.extend(due);
            }
            BulkStep::Finished { due } => break due,
            other => panic!("{other:?}"),
        }
    };
    all.extend(last);
    let distinct: HashSet<&Due> = all.iter().collect();
    assert_eq!((distinct.len(), all.len() as i64), (all.len(), COMMON - 2));
    let action = seen(&office, id).await;
    assert_eq!(
        numbers(&action),
        ("finished".to_owned(), [COMMON, COMMON - 2, 2, 0])
    );
    assert!(action["started_at"].is_string() && action["finished_at"].is_string());
    // Each stream has forgotten its attempts, and its letter is open until it succeeds.
    assert_eq!(world.retried_streams().await, COMMON - 2);
    assert_eq!(world.open_letters(COMMON_CAUSE).await, COMMON - 1 + 1);
    assert!(case.due_in(Stream::Contacts).await.unwrap() > 3_000.0);
    let kept = [json!([
        "dead_letters.retried",
        "cause \"STATUS 503\", 2 skipped",
        COMMON - 2
    ])];
    assert_eq!(actions(&office).await, kept);
    // It has ended, so the next press asks for another one, which is about what is open now.
    let (next, _) = asked(&office, "retry", json!({"cause": "STATUS 503"})).await;
    assert_ne!(next, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_and_a_second_scheduler_change_no_letter_twice() {
    let office = quiet_office().await;
    let world = &office.world;
    let case = world.connect(workspace(1)).await;
    case.add_letters(LETTERS).await;
    let (id, _) = asked(&office, "retry", json!({})).await;
    let [one, other] = [worker(world).await, worker(world).await];
    let first = worked(&one, id).await;
    world.take_over(&first).await;
    let before = seen(&office, id).await;

    // The scheduler dies between the letters of a batch and its cursor.
    let lock = case.lock_table("streams").await;
    let killed = {
        let one = one.clone();
        tokio::spawn(async move { one.step(id).await.is_ok() })
    };
    wait_for("the batch is under way", async || {
        let is_waiting = case.a_lock_is_waited_for().await;
        is_waiting.then_some(()).ok_or_else(String::new)
    })
    .await;
    // The other one passes over it meanwhile.
    let step = other.step(id).await.unwrap();
    assert!(matches!(step, BulkStep::Passed), "{step:?}");
    killed.abort();
    assert!(killed.await.is_err());
    lock.rollback().await.unwrap();
    assert_eq!(seen(&office, id).await, before);
    assert_eq!(world.retried_streams().await, 500);

    // Two schedulers go on at once, while workers take what is due.
    let work = async |worker: BulkWorker| {
        let mut all = Vec::new();
        wait_for("the action has ended", async || {
            let step = worker.step(id).await.unwrap();
            let (due, has_ended) = match step {
                BulkStep::Worked { due } => (due, false),
                BulkStep::Finished { due } => (due, true),
                _ => (
                    Vec::new(),
                    seen(&office, id).await["finished_at"].is_string(),
                ),
            };
            world.take_over(&due).await;
            all.extend(due);
            has_ended.then_some(()).ok_or_else(String::new)
        })
        .await;
        all
    };
    let (ones, others) = tokio::join!(work(worker(world).await), work(other));
    let all: Vec<Due> = first.into_iter().chain(ones).chain(others).collect();
    let distinct: HashSet<&Due> = all.iter().collect();
    assert_eq!((distinct.len(), all.len() as i64), (all.len(), LETTERS));
    let action = seen(&office, id).await;
    assert_eq!(
        numbers(&action),
        ("finished".to_owned(), [LETTERS, LETTERS, 0, 0])
    );
    let kept = [json!(["dead_letters.retried", "all dead letters", LETTERS])];
    assert_eq!(actions(&office).await, kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_action_leaves_the_other_letters_as_they_were() {
    let office = quiet_office().await;
    let world = &office.world;
    let case = world.connect(workspace(1)).await;
    case.add_letters(LETTERS).await;
    let (id, _) = asked(&office, "drop", json!({})).await;
    let worker = worker(world).await;
    for _ in 0..2 {
        assert_eq!(worked(&worker, id).await, []);
    }
    let (code, ended) =
        office.pathbound(&["dead", "bulk", "cancel", &id.to_string(), "-o", "json"]);
    assert_eq!(code, 0, "{ended}");
    assert_eq!(
        numbers(&ended),
        ("cancelled".to_owned(), [LETTERS, 1_000, 0, 0])
    );
    let step = worker.step(id).await.unwrap();
    assert!(matches!(step, BulkStep::Passed), "{step:?}");
    let open = world.open_letters(COMMON_CAUSE).await + world.open_letters(RARE_CAUSE).await;
    assert_eq!(open, LETTERS - 1_000);
    let kept = [
        json!(["dead_letters.dropped", "all dead letters, cancelled", 1_000]),
        json!([
            "bulk_action.cancelled",
            format!("drop of dead letters, {id}"),
            1
        ]),
    ];
    assert_eq!(actions(&office).await, kept);
    // One that has ended stays as it is, and one that never was is not there.
    let (status, same) = office
        .post(&format!("/ops/dead/bulk/{id}/cancel"), json!({}))
        .await;
    assert_eq!((status, &same), (200, &ended));
    let nobody = Uuid::now_v7();
    for path in [
        format!("/ops/dead/bulk/{nobody}/cancel"),
        "/ops/dead/bulk/x/cancel".to_owned(),
    ] {
        assert_eq!(office.post(&path, json!({})).await.0, 404, "{path}");
    }
    assert_eq!(office.get(&format!("/ops/dead/bulk/{nobody}")).await.0, 404);
    assert_eq!(actions(&office).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_of_the_fleet_holds_a_retry_and_one_of_a_tenant_does_not() {
    let office = quiet_office().await;
    let world = &office.world;
    let case = world.connect(workspace(1)).await;
    case.add_letters(LETTERS).await;
    let (id, _) = asked(&office, "retry", json!({"cause": RARE_CAUSE})).await;
    let worker = worker(world).await;
    office.post("/ops/queues/fleet/pause", json!({})).await;
    let step = worker.step(id).await.unwrap();
    assert!(matches!(step, BulkStep::Waits { streams: 0 }), "{step:?}");
    office.post("/ops/queues/fleet/resume", json!({})).await;
    let first = worked(&worker, id).await;
    let (paused, taken) = first.split_first().unwrap();
    world.take_over(taken).await;
    let step = worker.step(id).await.unwrap();
    assert!(matches!(step, BulkStep::Waits { streams: 1 }), "{step:?}");
    // No worker takes this one until an operator says so, and the others do not wait for it.
    office
        .post(&format!("/ops/tenants/{}/pause", paused.0), json!({}))
        .await;
    world.take_over(&worked(&worker, id).await).await;
    // The same holds for a class. A drop begins no work, so no pause holds it.
    office.post("/ops/queues/fresh/pause", json!({})).await;
    worked(&worker, id).await;
    worked(&worker, id).await;
    office.post("/ops/queues/fleet/pause", json!({})).await;
    let (dropping, _) = asked(&office, "drop", json!({"cause": RARE_CAUSE})).await;
    assert_eq!(worked(&worker, dropping).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_follows_an_action_to_its_end() {
    let office = Office::open().await;
    let world = &office.world;
    let case = world.connect(workspace(1)).await;
    case.add_letters(LETTERS).await;
    let (code, dropped) =
        office.pathbound(&["dead", "drop", "--cause", RARE_CAUSE, "--yes", "-o", "json"]);
    assert_eq!(code, 0, "{dropped}");
    assert_eq!(
        numbers(&dropped),
        ("finished".to_owned(), [RARE, RARE, 0, 0])
    );
    assert_eq!(
        (
            &dropped["count"],
            &dropped["dropped"],
            &dropped["dry_run"],
            &dropped["retried"]
        ),
        (&json!(RARE), &json!(RARE), &json!(false), &Value::Null)
    );
    assert_eq!(world.open_letters(RARE_CAUSE).await, 0);
    assert_eq!(world.open_letters(COMMON_CAUSE).await, COMMON);

    // Workers take what is due. Their slices fail, because the tokens are another tenant's.
    let fleet = world.fleet(1);
    world.end_connection_of_letter(1).await;
    let (code, retried) = office.pathbound(&["dead", "retry", "--all", "-o", "json"]);
    assert_eq!(code, 5, "{retried}");
    assert_eq!(
        numbers(&retried),
        ("finished".to_owned(), [COMMON, COMMON - 1, 1, 0])
    );
    fleet.stop().await;

    office.post("/ops/queues/fleet/pause", json!({})).await;
    let output = world.command(&["dead", "retry", "--stream", "contacts", "--no-wait"]);
    let id = String::from_utf8(output.stdout).unwrap();
    let (code, listed) = office.pathbound(&["dead", "bulk", "list", "-o", "json"]);
    assert_eq!(code, 0, "{listed}");
    let items = listed["items"].as_array().unwrap();
    assert_eq!(items.len(), 3, "{listed}");
    assert_eq!(items[0]["id"], id.trim(), "{listed}");
    assert_eq!(
        (&items[2]["id"], &items[1]["id"]),
        (&dropped["id"], &retried["id"])
    );
    let (code, shown) = office.pathbound(&["dead", "bulk", "show", id.trim(), "-o", "json"]);
    assert_eq!(
        (code, &shown["filter"]),
        (0, &json!({"stream": "contacts"})),
        "{shown}"
    );
    assert_eq!(shown["status"], "queued", "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_that_fails_keeps_no_other_waiting() {
    let settings = [("OPERATOR_KEY", KEY), ("DATABASE_STATEMENT_TIMEOUT", "1s")];
    let office = Office::quiet(World::with(&settings).await);
    let world = &office.world;
    let (held, free) = (
        world.connect(workspace(1)).await,
        world.connect(workspace(2)).await,
    );
    for case in [&held, &free] {
        fail_for_good(case, Stream::Contacts, COMMON_CAUSE, 1).await;
    }
    let of = |tenant| json!({"tenant_id": tenant});
    let (first, _) = asked(&office, "drop", of(held.tenant)).await;
    let (second, _) = asked(&office, "drop", of(free.tenant)).await;
    // A statement that waits for a lock is ended by Postgres, so the step of the first action fails.
    let lock = held.lock_stream(Stream::Contacts).await;
    let worker = worker(world).await;
    for _ in 0..2 {
        worker.round().await.unwrap();
    }
    assert_eq!(seen(&office, first).await["done"], 0);
    let ended = numbers(&seen(&office, second).await);
    assert_eq!(ended, ("finished".to_owned(), [1, 1, 0, 0]));
    drop(lock);
    worker.round().await.unwrap();
    worker.round().await.unwrap();
    let ended = numbers(&seen(&office, first).await);
    assert_eq!(ended, ("finished".to_owned(), [1, 1, 0, 0]));
}
