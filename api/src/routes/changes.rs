//! The feed: what changed, in the order of commits.

use axum::{
    Extension, Json,
    extract::State,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::store::reads::Change;
use utoipa::ToSchema;
use uuid::Uuid;

use super::ListQuery;
use crate::{
    Api,
    caller::{CallerScopes, CallerTenant, KeyScope},
    error::ApiError,
    extract::Params,
    page::Pager,
};

/// One page of the feed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Feed)]
pub(crate) struct FeedView {
    #[schema(max_items = 200)]
    items: Vec<ChangeView>,
    /// Where to go on, also behind an empty page.
    next_cursor: String,
    /// Whether nothing comes after this page for now.
    caught_up: bool,
}

/// The last change of one object.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Change)]
pub(crate) struct ChangeView {
    /// `contact`, `company` or `conversation`.
    #[schema(example = "contact")]
    object: &'static str,
    id: Uuid,
    /// `upsert`, `delete`, `merge`, `split`, `link` or `erase`.
    #[schema(example = "upsert")]
    op: &'static str,
    /// Its place in the feed. No two changes have the same one.
    at: DateTime<Utc>,
}

/// Follow changes
///
/// Oldest first, in the order of commits. An object that changes again moves to the end, so that the feed is never longer
/// than the objects are many, and never expires. Keep `next_cursor` and go on from it, also after an empty page.
#[utoipa::path(
    get,
    path = "/v1/changes",
    operation_id = "list_changes",
    tag = "Changes",
    params(ListQuery),
    responses((status = 200, description = "A page of changes.", body = FeedView)),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    Extension(scopes): Extension<CallerScopes>,
    Params(query): Params<ListQuery>,
) -> Result<Response, ApiError> {
    let conversations = scopes.has(KeyScope::ConversationsRead);
    // A key that gains the other scope would go on behind conversations that it never saw.
    let name = format!("changes?conversations={conversations}");
    let pager = Pager::new(&api.vault, tenant, &name, query.limit)?;
    let after = pager
        .position(query.cursor.as_deref())?
        .unwrap_or(DateTime::UNIX_EPOCH);
    let mut tx = api.store.begin(tenant).await?;
    let mut changes = tx.feed(after, conversations, pager.fetch()).await?;
    let caught_up = changes.len() <= pager.limit();
    changes.truncate(pager.limit());
    let last = changes.last().map_or(after, |change| change.at);
    Ok(Json(FeedView {
        items: changes.into_iter().map(ChangeView::from).collect(),
        next_cursor: pager.cursor(&last)?,
        caught_up,
    })
    .into_response())
}

impl From<Change> for ChangeView {
    fn from(change: Change) -> Self {
        Self {
            object: change.object,
            id: change.id,
            op: change.op,
            at: change.at,
        }
    }
}
