//! `pathbound migrate`: brings the database to this build's schema, as the schema's owner.

use std::path::Path;

use serde_json::json;
use shared::{config::ProcessRole, store};

use crate::{
    cli::MigrateArgs,
    failure::Failure,
    output::{self, Format, Table},
};

/// Migrates. With `--check` it only lists the missing migrations.
///
/// # Errors
/// If Postgres cannot be reached, a migration fails, or (`--check`) one is missing.
pub async fn run(file: Option<&Path>, format: Format, args: MigrateArgs) -> Result<(), Failure> {
    let url = super::load(file, ProcessRole::Migrate)?.migrate_url;
    let pending = store::check(&url).await?;
    if !args.check {
        store::migrate(&url).await?;
    }
    let mut table = Table::new(&["schema", if args.check { "pending" } else { "applied" }]);
    table.row([store::schema(), list(&pending)]);
    let json = json!({
        "schema": store::schema(),
        "pending": if args.check { pending.as_slice() } else { &[] },
        "applied": if args.check { &[] } else { pending.as_slice() },
    });
    output::show(format, &table, &json)?;
    if args.check && !pending.is_empty() {
        return Err(Failure::because(
            "the database is older than this build, so run `pathbound migrate`",
        ));
    }
    Ok(())
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
