//! What operators read costs the same however many tenants there are.

use std::time::Duration;

use shared::domain::Stream;
use uuid::Uuid;

use super::plans::fault;
use crate::{
    operations::{KEY, Office, fail_for_good},
    support::{ExplainedServer, tiny},
};

const TENANTS: i64 = 3_000;
/// What counts the open letters of all tenants reads each of them, and a stream has one at most. The list of causes reads
/// ten thousand of them at most. The list of tenants by lag reads the five streams of each tenant that it shows.
const SPARED: [&str; 4] = [
    "count_dead_letters($1",
    "FROM dead_letters d\n        WHERE d.resolved_at IS NULL AND is_wanted",
    "GROUP BY d.cause",
    "-- By the tenant alone, so that the index by lag is no choice.",
];

#[tokio::test(flavor = "multi_thread")]
async fn reads_of_operators_have_good_plans() {
    let Some(server) = ExplainedServer::start().await else {
        return;
    };
    let office = Office::of(server.world_with(&[("OPERATOR_KEY", KEY)]).await);
    let world = &office.world;
    let case = world.connect(tiny()).await;
    let fleet = world.fleet(1);
    case.until_complete().await;
    fleet.stop().await;
    case.make_due(&[Stream::Contacts]).await;
    fail_for_good(&case, Stream::Contacts, "status 503", 1 << 60).await;
    // The first of each statement prepares it, when the tables are as good as empty.
    let tenant = case.tenant.to_string();
    read_everything(&office, &tenant).await;
    server.crowd_of_fleet(&case, TENANTS).await;
    world.pause_strangers(1_000).await;
    for is_analyzed in [false, true] {
        if is_analyzed {
            server.analyze().await;
        }
        server.forget().await;
        read_everything(&office, &tenant).await;
        let ran = server.plans().await;
        assert!(ran.len() > 40, "only {} were explained", ran.len());
        let bad: Vec<String> = ran
            .iter()
            .filter(|ran| !SPARED.iter().any(|text| ran.statement.contains(text)))
            .filter_map(fault)
            .collect();
        assert!(
            bad.is_empty(),
            "analysed: {is_analyzed}: {}",
            bad.join("\n")
        );
    }
}

/// What one scheduler measures reads the rows of a page of tenants along their keys, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn the_fleet_is_measured_a_page_at_a_time() {
    const PAGE: f64 = 1_000.0;
    let Some(server) = ExplainedServer::start().await else {
        return;
    };
    let world = server.world().await;
    let case = world.connect(tiny()).await;
    let fleet = world.fleet(1);
    case.until_complete().await;
    fleet.stop().await;
    let store = world.scheduler_store().await;
    let target = Duration::from_secs(900);
    // The first one prepares it, when the tables are as good as empty.
    store.fleet_facts(Uuid::nil(), 10, target).await.unwrap();
    server.crowd_of_fleet(&case, TENANTS).await;
    for is_analyzed in [false, true] {
        if is_analyzed {
            server.analyze().await;
        }
        server.forget().await;
        let page = store.fleet_facts(Uuid::nil(), PAGE as i32, target).await;
        let (facts, next) = page.unwrap();
        let tenants: i64 = facts.states().iter().map(|(_, count)| count).sum();
        assert_eq!((tenants as f64, next.is_some()), (PAGE, true));
        let ran = server.plans().await;
        let measured = ran
            .iter()
            .filter(|ran| ran.statement.contains("last_tenant"));
        let measured: Vec<_> = measured.collect();
        assert!(
            measured.len() >= 2,
            "only {} were explained",
            measured.len()
        );
        for ran in measured {
            assert!(ran.scanned.is_empty(), "it reads whole tables: {ran:?}");
            // Five streams, a connection and the tenant itself, each by its key.
            assert!(
                ran.buffers < 30.0 * PAGE,
                "{} buffers: {ran:?}",
                ran.buffers
            );
        }
    }
}

/// Every list and every object of operators, and a second page of each list that has one.
async fn read_everything(office: &Office, tenant: &str) {
    for path in [
        "/ops/overview",
        "/ops/queues",
        "/ops/tenants?sort=lag&limit=20",
        "/ops/tenants?sort=name&limit=20",
        "/ops/tenants?state=active&limit=20",
        "/ops/tenants?q=crowd&limit=20",
        "/ops/tenants?q=TENANT",
        "/ops/tenants/TENANT",
        "/ops/tenants/TENANT/why",
        "/ops/jobs?tenant_id=TENANT",
        "/ops/schedule?limit=20",
        "/ops/schedule?from=2099-01-01T00:00:00Z",
        "/ops/dead?limit=20",
        "/ops/dead?tenant_id=TENANT&limit=20",
        "/ops/dead/causes",
        "/ops/events?limit=20",
        "/ops/actions?limit=20",
        "/ops/actions?tenant_id=TENANT&limit=20",
    ] {
        let path = path.replace("TENANT", tenant);
        let (status, first) = office.get(&path).await;
        assert_eq!(status, 200, "{path}: {first}");
        if let Some(cursor) = first["next_cursor"].as_str() {
            let (status, second) = office.get(&format!("{path}&cursor={cursor}")).await;
            assert_eq!(status, 200, "{path}: {second}");
        }
    }
}
