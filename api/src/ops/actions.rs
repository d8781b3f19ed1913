//! What operators have done.

use axum::{Json, extract::State};
use serde::Deserialize;
use shared::{domain::TenantId, store::OperatorAction};
use uuid::Uuid;

use super::{
    bounded::bounded,
    fleet_views::{ActionView, ActionsView},
    operator::Operator,
    paging::{limit, next_cursor},
    tenant_names::name_tenants,
};
use crate::{error::ApiError, extract::Params};

/// The query of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ActionsQuery {
    /// Only what was about this tenant.
    pub(super) tenant_id: Option<TenantId>,
    /// The last action of the page before.
    pub(super) cursor: Option<Uuid>,
    pub(super) limit: Option<i32>,
}

/// `GET /ops/actions`: newest first.
pub(super) async fn list(
    State(operator): State<Operator>,
    Params(query): Params<ActionsQuery>,
) -> Result<Json<ActionsView>, ApiError> {
    read(&operator, &query).await.map(Json)
}

/// A page of actions.
///
/// # Errors
/// If the query has a fault, or Postgres does not answer.
pub(super) async fn read(
    operator: &Operator,
    query: &ActionsQuery,
) -> Result<ActionsView, ApiError> {
    bounded(async {
        let limit = limit(query.limit)?;
        let store = &operator.store;
        let count = i64::from(limit);
        let actions = match query.tenant_id {
            Some(tenant) => {
                store
                    .operator_actions_of(tenant, query.cursor, count)
                    .await?
            }
            None => store.operator_actions(query.cursor, count).await?,
        };
        let next_cursor = next_cursor(&actions, limit, |action| action.id);
        let mut items: Vec<_> = actions.into_iter().map(ActionView::from).collect();
        name_tenants(store, &mut items).await;
        Ok(ActionsView { items, next_cursor })
    })
    .await
}

impl From<OperatorAction> for ActionView {
    fn from(action: OperatorAction) -> Self {
        Self {
            id: action.id,
            at: action.at,
            action: action.action,
            channel: action.channel,
            session_id: action.session_id,
            operator: action.operator,
            tenant_id: Some(TenantId(action.tenant_id)).filter(|tenant| !tenant.0.is_nil()),
            tenant_name: None,
            subject: action.subject,
            reason: action.reason,
            changed: action.changed,
        }
    }
}
