//! `/contacts`: list, search, one.

use std::borrow::Cow;

use serde_json::json;

use super::Call;
use crate::errors::ApiError;
use crate::pages;
use crate::reply::Reply;
use crate::search::{self, CONTACT_FIELDS, Dates, Found, Node, Request, Rules, Searched};
use crate::store::{ContactEntry, State};
use crate::versions::{self, Version};

/// `GET /contacts`: everything, in id order. Not subject to the index delay of search.
pub(crate) fn list(call: Call<'_>) -> Result<Reply, ApiError> {
    let request = Request {
        node: Node::All(Vec::new()),
        sort: None,
        per_page: pages::positive("per_page", call.query.get("per_page"), 10, 150)?,
        starting_after: call.query.get("starting_after").map(ToOwned::to_owned),
        key: "contacts".to_owned(),
    };
    find(call, &request, false)
}

/// `POST /contacts/search`. Only the body counts. `starting_after` in the URL is ignored.
pub(crate) fn search(call: Call<'_>) -> Result<Reply, ApiError> {
    let dates =
        if call.version >= Version::V2_17 && !call.workspace.world.spec.contact_search_by_days {
            Dates::Seconds {
                inclusive: false,
                lists: false,
                no_millis: true,
            }
        } else {
            Dates::Days(call.workspace.tz)
        };
    let request = search::parse(
        call.body,
        &Rules {
            fields: CONTACT_FIELDS,
            dates,
            per_page: 50,
            strict_order: call.version >= Version::V2_16,
        },
    )?;
    find(call, &request, true)
}

fn find(call: Call<'_>, request: &Request, indexed: bool) -> Result<Reply, ApiError> {
    let spec = &call.workspace.world.spec;
    let blind = if call.version < Version::V2_17 && request.node.has_dates() {
        i64::from(spec.midnight_blind_seconds)
    } else {
        0
    };
    let now = call.now;
    let shown = |entry: &ContactEntry| {
        let after_midnight = entry.head.updated_at.rem_euclid(86_400);
        entry.searchable_from <= now && after_midnight.min(86_400 - after_midnight) >= blind
    };
    let partial = indexed && (spec.index_delay_seconds > 0 || blind > 0);
    let shelf = call.shelf;
    let searched = Searched {
        table: &shelf.store.contacts,
        lists,
        shown: partial.then_some(&shown),
        generation: shelf.store.generation,
        cursor_ttl: spec.cursor_ttl_seconds,
        now,
    };
    let Found { ids, total, pages } = search::run(&searched, request, &mut shelf.totals)?;
    let history = call.query.is_true("include_merge_history") && call.version >= Version::V2_16;
    let contacts = ids
        .iter()
        .filter_map(|id| shelf.store.contacts.get(&id.0))
        .map(|entry| form(entry, call.version, history));
    let tail = json!({"total_count": total, "pages": pages});
    Ok(pages::page("list", "data", contacts, &tail))
}

/// `GET /contacts/{id}`.
pub(crate) fn get(call: &Call<'_>) -> Result<Reply, ApiError> {
    one(call, call.id)
}

/// `GET /contacts/find_by_external_id/{id}`: users only.
pub(crate) fn by_external_id(call: &Call<'_>) -> Result<Reply, ApiError> {
    let id = call.shelf.store.external_ids.get(call.id);
    one(call, id.ok_or_else(ApiError::contact_not_found)?)
}

fn one(call: &Call<'_>, id: &str) -> Result<Reply, ApiError> {
    let entry = readable(call, id)?;
    let history = call.query.is_true("include_merge_history") && call.version >= Version::V2_16;
    Ok(Reply::json(
        200,
        form(entry, call.version, history).into_owned(),
    ))
}

/// A contact that can be read by id: live, or archived where the workspace shows those.
///
/// # Errors
/// 404. From version 2.16 on, a merged contact answers 410 with a link to its survivor.
pub(crate) fn readable<'c>(call: &'c Call<'_>, id: &str) -> Result<&'c ContactEntry, ApiError> {
    let store = &call.shelf.store;
    let entry = store
        .contacts
        .get(id)
        .ok_or_else(ApiError::contact_not_found)?;
    match &entry.head.state {
        State::Live => Ok(entry),
        State::Archived if call.workspace.world.spec.archived_get_found => Ok(entry),
        State::MergedInto(survivor) if call.version >= Version::V2_16 => {
            // The chain is followed up to three hops.
            let mut canonical = survivor;
            for _ in 0..2 {
                match store.contacts.get(canonical).map(|next| &next.head.state) {
                    Some(State::MergedInto(next)) => canonical = next,
                    _ => break,
                }
            }
            let mut gone = ApiError::new(
                410,
                "contact_merged",
                "This contact has been merged. See the 'Link' header for the canonical contact.",
            );
            gone.canonical = Some(format!("/contacts/{canonical}"));
            Err(gone)
        }
        State::Deleted | State::Archived | State::MergedInto(_) => {
            Err(ApiError::contact_not_found())
        }
    }
}

/// The contact as the call's version shows it.
pub(crate) fn form(entry: &ContactEntry, version: Version, history: bool) -> Cow<'_, [u8]> {
    let body = versions::contact(&entry.head.body, version);
    if !history || !entry.is_user {
        return body;
    }
    let Some(open) = body.strip_suffix(b"}") else {
        return body;
    };
    let mut with = open.to_vec();
    if open.trim_ascii_end() != b"{" {
        with.push(b',');
    }
    with.extend_from_slice(b"\"merge_history\":");
    with.extend_from_slice(json!(entry.merges).to_string().as_bytes());
    with.push(b'}');
    Cow::Owned(with)
}

fn lists(entry: &ContactEntry, place: &str) -> Option<Vec<String>> {
    match place {
        "tag_id" => Some(entry.tags.iter().map(|(id, _)| id.clone()).collect()),
        "segment_id" => Some(entry.segments.clone()),
        _ => None,
    }
}
