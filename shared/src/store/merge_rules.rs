//! Which source a tenant believes before which.

use super::{StoreError, Tx, noted_changes::ChangeOp, roles::Api};
use crate::domain::{audit_event::Effect, profile::MergeRules};

impl Tx<Api> {
    /// The tenant's rules. The default ones if it has set none.
    #[tracing::instrument(name = "db.merge_rules", level = "debug", skip_all)]
    pub async fn merge_rules(&mut self) -> Result<MergeRules, StoreError> {
        let tenant = self.tenant().0;
        let rules =
            sqlx::query_scalar!("SELECT rules FROM merge_rules WHERE tenant_id = $1", tenant)
                .fetch_optional(self.session())
                .await?;
        rules.map_or_else(
            || Ok(MergeRules::default()),
            |rules| {
                serde_json::from_str(&rules).map_err(|error| StoreError::Inconsistent {
                    table: "merge_rules",
                    what: error.to_string(),
                })
            },
        )
    }

    /// Sets the tenant's rules. Every profile of several records is noted as changed, because it may show something else.
    #[tracing::instrument(name = "db.set_merge_rules", level = "debug", skip_all)]
    pub async fn set_merge_rules(&mut self, rules: &MergeRules) -> Result<Effect, StoreError> {
        let tenant = self.tenant().0;
        let text = serde_json::to_string(rules).map_err(|error| StoreError::Inconsistent {
            table: "merge_rules",
            what: error.to_string(),
        })?;
        // The row is locked first, so that of two changes the later one is compared with the earlier.
        let changed = sqlx::query_scalar!(
            r#"INSERT INTO merge_rules AS r (tenant_id, rules) VALUES ($1, $2)
               ON CONFLICT (tenant_id) DO UPDATE SET rules = excluded.rules, updated_at = now()
               WHERE r.rules <> excluded.rules RETURNING true AS "changed!""#,
            tenant,
            text,
        )
        .fetch_optional(self.session())
        .await?;
        if changed.is_none() {
            return Ok(Effect::Unchanged);
        }
        // A profile of one record is what that record says, whatever the order. The two indexes of joined records hold
        // few rows, because most records are profiles by themselves.
        let joined = sqlx::query_scalar!(
            r#"SELECT contact_id AS "id!" FROM contact_sources WHERE tenant_id = $1 AND record_id <> contact_id
               UNION SELECT company_id FROM company_sources WHERE tenant_id = $1 AND record_id <> company_id"#,
            tenant,
        )
        .fetch_all(self.session())
        .await?;
        self.note_changes(ChangeOp::Upsert, joined);
        Ok(Effect::Changed)
    }
}
