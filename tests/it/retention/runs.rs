//! Of the runs of a connection, the last that ended and the last that succeeded stay, whatever their age.

use shared::store::EndedKind;

use super::{DAY, kept_for};
use crate::support::{World, tiny};

const ALL: &[&str] = &[
    "contacts",
    "companies",
    "conversations",
    "threads",
    "reference",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_last_run_and_the_last_success_of_each_stream_stay() {
    let world = World::new().await;
    let case = world.connect(tiny()).await;
    let janitor = world.janitor().await;
    let [open] = case.run_ids().await[..] else {
        panic!("connecting asks for one run");
    };
    let old = kept_for(&world.config.retention, EndedKind::Runs) + DAY * 10;
    case.add_run(ALL, "succeeded", old + DAY * 9).await;
    let success = case.add_run(ALL, "succeeded", old + DAY * 8).await;
    case.add_run(&["contacts"], "failed", old + DAY * 7).await;
    case.add_run(ALL, "partial", old + DAY * 6).await;
    let last = case.add_run(ALL, "failed", old + DAY * 5).await;
    // A run over fewer streams supersedes none over more.
    let contacts = case
        .add_run(&["contacts"], "succeeded", old + DAY * 4)
        .await;
    // It has not come of age.
    let young = case.add_run(&["companies"], "failed", DAY).await;

    assert_eq!(janitor.round().await.removed, 3);
    assert_eq!(case.run_ids().await, [success, last, contacts, young, open]);
    // What stays is not looked at again.
    assert_eq!(janitor.round().await.removed, 0);

    // A newer run supersedes all of them, once it has come of age itself. It is then the one that stays.
    let newer = case.add_run(ALL, "succeeded", DAY * 2).await;
    assert_eq!(janitor.round().await.removed, 0);
    world.pass_for_all(old).await;
    // The three, and the flow by which the workspace was connected.
    assert_eq!(janitor.round().await.removed, 4);
    assert_eq!(case.run_ids().await, [newer, young, open]);
}
