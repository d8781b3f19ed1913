//! Janitors: two at once, one that dies, and the one of a scheduler.

use futures::future::join;
use shared::store::EndedKind;

use super::{DAY, another, kept_for};
use crate::support::{Case, Process, World, tiny, wait_for};

/// More than two batches.
const MANY: i64 = 2_500;

async fn add_old(case: &Case, kind: EndedKind, count: i64) {
    let age = kept_for(&case.world.config.retention, kind);
    case.add_ended(kind, count, age + DAY, DAY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_janitors_remove_each_row_once() {
    let world = World::new().await;
    let (case, other) = (world.connect(tiny()).await, world.connect(another()).await);
    let mut before = Vec::new();
    for kind in EndedKind::ALL {
        before.push((case.rows_of(kind).await, other.rows_of(kind).await));
        add_old(&case, kind, MANY).await;
        add_old(&other, kind, MANY).await;
    }
    let (one, two) = (world.janitor().await, world.janitor().await);

    let (one, two) = join(one.round(), two.round()).await;
    // A batch that met the other's rows was not full, and left them to it.
    let rest = world.janitor().await.round().await;

    assert!(one.is_complete && two.is_complete && rest.is_complete);
    // Of each connection's old runs, the last one stays.
    let removed = 2 * MANY * EndedKind::ALL.len() as i64 - 2;
    assert_eq!(one.removed + two.removed + rest.removed, removed);
    for (kind, before) in EndedKind::ALL.into_iter().zip(before) {
        let kept = i64::from(kind == EndedKind::Runs);
        let after = (case.rows_of(kind).await, other.rows_of(kind).await);
        assert_eq!(
            after,
            (before.0 + kept, before.1 + kept),
            "{}",
            kind.as_str()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_janitor_that_dies_leaves_whole_batches() {
    let world = World::new().await;
    let case = world.connect(tiny()).await;
    add_old(&case, EndedKind::Quarantine, MANY).await;
    world.slow_deletes("quarantine", 0.001).await;
    let janitor = world.janitor().await;
    let working = tokio::spawn(async move { janitor.round().await });
    wait_for("the second batch is under way", async || {
        let left = case.rows_of(EndedKind::Quarantine).await;
        let is_under_way = left < MANY && world.is_deleting().await;
        is_under_way.then_some(()).ok_or(format!("{left} are left"))
    })
    .await;

    working.abort();
    assert!(working.await.unwrap_err().is_cancelled());

    world.fast_deletes("quarantine").await;
    let left = case.rows_of(EndedKind::Quarantine).await;
    assert!(left > 0 && (MANY - left) % 1_000 == 0, "{left} are left");
    let round = world.janitor().await.round().await;
    assert_eq!((round.removed, round.is_complete), (left, true));
    assert_eq!(case.rows_of(EndedKind::Quarantine).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_locked_keeps_no_other_kind() {
    let world = World::new().await;
    let case = world.connect(tiny()).await;
    let before = case.rows_of(EndedKind::ApiKeys).await;
    for kind in [EndedKind::DeadLetters, EndedKind::ApiKeys] {
        add_old(&case, kind, 5).await;
    }
    let lock = case.lock_table("dead_letters").await;

    let round = world.janitor().await.round().await;

    assert_eq!((round.removed, round.is_complete), (5, false));
    assert_eq!(case.rows_of(EndedKind::ApiKeys).await, before);
    assert_eq!(case.rows_of(EndedKind::DeadLetters).await, 5);
    lock.rollback().await.unwrap();
    // Postgres may not know yet that the statement that waited was given up, and it has locked the rows then.
    let janitor = world.janitor().await;
    wait_for("the rows are removed", async || {
        let round = janitor.round().await;
        let is_whole = (round.removed, round.is_complete) == (5, true);
        is_whole.then_some(()).ok_or(format!("{round:?}"))
    })
    .await;
    assert_eq!(case.rows_of(EndedKind::DeadLetters).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_has_a_janitor_and_counts_what_it_removes() {
    let world = World::with(&[("RETENTION_INTERVAL", "1s")]).await;
    let case = world.connect(tiny()).await;
    for kind in EndedKind::ALL {
        add_old(&case, kind, 3).await;
    }
    let (mut scheduler, address) = world.listening_with("scheduler", &[]);
    Process::until_ready(&address).await;
    // It rounds and rounds, and what comes of age goes.
    for count in [3, 4] {
        wait_for("the janitor has counted its rows", async || {
            let metrics = reqwest::get(format!("http://{address}/metrics"))
                .await
                .map_err(|error| error.to_string())?
                .text()
                .await
                .map_err(|error| error.to_string())?;
            let counted = |kind: &EndedKind| {
                // Of the runs, the last one stays.
                let count = count - i64::from(*kind == EndedKind::Runs);
                let line = format!(
                    "pathbound_retention_removed_total{{kind=\"{}\"}} {count}\n",
                    kind.as_str()
                );
                metrics.contains(&line)
            };
            let is_counted = EndedKind::ALL.iter().all(counted)
                && metrics.contains("\npathbound_retention_round_age_seconds ");
            is_counted.then_some(()).ok_or(metrics)
        })
        .await;
        for kind in EndedKind::ALL {
            add_old(&case, kind, 1).await;
        }
    }
    scheduler.terminate();
    assert!(scheduler.ended().await.success());
}
