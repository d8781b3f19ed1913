//! `kill -9` at every request of a small workspace: exact afterwards, with at most one page asked for again.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use intercom_simulator::{Fault, FaultAction, Kind, Mutation, WorkspaceSpec};

use super::{cases, tiny};
use crate::{
    floors,
    world::{PATIENCE, World},
};

/// Two pages of contacts and of stubs, a scroll, and three threads.
fn small() -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 160,
        companies: 2,
        conversations: 155,
        parts: 0.0,
        ..tiny()
    }
}

cases! {
    a_worker_killed_at_any_request_repeats_one_page {
        let world = World::with(&[
            ("WORKER_SLOTS", "200"),
            ("DATABASE_CONNECTIONS", "24"),
            // No call is given up before its worker is killed.
            ("REQUEST_TIMEOUT", "10m"),
        ]).await;
        let mut victims = Vec::new();
        let mut index = 0;
        loop {
            let spec = WorkspaceSpec { id_code: Some(format!("killed{index}")), ..small() };
            let workspace = world.simulator.add_workspace(spec);
            workspace.mutate(Mutation::grow(Kind::Conversation, 3).ago(4_000));
            let requests = floors::first(&workspace.truth(), "2.16") - 1;
            if index > requests {
                break;
            }
            let tenant = world.store.create_tenant("Acme").await.unwrap().id;
            let connected = world.connect_as(tenant, &workspace).await;
            connected.workspace.ledger().reset();
            // The request arrives; its answer does not. The last one has no such request, and counts what is needed.
            let hang = (index < requests).then(|| {
                let hang = FaultAction::Hold { after: 0 };
                world.simulator.inject(Fault::new(hang).workspace(workspace.id_code()).skip(index).times(1))
            });
            victims.push((connected, hang));
            index += 1;
        }
        assert!(victims.len() > 18, "{}", victims.len());

        let _scheduler = world.process("scheduler");
        let mut worker = world.process("worker");
        let begun = Instant::now();
        while victims.iter().any(|(_, hang)| hang.is_some_and(|hang| world.simulator.fault_hits(hang) == 0)) {
            assert!(begun.elapsed() < PATIENCE, "not every tenant has come to its request");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // Every tenant's worker hangs in a request of its own; what was answered beside it is stored.
        for (victim, hang) in &victims {
            world.until(victim, "the other threads are stored", |status| status.threads.pending <= 1).await;
            world.until_slices(victim, usize::from(hang.is_some())).await;
            world.until(victim, "those of the last stubs too", |status| status.threads.pending <= 1).await;
        }
        worker.kill();
        world.simulator.clear_faults();
        for (victim, hang) in &victims {
            victim.workspace.release_scroll();
            assert!(hang.is_none() || !world.status(victim).await.complete, "{hang:?}");
        }

        let _heir = world.process("worker");
        let mut needed: BTreeMap<String, u64> = BTreeMap::new();
        for (victim, hang) in victims.iter().rev() {
            world.until_complete(victim).await;
            world.assert_exact(victim).await;
            let calls = victim.workspace.ledger().by_operation;
            if hang.is_none() {
                needed = calls;
                continue;
            }
            let again: BTreeMap<&String, u64> = calls
                .iter()
                .map(|(operation, calls)| (operation, calls.saturating_sub(needed.get(operation).copied().unwrap_or(0))))
                .filter(|(_, more)| *more > 0)
                .collect();
            // One page, list or thread, the one that hung. A scroll cannot be resumed: both of its pages.
            assert!(again.iter().all(|(operation, more)| match operation.as_str() {
                "scroll_companies" => *more <= 2,
                _ => *more <= 1,
            }), "{again:?}");
        }
    }
}
