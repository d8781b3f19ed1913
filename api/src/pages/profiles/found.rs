//! What a search has found, as `POST /v1/search` finds it.

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use shared::{
    domain::{TenantId, search::SearchKind},
    search::{
        self, QUERY_CHARACTERS, SearchFilters, SearchHit, SearchMatches, SearchPosition,
        SearchRequest,
    },
};
use uuid::Uuid;

use super::{
    naming::first_visible,
    paging::{self, ListedQuery},
};
use crate::{
    Api,
    page::Pager,
    pages::{
        notice::Refusal,
        text::{ago, counted, number, shown},
    },
};

/// Items on a page.
const ITEMS: u32 = 25;
const SNIPPET: usize = 400;

/// A cursor's content: the score as its bits, so that it stays exactly what it is.
type ScoredMark = (u32, DateTime<Utc>, Uuid);

/// Searches, and shows a page of what was found, best first.
///
/// # Errors
/// If the cursor is of another search, or when Postgres fails.
pub(super) async fn show(
    api: &Api,
    tenant: TenantId,
    query: &ListedQuery,
) -> Result<Markup, Refusal> {
    let list = format!("page of a search?{}", query.q);
    let pager = Pager::new(&api.vault, tenant, &list, Some(ITEMS))?;
    let after: Option<ScoredMark> = paging::begin(&pager, &query.cursor)?;
    let request = SearchRequest {
        text: query.q.clone(),
        kinds: SearchKind::ALL.to_vec(),
        filters: SearchFilters::default(),
    };
    let position = after.map(|(score, active_at, id)| SearchPosition {
        score: f32::from_bits(score),
        active_at,
        id,
    });
    let mut tx = api.store.begin(tenant).await?;
    let matches = search::find(&mut tx, &request).await?;
    let (hits, next) = matches.page(&mut tx, position, pager.limit()).await?;
    drop(tx);
    let next = next
        .map(|last| pager.cursor(&(last.score.to_bits(), last.active_at, last.id)))
        .transpose()?;
    let links = paging::links(
        "/contacts",
        &[("q", &query.q)],
        after.is_none(),
        next.as_deref(),
        ["Best matches", "More matches"],
    );
    Ok(html! {
        h2 { "Search" }
        p role="status" { (summary(&matches)) @for note in notes(&matches) { " " (note) } }
        @if hits.is_empty() { (no_match()) } @else { (items(&hits)) }
        (links)
        p { a href="/contacts" { "Show all contacts" } }
    })
}

/// In the place of what would be found by a text that is too long.
pub(super) fn too_long() -> Markup {
    html! {
        p class="banner warn" role="status" {
            "This is too long to search for. Use at most " (number(QUERY_CHARACTERS as i64)) " characters, such as a name, an \
             address or a few words of a message."
        }
        p { a href="/contacts" { "Show all contacts" } }
    }
}

fn summary(matches: &SearchMatches) -> String {
    let total = counted(matches.total() as i64, "match", "matches");
    if matches.is_complete {
        format!("{total}, the best ones first.")
    } else {
        format!("More than {total}. Only the newest of them are shown, so add words to see others.")
    }
}

fn notes(matches: &SearchMatches) -> Vec<&'static str> {
    let mut notes = Vec::new();
    if matches.matches_any && matches.total() > 0 {
        notes.push("Nothing has all of these words, so these have some of them.");
    }
    if !matches
        .progress
        .as_ref()
        .is_some_and(|progress| progress.is_current)
    {
        notes.push("What was stored in the last seconds is not searched yet.");
    }
    notes
}

fn no_match() -> Markup {
    html! {
        section class="card" data-state="no_match" {
            h3 { "Nothing was found" }
            p { "Try fewer words, or the beginning of one. An address, a phone number, an id and a conversation's number are \
                 found as they are." }
        }
    }
}

fn items(hits: &[SearchHit]) -> Markup {
    let now = Utc::now();
    html! {
        ol class="found" {
            @for hit in hits {
                @let document = &hit.document;
                li {
                    span class="badge quiet" { (kind(document.kind)) } " "
                    a href=(href(document.kind, document.id)) { bdi { (title(&document.title)) } }
                    @if let Some(snippet) = first_visible([Some(hit.snippet.as_str())]) {
                        // The first words tell whether anything of it can be seen.
                        @if snippet != title(&document.title) { p { bdi { (shown(&hit.snippet, SNIPPET)) } } }
                    }
                    p class="dim about" { "Changed " (ago(document.updated_at, now)) "." }
                }
            }
        }
    }
}

fn title(title: &str) -> String {
    first_visible([Some(title)]).unwrap_or_else(|| "Without a name".to_owned())
}

const fn kind(kind: SearchKind) -> &'static str {
    match kind {
        SearchKind::Contact => "Contact",
        SearchKind::Company => "Company",
        SearchKind::Conversation => "Conversation",
    }
}

fn href(kind: SearchKind, id: Uuid) -> String {
    match kind {
        SearchKind::Contact => format!("/contacts/{id}"),
        SearchKind::Company => format!("/companies/{id}"),
        SearchKind::Conversation => format!("/conversations/{id}"),
    }
}
