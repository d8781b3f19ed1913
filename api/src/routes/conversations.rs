//! Conversations and their parts.

use axum::{
    Json,
    extract::{Path, State},
    response::Response,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::{
    completeness::thread_reason,
    domain::ConnectionId,
    store::{
        ApiTx,
        reads::{
            Assignee, ConversationFilter, ConversationRecord, PartAuthor, PartPosition, PartRecord,
            ThreadState,
        },
    },
};
use uuid::Uuid;

use super::{Include, Mark, OneQuery, before};
use crate::{
    Api,
    caller::CallerTenant,
    error::ApiError,
    extract::{Params, id},
    page::Pager,
    text,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConversationsQuery {
    cursor: Option<String>,
    limit: Option<u32>,
    contact_id: Option<String>,
    state: Option<String>,
    updated_since: Option<DateTime<Utc>>,
    include: Option<String>,
}

impl ConversationsQuery {
    /// Every filter but the contact, which must be looked up.
    pub(super) fn filter(&self) -> Result<ConversationFilter, ApiError> {
        Ok(ConversationFilter {
            contact: None,
            state: self.state.clone(),
            updated_since: self.updated_since,
            deleted: Include::read(self.include.as_deref())?.deleted,
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PartsQuery {
    cursor: Option<String>,
    limit: Option<u32>,
    #[serde(default)]
    body_format: BodyFormat,
}

/// How a part's body is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum BodyFormat {
    #[default]
    Text,
    /// As Intercom sent it. Anyone may have written it, so a page must sanitize it first.
    Html,
}

/// One conversation, without its parts.
#[derive(Debug, Serialize)]
pub(crate) struct ConversationView {
    id: Uuid,
    connection_id: ConnectionId,
    source_id: String,
    title: Option<String>,
    /// `open`, `closed` or `snoozed`, as Intercom says it.
    state: Option<String>,
    open: bool,
    priority: Option<String>,
    assignee: Option<AssigneeView>,
    /// Names.
    tags: Vec<String>,
    /// The participants. A contact that is not synced yet is absent until it is.
    contact_ids: Vec<Uuid>,
    thread: ThreadView,
    source_created_at: DateTime<Utc>,
    source_updated_at: DateTime<Utc>,
    /// When it last changed here: its own fields, its participants or its thread.
    updated_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize)]
struct AssigneeView {
    /// `admin` or `team`.
    kind: &'static str,
    /// Intercom's id.
    id: String,
    name: Option<String>,
}

/// How much of the thread is stored, without the first message.
#[derive(Debug, Serialize)]
struct ThreadView {
    /// `pending`, `complete`, `truncated`, `gone` or `blocked`.
    status: String,
    held: i32,
    expected: Option<i32>,
    /// Why the thread is not whole, or not yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// When a thread that could not be fetched is tried again on its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_try_at: Option<DateTime<Utc>>,
}

/// One message or event.
#[derive(Debug, Serialize)]
struct PartView {
    id: Uuid,
    source_id: String,
    /// Intercom's part type, or `source` for the first message.
    kind: String,
    author: AuthorView,
    /// HTML as Intercom sent it, unless the request asked for text.
    body: Option<String>,
    redacted: bool,
    /// A note between teammates. The customer's own customer must never see it.
    internal: bool,
    source_created_at: DateTime<Utc>,
    source_updated_at: DateTime<Utc>,
}

#[derive(Debug, Serialize)]
struct AuthorView {
    kind: Option<String>,
    source_id: Option<String>,
    name: Option<String>,
}

/// A part cursor's content.
type PartMark = (DateTime<Utc>, String);

/// `GET /v1/conversations`: last changed first.
pub(crate) async fn list(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    Params(query): Params<ConversationsQuery>,
) -> Result<Response, ApiError> {
    let mut filter = query.filter()?;
    let mut tx = api.store.begin(tenant).await?;
    if let Some(contact) = &query.contact_id {
        let contact = Uuid::try_parse(contact)
            .map_err(|_| ApiError::invalid("contact_id", "must be a contact's id"))?;
        // An unknown contact took part in nothing, and its own id selects no conversation.
        filter.contact = Some(tx.resolve_contact(contact).await?.unwrap_or(contact));
    }
    list_filtered(&api, tx, &query, &filter).await
}

/// `GET /v1/conversations/{id}`
pub(crate) async fn show(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    Path(conversation): Path<String>,
    Params(query): Params<OneQuery>,
) -> Result<Json<ConversationView>, ApiError> {
    Include::read(query.include.as_deref())?;
    let mut tx = api.store.begin(tenant).await?;
    tx.conversation(id(&conversation)?)
        .await?
        .map(|conversation| Json(conversation.into()))
        .ok_or_else(ApiError::not_found)
}

/// `GET /v1/conversations/{id}/parts?body_format=text|html`: oldest first.
pub(crate) async fn parts(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    Path(conversation): Path<String>,
    Params(query): Params<PartsQuery>,
) -> Result<Response, ApiError> {
    let conversation = id(&conversation)?;
    let pager = Pager::new(
        &api.vault,
        tenant,
        &format!("parts?conversation={conversation}"),
        query.limit,
    )?;
    let after = pager
        .position::<PartMark>(query.cursor.as_deref())?
        .map(|(at, source_id)| PartPosition { at, source_id });
    let mut tx = api.store.begin(tenant).await?;
    if tx.conversation(conversation).await?.is_none() {
        return Err(ApiError::not_found());
    }
    let mut parts = tx
        .parts(conversation, after.as_ref(), pager.fetch())
        .await?;
    if query.body_format == BodyFormat::Text {
        for part in &mut parts {
            part.body = part.body.take().map(|html| text::from_html(&html));
        }
    }
    pager.answer(
        parts,
        |part| (part.source_created_at, part.source_id.clone()),
        PartView::from,
    )
}

pub(super) async fn list_filtered(
    api: &Api,
    mut tx: ApiTx,
    query: &ConversationsQuery,
    filter: &ConversationFilter,
) -> Result<Response, ApiError> {
    let pager = Pager::new(
        &api.vault,
        tx.tenant(),
        &format!("conversations?{filter:?}"),
        query.limit,
    )?;
    let at = pager.position::<Mark>(query.cursor.as_deref())?;
    let conversations = tx.conversations(filter, before(at), pager.fetch()).await?;
    pager.answer(
        conversations,
        |conversation| (filter.order_of(conversation), conversation.id),
        ConversationView::from,
    )
}

impl From<ConversationRecord> for ConversationView {
    fn from(conversation: ConversationRecord) -> Self {
        Self {
            id: conversation.id,
            connection_id: conversation.connection_id,
            source_id: conversation.source_id,
            title: conversation.title,
            state: conversation.state,
            open: conversation.open,
            priority: conversation.priority,
            assignee: conversation.assignee.map(AssigneeView::from),
            tags: conversation.tags,
            contact_ids: conversation.contact_ids,
            thread: conversation.thread.into(),
            source_created_at: conversation.source_created_at,
            source_updated_at: conversation.source_updated_at,
            updated_at: conversation.updated_at,
            deleted_at: conversation.deleted_at,
        }
    }
}

impl From<Assignee> for AssigneeView {
    fn from(assignee: Assignee) -> Self {
        Self {
            kind: assignee.kind,
            id: assignee.id,
            name: assignee.name,
        }
    }
}

impl From<ThreadState> for ThreadView {
    fn from(thread: ThreadState) -> Self {
        Self {
            reason: thread_reason(&thread.status, thread.error.as_deref()),
            status: thread.status,
            held: thread.held,
            expected: thread.expected,
            next_try_at: thread.retry_at,
        }
    }
}

impl From<PartRecord> for PartView {
    fn from(part: PartRecord) -> Self {
        Self {
            id: part.id,
            source_id: part.source_id,
            kind: part.kind,
            author: part.author.into(),
            body: part.body,
            redacted: part.redacted,
            internal: part.internal,
            source_created_at: part.source_created_at,
            source_updated_at: part.source_updated_at,
        }
    }
}

impl From<PartAuthor> for AuthorView {
    fn from(author: PartAuthor) -> Self {
        Self {
            kind: author.kind,
            source_id: author.source_id,
            name: author.name,
        }
    }
}
