//! Runs a search over a table: chooses an index, walks only the part that can match, and counts.

use std::borrow::Cow;

use serde_json::Value;

use super::filter::{Node, Subject};
use super::grammar::Request;
use crate::api::Totals;
use crate::cursor::Cursor;
use crate::errors::ApiError;
use crate::pages::{self, Cut};
use crate::store::{Entry, Id, Index, Table, Walk};

/// A table with what search needs to know beside it.
pub(crate) struct Searched<'s, E> {
    pub(crate) table: &'s Table<E>,
    /// Values of an object that are not all in its JSON.
    pub(crate) lists: fn(&E, &str) -> Option<Vec<String>>,
    /// Whether the index shows an object. `None` shows all.
    pub(crate) shown: Option<&'s dyn Fn(&E) -> bool>,
    /// Moves with every change.
    pub(crate) generation: u64,
    /// Seconds after which cursors expire.
    pub(crate) cursor_ttl: Option<u32>,
    pub(crate) now: i64,
}

/// One page of results.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) ids: Vec<Id>,
    pub(crate) total: usize,
    /// The `pages` object.
    pub(crate) pages: Value,
}

/// One page of a search.
///
/// # Errors
/// 400 for a cursor that is not one or has expired.
pub(crate) fn run<E: Entry>(
    searched: &Searched<'_, E>,
    request: &Request,
    totals: &mut Totals,
) -> Result<Found, ApiError> {
    let sorted = request.sort.is_some();
    let (place, descending) = request
        .sort
        .as_ref()
        .map_or(("", false), |(place, descending)| {
            (place.as_str(), *descending)
        });
    let index = index(searched, place);
    let (from, until) = request.node.bounds(place);
    let mut walk = Walk {
        from,
        until,
        after: None,
        descending,
    };
    let everything = walk.clone();
    let mut page = 1;
    if let Some(text) = &request.starting_after {
        if let Some(ttl) = searched.cursor_ttl {
            totals.check(text, ttl, searched.now)?;
        }
        let cursor = Cursor::decode(text, sorted)?;
        page = cursor.page;
        let sort = cursor
            .sort
            .or_else(|| searched.table.get(&cursor.id.0).map(Entry::unsorted))
            .ok_or_else(|| ApiError::parameter("starting_after is not a valid cursor"))?;
        walk.after = Some((sort, cursor.id));
    }
    let all = searched.shown.is_none() && request.node.is_only_bounds(place);
    let keep = |id: &Id| all || passes(searched, &request.node, id);
    let cut = pages::cut(&index, &walk, request.per_page, keep);
    let count = || everything.over(&index).filter(|(_, id)| keep(id)).count();
    let total = if searched.shown.is_some() {
        // What is shown depends on the clock, so the count cannot be remembered.
        count()
    } else {
        totals.get(request.key.clone(), searched.generation, count)
    };
    Ok(found(
        searched,
        cut,
        sorted,
        page,
        request.per_page,
        total,
        totals,
    ))
}

fn found<E>(
    searched: &Searched<'_, E>,
    cut: Cut,
    sorted: bool,
    page: u64,
    per_page: u64,
    total: usize,
    totals: &mut Totals,
) -> Found {
    let pages = pages::cursor_pages(&cut, sorted, page, per_page, total);
    if searched.cursor_ttl.is_some()
        && let Some(cursor) = pages["next"]["starting_after"].as_str()
    {
        totals.issued(cursor, searched.now);
    }
    Found {
        ids: cut.ids,
        total,
        pages,
    }
}

fn passes<E: Entry>(searched: &Searched<'_, E>, node: &Node, id: &Id) -> bool {
    searched.table.get(&id.0).is_some_and(|entry| {
        let lists = |place: &str| (searched.lists)(entry, place);
        searched.shown.is_none_or(|shown| shown(entry))
            && node.matches(&Subject::new(entry.head(), &lists))
    })
}

/// The index by a field: kept ones for the usual fields, a new one for the others.
fn index<'t, E: Entry>(searched: &Searched<'t, E>, place: &str) -> Cow<'t, Index> {
    let table = searched.table;
    match place {
        "" => Cow::Borrowed(&table.by_id),
        "updated_at" => Cow::Borrowed(&table.by_updated),
        "created_at" => Cow::Borrowed(&table.by_created),
        place => Cow::Owned(
            table
                .by_id
                .iter()
                .filter_map(|(_, id)| {
                    let entry = table.get(&id.0)?;
                    let lists = |place: &str| (searched.lists)(entry, place);
                    let subject = Subject::new(entry.head(), &lists);
                    let value = if place == "id" {
                        id.0.parse().unwrap_or(0)
                    } else {
                        subject.number(place).unwrap_or(0)
                    };
                    Some((value, id.clone()))
                })
                .collect(),
        ),
    }
}
