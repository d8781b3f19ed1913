//! A walk of an exact copy writes nothing: no row gets a new version, and the metrics say so.

use std::collections::BTreeMap;

use intercom_simulator::{Kind, Mutation, WorkspaceSpec};
use shared::domain::Mode;

use crate::{rest::search::index, support::World};

/// `pathbound_records_written_total` by operation.
async fn written(listen: &str) -> BTreeMap<String, u64> {
    let text = reqwest::get(format!("http://{listen}/metrics"))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let mut written = BTreeMap::new();
    for line in text
        .lines()
        .filter(|line| line.starts_with("pathbound_records_written_total{"))
    {
        let op = line
            .split_once("op=\"")
            .unwrap()
            .1
            .split_once('"')
            .unwrap()
            .0;
        *written.entry(op.to_owned()).or_default() +=
            line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap();
    }
    written
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_of_an_exact_copy_writes_nothing() {
    let mut world = World::new().await;
    let spec = WorkspaceSpec {
        contacts: 160,
        companies: 30,
        conversations: 40,
        parts: 4.0,
        leads: 0.4,
        contacts_over_10_companies: 0.1,
        limit_per_window: 100_000,
        ..WorkspaceSpec::default()
    };
    let case = world.connect(spec).await;
    // What has more than one form: a merge's survivor, a thread longer than what is shown, a redacted part.
    case.mutate(Mutation::merge(3).ago(4_000));
    case.mutate(Mutation::grow(Kind::Conversation, 1).parts(520).ago(4_000));
    case.mutate(Mutation::redact(2).ago(4_000));
    let _scheduler = world.fleet(0);
    let (_worker, listen) = world.listening("worker");
    case.until_complete().await;
    // What a slice has written is counted before it ends.
    case.until_slices(0).await;
    case.assert_exact().await;
    // Companies are noted when their conversations are counted.
    index(&case).await;
    let (rows, counted) = (case.row_versions().await, written(&listen).await);
    assert!(
        rows.len() > 500 && counted["insert"] > 500,
        "{} rows, {counted:?}",
        rows.len()
    );

    for mode in [Mode::Full, Mode::Reconcile, Mode::Incremental] {
        let before = written(&listen).await;
        case.resync(mode).await;
        case.until_run_ends().await;
        case.until_complete().await;
        case.until_slices(0).await;
        let after = written(&listen).await;
        assert_eq!(
            (before.get("insert"), before.get("update")),
            (after.get("insert"), after.get("update")),
            "{mode:?}"
        );
        if mode != Mode::Incremental {
            let noops = after["noop"] - before.get("noop").copied().unwrap_or(0);
            assert!(noops >= 160 - 3 + 30 + 40, "{mode:?} looked at {noops}");
        }
        assert_eq!(case.row_versions().await, rows, "{mode:?}");
    }
    case.assert_exact().await;
}
