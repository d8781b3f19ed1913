//! Each kind goes at its age and not before, and nothing else goes at any age.

use std::{collections::BTreeMap, time::Duration};

use intercom_simulator::{Kind, Mutation, WorkspaceSpec};
use reqwest::Method;
use serde_json::json;
use shared::{
    domain::{Mode, Stream},
    store::EndedKind,
};

use super::{DAY, HOUR, another, kept_for};
use crate::support::{Caller, Case, World, tiny};

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_goes_at_its_age_and_not_before() {
    // Every kind has an age of its own, so that none can be removed by another's.
    let world = World::with(&[
        ("RUN_RETENTION", "11d"),
        ("DEAD_LETTER_RETENTION", "9d"),
        ("QUARANTINE_RETENTION", "7d"),
        ("API_KEY_RETENTION", "5d"),
        ("OAUTH_FLOW_RETENTION", "3d"),
        ("IDEMPOTENCY_RETENTION", "30h"),
        ("OPERATOR_EVENT_RETENTION", "13d"),
        ("AUDIT_EVENT_RETENTION", "15d"),
        ("BROWSER_SESSION_RETENTION", "17d"),
    ])
    .await;
    let (case, neighbour) = (world.connect(tiny()).await, world.connect(another()).await);
    let mut before = BTreeMap::new();
    for kind in EndedKind::ALL {
        before.insert(kind.as_str(), case.rows_of(kind).await);
        let age = kept_for(&world.config.retention, kind);
        case.add_ended(kind, 4, age + HOUR, Duration::ZERO).await;
        case.add_ended(kind, 3, age - HOUR, Duration::ZERO).await;
        neighbour
            .add_ended(kind, 3, age - HOUR, Duration::ZERO)
            .await;
    }
    let untouched = neighbour.digests().await;

    let round = world.janitor().await.round().await;

    assert!(round.is_complete);
    assert_eq!(round.removed, 4 * EndedKind::ALL.len() as i64);
    for kind in EndedKind::ALL {
        let left = case.rows_of(kind).await - before[kind.as_str()];
        assert_eq!(left, 3, "{}", kind.as_str());
    }
    assert_eq!(neighbour.digests().await, untouched);
    let again = world.janitor().await.round().await;
    assert_eq!((again.removed, again.is_complete), (0, true));
}

/// A case with everything that has no end: a deleted, a merged and an absent object, one in quarantine, one that is set
/// aside, an open dead letter, an open run, and a key that works.
async fn everything(world: &World) -> Case {
    let case = world
        .connect(WorkspaceSpec {
            contacts: 12,
            leads: 0.5,
            ..tiny()
        })
        .await;
    let fleet = world.fleet(1);
    case.until_complete().await;
    case.mutate(Mutation::merge(1).ago(10));
    case.poll().await;
    case.mutate(Mutation::delete(Kind::Conversation, 1).ago(10));
    case.mutate(Mutation::delete(Kind::Contact, 1).ago(10));
    // The first absence of the contact deletes nothing.
    case.sync(Mode::Full, Stream::ALL).await;
    case.until_run_ends().await;
    case.until_not_due(Stream::ALL).await;
    drop(fleet);
    case.until_slices(0).await;
    case.leave_open().await;
    assert_eq!(case.open_dead_letters().await.len(), 1);
    assert_eq!(case.open_runs().await.len(), 1);
    assert_eq!(case.quarantined().await.len(), 2);
    assert!(!case.absences().await.is_empty());
    assert!(!case.merged().await.is_empty());
    assert!(!case.deleted_conversations().await.is_empty());
    case
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_ended_stays_at_any_age() {
    let world = World::new().await;
    let case = everything(&world).await;
    let caller = Caller::service(&world, &world.api().await, Some(case.tenant));
    let scopes = json!({"name": "reader", "scopes": ["profiles:read"]});
    let (_, key) = caller
        .call(Method::POST, "/v1/api_keys", Some(scopes))
        .await;
    let runs = case.run_ids().await;
    world.pass_for_all(DAY * 3_650).await;
    let mut before = case.digests().await;

    let round = world.janitor().await.round().await;

    assert!(round.is_complete);
    // The flow by which the workspace was connected, of the three runs that ended those that a full one followed, and the
    // trail: a tenant, a flow, a connection and a key were made.
    assert_eq!(case.rows_of(EndedKind::OauthFlows).await, 0);
    assert_eq!(case.rows_of(EndedKind::AuditEvents).await, 0);
    assert_eq!(case.run_ids().await, runs[2..]);
    assert_eq!(round.removed, 7);
    let mut after = case.digests().await;
    for digests in [&mut before, &mut after] {
        let ended = ["oauth_flows", "sync_runs", "audit_events"];
        digests.retain(|(table, ..)| !ended.contains(&table.as_str()));
    }
    assert_eq!(before, after);
    let reader = caller.with_key(key["key"].as_str().unwrap());
    assert!(reader.get("/v1/contacts").await["items"].is_array());
}
