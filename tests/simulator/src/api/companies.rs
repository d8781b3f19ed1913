//! `/companies`: page-numbered lists, lookup, one, and its contacts.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::Call;
use super::contacts::form;
use crate::cursor::Cursor;
use crate::errors::ApiError;
use crate::pages;
use crate::reply::Reply;
use crate::store::{CompanyEntry, Entry, Id, Index, Walk};
use crate::versions;

/// More than this many companies need the scroll.
const LIST_CAP: u64 = 10_000;

/// `GET /companies`: a lookup by name or company_id, or a list, maybe of a tag or segment.
pub(crate) fn list(call: &Call<'_>) -> Result<Reply, ApiError> {
    let store = &call.shelf.store;
    let wanted = |entry: &&CompanyEntry| {
        let is = |name: &str, value: Option<&str>| {
            call.query.get(name).is_none_or(|want| Some(want) == value)
        };
        is("name", entry.name.as_deref()) && is("company_id", Some(&entry.company_id))
    };
    if call.query.get("name").is_some() || call.query.get("company_id").is_some() {
        let entry = store
            .companies
            .by_id
            .iter()
            .filter_map(|(_, id)| store.companies.get(&id.0))
            .find(wanted)
            .ok_or_else(ApiError::company_not_found)?;
        return Ok(single(entry, call));
    }
    let fits = |entry: &CompanyEntry| {
        let has = |name: &str, ids: &[String]| {
            call.query
                .get(name)
                .is_none_or(|want| ids.iter().any(|id| id == want))
        };
        has("tag_id", &entry.tags) && has("segment_id", &entry.segments)
    };
    numbered(call, "/companies", "", &fits)
}

/// `POST /companies/list`: parameters in the URL, like `GET /companies`, with an order.
pub(crate) fn list_post(call: &Call<'_>) -> Result<Reply, ApiError> {
    let extra = match call.query.get("order") {
        None => String::new(),
        Some(order @ ("asc" | "desc")) => format!("&order={order}"),
        Some(_) => return Err(ApiError::parameter("order must be asc or desc")),
    };
    numbered(call, "/companies/list", &extra, &|_| true)
}

/// Companies that have users, by `last_request_at`.
fn numbered(
    call: &Call<'_>,
    path: &str,
    extra: &str,
    fits: &dyn Fn(&CompanyEntry) -> bool,
) -> Result<Reply, ApiError> {
    let max = u64::from(call.workspace.world.spec.company_list_max_per_page.max(1));
    let per_page = pages::positive("per_page", call.query.get("per_page"), 15.min(max), max)?;
    let page = pages::positive("page", call.query.get("page"), 1, u64::MAX)?;
    if (page - 1).saturating_mul(per_page) + per_page > LIST_CAP {
        return Err(ApiError::new(
            400,
            "bad_request",
            "page limit reached, please use scroll API",
        ));
    }
    let store = &call.shelf.store;
    let walk = Walk {
        descending: !extra.ends_with("asc") || extra.is_empty(),
        ..Walk::all()
    };
    let all: Vec<&CompanyEntry> = walk
        .over(&store.companies.by_rank)
        .filter(|(_, id)| store.has_users(&id.0))
        .filter_map(|(_, id)| store.companies.get(&id.0))
        .filter(|entry| fits(entry))
        .collect();
    let tail = json!({
        "pages": pages::url_pages(&format!("{}{path}", call.base), extra, page, per_page, all.len()),
        "total_count": all.len(),
    });
    let bodies = super::contact_lists::slice(&all, page, per_page)
        .iter()
        .map(|entry| versions::company(&entry.head.body, call.version));
    Ok(pages::page("list", "data", bodies, &tail))
}

/// `GET /companies/{id}`.
pub(crate) fn get(call: &Call<'_>) -> Result<Reply, ApiError> {
    let entry = call.shelf.store.companies.live(call.id);
    Ok(single(entry.ok_or_else(ApiError::company_not_found)?, call))
}

/// `GET /companies/{id}/contacts`: live contacts in id order, with a cursor object.
pub(crate) fn contacts(call: &Call<'_>) -> Result<Reply, ApiError> {
    let store = &call.shelf.store;
    store
        .companies
        .live(call.id)
        .ok_or_else(ApiError::company_not_found)?;
    let per_page = pages::positive("per_page", call.query.get("per_page"), 50, 150)?;
    let members: Index = store
        .members
        .get(call.id)
        .into_iter()
        .flatten()
        .map(|id: &Id| (0, id.clone()))
        .collect();
    let mut walk = Walk::all();
    let mut page = 1;
    if let Some(text) = call.query.get("starting_after") {
        let cursor = Cursor::decode(text, false)?;
        page = cursor.page;
        walk.after = Some((0, cursor.id));
    }
    let cut = pages::cut(&members, &walk, per_page, |_| true);
    let tail = json!({
        "total_count": members.len(),
        "pages": pages::cursor_pages(&cut, false, page, per_page, members.len()),
    });
    let bodies = cut
        .ids
        .iter()
        .filter_map(|id| store.contacts.get(&id.0))
        .map(|entry| form(entry, call.version, false));
    Ok(pages::page("list", "data", bodies, &tail))
}

fn single(entry: &CompanyEntry, call: &Call<'_>) -> Reply {
    let body: Cow<'_, [u8]> = versions::company(&entry.head().body, call.version);
    Reply::json(200, body.into_owned())
}

/// The companies of a scroll page.
pub(crate) fn scroll_page(bodies: &[&CompanyEntry], call: &Call<'_>, scroll_param: &str) -> Reply {
    let tail = json!({
        "pages": Value::Null,
        "total_count": Value::Null,
        "scroll_param": scroll_param,
    });
    let bodies = bodies
        .iter()
        .map(|entry| versions::company(&entry.head.body, call.version));
    pages::page("list", "data", bodies, &tail)
}
