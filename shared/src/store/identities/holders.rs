//! Who holds a value.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    domain::{ConnectionId, profile::RecordKey},
    store::{StoreError, Tx, roles::ChangesObjects},
};

/// Who holds which value, as far as the value may link them.
#[derive(Debug, Default)]
pub(super) struct Holders {
    pub(super) of: BTreeMap<String, Vec<RecordKey>>,
    /// Values that the tenant blocks. Their holders are not read, because they are not linked.
    pub(super) blocked: BTreeSet<String>,
}

impl<R: ChangesObjects> Tx<R> {
    /// Holders of values, at most so many of each. A caller that moves records holds the lock of their writers, so that no
    /// value is blocked or unblocked before the transaction ends.
    pub(super) async fn holders(
        &mut self,
        values: &[String],
        limit: i64,
    ) -> Result<Holders, StoreError> {
        let mut holders = Holders::default();
        if values.is_empty() {
            return Ok(holders);
        }
        let tenant = self.tenant().0;
        // The list is asked here and not with the lock, because a statement sees what was there when it began to wait.
        let rows = sqlx::query!(
            r#"SELECT i.value AS "value!", b.is_blocked AS "is_blocked!", h.connection_id AS "connection_id?",
                      h.source_id AS "source_id?"
               FROM unnest($2::text[]) AS i(value)
               CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM blocked_values
                                                  WHERE tenant_id = $1 AND value = i.value) AS is_blocked OFFSET 0) b
               LEFT JOIN LATERAL (SELECT connection_id, source_id FROM identity_values
                                  WHERE tenant_id = $1 AND value = i.value AND NOT b.is_blocked
                                  ORDER BY value, connection_id, source_id LIMIT $3) h ON true"#,
            tenant,
            values,
            limit,
        )
        .fetch_all(self.session())
        .await?;
        for row in rows {
            if row.is_blocked {
                holders.blocked.insert(row.value);
            } else if let (Some(connection), Some(source_id)) = (row.connection_id, row.source_id) {
                let key = RecordKey::new(ConnectionId(connection), source_id);
                holders.of.entry(row.value).or_default().push(key);
            }
        }
        Ok(holders)
    }
}
