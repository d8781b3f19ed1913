//! A page of a list. Its cursors are sealed as those of REST are, and open for its own list and tenant alone.

use axum::extract::{Path, rejection::PathRejection};
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use shared::store::reads::Position;
use uuid::Uuid;

use crate::{extract::id, page::Pager, pages::notice::Refusal};

/// The time and id of a page's last row.
pub(super) type Mark = (DateTime<Utc>, Uuid);

/// The query of a page with a list. Whatever else it has is not read.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct ListedQuery {
    /// What is searched for. Empty for the list itself.
    #[serde(default)]
    pub(super) q: String,
    /// Empty for the first page.
    #[serde(default)]
    pub(super) cursor: String,
}

/// The rows of one page.
#[derive(Clone, Debug)]
pub(super) struct Paged<Row> {
    pub(super) rows: Vec<Row>,
    /// Of the next page. `None` on the last one.
    pub(super) cursor: Option<String>,
}

impl<Row> Paged<Row> {
    /// Rows of which there may be one more than a page has.
    ///
    /// # Errors
    /// If the system gives no random bytes for sealing.
    pub(super) fn of<P: Serialize>(
        pager: &Pager<'_>,
        mut fetched: Vec<Row>,
        mark: impl Fn(&Row) -> P,
    ) -> Result<Self, Refusal> {
        let has_more = fetched.len() > pager.limit();
        fetched.truncate(pager.limit());
        let last = fetched.last().filter(|_| has_more);
        let cursor = last.map(|last| pager.cursor(&mark(last))).transpose()?;
        Ok(Self {
            rows: fetched,
            cursor,
        })
    }
}

/// Where a page begins.
///
/// # Errors
/// If the cursor is not of this list and tenant.
pub(super) fn begin<P: DeserializeOwned>(
    pager: &Pager<'_>,
    cursor: &str,
) -> Result<Option<P>, Refusal> {
    let cursor = Some(cursor).filter(|cursor| !cursor.is_empty());
    pager.position(cursor).map_err(|_| Refusal::Cursor)
}

/// The id of a path. What is no id is unknown like any other.
///
/// # Errors
/// If it is no id.
pub(super) fn asked_id(asked: Result<Path<String>, PathRejection>) -> Result<Uuid, Refusal> {
    let Path(text) = asked.map_err(|_| Refusal::NotFound)?;
    Ok(id(&text)?)
}

/// The position before a mark, in a list from newest to oldest.
pub(super) fn before(mark: Option<Mark>) -> Position {
    mark.map_or_else(Position::newest, |(at, id)| Position { at, id })
}

/// The links between pages of a list. `query` is what all its pages have in their query, and `words` are those of the links
/// to the first and to the next page.
pub(super) fn links(
    path: &str,
    query: &[(&str, &str)],
    is_first: bool,
    next: Option<&str>,
    words: [&str; 2],
) -> Markup {
    let href = |cursor: Option<&str>| {
        let pairs = query.iter().copied();
        let pairs: Vec<_> = pairs
            .chain(cursor.map(|cursor| ("cursor", cursor)))
            .collect();
        // Pairs of texts can always be written.
        let written = serde_urlencoded::to_string(pairs).unwrap_or_default();
        let (path, piece) = path.split_once('#').unwrap_or((path, ""));
        let mark = if written.is_empty() { "" } else { "?" };
        let hash = if piece.is_empty() { "" } else { "#" };
        format!("{path}{mark}{written}{hash}{piece}")
    };
    let [first_word, next_word] = words;
    html! {
        @if !is_first || next.is_some() {
            nav class="pages" aria-label="Pages of this list" {
                @if !is_first { a class="button quiet" href=(href(None)) { (first_word) } }
                @if let Some(next) = next { a class="button quiet" rel="next" href=(href(Some(next))) { (next_word) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_carry_the_query_and_escape_it() {
        let words = ["First", "Next"];
        let shown = |is_first, next| {
            links("/c#list", &[("q", "a&b=\"c d")], is_first, next, words).into_string()
        };
        assert_eq!(shown(true, None), "");
        let both = shown(false, Some("x-y_z"));
        assert!(both.contains("href=\"/c?q=a%26b%3D%22c+d#list\""), "{both}");
        let next = "href=\"/c?q=a%26b%3D%22c+d&amp;cursor=x-y_z#list\"";
        assert!(both.contains(next), "{both}");
        assert!(
            links("/c", &[], false, None, words)
                .into_string()
                .contains("href=\"/c\"")
        );
    }
}
