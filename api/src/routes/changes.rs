//! The feed: what changed, in the order of commits.

use axum::{
    Extension, Json,
    extract::State,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::store::reads::Change;
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
#[derive(Debug, Serialize)]
struct FeedView {
    items: Vec<ChangeView>,
    /// Where to go on, also behind an empty page.
    next_cursor: String,
    /// Whether nothing comes after this page for now.
    caught_up: bool,
}

/// The last change of one object.
#[derive(Debug, Serialize)]
struct ChangeView {
    /// `contact`, `company` or `conversation`.
    object: &'static str,
    id: Uuid,
    /// `upsert`, `delete`, `merge`, `split`, `link` or `erase`.
    op: &'static str,
    at: DateTime<Utc>,
}

/// `GET /v1/changes`: oldest first. An object that changes again moves to the end, so that the feed is never longer than
/// the objects are many, and never expires.
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
