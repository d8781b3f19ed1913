//! What the two searches have in common.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use shared::{
    search::{FILTER_CHARACTERS, QUERY_CHARACTERS, SearchHit, SearchMatches, SearchPosition},
    store::ApiTx,
};
use uuid::Uuid;

use crate::{
    mcp::{answer::NextCall, call, refusal::Refusal},
    page::Pager,
};

/// A cursor's content: the last item's score as bits, its time and id, and how many items were shown up to it.
pub(super) type Mark = (u32, DateTime<Utc>, Uuid, usize);

/// How much was found, and how sure that is.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Found {
    /// How many objects match.
    total: u32,
    /// Whether total is exact. If not, at least so many match, and only the newest of them are ranked.
    total_is_exact: bool,
    /// all: each item has all words of the query. any: nothing has all of them, so each item has some.
    matched: &'static str,
    /// Changes up to this time are searched. Absent if nothing is searched yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    searched_until: Option<DateTime<Utc>>,
}

impl Found {
    pub(super) fn of(matches: &SearchMatches) -> Self {
        let progress = matches.progress.as_ref();
        Self {
            total: u32::try_from(matches.total()).unwrap_or(u32::MAX),
            total_is_exact: matches.is_complete,
            matched: if matches.matches_any { "any" } else { "all" },
            searched_until: progress.map(|progress| progress.indexed_until),
        }
    }
}

/// The query of a search. None stands for everything that the filters let through.
///
/// # Errors
/// If it is too long.
pub(super) fn query(text: Option<&str>) -> Result<String, Refusal> {
    let text = text.unwrap_or_default();
    if text.chars().count() > QUERY_CHARACTERS {
        let fix = format!("must have at most {QUERY_CHARACTERS} characters");
        return Err(Refusal::argument("query", &fix));
    }
    Ok(text.to_owned())
}

/// The value of a filter.
///
/// # Errors
/// If it is too long.
pub(super) fn value(name: &str, text: Option<String>) -> Result<Option<String>, Refusal> {
    let length = text.as_ref().map_or(0, |text| text.chars().count());
    if length > FILTER_CHARACTERS {
        let fix = format!("must have at most {FILTER_CHARACTERS} characters");
        return Err(Refusal::argument(name, &fix));
    }
    Ok(text)
}

/// The contact that a filter names. An id that stands for another one is that one, and an unknown one finds nothing.
///
/// # Errors
/// If it is no id.
pub(super) async fn contact(tx: &mut ApiTx, given: Option<&str>) -> Result<Option<Uuid>, Refusal> {
    let Some(given) = given else { return Ok(None) };
    let id = call::id("contact_id", given)?;
    Ok(Some(tx.resolve_contact(id).await?.unwrap_or(id)))
}

/// The company that a filter names, in the same way.
///
/// # Errors
/// If it is no id.
pub(super) async fn company(tx: &mut ApiTx, given: Option<&str>) -> Result<Option<Uuid>, Refusal> {
    let Some(given) = given else { return Ok(None) };
    let id = call::id("company_id", given)?;
    Ok(Some(tx.resolve_company(id).await?.unwrap_or(id)))
}

pub(super) const fn position(mark: &Mark) -> SearchPosition {
    let (score, active_at, id, _) = *mark;
    SearchPosition {
        score: f32::from_bits(score),
        active_at,
        id,
    }
}

const fn mark(position: SearchPosition, shown: usize) -> Mark {
    let SearchPosition {
        score,
        active_at,
        id,
    } = position;
    (score.to_bits(), active_at, id, shown)
}

/// One page of a search, of which an answer shows the first items.
pub(super) struct Page<'a> {
    pub(super) tool: &'static str,
    /// What selects the matches, and the detail.
    pub(super) arguments: &'a [(&'static str, Value)],
    pub(super) pager: &'a Pager<'a>,
    pub(super) matches: &'a SearchMatches,
    pub(super) hits: &'a [SearchHit],
    /// Whether matches follow behind the page.
    pub(super) has_more: bool,
    /// Matches of the pages before.
    pub(super) shown_before: usize,
}

impl Page<'_> {
    /// How many matches come after the first items of the page, and the call that shows them.
    ///
    /// # Errors
    /// If the system gives no random bytes for sealing.
    pub(super) fn what_follows(&self, items: usize) -> Result<(usize, Option<NextCall>), Refusal> {
        let shown = self.shown_before + items;
        let is_cut = items < self.hits.len() || self.has_more;
        match self.hits[..items].last() {
            Some(last) if is_cut => {
                let cursor = self.pager.cursor(&mark(last.position(), shown))?;
                let next = NextCall::following(self.tool, self.arguments, cursor);
                let left = self.matches.total().saturating_sub(shown);
                Ok((left.max(1), Some(next)))
            }
            _ => Ok((0, None)),
        }
    }
}
