//! The final state does not depend on the order in which pages were written, nor on how often.

use intercom_simulator::{Change, Kind, Mutation, WorkspaceSpec};
use simulation::rng::seeds;

use super::{
    deliveries::{Delivery, everything, shuffled, write},
    servers,
};
use crate::support::{Case, Tables, play};

fn spec() -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 40,
        companies: 14,
        conversations: 30,
        parts: 4.0,
        leads: 0.4,
        merged_contacts: 3,
        contacts_over_10_companies: 0.1,
        limit_per_window: 100_000,
        ..WorkspaceSpec::default()
    }
}

/// What is pending and how far we are is not what is held. A page writes nothing of a connection.
const OTHERS: &[&str] = &[
    "streams",
    "sync_runs",
    "connections",
    "connection_secrets",
    "oauth_flows",
    "api_keys",
    "audit_events",
    "tenants",
];

async fn stored(case: &Case) -> Tables {
    let tables = case.rows_without_clocks(OTHERS).await;
    assert!(
        tables.len() > 12
            && ["changes", "contact_companies", "parts", "threads"]
                .iter()
                .all(|name| !tables[*name].is_empty())
    );
    tables
}

fn assert_same(seed: u64, held: &Tables, should: &Tables) {
    for (table, rows) in should {
        let without = |these: &[String], those: &[String]| {
            these
                .iter()
                .filter(|row| !those.contains(row))
                .take(3)
                .cloned()
                .collect::<Vec<_>>()
        };
        let (held, extra, missing) = (
            &held[table],
            without(&held[table], rows),
            without(rows, &held[table]),
        );
        assert!(
            held == rows,
            "PROPERTY_SEEDS={seed}..{}: {table} has {} rows, should have {}; has {extra:#?}, should have {missing:#?}",
            seed + 1,
            held.len(),
            rows.len()
        );
    }
}

#[test]
fn no_order_of_pages_changes_what_is_held() {
    play(async {
        let world = servers().await.beside(&[]).await;
        let case = world.connect(spec()).await;
        let truth = case.workspace.truth();
        let conversations: Vec<String> = truth
            .into_iter()
            .filter(|line| line.kind == Kind::Conversation)
            .map(|line| line.id)
            .collect();
        // Cut at five hundred parts, and exactly as long.
        for (n, parts) in [(0, 500), (1, 620)] {
            let id = conversations[n].clone();
            case.mutate(
                Mutation::grow(Kind::Conversation, 1)
                    .ids([id])
                    .parts(parts)
                    .ago(9_000),
            );
        }
        let early = everything(&case).await;
        for (change, kind) in [
            (Change::Update, Kind::Contact),
            (Change::Grow, Kind::Contact),
            (Change::Update, Kind::Company),
            (Change::Update, Kind::Conversation),
            (Change::Grow, Kind::Conversation),
            (Change::Redact, Kind::Conversation),
            (Change::Add, Kind::Conversation),
            (Change::Add, Kind::Contact),
        ] {
            case.mutate(Mutation::new(change, kind, 6).ago(3_600));
        }
        let late = everything(&case).await;

        let store = world.worker_store(2).await;
        write(&store, &case, &late).await;
        let only_late = stored(&case).await;
        case.delete_records().await;
        write(&store, &case, &early).await;
        write(&store, &case, &late).await;
        let one_after_the_other = stored(&case).await;
        for seed in seeds("PROPERTY_SEEDS", 12) {
            // What is shown now, in any order: nothing else is ever held.
            case.delete_records().await;
            write(&store, &case, &shuffled(&late, seed)).await;
            assert_same(seed, &stored(&case).await, &only_late);
            // Pages of an earlier time among them: no old one undoes a newer one.
            case.delete_records().await;
            let both: Vec<Delivery> = early.iter().chain(&late).cloned().collect();
            write(&store, &case, &shuffled(&both, seed)).await;
            let (mut held, mut should) = (stored(&case).await, one_after_the_other.clone());
            // An old answer makes its thread pending once more, which is no loss. Answers do not come so, because one
            // slice has a connection's threads at a time.
            held.remove("threads")
                .zip(should.remove("threads"))
                .expect("the table of threads");
            assert_same(seed, &held, &should);
        }
    });
}
