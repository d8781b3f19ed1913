//! The parts of a conversation.

use axum::{
    extract::{Path, State},
    response::Response,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::{
    domain::conversation_extras::Attachment,
    profiles,
    store::reads::{PartAuthor, PartPosition, PartRecord},
    text,
};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    Api,
    caller::CallerTenant,
    error::ApiError,
    extract::{Params, id},
    openapi::words,
    page::{ListView, Pager},
};

/// The description's name of a page of parts.
type PartList = ListView<PartView>;

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
    /// Files. Anyone may have sent them, and Intercom ends their URLs after a while.
    attachments: Vec<AttachmentView>,
    source_created_at: DateTime<Utc>,
    source_updated_at: DateTime<Utc>,
}

/// A file that came with a message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attachment)]
struct AttachmentView {
    #[schema(required, example = "invoice.pdf")]
    name: Option<String>,
    #[schema(required, example = "application/pdf")]
    content_type: Option<String>,
    #[schema(required)]
    url: Option<String>,
    /// In bytes.
    #[schema(required, minimum = 0)]
    size: Option<i64>,
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
pub(crate) async fn list(
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

impl From<PartRecord> for PartView {
    fn from(part: PartRecord) -> Self {
        let attachments = profiles::attachments(&part);
        Self {
            id: part.id,
            source_id: part.source_id,
            kind: part.kind,
            author: part.author.into(),
            body: part.body,
            redacted: part.redacted,
            internal: part.internal,
            attachments: attachments.into_iter().map(AttachmentView::from).collect(),
            source_created_at: part.source_created_at,
            source_updated_at: part.source_updated_at,
        }
    }
}

impl From<Attachment> for AttachmentView {
    fn from(attachment: Attachment) -> Self {
        Self {
            name: attachment.name,
            content_type: attachment.content_type,
            url: attachment.url,
            size: attachment.size,
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
