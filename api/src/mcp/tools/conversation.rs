//! `get_conversation`: the messages of one conversation, oldest or newest first.

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

use super::{
    conversation_facts::{Facts, File, ReadFacts, files},
    shapes::{ContactLine, ConversationLine, LeftOut, note_left_out, untrusted},
};
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
    #[serde(default)]
    order: Order,
    /// From `next` of the answer before.
    cursor: Option<String>,
}

/// Which messages come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Order {
    /// From the first message on.
    #[default]
    OldestFirst,
    /// From the last message back, for what was said last.
    NewestFirst,
}

/// A conversation and a page of its messages.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::mcp) struct Conversation {
    conversation: ConversationLine,
    /// Only on the first page.
    #[serde(skip_serializing_if = "Option::is_none")]
    facts: Option<Facts>,
    /// Who takes part, besides teammates.
    contacts: Vec<ContactLine>,
    /// Messages and events that are here, the first message included.
    part_total: i64,
    /// In the order that was asked for.
    parts: Vec<Part>,
    /// How many messages and events come after these in that order. One that is shown in part counts.
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
    /// Files that came with it, on its first piece.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<File>,
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
    /// How many parts come after this one.
    after: i64,
}

/// What a page of parts is of, and in which order.
struct Reading {
    conversation: Uuid,
    total: i64,
    detail: Detail,
    order: Order,
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
    const DESCRIPTION: &'static str = "Shows one conversation: state, assignee, participants, channel, \
        rating, SLA, companies, and its \
        messages, notes and events, from the oldest to the newest, or the last ones first with order \
        \"newest_first\". Name it by conversation_id or by Intercom's number. Concise answers shorten long messages, and detail \"detailed\" shows them whole. \
        thread.missing says how many messages are not here.";
    type Input = Input;
    type Output = Conversation;

    async fn run(call: &Call, input: Input) -> Result<Answer, Refusal> {
        call.require(KeyScope::ConversationsRead)?;
        let mut tx = call.begin().await?;
        let found = find(&mut tx, &input).await?;
        let (id, detail, order) = (found.id, input.detail, input.order);
        let list = json!({"conversation": id, "detail": detail, "order": order});
        let pager = call.pager(&format!("parts {list}"))?;
        let mark: Option<Mark> = pager.position(input.cursor.as_deref())?;
        let total = tx.part_total(id).await?;
        let reading = Reading {
            conversation: id,
            total,
            detail,
            order,
        };
        let pieces = reading.pieces(&mut tx, mark.as_ref()).await?;
        let first = found.contact_ids.len().min(detail.items());
        let contacts = profiles::contacts_by_id(&mut tx, &found.contact_ids[..first]).await?;
        let facts = match mark {
            None => Some(ReadFacts::of(&mut tx, &found, detail).await?),
            Some(_) => None,
        };
        let workspaces = Workspaces::read(&mut tx).await?;
        drop(tx);
        let inbox = workspaces.inbox();
        Answer::fitting(detail, pieces.len(), |items| {
            let (shown, more) = pieces.split_at(items);
            let mut left_out = LeftOut::new();
            note_left_out("contacts", found.contact_ids.len(), detail, &mut left_out);
            let left = shown.last().map_or(0, Piece::left);
            let is_cut = left > 0 || !more.is_empty();
            Ok(Conversation {
                conversation: ConversationLine::of(found.clone(), &inbox, detail),
                facts: facts
                    .as_ref()
                    .map(|facts| facts.shown(detail, &mut left_out)),
                contacts: contacts
                    .iter()
                    .map(|contact| ContactLine::of(contact, detail))
                    .collect(),
                part_total: total,
                parts: shown.iter().map(|piece| Part::of(piece, detail)).collect(),
                left,
                left_out,
                next: match shown.last() {
                    Some(last) if is_cut => Some(reading.next(pager.cursor(&last.mark())?)),
                    _ => None,
                },
                freshness: workspaces.freshness(),
            })
        })
    }
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

impl Reading {
    /// What comes after the mark, as many as an answer may show. A part whose pieces were not all shown comes again.
    async fn pieces(&self, tx: &mut ApiTx, mark: Option<&Mark>) -> Result<Vec<Piece>, Refusal> {
        let mut pieces = Vec::new();
        let limit = self.detail.page() as i64;
        if let Some(mark) = mark.filter(|mark| mark.pieces > 0) {
            let begun = tx.part(self.conversation, &mark.id).await?;
            if let Some(begun) = begun {
                pieces.extend(self.split(begun, mark.place).skip(mark.pieces));
            }
        }
        let position = mark.map(|mark| PartPosition {
            at: mark.at,
            source_id: mark.id.clone(),
        });
        let (id, position) = (self.conversation, position.as_ref());
        let (parts, step) = match self.order {
            Order::OldestFirst => (tx.parts(id, position, limit).await?, 1),
            Order::NewestFirst => (tx.newest_parts(id, position, limit).await?, -1),
        };
        let before_first = match self.order {
            Order::OldestFirst => 0,
            Order::NewestFirst => self.total + 1,
        };
        let mut place = mark.map_or(before_first, |mark| mark.place);
        for part in parts {
            place += step;
            pieces.extend(self.split(part, place));
        }
        // More than fit, whatever is in them.
        pieces.truncate(self.detail.page());
        Ok(pieces)
    }

    fn split(&self, part: PartRecord, place: i64) -> impl Iterator<Item = Piece> {
        let after = match self.order {
            Order::OldestFirst => self.total - place,
            Order::NewestFirst => place - 1,
        };
        split(part, self.detail).map(move |piece| Piece {
            place,
            after,
            ..piece
        })
    }

    fn next(&self, cursor: String) -> NextCall {
        // The default is left out, so that a call stays short.
        let order = (self.order != Order::default()).then_some(self.order);
        NextCall::new(
            GetConversation::NAME,
            [
                ("conversation_id", json!(self.conversation)),
                ("detail", json!(self.detail)),
                ("order", json!(order)),
                ("cursor", Value::from(cursor)),
            ],
        )
    }
}

/// The pieces of a part, whose place is not known here.
fn split(mut part: PartRecord, detail: Detail) -> impl Iterator<Item = Piece> {
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
            place: 0,
            after: 0,
            number,
            of,
        })
}

impl Piece {
    /// How many parts are not shown to their end behind this piece.
    fn left(&self) -> i64 {
        let begun = i64::from(self.number < self.of);
        self.after.max(0) + begun
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
    fn of(piece: &Piece, detail: Detail) -> Self {
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
            files: match piece.number {
                1 => files(part, detail),
                _ => Vec::new(),
            },
        }
    }
}
