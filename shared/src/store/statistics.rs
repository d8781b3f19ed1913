//! Statistics of the tables that a first walk has filled.

use std::time::Duration;

use super::{Store, StoreError, roles::Worker};
use crate::domain::{Stream, TenantId};

/// Postgres reads a sample, which takes about a second. A slice must not wait long for it.
const LIMIT: Duration = Duration::from_secs(10);

impl Store<Worker> {
    /// Has Postgres analyze the tables that a walk of this stream fills, in a transaction of its own. Of a split table it
    /// is the partition that has the tenant.
    ///
    /// # Errors
    /// When Postgres fails or takes longer than ten seconds, or than a statement may. Nothing depends on it.
    #[tracing::instrument(name = "db.analyze_filled", level = "debug", skip_all)]
    pub async fn analyze_filled(&self, tenant: TenantId, stream: Stream) -> Result<(), StoreError> {
        let mut tx = self.begin(tenant).await?;
        sqlx::query!(
            "SELECT set_config('statement_timeout', (1000 * least(
                $1, extract(epoch FROM current_setting('statement_timeout')::interval)::float8))::bigint::text, true)",
            LIMIT.as_secs_f64(),
        )
        .fetch_one(tx.session())
        .await?;
        sqlx::query!(
            r#"SELECT analyze_filled($1, $2) AS "analyzed!""#,
            tx.tenant().0,
            stream.as_str(),
        )
        .fetch_one(tx.session())
        .await?;
        tx.commit().await
    }
}
