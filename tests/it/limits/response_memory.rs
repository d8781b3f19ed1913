//! What a worker has read counts in its response memory until it is stored, and an answer that needs another one waits
//! for no memory of its own.

use intercom_simulator::{Kind, TruthLine, WorkspaceSpec};
use shared::{config::ProcessRole, intercom::ResponseMemory, shutdown::Shutdown, store::Database};

use crate::support::{Case, World, tiny, wait_for};

const MEGABYTE: usize = 1 << 20;

fn spec(contacts_over_10_companies: f64) -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 20,
        companies: 15,
        conversations: 6,
        contacts_over_10_companies,
        ..tiny()
    }
}

/// Makes an object of a kind this large.
fn enlarge(case: &Case, kind: Kind, bytes: usize) {
    // A contact that shows all of its companies, because replaced bytes are not cut.
    let is_whole = |line: &&TruthLine| {
        let count = line.value()["companies"]["total_count"].as_u64();
        count.is_none_or(|count| count <= 10)
    };
    let objects = case.live(kind);
    let line = objects.iter().find(is_whole).expect("there is one");
    let mut object = line.value();
    object["custom_attributes"]["letter"] = "x".repeat(bytes).into();
    assert!(case.workspace.put_raw(kind, &line.id, object.to_string()));
}

/// Starts a scheduler and a worker. Returns what the worker holds, and what stops it.
async fn work(world: &World) -> (ResponseMemory, impl Sized + use<>) {
    let database = Database::open(&world.config, ProcessRole::Worker)
        .await
        .unwrap();
    let worker = worker::Worker::open(world.config.clone(), &database).unwrap();
    let memory = worker.response_memory().clone();
    let stop = Shutdown::new();
    tokio::spawn(worker.run(stop.clone()));
    (memory, stop.drop_guard())
}

/// The page of a stream counts for as long as its rows wait for a lock on their table.
async fn a_page_counts_until_it_is_stored(kind: Kind, table: &'static str) {
    let world = World::new().await;
    // No other answer shows the large object.
    let case = world.case(spec(0.0)).await;
    enlarge(&case, kind, MEGABYTE);
    let lock = case.lock_table(table).await;
    let case = case.connect().await;
    let _scheduler = world.fleet(0);
    let (memory, _stops) = work(&world).await;
    wait_for("the page counts while its rows wait", async || {
        let waits = case.a_lock_is_waited_for().await;
        let held = memory.held_bytes();
        (waits && held > MEGABYTE)
            .then_some(())
            .ok_or_else(|| format!("{held} bytes are held, a lock is waited for: {waits}"))
    })
    .await;
    lock.rollback().await.unwrap();
    case.until_complete().await;
    case.assert_exact().await;
    wait_for("nothing is held", async || {
        let held = memory.held_bytes();
        (held == 0).then_some(()).ok_or(format!("{held} bytes"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_count_until_they_are_stored() {
    a_page_counts_until_it_is_stored(Kind::Contact, "contact_sources").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn companies_count_until_they_are_stored() {
    a_page_counts_until_it_is_stored(Kind::Company, "company_sources").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stubs_count_until_they_are_stored() {
    a_page_counts_until_it_is_stored(Kind::Conversation, "conversations").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_page_that_needs_a_large_answer_waits_for_no_slot_of_its_own() {
    let world = World::new().await;
    let case = world.case(spec(0.5)).await;
    // Both need the one large slot: the page of contacts, and the list of companies of one of them.
    enlarge(&case, Kind::Contact, 3 * MEGABYTE);
    enlarge(&case, Kind::Company, 3 * MEGABYTE);
    let case = case.connect().await;
    let _scheduler = world.fleet(0);
    let (memory, _stops) = work(&world).await;
    case.until_complete().await;
    case.assert_exact().await;
    assert!(case.calls("contact_companies") > 0);
    assert!(memory.peak_bytes() > 6 * MEGABYTE, "both were held at once");
}
