//! `get_conversation`: the messages of one conversation, oldest first.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::{
    domain::ids::conversation_id,
    profiles,
    store::{
        ApiTx,
        reads::{ConversationRecord, PartPosition, PartRecord},
    },
    text,
};
use uuid::Uuid;

use super::shapes::{ContactLine, ConversationLine, LeftOut, note_left_out, untrusted};
use crate::{
    caller::KeyScope,
    mcp::{
        answer::{Answer, Detail, NextCall},
        call::{self, Call, Tool},
        freshness::{Freshness, Workspaces},
        refusal::Refusal,
        untrusted::{Untrusted, neutral, plain, split_at},
    },
};

/// Bytes of a body in a concise answer. A longer one says how much is missing.
const CONCISE_BODY: usize = 500;

/// Bytes of a piece of a body in a detailed answer. A longer body continues in the next piece, so that nothing is lost.
const PIECE: usize = 12_000;

/// Shows one conversation with its messages.
pub(in crate::mcp) struct GetConversation;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::mcp) struct Input {
    /// The conversation's id, as other tools give it.
    conversation_id: Option<String>,
    /// Intercom's number of the conversation, by which people cite it.
    number: Option<String>,
    #[serde(default)]
    detail: Detail,
    /// From `next` of the answer before.
    cursor: Option<String>,
}

/// A conversation and a page of its messages, oldest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::mcp) struct Conversation {
    conversation: ConversationLine,
    /// Who takes part, besides teammates.
    contacts: Vec<ContactLine>,
    /// Messages and events that are here, the first message included.
    part_total: i64,
    parts: Vec<Part>,
    /// How many messages and events come after these. One that is shown in part counts.
    left: i64,
    /// How many items of which list this answer leaves out.
    #[serde(skip_serializing_if = "LeftOut::is_empty")]
    left_out: LeftOut,
    /// The call that shows the messages that are left.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<NextCall>,
    freshness: Freshness,
}

/// A message or an event.
#[derive(Debug, Serialize, JsonSchema)]
struct Part {
    /// Its place in the thread, from 1.
    part: i64,
    /// Intercom's part type, such as `comment`, `note` or `assignment`, or `source` for the first message.
    kind: String,
    /// A note between teammates. If false, the customer can see it.
    internal: bool,
    /// `user`, `lead`, `admin`, `bot` and so on.
    #[serde(skip_serializing_if = "Option::is_none")]
    author_kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    untrusted_author: Option<Untrusted>,
    at: DateTime<Utc>,
    /// A teammate has removed the text in Intercom.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    redacted: bool,
    /// Which piece of a long text this is, from 1. Absent if the text is whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    piece: Option<usize>,
    /// How many pieces the text has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pieces: Option<usize>,
    /// Plain text. Absent for events without a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    untrusted_body: Option<Untrusted>,
}

/// A cursor's content: the last part that was begun, its place, and how many of its pieces were shown.
#[derive(Clone, Serialize, Deserialize)]
struct Mark {
    at: DateTime<Utc>,
    id: String,
    place: i64,
    pieces: usize,
}

/// A part or a piece of one, and where it is.
struct Piece {
    part: PartRecord,
    body: Option<Untrusted>,
    place: i64,
    number: usize,
    of: usize,
}

impl Input {
    /// The whole of the conversation with this id.
    pub(in crate::mcp) fn detailed(id: &str) -> Self {
        Self {
            conversation_id: Some(id.to_owned()),
            detail: Detail::Detailed,
            ..Self::default()
        }
    }
}

impl Tool for GetConversation {
    const NAME: &'static str = "get_conversation";
    const TITLE: &'static str = "Read a conversation";
    const DESCRIPTION: &'static str = "Shows one conversation: state, assignee, participants, and its \
        messages, notes and events from the oldest to the newest. Name it by conversation_id or by \
        Intercom's number. Concise answers shorten long messages, and detail \"detailed\" shows them whole. \
        thread.missing says how many messages are not here.";
    type Input = Input;
    type Output = Conversation;

    async fn run(call: &Call, input: Input) -> Result<Answer, Refusal> {
        call.require(KeyScope::ConversationsRead)?;
        let mut tx = call.begin().await?;
        let found = find(&mut tx, &input).await?;
        let (id, detail) = (found.id, input.detail);
        let pager = call.pager(&format!("parts?conversation={id}&detail={}", json!(detail)))?;
        let mark: Option<Mark> = pager.position(input.cursor.as_deref())?;
        let pieces = pieces(&mut tx, id, mark.as_ref(), detail).await?;
        let total = tx.part_total(id).await?;
        let first = found.contact_ids.len().min(detail.items());
        let contacts = profiles::contacts_by_id(&mut tx, &found.contact_ids[..first]).await?;
        let workspaces = Workspaces::read(&mut tx).await?;
        drop(tx);
        let inbox = workspaces.inbox();
        Answer::fitting(detail, pieces.len(), |items| {
            let (shown, more) = pieces.split_at(items);
            let mut left_out = LeftOut::new();
            note_left_out("contacts", found.contact_ids.len(), detail, &mut left_out);
            let left = shown.last().map_or(0, |last| last.left_of(total));
            let is_cut = left > 0 || !more.is_empty();
            Ok(Conversation {
                conversation: ConversationLine::of(found.clone(), &inbox, detail),
                contacts: contacts
                    .iter()
                    .map(|contact| ContactLine::of(contact, detail))
                    .collect(),
                part_total: total,
                parts: shown.iter().map(Part::of).collect(),
                left,
                left_out,
                next: match shown.last() {
                    Some(last) if is_cut => Some(next(id, detail, pager.cursor(&last.mark())?)),
                    _ => None,
                },
                freshness: workspaces.freshness(),
            })
        })
    }
}

