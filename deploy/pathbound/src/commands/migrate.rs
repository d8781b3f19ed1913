//! `pathbound migrate`: brings the database to this build's schema, as the schema's owner.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;
use shared::{
    config::ProcessRole,
    store::{self, GrantOutcome},
};

use crate::{
    cli::MigrateArgs,
    failure::Failure,
    output::{self, Format, Table},
};

/// The schema of this build, and the migrations on the way to it.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct Migrated {
    schema: String,
    /// Those that are missing, with `--check`.
    pending: Vec<i64>,
    /// Those that were run.
    applied: Vec<i64>,
}

/// Migrates. With `--check` it only lists the missing migrations.
///
/// # Errors
/// If Postgres cannot be reached, a migration fails, the roles cannot be granted, or (`--check`) a migration is missing.
pub async fn run(file: Option<&Path>, format: Format, args: MigrateArgs) -> Result<(), Failure> {
    let config = super::load(file, ProcessRole::Migrate)?;
    let url = &config.migrate_url;
    let pending = store::check(url).await?;
    let granted = if args.check {
        GrantOutcome::Unchanged
    } else {
        let partitions = store::migrate(url, &config.database).await?;
        if partitions != i64::from(config.database.partitions) {
            eprintln!(
                "the tables have {partitions} partitions, which only the first migration decides, so set \
                 database_partitions to {partitions}"
            );
        }
        store::grant_roles(&config.database, url).await?
    };
    let mut table = Table::new(&["schema", if args.check { "pending" } else { "applied" }]);
    table.row([store::schema(), list(&pending)]);
    let (still, applied) = if args.check {
        (pending.clone(), Vec::new())
    } else {
        (Vec::new(), pending.clone())
    };
    let migrated = Migrated {
        schema: store::schema(),
        pending: still,
        applied,
    };
    output::show(format, &table, &migrated)?;
    if args.check && !pending.is_empty() {
        return Err(Failure::because(
            "the database is older than this build, so run `pathbound migrate`",
        ));
    }
    report(granted)
}

/// What became of the roles of the login that the fleet works with.
fn report(granted: GrantOutcome) -> Result<(), Failure> {
    match granted {
        GrantOutcome::Unchanged => Ok(()),
        GrantOutcome::Granted => {
            eprintln!("granted the roles to the login of database_url");
            Ok(())
        }
        GrantOutcome::Refused { statement } => {
            eprintln!("{statement};");
            Err(Failure::Partly(
                "the schema is migrated, but its owner could not grant the roles to the login of database_url, so run the \
                 statement above as a login that can, once that login exists"
                    .to_owned(),
            ))
        }
    }
}

fn list(numbers: &[i64]) -> String {
    if numbers.is_empty() {
        return "none".to_owned();
    }
    numbers
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}
