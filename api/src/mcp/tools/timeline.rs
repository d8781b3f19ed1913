//! `get_contact_timeline`: what happened with a person.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::{
    profiles::{self, TimelineEntry, TimelineEvent, TimelineItem},
    store::{ApiTx, reads::Position},
};
use uuid::Uuid;

use super::{
    shapes::{AttributeLine, ConversationLine, attributes, untrusted},
    which,
};
use crate::mcp::{
    answer::{Answer, Detail, NextCall, first},
    call::{Call, Tool},
    freshness::{Freshness, Inbox, Workspaces},
    refusal::Refusal,
    untrusted::{Untrusted, plain},
};

/// Lists conversations and events of one contact.
pub(in crate::mcp) struct GetContactTimeline;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::mcp) struct Input {
    /// The contact's id, as other tools give it.
    contact_id: Option<String>,
    /// An email address of the person.
    email: Option<String>,
    /// A phone number with its country, such as +49 30 123456.
    phone: Option<String>,
    /// The id that the company's own systems have for the person.
    external_id: Option<String>,
    #[serde(default)]
    detail: Detail,
    /// From `next` of the answer before.
    cursor: Option<String>,
}

/// A page of what happened with a person, the last entry first.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::mcp) struct Timeline {
    contact_id: Uuid,
    /// How many conversations and events there are in all. Conversations count only if the key may read them.
    total: i64,
    entries: Vec<Entry>,
    /// How many entries come after these. More may have happened since the first page.
    left: i64,
    /// What else a reader has to know of this answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
    /// The call that shows the entries that are left.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<NextCall>,
    freshness: Freshness,
}

/// A conversation or an event.
#[derive(Debug, Serialize, JsonSchema)]
struct Entry {
    /// `conversation` or `event`: which of the two members is there.
    r#type: &'static str,
    /// When the conversation last changed, or when the event happened.
    at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation: Option<ConversationLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<Event>,
}

/// What the person did, as another source tells it.
#[derive(Debug, Serialize, JsonSchema)]
struct Event {
    /// `crm`, `email` or `analytics`. Cite an event by this and its id there.
    source: String,
    untrusted_source_id: Untrusted,
    /// What happened, in the source's own word.
    untrusted_kind: Untrusted,
    #[serde(skip_serializing_if = "Option::is_none")]
    untrusted_title: Option<Untrusted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    untrusted_url: Option<Untrusted>,
    /// Only in detailed answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<AttributeLine>,
    /// How many more attributes the event has.
    #[serde(skip_serializing_if = "Option::is_none")]
    more_attributes: Option<usize>,
}

/// A cursor's content: the time and id of the last entry, and how many were shown up to it.
type Mark = (DateTime<Utc>, Uuid, i64);

impl Tool for GetContactTimeline {
    const NAME: &'static str = "get_contact_timeline";
    const TITLE: &'static str = "List what happened with a contact";
    const DESCRIPTION: &'static str = "Lists the conversations of one person and the events that other \
        sources tell of them, the last one first, with the true total. Name the person by exactly one of \
        contact_id, email, phone or external_id. Read a conversation's messages with get_conversation.";
    type Input = Input;
    type Output = Timeline;

    async fn run(call: &Call, input: Input) -> Result<Answer, Refusal> {
        let mut tx = call.begin().await?;
        let own = which::contact(
            &mut tx,
            input.contact_id.as_deref(),
            input.email.as_deref(),
            input.phone.as_deref(),
            input.external_id.as_deref(),
        )
        .await?;
        let detail = input.detail;
        let pager = call.pager(&format!("timeline?contact={own}"))?;
        let mark: Option<Mark> = pager.position(input.cursor.as_deref())?;
        let shown_before = mark.map_or(0, |(_, _, shown)| shown);
        let with_conversations = call.may_read_conversations();
        let (total, entries) = read(&mut tx, own, mark, detail, with_conversations).await?;
        let workspaces = Workspaces::read(&mut tx).await?;
        drop(tx);
        let inbox = workspaces.inbox();
        Answer::fitting(detail, entries.len().min(detail.page()), |items| {
            let shown = &entries[..items];
            let next = match shown.last() {
                Some(last) if items < entries.len() => {
                    let mark: Mark = (last.at, last.id, shown_before + items as i64);
                    Some(next(own, detail, pager.cursor(&mark)?))
                }
                _ => None,
            };
            Ok(Timeline {
                contact_id: own,
                total,
                entries: shown.iter().map(|entry| Entry::of(entry, &inbox, detail)).collect(),
                // What came in since the first page is not counted as left.
                left: match next {
                    Some(_) => (total - shown_before - items as i64).max(1),
                    None => 0,
                },
                note: (!with_conversations).then_some(
                    "Conversations are left out, because the key lacks the scope conversations:read.",
                ),
                next,
                freshness: workspaces.freshness(),
            })
        })
    }
}

/// How many entries there are, and those of a page, with one more if there is a next page.
async fn read(
    tx: &mut ApiTx,
    contact: Uuid,
    mark: Option<Mark>,
    detail: Detail,
    with_conversations: bool,
) -> Result<(i64, Vec<TimelineEntry>), Refusal> {
    let before = mark.map_or_else(Position::newest, |(at, id, _)| Position { at, id });
    let limit = detail.page() as i64 + 1;
    let events = tx.event_total(contact).await?;
    if !with_conversations {
        return Ok((events, profiles::events(tx, contact, before, limit).await?));
    }
    let conversations = tx.conversation_totals(contact).await?.total;
    let entries = profiles::timeline(tx, contact, before, limit).await?;
    Ok((conversations + events, entries))
}

fn next(contact: Uuid, detail: Detail, cursor: String) -> NextCall {
    NextCall::new(
        GetContactTimeline::NAME,
        [
            ("contact_id", json!(contact)),
            ("detail", json!(detail)),
            ("cursor", Value::from(cursor)),
        ],
    )
}

impl Entry {
    fn of(entry: &TimelineEntry, inbox: &Inbox, detail: Detail) -> Self {
        let (mut conversation, mut event) = (None, None);
        let r#type = match &entry.what {
            TimelineItem::Conversation(record) => {
                conversation = Some(ConversationLine::of((**record).clone(), inbox, detail));
                "conversation"
            }
            TimelineItem::Event(found) => {
                event = Some(Event::of(found, detail));
                "event"
            }
        };
        Self {
            r#type,
            at: entry.at,
            conversation,
            event,
        }
    }
}

impl Event {
    fn of(TimelineEvent { record, fields }: &TimelineEvent, detail: Detail) -> Self {
        let value = detail.value();
        let (lines, _) = match detail {
            Detail::Concise => Default::default(),
            Detail::Detailed => attributes(&fields.attributes, None, detail),
        };
        let (lines, more) = first(lines, detail);
        Self {
            source: plain(&record.source, value),
            untrusted_source_id: Untrusted::of(&record.source_id, value),
            untrusted_kind: Untrusted::of(&fields.kind, value),
            untrusted_title: untrusted(fields.title.as_deref(), value),
            untrusted_url: untrusted(fields.url.as_deref(), value),
            attributes: lines,
            more_attributes: (more > 0).then_some(more),
        }
    }
}
