//! What belongs to one contact: the full lists behind its cut ones.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Call;
use super::contacts::readable;
use crate::errors::ApiError;
use crate::pages;
use crate::reply::Reply;
use crate::versions;

/// `GET /contacts/{id}/companies`: live companies. `pages.next` is a URL.
pub(crate) fn companies(call: &Call<'_>) -> Result<Reply, ApiError> {
    let contact = readable(call, call.id)?;
    let per_page = pages::positive("per_page", call.query.get("per_page"), 50, 60)?;
    let page = pages::positive("page", call.query.get("page"), 1, u64::MAX)?;
    let companies: Vec<_> = contact
        .companies
        .iter()
        .filter_map(|id| call.shelf.store.companies.live(id))
        .collect();
    let tail = json!({
        "pages": pages::url_pages(
            &format!("{}/contacts/{}/companies", call.base, call.id),
            "",
            page,
            per_page,
            companies.len(),
        ),
        "total_count": companies.len(),
    });
    let bodies = slice(&companies, page, per_page)
        .iter()
        .map(|entry| versions::company(&entry.head.body, call.version));
    Ok(pages::page("list", "data", bodies, &tail))
}

/// `GET /contacts/{id}/tags`: all at once, with names.
pub(crate) fn tags(call: &Call<'_>) -> Result<Reply, ApiError> {
    let contact = readable(call, call.id)?;
    let reference = &call.shelf.store.reference;
    let admin = reference.admins.first().map(|admin| admin.id.to_string());
    let tags: Vec<Value> = contact
        .tags
        .iter()
        .filter_map(|(id, at)| {
            let tag = reference.tags.iter().find(|tag| tag.id == *id)?;
            Some(json!({
                "type": "tag",
                "id": id,
                "name": tag.name,
                "applied_at": at,
                "applied_by": {"type": "admin", "id": admin},
            }))
        })
        .collect();
    Ok(list(&tags))
}

/// `GET /contacts/{id}/notes`: by pages, newest first.
pub(crate) fn notes(call: &Call<'_>) -> Result<Reply, ApiError> {
    let contact = readable(call, call.id)?;
    let per_page = pages::positive("per_page", call.query.get("per_page"), 50, 150)?;
    let page = pages::positive("page", call.query.get("page"), 1, u64::MAX)?;
    let reference = &call.shelf.store.reference;
    let notes: Vec<Value> = contact
        .notes
        .iter()
        .rev()
        .map(|note| {
            let author = reference
                .admins
                .iter()
                .chain([&reference.departed])
                .find(|admin| admin.id.to_string() == note.author);
            json!({
                "type": "note",
                "id": note.id,
                "created_at": note.created_at,
                "contact": {"type": "contact", "id": call.id},
                "author": author.map(|admin| admin.json(false)),
                "body": note.body,
            })
        })
        .collect();
    let tail = json!({
        "total_count": notes.len(),
        "pages": {
            "type": "pages",
            "next": null,
            "page": page,
            "per_page": per_page,
            "total_pages": (notes.len() as u64).div_ceil(per_page),
        },
    });
    let bodies = slice(&notes, page, per_page)
        .iter()
        .map(|note| Cow::Owned(note.to_string().into_bytes()));
    Ok(pages::page("list", "data", bodies, &tail))
}

/// `GET /contacts/{id}/segments`.
pub(crate) fn segments(call: &Call<'_>) -> Result<Reply, ApiError> {
    let contact = readable(call, call.id)?;
    let segments: Vec<Value> = call
        .shelf
        .store
        .reference
        .segments
        .iter()
        .filter(|segment| contact.segments.contains(&segment.id))
        .map(|segment| segment.json(None))
        .collect();
    Ok(list(&segments))
}

/// `GET /contacts/{id}/merge_history`: users only, in pages by `next_cursor` and `has_more`.
pub(crate) fn merge_history(call: &Call<'_>) -> Result<Reply, ApiError> {
    let contact = readable(call, call.id)?;
    if !contact.is_user {
        return Err(ApiError::contact_not_found());
    }
    let per_page = pages::positive("per_page", call.query.get("per_page"), 50, 150)?;
    let mut merges: Vec<_> = contact.merges.iter().collect();
    match call.query.get("order") {
        None | Some("desc") => merges.reverse(),
        Some("asc") => {}
        Some(_) => return Err(ApiError::parameter("order must be asc or desc")),
    }
    let skip = match call.query.get("cursor") {
        None => 0,
        Some(text) => STANDARD
            .decode(text)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
            .and_then(|cursor| cursor["offset"].as_u64())
            .ok_or_else(|| ApiError::parameter("cursor is not valid"))?,
    };
    let (skip, take) = (
        usize::try_from(skip).unwrap_or(usize::MAX),
        usize::try_from(per_page).unwrap_or(usize::MAX),
    );
    let end = skip.saturating_add(take);
    let more = merges.len() > end;
    let shown: Vec<_> = merges.iter().skip(skip).take(take).collect();
    let body = json!({
        "type": "list",
        "data": shown,
        "next_cursor": more.then(|| STANDARD.encode(json!({"offset": end}).to_string())),
        "has_more": more,
    });
    Ok(Reply::json(200, body.to_string()))
}

fn list(data: &[Value]) -> Reply {
    Reply::json(200, json!({"type": "list", "data": data}).to_string())
}

/// Page `page` of `all`, from 1.
pub(crate) fn slice<T>(all: &[T], page: u64, per_page: u64) -> &[T] {
    let per_page = usize::try_from(per_page).unwrap_or(usize::MAX);
    let start = usize::try_from(page - 1)
        .unwrap_or(usize::MAX)
        .saturating_mul(per_page)
        .min(all.len());
    &all[start..start.saturating_add(per_page).min(all.len())]
}
