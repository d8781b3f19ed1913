//! Events for operators, across tenants. No tenant sees them.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    Store, StoreError, Tx,
    roles::{Oauth, Operator},
};
use crate::domain::ConnectionId;

/// Something that operators should know of.
#[derive(Clone, Debug)]
pub struct OperatorEvent {
    pub id: Uuid,
    /// `workspace_shared`: the tenant connected a workspace that other tenants have connected as well.
    pub code: String,
    pub tenant_id: Uuid,
    pub connection_id: Option<Uuid>,
    /// Intercom's `app.id_code`.
    pub workspace_id: Option<String>,
    /// How many other tenants had the workspace at that time.
    pub others: i64,
    pub happened_at: DateTime<Utc>,
}

impl Tx<Oauth> {
    /// Writes an event, if other tenants have the connection's workspace as well. Returns how many.
    #[tracing::instrument(name = "db.note_shared_workspace", level = "debug", skip_all)]
    pub async fn note_shared_workspace(
        &mut self,
        connection: ConnectionId,
    ) -> Result<i64, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar!(
            r#"SELECT note_shared_workspace($1, $2, $3) AS "others!""#,
            tenant,
            connection.0,
            Uuid::now_v7(),
        )
        .fetch_one(self.session())
        .await?)
    }
}

impl Store<Operator> {
    /// Events, newest first, before the one with id `before`.
    #[tracing::instrument(name = "db.operator_events", level = "debug", skip_all)]
    pub async fn operator_events(
        &self,
        before: Option<Uuid>,
        limit: i32,
    ) -> Result<Vec<OperatorEvent>, StoreError> {
        let mut tx = self.inspect_all().await?;
        Ok(sqlx::query_as!(
            OperatorEvent,
            r#"SELECT id AS "id!", code AS "code!", tenant_id AS "tenant_id!", connection_id, workspace_id,
                      others AS "others!", happened_at AS "happened_at!"
               FROM find_operator_events($1, $2)"#,
            before,
            limit,
        )
        .fetch_all(tx.session())
        .await?)
    }
}
