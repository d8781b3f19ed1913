//! What is kept of a refusal by Postgres: our own words, and no value of a row.

use std::error::Error as _;

use intercom_simulator::WorkspaceSpec;
use shared::{domain::Stream, store::migrate};

use crate::support::{Case, World, tiny, wait_for};

/// A case whose contacts Postgres is about to refuse.
async fn case(world: &World) -> Case {
    let spec = WorkspaceSpec {
        contacts: 3,
        ..tiny()
    };
    world.connect(spec).await
}

fn assert_tells(case: &Case, told: &str, code: &str) {
    // A unique constraint has another name in each partition.
    let is_named = told.contains("a_rule") || told.contains("constraint contact_sources_");
    assert!(told.contains(code) && is_named, "{told}");
    let values = case.customer_texts();
    let quoted: Vec<&String> = values
        .iter()
        .filter(|value| told.contains(*value))
        .collect();
    assert_eq!(quoted, [""; 0], "{told}");
}

async fn cause(case: &Case) -> String {
    wait_for("contacts fail", async || {
        let cause = case.last_error(Stream::Contacts).await;
        cause.ok_or_else(|| "they do not".to_owned())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_constraint_is_told_without_the_row() {
    for (rule, code) in [
        ("UNIQUE (tenant_id, connection_id)", "SQLSTATE 23505"),
        ("CHECK (source_id IS NULL)", "SQLSTATE 23514"),
    ] {
        let world = World::new().await;
        let case = case(&world).await;
        world.add_rule("contact_sources", rule).await;
        let _fleet = world.fleet(1);
        assert_tells(&case, &cause(&case).await, code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_quotes_a_row_reaches_no_dead_letter() {
    let world = World::new().await;
    let case = case(&world).await;
    world.refuse_inserts("contact_sources").await;
    let _fleet = world.fleet(1);
    assert_tells(&case, &cause(&case).await, "SQLSTATE P0001");
    case.fail_nine_times(Stream::Contacts).await;
    let letters = wait_for("a dead letter", async || {
        let letters = case.dead_letters().await;
        Some(letters)
            .filter(|all| !all.is_empty())
            .ok_or_else(String::new)
    })
    .await;
    assert_tells(&case, &letters.concat(), "SQLSTATE P0001");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_migration_is_told_without_the_row() {
    let world = World::new().await;
    world.refuse_last_migration("what a customer wrote").await;
    let refused = migrate(&world.config.database.url, &world.config.database).await;
    let refused = refused.expect_err("postgres refuses it");
    let fault = refused.source().expect("a cause").to_string();
    assert!(
        fault.starts_with("migration ") && fault.contains("SQLSTATE P0001"),
        "{fault}"
    );
    // An error is logged in either form, with all its sources.
    let mut told = format!("{refused} {refused:?}");
    let mut source = refused.source();
    while let Some(error) = source {
        told += &format!(" {error} {error:?}");
        source = error.source();
    }
    assert!(!told.contains("customer"), "{told}");
}
