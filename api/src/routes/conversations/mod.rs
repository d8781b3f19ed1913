//! Conversations and their parts.

pub(crate) mod parts;
mod view;

use axum::{
    Json,
    extract::{Path, State},
    response::Response,
};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use shared::store::{ApiTx, reads::ConversationFilter};
use utoipa::{
    IntoParams,
    openapi::path::{Parameter, ParameterIn},
};
use uuid::Uuid;

pub(crate) use self::view::ConversationView;
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
