//! A walk of what is held exactly writes nothing: no row gets a new version, and the metrics say so.

use std::collections::BTreeMap;

use intercom_simulator::{Kind, Mutation, WorkspaceSpec};
use shared::domain::Mode;

use crate::world::{Connected, World};

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

/// Every row of the record tables with the transaction that wrote it.
async fn versions(world: &World, connected: &Connected) -> Vec<(String, String)> {
    world
        .sql(
            "WITH mine AS (SELECT tenant_id AS id FROM connections WHERE id = $1)
             SELECT 'contacts ' || id, xmin::text FROM contacts WHERE tenant_id IN (TABLE mine)
             UNION ALL SELECT 'contact_sources ' || source_id, xmin::text FROM contact_sources WHERE connection_id = $1
             UNION ALL SELECT 'companies ' || id, xmin::text FROM companies WHERE tenant_id IN (TABLE mine)
             UNION ALL SELECT 'company_sources ' || source_id, xmin::text FROM company_sources WHERE connection_id = $1
             UNION ALL SELECT 'links ' || contact_source_id || company_source_id, xmin::text FROM contact_companies WHERE connection_id = $1
             UNION ALL SELECT 'conversations ' || source_id, xmin::text FROM conversations WHERE connection_id = $1
             UNION ALL SELECT 'people ' || conversation_id || contact_source_id, xmin::text FROM conversation_contacts WHERE connection_id = $1
             UNION ALL SELECT 'parts ' || conversation_id || source_id, xmin::text FROM parts WHERE tenant_id IN (TABLE mine)
             UNION ALL SELECT 'reference ' || kind || source_id, xmin::text FROM reference_items WHERE connection_id = $1
             ORDER BY 1",
            connected,
        )
        .await
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
    let connected = world.connect(spec).await;
    // What has more than one form: a merge's survivor, a thread longer than what is shown, a redacted part.
    connected.workspace.mutate(Mutation::merge(3).ago(4_000));
    connected
        .workspace
        .mutate(Mutation::grow(Kind::Conversation, 1).parts(520).ago(4_000));
    connected.workspace.mutate(Mutation::redact(2).ago(4_000));
    let _scheduler = world.fleet(0);
    let (_worker, listen) = world.listening("worker");
    world.until_complete(&connected).await;
    // What a slice has written is counted before it ends.
    world.until_slices(&connected, 0).await;
    world.assert_exact(&connected).await;
    let (rows, counted) = (versions(&world, &connected).await, written(&listen).await);
    assert!(
        rows.len() > 500 && counted["insert"] > 500,
        "{} rows, {counted:?}",
        rows.len()
    );

    for mode in [Mode::Full, Mode::Reconcile, Mode::Incremental] {
        let before = written(&listen).await;
        world.resync(&connected, mode).await;
        world.until_run_ends(&connected).await;
        world.until_complete(&connected).await;
        world.until_slices(&connected, 0).await;
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
        assert_eq!(versions(&world, &connected).await, rows, "{mode:?}");
    }
    world.assert_exact(&connected).await;
}