fn next(conversation: Uuid, detail: Detail, cursor: String) -> NextCall {
    NextCall::new(
        GetConversation::NAME,
        [
            ("conversation_id", json!(conversation)),
            ("detail", json!(detail)),
            ("cursor", Value::from(cursor)),
        ],
    )
}

/// The conversation that the arguments name.
async fn find(tx: &mut ApiTx, input: &Input) -> Result<ConversationRecord, Refusal> {
    match (&input.conversation_id, &input.number) {
        (Some(given), None) => {
            let found = tx.conversation(call::id("conversation_id", given)?).await?;
            found.ok_or_else(|| {
                let fix = "Check `conversation_id`, or name it by `number`.";
                Refusal::unknown("conversation with this id", fix)
            })
        }
        (None, Some(number)) => {
            let number = number.trim().trim_start_matches('#');
            for workspace in tx.connections().await? {
                let id = conversation_id(workspace.id, number);
                if let Some(found) = tx.conversation(id).await? {
                    return Ok(found);
                }
            }
            let fix = "Check `number`, which is the long number of Intercom's conversation id.";
            Err(Refusal::unknown("conversation with this number", fix))
        }
        (None, None) => Err(Refusal(
            "Give one of the arguments conversation_id, number.".to_owned(),
        )),
        (Some(_), Some(_)) => Err(Refusal(
            "Give only one of the arguments conversation_id, number.".to_owned(),
        )),
    }
}

/// What comes after the mark, as many as an answer may show. A part whose pieces were not all shown comes again.
async fn pieces(
    tx: &mut ApiTx,
    conversation: Uuid,
    mark: Option<&Mark>,
    detail: Detail,
) -> Result<Vec<Piece>, Refusal> {
    let mut pieces = Vec::new();
    let limit = detail.page() as i64;
    let after = mark.map(|mark| PartPosition {
        at: mark.at,
        source_id: mark.id.clone(),
    });
    if let Some(mark) = mark.filter(|mark| mark.pieces > 0) {
        let begun = tx.part(conversation, &mark.id).await?;
        if let Some(begun) = begun {
            pieces.extend(split(begun, mark.place, detail).skip(mark.pieces));
        }
    }
    let place = mark.map_or(0, |mark| mark.place);
    let parts = tx.parts(conversation, after.as_ref(), limit).await?;
    for (part, place) in parts.into_iter().zip(place + 1..) {
        pieces.extend(split(part, place, detail));
    }
    // More than fit, whatever is in them.
    pieces.truncate(detail.page());
    Ok(pieces)
}

fn split(mut part: PartRecord, place: i64, detail: Detail) -> impl Iterator<Item = Piece> {
    let html = part.body.take().unwrap_or_default();
    let body = text::from_html(&html);
    let mut bodies = Vec::new();
    match detail {
        Detail::Concise => bodies.extend(untrusted(Some(&body), CONCISE_BODY)),
        Detail::Detailed => {
            let body = neutral(&body);
            let mut rest = body.as_str();
            while !rest.is_empty() {
                let (piece, after) = split_at(rest, PIECE);
                bodies.push(Untrusted::piece(piece));
                rest = after;
            }
        }
    }
    let of = bodies.len().max(1);
    let mut bodies: Vec<Option<Untrusted>> = bodies.into_iter().map(Some).collect();
    if bodies.is_empty() {
        bodies.push(None);
    }
    bodies
        .into_iter()
        .zip(1..)
        .map(move |(body, number)| Piece {
            part: part.clone(),
            body,
            place,
            number,
            of,
        })
}

impl Piece {
    /// How many of so many parts are not shown to their end.
    fn left_of(&self, total: i64) -> i64 {
        let begun = i64::from(self.number < self.of);
        (total - self.place).max(0) + begun
    }

    fn mark(&self) -> Mark {
        Mark {
            at: self.part.source_created_at,
            id: self.part.source_id.clone(),
            place: self.place,
            // A part that is whole is not looked at again.
            pieces: if self.number < self.of {
                self.number
            } else {
                0
            },
        }
    }
}

impl Part {
    fn of(piece: &Piece) -> Self {
        let part = &piece.part;
        let limit = Detail::Concise.value();
        let is_whole = piece.of == 1;
        Self {
            part: piece.place,
            kind: plain(&part.kind, limit),
            internal: part.internal,
            author_kind: part.author.kind.as_deref().map(|kind| plain(kind, limit)),
            untrusted_author: untrusted(part.author.name.as_deref(), limit),
            at: part.source_created_at,
            redacted: part.redacted,
            piece: (!is_whole).then_some(piece.number),
            pieces: (!is_whole).then_some(piece.of),
            untrusted_body: piece.body.clone(),
        }
    }
}
