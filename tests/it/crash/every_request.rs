//! `kill -9` at every request of a small workspace: exact afterwards, with at most one page asked for again.

use std::collections::BTreeMap;

use intercom_simulator::{FaultId, Kind, Mutation, WorkspaceSpec};

use crate::support::{Case, World, held, tiny, wait_for};

/// Two pages of contacts and of stubs, a scroll, and three threads.
fn small(number: u64) -> WorkspaceSpec {
    WorkspaceSpec {
        id_code: Some(format!("killed{number}")),
        contacts: 160,
        companies: 2,
        conversations: 155,
        parts: 0.0,
        ..tiny()
    }
}

/// A tenant, and the request of it that hangs.
struct Victim {
    case: Case,
    hang: Option<FaultId>,
}

/// A tenant for each request of a first sync. The last one has no request that hangs, and counts what is needed.
async fn victims(world: &World) -> Vec<Victim> {
    let mut victims = Vec::new();
    for number in 0.. {
        let case = world.case(small(number)).await;
        case.mutate(Mutation::grow(Kind::Conversation, 3).ago(4_000));
        // The first one is `/me`, which the browser's connect has made.
        let requests = case.first_floor() - 1;
        if number > requests {
            break;
        }
        let case = case.connect().await;
        case.reset_calls();
        // The request arrives, and its answer does not.
        let hang = (number < requests).then(|| case.inject(held().skip(number).times(1)));
        victims.push(Victim { case, hang });
    }
    assert!(victims.len() > 18, "{}", victims.len());
    victims
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_at_any_request_repeats_one_page() {
    let world = World::with(&[
        ("WORKER_SLOTS", "200"),
        ("DATABASE_CONNECTIONS", "24"),
        // No call is given up before its worker is killed.
        ("REQUEST_TIMEOUT", "10m"),
    ])
    .await;
    let victims = victims(&world).await;
    let _scheduler = world.process("scheduler");
    let mut worker = world.process("worker");
    until_all_hang(&victims).await;
    worker.kill();
    world.simulator.clear_faults();
    for Victim { case, hang } in &victims {
        case.workspace.release_scroll();
        assert!(hang.is_none() || !case.status().await.complete, "{hang:?}");
    }

    let _heir = world.process("worker");
    let mut needed: BTreeMap<String, u64> = BTreeMap::new();
    for Victim { case, hang } in victims.iter().rev() {
        case.until_complete().await;
        case.assert_exact().await;
        let calls = case.workspace.ledger().by_operation;
        if hang.is_none() {
            needed = calls;
        } else {
            assert_one_page_more(&calls, &needed);
        }
    }
}

/// Every tenant's worker hangs in a request of its own, and what was answered beside it is stored.
async fn until_all_hang(victims: &[Victim]) {
    wait_for("every tenant has come to its request", async || {
        let is_waiting =
            |victim: &&Victim| victim.hang.is_some_and(|hang| victim.case.hits(hang) == 0);
        match victims.iter().filter(is_waiting).count() {
            0 => Ok(()),
            waiting => Err(format!("{waiting} have not")),
        }
    })
    .await;
    for Victim { case, hang } in victims {
        let most = usize::from(hang.is_some());
        case.until("the other threads are stored", |status| {
            status.threads.pending <= 1
        })
        .await;
        case.until_slices(most).await;
        case.until("those of the last stubs too", |status| {
            status.threads.pending <= 1
        })
        .await;
    }
}

/// One page, list or thread more than needed: the one that hung. A scroll cannot be resumed, so both of its pages.
fn assert_one_page_more(calls: &BTreeMap<String, u64>, needed: &BTreeMap<String, u64>) {
    let again: BTreeMap<&String, u64> = calls
        .iter()
        .map(|(operation, calls)| {
            let needed = needed.get(operation).copied().unwrap_or(0);
            (operation, calls.saturating_sub(needed))
        })
        .filter(|(_, more)| *more > 0)
        .collect();
    assert!(
        again
            .iter()
            .all(|(operation, more)| match operation.as_str() {
                "scroll_companies" => *more <= 2,
                _ => *more <= 1,
            }),
        "{again:?}"
    );
}
