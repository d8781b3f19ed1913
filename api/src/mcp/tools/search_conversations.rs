//! `search_conversations`: conversations by the words of their messages, and how many there are of each kind.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::{
    domain::search::SearchKind,
    search::{self, SearchFilters, SearchHit, SearchRequest},
    store::reads::ConversationRecord,
};
use uuid::Uuid;

use super::{
    conversation_counts::{CountBy, Counts},
    search::{Found, Mark, Page, company, contact, position, query, value},
    shapes::ConversationLine,
};
use crate::{
    caller::KeyScope,
    mcp::{
        answer::{Answer, Detail, NextCall},
        call::{Call, Tool},
        freshness::{Freshness, Inbox, Workspaces},
        refusal::Refusal,
        untrusted::Untrusted,
    },
};

/// Finds conversations.
pub(in crate::mcp) struct SearchConversations;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::mcp) struct Input {
    /// Words of the title or the messages. All have to be there. "In quotation marks" is a phrase.
    query: Option<String>,
    /// Only those in this state: open, closed or snoozed.
    state: Option<String>,
    /// Only those with a tag of this name.
    tag: Option<String>,
    /// Only those of this teammate or team, by name.
    owner: Option<String>,
    /// Only those in which this contact takes part.
    contact_id: Option<String>,
    /// Only those of people of this company, or about it.
    company_id: Option<String>,
    /// Only those that changed in Intercom at this time or later, such as 2026-11-01T00:00:00Z.
    active_since: Option<DateTime<Utc>>,
    /// Only those that last changed in Intercom before this time.
    active_before: Option<DateTime<Utc>>,
    /// Also count all matches by this.
    count_by: Option<CountBy>,
    #[serde(default)]
    detail: Detail,
    /// From `next` of the answer before.
    cursor: Option<String>,
}

/// Conversations that were found, best first.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::mcp) struct Conversations {
    found: Found,
    /// How many matches there are of each kind. Only on the first page.
    #[serde(skip_serializing_if = "Option::is_none")]
    counts: Option<Counts>,
    conversations: Vec<FoundConversation>,
    /// How many come after these.
    left: usize,
    /// The call that shows what is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<NextCall>,
    freshness: Freshness,
}

/// A conversation, and what of it was found.
#[derive(Debug, Serialize, JsonSchema)]
struct FoundConversation {
    conversation: ConversationLine,
    /// What was found, and what is around it. It may be of a note between teammates.
    untrusted_snippet: Untrusted,
}

impl Tool for SearchConversations {
    const NAME: &'static str = "search_conversations";
    const TITLE: &'static str = "Search and count conversations";
    const DESCRIPTION: &'static str = "Finds conversations by words of their messages and by state, tag, owner, \
        contact, company and time, best first, with the true total. Without a query it lists what the filters let through, \
        the last changed first. count_by also counts all matches by week, tag, state, owner or company. Read the \
        messages with get_conversation.";
    type Input = Input;
    type Output = Conversations;

    async fn run(call: &Call, input: Input) -> Result<Answer, Refusal> {
        call.require(KeyScope::ConversationsRead)?;
        let detail = input.detail;
        let text = query(input.query.as_deref())?;
        let state = value("state", input.state)?;
        let (tag, owner) = (value("tag", input.tag)?, value("owner", input.owner)?);
        let mut tx = call.begin().await?;
        let contact = contact(&mut tx, input.contact_id.as_deref()).await?;
        let company = company(&mut tx, input.company_id.as_deref()).await?;
        let arguments = [
            ("query", json!(input.query)),
            ("state", json!(state)),
            ("tag", json!(tag)),
            ("owner", json!(owner)),
            ("contact_id", json!(contact)),
            ("company_id", json!(company)),
            ("active_since", json!(input.active_since)),
            ("active_before", json!(input.active_before)),
            ("detail", json!(detail)),
        ];
        let pager = call.pager(&format!("search_conversations?{}", json!(&arguments[..8])))?;
        let from: Option<Mark> = pager.position(input.cursor.as_deref())?;
        let shown_before = from.map_or(0, |(.., shown)| shown);
        let request = SearchRequest {
            text,
            kinds: vec![SearchKind::Conversation],
            filters: SearchFilters {
                state,
                tag,
                owner,
                contact,
                company,
                active_since: input.active_since,
                active_before: input.active_before,
                ..SearchFilters::default()
            },
        };
        let matches = search::find(&mut tx, &request).await?;
        let after = from.as_ref().map(position);
        let (hits, more) = matches.page(&mut tx, after, detail.page()).await?;
        let ids: Vec<Uuid> = hits.iter().map(|hit| hit.document.id).collect();
        let records = tx.conversations_by_id(&ids).await?;
        let records: HashMap<Uuid, ConversationRecord> = records
            .into_iter()
            .map(|record| (record.id, record))
            .collect();
        let counts = match input.count_by.filter(|_| from.is_none()) {
            Some(by) => Some(Counts::read(&mut tx, by, &matches.ids(), detail).await?),
            None => None,
        };
        let workspaces = Workspaces::read(&mut tx).await?;
        drop(tx);
        let inbox = workspaces.inbox();
        let page = Page {
            tool: Self::NAME,
            arguments: &arguments,
            pager: &pager,
            matches: &matches,
            hits: &hits,
            has_more: more.is_some(),
            shown_before,
        };
        Answer::fitting(detail, hits.len(), |items| {
            let shown = &hits[..items];
            let (left, next) = page.what_follows(items)?;
            let lines = shown.iter().filter_map(|hit| {
                let record = records.get(&hit.document.id)?.clone();
                Some(FoundConversation::of(record, hit, &inbox, detail))
            });
            Ok(Conversations {
                found: Found::of(&matches),
                counts: counts.clone(),
                conversations: lines.collect(),
                left,
                next,
                freshness: workspaces.freshness(),
            })
        })
    }
}

impl FoundConversation {
    fn of(record: ConversationRecord, hit: &SearchHit, inbox: &Inbox, detail: Detail) -> Self {
        Self {
            conversation: ConversationLine::of(record, inbox, detail),
            untrusted_snippet: Untrusted::of(&hit.snippet, detail.long_value()),
        }
    }
}
