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
    text,
};
use utoipa::{
    IntoParams, ToSchema,
    openapi::path::{Parameter, ParameterIn},
};
use uuid::Uuid;

use super::{Include, Mark, OneQuery, before};
use crate::{
    Api,
    caller::CallerTenant,
    error::ApiError,
    extract::{Params, id},
    openapi::words,
    page::{ListView, Pager},
};

/// The description's name of a page of conversations.
pub(super) type ConversationList = ListView<ConversationView>;

/// The description's name of a page of parts.
type PartList = ListView<PartView>;

/// Longer than any state of Intercom's.
const MAX_STATE_CHARACTERS: usize = 32;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ConversationsQuery {
    /// The `next_cursor` of the page before, with the same filters.
    cursor: Option<String>,
    /// Items on a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// Only those that this contact takes part in.
    #[param(value_type = Option<Uuid>)]
    contact_id: Option<String>,
    /// Only those in this state, such as `open`, `closed` or `snoozed`.
    #[param(pattern = "^[a-z_]{1,32}$", example = "open")]
    state: Option<String>,
    /// Only what has changed at this time or later.
    updated_since: Option<DateTime<Utc>>,
    /// What is left out otherwise: what was deleted at its source.
    #[param(inline, value_type = Option<Vec<words::Include>>, style = Form, explode = false)]
    include: Option<String>,
}

impl ConversationsQuery {
    /// Every filter but the contact, which must be looked up.
    pub(super) fn filter(&self) -> Result<ConversationFilter, ApiError> {
        Ok(ConversationFilter {
            contact: None,
            state: self.state()?,
            updated_since: self.updated_since,
            deleted: Include::read(self.include.as_deref())?.deleted,
        })
    }

    /// The same for a list whose contact is in the path.
    pub(super) fn filter_without_contact(&self) -> Result<ConversationFilter, ApiError> {
        if self.contact_id.is_some() {
            return Err(ApiError::invalid(
                "contact_id",
                "must be left out, because the path names the contact",
            ));
        }
        self.filter()
    }

    /// Any word passes, because Intercom may add states.
    fn state(&self) -> Result<Option<String>, ApiError> {
        let is_word = |state: &String| {
            (1..=MAX_STATE_CHARACTERS).contains(&state.len())
                && state.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        };
        match &self.state {
            Some(state) if !is_word(state) => Err(ApiError::invalid(
                "state",
                "must be a state such as `open`, `closed` or `snoozed`",
            )),
            state => Ok(state.clone()),
        }
    }
}

/// The parameters of a contact's conversations: every filter but the contact.
pub(super) enum FiltersOfContact {}

impl IntoParams for FiltersOfContact {
    fn into_params(place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let mut parameters = ConversationsQuery::into_params(place);
        parameters.retain(|parameter| parameter.name != "contact_id");
        parameters
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PartsQuery {
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// Items on a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// Text, or HTML as Intercom sent it. Anyone may have written it, so a page must sanitize it first.
    #[serde(default)]
    #[param(inline, value_type = words::BodyFormat, required = false)]
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
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Conversation)]
pub(crate) struct ConversationView {
    id: Uuid,
    #[schema(value_type = Uuid)]
    connection_id: ConnectionId,
    /// Intercom's id.
    #[schema(example = "215472938475120")]
    source_id: String,
    #[schema(required)]
    title: Option<String>,
    /// `open`, `closed` or `snoozed`, as Intercom says it.
    #[schema(required, example = "open")]
    state: Option<String>,
    open: bool,
    /// As Intercom says it.
    #[schema(required)]
    priority: Option<String>,
    #[schema(required)]
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
    /// When Intercom deleted it. Absent if it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    deleted_at: Option<DateTime<Utc>>,
}

/// The teammate or team that a conversation is assigned to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Assignee)]
struct AssigneeView {
    #[schema(value_type = words::AssigneeKind)]
    kind: &'static str,
    /// Intercom's id.
    id: String,
    #[schema(required)]
    name: Option<String>,
}

/// How much of the thread is stored, without the first message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Thread)]
struct ThreadView {
    #[schema(value_type = words::ThreadStatus)]
    status: String,
    /// Parts that are stored.
    #[schema(minimum = 0)]
    held: i32,
    /// Parts that Intercom counts. Null before the thread was fetched.
    #[schema(required, minimum = 0)]
    expected: Option<i32>,
    /// Why the thread is not whole, or not yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
    /// When a thread that could not be fetched is tried again on its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_try_at: Option<DateTime<Utc>>,
}

/// One message or event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Part)]
struct PartView {
    id: Uuid,
    /// Intercom's id.
    source_id: String,
    /// Intercom's part type, or `source` for the first message.
    #[schema(example = "comment")]
    kind: String,
    author: AuthorView,
    /// Text, unless the request asked for HTML as Intercom sent it.
    #[schema(required)]
    body: Option<String>,
    redacted: bool,
    /// A note between teammates. The customer's own customer must never see it.
    internal: bool,
    source_created_at: DateTime<Utc>,
    source_updated_at: DateTime<Utc>,
}

/// The writer of a part, as Intercom names it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Author)]
struct AuthorView {
    /// Such as `user`, `admin` or `bot`.
    #[schema(required, example = "user")]
    kind: Option<String>,
    #[schema(required)]
    source_id: Option<String>,
    #[schema(required)]
    name: Option<String>,
}

/// A part cursor's content.
type PartMark = (DateTime<Utc>, String);

/// List conversations
///
/// Last changed first.
#[utoipa::path(
    get,
    path = "/v1/conversations",
    operation_id = "list_conversations",
    tag = "Conversations",
    params(ConversationsQuery),
    responses((status = 200, description = "A page of conversations.", body = ConversationList)),
)]
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

/// Show a conversation
///
/// Its parts are a list of their own.
#[utoipa::path(
    get,
    path = "/v1/conversations/{id}",
    operation_id = "get_conversation",
    tag = "Conversations",
    params(("id" = Uuid, Path, description = "The conversation's id."), OneQuery),
    responses((status = 200, description = "The conversation.", body = ConversationView)),
)]
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

/// List a conversation's parts
///
/// The full thread, oldest first.
#[utoipa::path(
    get,
    path = "/v1/conversations/{id}/parts",
    operation_id = "list_parts",
    tag = "Conversations",
    params(("id" = Uuid, Path, description = "The conversation's id."), PartsQuery),
    responses((status = 200, description = "A page of parts.", body = PartList)),
)]
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
