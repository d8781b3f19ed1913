//! A worker that is told to end while all of its slots are busy begins no call, stores what its calls bring, and leaves
//! nothing of it to be read again. `make drain` measures how long that takes.

use intercom_simulator::{FaultId, READ_ONCE, WorkspaceSpec};

use crate::support::{Case, Process, World, held, tiny, wait_for};

const SLOTS: u64 = 64;
/// A fifth of the slots is closed to threads.
const THREAD_SLOTS: u64 = SLOTS * 4 / 5;

/// No first page is the last one, and contacts and conversations have several.
fn spec(seed: u64) -> WorkspaceSpec {
    WorkspaceSpec {
        seed,
        contacts: 200,
        companies: 110,
        conversations: 160,
        ..tiny()
    }
}

/// Waits until so many slots wait for Intercom, tells the worker to end, and lets Intercom answer.
async fn end_while_busy(world: &World, cases: &[Case], faults: &[FaultId], slots: u64) {
    let (mut worker, address) = world.listening_with("worker", &[]);
    let mut last = 0;
    wait_for("every slot waits for intercom", async || {
        let stats = world.queue.stats().await;
        let leased = stats.map_err(|error| error.to_string())?.leased;
        let hits = faults
            .iter()
            .map(|fault| world.simulator.fault_hits(*fault));
        let before = std::mem::replace(&mut last, hits.sum());
        // The calls of a slot begin together, so all have begun if none came between two looks.
        if leased == slots && last >= slots && last == before {
            Ok(())
        } else {
            Err(format!("{leased} slots of {slots} have {last} calls"))
        }
    })
    .await;
    worker.terminate();
    until_heard(&address).await;
    for fault in faults {
        world.simulator.clear_fault(*fault);
    }
    assert!(worker.ended().await.success(), "{}", worker.written());
    assert_eq!(world.queue.stats().await.unwrap().leased, 0);
    for case in cases {
        // Intercom forgets a scroll that nobody reads after a minute.
        case.workspace.release_scroll();
    }
}

/// The first thing that a process does then is to close its listener.
async fn until_heard(address: &str) {
    wait_for("the listener is closed", async || {
        let open = std::net::TcpStream::connect(address);
        open.map_or(Ok(()), |_| Err("it is open".to_owned()))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_with_64_busy_slots_ends_and_nothing_is_read_twice() {
    // So few calls of a slot that all answers fit into the response memory at once.
    let world = World::with(&[("WORKER_SLOTS", "64"), ("CONVERSATION_CONCURRENCY", "2")]).await;
    let mut cases = Vec::new();
    for seed in 0..SLOTS / 4 {
        cases.push(world.case(spec(seed)).await.connect().await);
    }
    cases.iter().for_each(Case::reset_calls);
    // Contacts, companies, conversations and reference data of each workspace.
    let faults: Vec<FaultId> = cases.iter().map(|case| case.inject(held())).collect();
    end_while_busy(&world, &cases, &faults, SLOTS).await;
    let calls: u64 = cases.iter().map(Case::all_calls).sum();
    assert_eq!(calls, SLOTS, "a worker that ends begins no call");

    for seed in SLOTS / 4..SLOTS {
        let spec = WorkspaceSpec { seed, ..tiny() };
        cases.push(world.case(spec).await.connect().await);
    }
    let threads = held().operation("get_conversation");
    let faults = cases.iter().map(|case| case.inject(threads.clone()));
    let faults: Vec<FaultId> = faults.collect();
    end_while_busy(&world, &cases, &faults, THREAD_SLOTS).await;
    let calls = cases.iter().map(|case| case.calls("get_conversation"));
    let begun = "a worker that ends begins no call";
    assert_eq!(calls.sum::<u64>(), THREAD_SLOTS * 2, "{begun}");

    let _successor: Process = world.process("worker");
    for case in &cases {
        case.until_complete().await;
        case.assert_exact().await;
        assert_eq!(case.workspace.ledger().repeated(&READ_ONCE), [""; 0]);
    }
}
