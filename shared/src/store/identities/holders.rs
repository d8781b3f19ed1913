//! Who holds a value.

use std::collections::BTreeMap;

use crate::{
    domain::{ConnectionId, profile::RecordKey},
    store::{StoreError, Tx, roles::ChangesObjects},
};

impl<R: ChangesObjects> Tx<R> {
    /// Holders of values, at most so many of each.
    pub(super) async fn holders(
        &mut self,
        values: &[String],
        limit: i64,
    ) -> Result<BTreeMap<String, Vec<RecordKey>>, StoreError> {
        if values.is_empty() {
            return Ok(BTreeMap::new());
        }
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            r#"SELECT i.value AS "value!", h.connection_id, h.source_id FROM unnest($2::text[]) AS i(value)
               CROSS JOIN LATERAL (SELECT connection_id, source_id FROM identity_values
                                   WHERE tenant_id = $1 AND value = i.value
                                   ORDER BY value, connection_id, source_id LIMIT $3) h"#,
            tenant,
            values,
            limit,
        )
        .fetch_all(self.session())
        .await?;
        let mut holders: BTreeMap<String, Vec<RecordKey>> = BTreeMap::new();
        for row in rows {
            holders.entry(row.value).or_default().push(RecordKey::new(
                ConnectionId(row.connection_id),
                row.source_id,
            ));
        }
        Ok(holders)
    }
}
