//! Conversations and their parts.

use axum::{
    Json,
    extract::{Path, State},
    response::Response,
};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use shared::store::{
    ApiTx,
    reads::{Conversation, ConversationFilter, PartPosition},
};
use uuid::Uuid;

use super::{Include, Mark, OneQuery, before};
use crate::{
    Api,
    caller::Tenant,
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
    /// As Intercom sent it: written by anybody, so whoever shows it must make it harmless first.
    Html,
}

/// A part cursor's content.
type PartMark = (DateTime<Utc>, String);

/// `GET /v1/conversations`: last changed first.
pub(crate) async fn list(
    State(api): State<Api>,
    Tenant(tenant): Tenant,
    Params(query): Params<ConversationsQuery>,
) -> Result<Response, ApiError> {
    let mut filter = query.filter()?;
    let mut tx = api.store.begin(tenant).await?;
    if let Some(contact) = &query.contact_id {
        let contact = Uuid::try_parse(contact)
            .map_err(|_| ApiError::invalid("contact_id", "must be a contact's id"))?;
        // An unknown contact took part in nothing: its own id selects no conversation.
        filter.contact = Some(tx.resolve_contact(contact).await?.unwrap_or(contact));
    }
    list_filtered(&api, tx, &query, &filter).await
}

/// `GET /v1/conversations/{id}`
pub(crate) async fn show(
    State(api): State<Api>,
    Tenant(tenant): Tenant,
    Path(conversation): Path<String>,
    Params(query): Params<OneQuery>,
) -> Result<Json<Conversation>, ApiError> {
    Include::read(query.include.as_deref())?;
    let mut tx = api.store.begin(tenant).await?;
    tx.conversation(id(&conversation)?)
        .await?
        .map(Json)
        .ok_or_else(ApiError::not_found)
}

/// `GET /v1/conversations/{id}/parts?body_format=text|html`: oldest first.
pub(crate) async fn parts(
    State(api): State<Api>,
    Tenant(tenant): Tenant,
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
    pager.answer(parts, |part| {
        (part.source_created_at, part.source_id.clone())
    })
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
    pager.answer(conversations, |conversation| {
        (conversation.source_updated_at, conversation.id)
    })
}
