//! What happened with one contact, across all sources.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    domain::{profile::read_source_event, records::EventFields},
    store::{
        ApiTx, StoreError,
        reads::{ConversationFilter, ConversationRecord, EventRecord, Position},
    },
};

/// One entry of a timeline.
#[derive(Clone, Debug)]
pub struct TimelineEntry {
    /// When the conversation last changed at its source, or when the event happened.
    pub at: DateTime<Utc>,
    pub id: Uuid,
    pub what: TimelineItem,
}

/// What an entry is.
#[derive(Clone, Debug)]
pub enum TimelineItem {
    Conversation(Box<ConversationRecord>),
    Event(Box<TimelineEvent>),
}

/// Something that the contact did.
#[derive(Clone, Debug)]
pub struct TimelineEvent {
    pub record: EventRecord,
    pub fields: EventFields,
}

/// A page of a contact's timeline, the last entry first. The contact's own id is needed (see `Tx::resolve_contact`).
///
/// # Errors
/// See [`StoreError`].
pub async fn timeline(
    tx: &mut ApiTx,
    contact: Uuid,
    before: Position,
    limit: i64,
) -> Result<Vec<TimelineEntry>, StoreError> {
    let filter = ConversationFilter {
        contact: Some(contact),
        ..ConversationFilter::default()
    };
    // A page of each kind, because all of the page may be of one.
    let conversations = tx.conversations(&filter, before, limit).await?;
    let events = events(tx, contact, before, limit).await?;
    let mut entries: Vec<TimelineEntry> = conversations
        .into_iter()
        .map(|conversation| TimelineEntry {
            at: conversation.source_updated_at,
            id: conversation.id,
            what: TimelineItem::Conversation(Box::new(conversation)),
        })
        .collect();
    entries.extend(events);
    entries.sort_by_key(|entry| std::cmp::Reverse((entry.at, entry.id)));
    entries.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(entries)
}

/// The same without conversations.
///
/// # Errors
/// See [`StoreError`].
pub async fn events(
    tx: &mut ApiTx,
    contact: Uuid,
    before: Position,
    limit: i64,
) -> Result<Vec<TimelineEntry>, StoreError> {
    let events = tx.contact_events(contact, before, limit).await?;
    let entries = events.into_iter().map(|record| {
        let fields = fields_of(&record);
        TimelineEntry {
            at: record.occurred_at,
            id: record.id,
            what: TimelineItem::Event(Box::new(TimelineEvent { record, fields })),
        }
    });
    Ok(entries.collect())
}

/// Reads a stored event. What this build cannot read has a kind that says so, and the entry still shows its time.
fn fields_of(record: &EventRecord) -> EventFields {
    let text = String::from_utf8_lossy(&record.raw);
    let read = read_source_event(&text).ok().and_then(|read| read.fields);
    read.unwrap_or_else(|| {
        tracing::warn!(source_id = %record.source_id, "a stored event cannot be read");
        EventFields {
            contact: String::new(),
            kind: "unknown".to_owned(),
            occurred_at: record.occurred_at,
            title: None,
            url: None,
            attributes: crate::domain::JsonText::default(),
        }
    })
}
