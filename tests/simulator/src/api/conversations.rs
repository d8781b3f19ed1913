//! `/conversations`: list, search, one with its parts, and the deleted ones.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::Call;
use crate::errors::ApiError;
use crate::pages;
use crate::reply::Reply;
use crate::search::{self, CONVERSATION_FIELDS, Dates, Found, Node, Request, Rules, Searched};
use crate::spec::SortByCreation;
use crate::store::{ConversationEntry, State};
use crate::versions::{self, Version};

/// `GET /conversations`: everything, in no useful order.
pub(crate) fn list(call: Call<'_>) -> Result<Reply, ApiError> {
    let request = Request {
        node: Node::All(Vec::new()),
        sort: None,
        per_page: pages::positive("per_page", call.query.get("per_page"), 20, 150)?,
        starting_after: call.query.get("starting_after").map(ToOwned::to_owned),
        key: "conversations".to_owned(),
    };
    find(call, &request)
}

/// `POST /conversations/search`: exact to the second. Without `sort` the order is arbitrary.
pub(crate) fn search(call: Call<'_>) -> Result<Reply, ApiError> {
    let mut request = search::parse(
        call.body,
        &Rules {
            fields: CONVERSATION_FIELDS,
            dates: Dates::Seconds {
                inclusive: call.workspace.world.spec.conversation_bounds_inclusive,
                lists: true,
                no_millis: true,
            },
            per_page: 20,
            strict_order: call.version >= Version::V2_16,
        },
    )?;
    let is_by_creation = matches!(&request.sort, Some((field, _)) if field == "created_at");
    match call.workspace.world.spec.sort_by_created_at {
        SortByCreation::Ignored if is_by_creation => {
            request.sort = Some(("updated_at".to_owned(), true));
        }
        SortByCreation::Refused if is_by_creation => {
            return Err(ApiError::new(
                400,
                "invalid_field",
                "created_at is not a field to sort by",
            ));
        }
        _ => {}
    }
    find(call, &request)
}

fn find(call: Call<'_>, request: &Request) -> Result<Reply, ApiError> {
    let shelf = call.shelf;
    let searched = Searched {
        table: &shelf.store.conversations,
        lists: |_, _| None,
        shown: None,
        generation: shelf.store.generation,
        cursor_ttl: call.workspace.world.spec.cursor_ttl_seconds,
        now: call.now,
    };
    let Found { ids, total, pages } = search::run(&searched, request, &mut shelf.totals)?;
    let bodies = ids
        .iter()
        .filter_map(|id| shelf.store.conversations.get(&id.0))
        .map(|entry| versions::conversation(&entry.head.body, call.version));
    let tail = json!({"total_count": total, "pages": pages});
    Ok(pages::page(
        "conversation.list",
        "conversations",
        bodies,
        &tail,
    ))
}

/// `GET /conversations/{id}`: with the newest 500 parts, oldest first.
pub(crate) fn get(call: &Call<'_>) -> Result<Reply, ApiError> {
    let entry = call
        .shelf
        .store
        .conversations
        .get(call.id)
        .filter(|entry| entry.head.state == State::Live)
        .ok_or_else(ApiError::conversation_not_found)?;
    let body = with_parts(entry, call);
    let plain = match call.query.get("display_as") {
        None => false,
        Some("plaintext") => true,
        Some(_) => return Err(ApiError::parameter("display_as must be plaintext")),
    };
    if plain && let Ok(mut conversation) = serde_json::from_slice::<Value>(&body) {
        plaintext(&mut conversation);
        return Ok(Reply::json(200, conversation.to_string()));
    }
    Ok(Reply::json(200, body))
}

fn with_parts(entry: &ConversationEntry, call: &Call<'_>) -> Vec<u8> {
    let stub = versions::conversation(&entry.head.body, call.version);
    let Some(open) = stub.trim_ascii_end().strip_suffix(b"}") else {
        // Foreign bytes that are no object.
        return stub.into_owned();
    };
    let shown = entry.shown();
    let size: usize = shown.iter().map(|part| part.body.len() + 1).sum();
    let mut body = Vec::with_capacity(open.len() + size + 160);
    body.extend_from_slice(open);
    body.extend_from_slice(
        b",\"conversation_parts\":{\"type\":\"conversation_part.list\",\"conversation_parts\":[",
    );
    let parts = shown
        .iter()
        .map(|part| versions::part(&part.body, call.version));
    pages::join(&mut body, parts);
    let total = if call.workspace.world.spec.parts_total_is_full {
        entry.parts.len()
    } else {
        shown.len()
    };
    body.extend_from_slice(format!("],\"total_count\":{total}}}}}").as_bytes());
    body
}

/// Strips HTML from the subject and all bodies. Links become `label (url)`.
fn plaintext(conversation: &mut Value) {
    let strip = |object: &mut Value| {
        for field in ["subject", "body"] {
            if let Some(html) = object[field].as_str() {
                object[field] = json!(strip_html(html));
            }
        }
    };
    if conversation["source"]
        .as_object()
        .is_some_and(|source| !source.is_empty())
    {
        strip(&mut conversation["source"]);
    }
    let parts = conversation["conversation_parts"]["conversation_parts"].as_array_mut();
    for part in parts.into_iter().flatten() {
        strip(part);
    }
}

fn strip_html(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    let mut link: Option<String> = None;
    while let Some((before, tail)) = rest.split_once('<') {
        text.push_str(before);
        let Some((tag, after)) = tail.split_once('>') else {
            rest = tail;
            break;
        };
        if let Some((_, url)) = tag.split_once("href=\"") {
            link = url.split_once('"').map(|(url, _)| url.to_owned());
        } else if tag == "/a"
            && let Some(url) = link.take()
        {
            text.push_str(&format!(" ({url})"));
        }
        rest = after;
    }
    text.push_str(rest);
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

/// `GET /conversations/deleted`: page numbers, by time of deletion.
pub(crate) fn deleted(call: &Call<'_>) -> Result<Reply, ApiError> {
    let per_page = pages::positive("per_page", call.query.get("per_page"), 20, 60)?;
    let page = pages::positive("page", call.query.get("page"), 1, u64::MAX)?;
    let order = call.query.get("order").unwrap_or("desc");
    let all = &call.shelf.store.deleted_conversations;
    let skip = usize::try_from((page - 1).saturating_mul(per_page)).unwrap_or(usize::MAX);
    let take = usize::try_from(per_page).unwrap_or(usize::MAX);
    let shown: Vec<_> = match order {
        "asc" => all.iter().skip(skip).take(take).collect(),
        "desc" => all.iter().rev().skip(skip).take(take).collect(),
        _ => return Err(ApiError::parameter("order must be asc or desc")),
    };
    let bodies = shown.into_iter().map(|((at, id), retained)| {
        let gone = json!({
            "type": "conversation",
            "id": &*id.0,
            "metrics_retained": retained,
            "deleted_at": at,
        });
        Cow::Owned(gone.to_string().into_bytes())
    });
    let tail = json!({
        "pages": pages::url_pages(
            &format!("{}/conversations/deleted", call.base),
            &format!("&order={order}"),
            page,
            per_page,
            all.len(),
        ),
        "total_count": all.len(),
    });
    Ok(pages::page(
        "conversations.list",
        "conversations",
        bodies,
        &tail,
    ))
}
