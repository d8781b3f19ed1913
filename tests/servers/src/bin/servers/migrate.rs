//! Applies migrations without the product's own code, which needs the migrated
//! schema (or the query data made from it) to compile.

use std::path::Path;

use sqlx::migrate::Migrator;
use sqlx::{Connection, PgConnection};

use crate::Failure;

/// Applies every file of `directory`, as `pathbound migrate` does.
pub(crate) async fn apply(directory: &Path, database_url: &str) -> Result<(), Failure> {
    let migrator = Migrator::new(directory)
        .await
        .map_err(|error| format!("could not read {}: {error}", directory.display()))?;
    let mut connection = PgConnection::connect(database_url).await?;
    migrator
        .run_direct(None, &mut connection, false)
        .await
        .map_err(|error| format!("could not apply {}: {error}", directory.display()))?;
    connection.close().await?;
    Ok(())
}
