//! A contact's timeline.

use axum::{
    extract::{Path, State},
    response::Response,
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::{
    domain::{ConnectionId, JsonText},
    profiles::{self, TimelineEntry, TimelineEvent, TimelineItem},
};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{ListQuery, Mark, before, contacts::own_id, conversations::ConversationView};
use crate::{
    Api,
    caller::CallerTenant,
    error::ApiError,
    extract::Params,
    openapi::words,
    page::{ListView, Pager},
};

/// The description's name of a page of a timeline.
type Timeline = ListView<TimelineEntryView>;

/// One entry of a timeline: a conversation or an event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TimelineEntry)]
pub(crate) struct TimelineEntryView {
    /// Which of the two members is there.
    #[schema(value_type = words::TimelineType)]
    r#type: &'static str,
    /// When the conversation last changed at its source, or when the event happened.
    at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    conversation: Option<ConversationView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    event: Option<EventView>,
}

/// Something that the contact did, as a source tells it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
struct EventView {
    id: Uuid,
    #[schema(value_type = words::SentSource)]
    source: String,
    #[schema(value_type = Uuid)]
    connection_id: ConnectionId,
    source_id: String,
    /// What happened, in the source's own word.
    #[schema(example = "email_opened")]
    kind: String,
    #[schema(required, example = "Your invoice for March")]
    title: Option<String>,
    #[schema(required)]
    url: Option<String>,
    #[schema(value_type = Object)]
    attributes: JsonText,
}

/// List what happened with a contact
///
/// Conversations and events of all sources, the last one first. An event shows as soon as the record of its person is
/// there.
#[utoipa::path(
    get,
    path = "/v1/contacts/{id}/timeline",
    operation_id = "get_timeline",
    tag = "Contacts",
    params(("id" = Uuid, Path, description = "The contact's id."), ListQuery),
    responses((status = 200, description = "A page of the timeline.", body = Timeline)),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    Path(contact): Path<String>,
    Params(query): Params<ListQuery>,
) -> Result<Response, ApiError> {
    let mut tx = api.store.begin(tenant).await?;
    let own = own_id(&mut tx, &contact).await?;
    let list = format!("timeline?contact={own}");
    let pager = Pager::new(&api.vault, tenant, &list, query.limit)?;
    let at = pager.position::<Mark>(query.cursor.as_deref())?;
    let entries = profiles::timeline(&mut tx, own, before(at), pager.fetch()).await?;
    pager.answer(
        entries,
        |entry| (entry.at, entry.id),
        TimelineEntryView::from,
    )
}

impl From<TimelineEntry> for TimelineEntryView {
    fn from(entry: TimelineEntry) -> Self {
        let at = entry.at;
        match entry.what {
            TimelineItem::Conversation(conversation) => Self {
                r#type: "conversation",
                at,
                conversation: Some((*conversation).into()),
                event: None,
            },
            TimelineItem::Event(event) => Self {
                r#type: "event",
                at,
                conversation: None,
                event: Some((*event).into()),
            },
        }
    }
}

impl From<TimelineEvent> for EventView {
    fn from(TimelineEvent { record, fields }: TimelineEvent) -> Self {
        Self {
            id: record.id,
            source: record.source,
            connection_id: record.connection_id,
            source_id: record.source_id,
            kind: fields.kind,
            title: fields.title,
            url: fields.url,
            attributes: fields.attributes,
        }
    }
}
