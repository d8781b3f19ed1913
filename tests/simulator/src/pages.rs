//! Pages of objects, put together from rendered bytes.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::cursor::Cursor;
use crate::errors::ApiError;
use crate::reply::Reply;
use crate::store::{Id, Index, Walk};

/// Writes `{"type":…, key:[objects], "total_count":…, "pages":…}`.
pub(crate) fn page<'o>(
    kind: &str,
    key: &str,
    objects: impl Iterator<Item = Cow<'o, [u8]>>,
    tail: &Value,
) -> Reply {
    let mut body = Vec::with_capacity(64 * 1024);
    body.extend_from_slice(format!("{{\"type\":\"{kind}\",\"{key}\":[").as_bytes());
    join(&mut body, objects);
    body.push(b']');
    // `tail` is an object: its fields go on behind the list.
    let tail = tail.to_string();
    if let Some(fields) = tail.strip_prefix('{').filter(|fields| *fields != "}") {
        body.push(b',');
        body.extend_from_slice(fields.as_bytes());
    } else {
        body.push(b'}');
    }
    Reply::json(200, body)
}

/// Writes objects with commas between.
pub(crate) fn join<'o>(body: &mut Vec<u8>, objects: impl Iterator<Item = Cow<'o, [u8]>>) {
    for (n, object) in objects.enumerate() {
        if n > 0 {
            body.push(b',');
        }
        body.extend_from_slice(&object);
    }
}

/// Reads a positive number that is cut down to `max`.
///
/// # Errors
/// 400 where it is no positive number.
pub(crate) fn positive(
    name: &str,
    text: Option<&str>,
    default: u64,
    max: u64,
) -> Result<u64, ApiError> {
    let Some(text) = text else {
        return Ok(default);
    };
    match text.parse::<u64>() {
        Ok(number) if number > 0 => Ok(number.min(max)),
        _ => Err(ApiError::parameter(format!(
            "{name} must be a positive integer"
        ))),
    }
}

/// One page of a keyset walk.
#[derive(Debug)]
pub(crate) struct Cut {
    pub(crate) ids: Vec<Id>,
    /// The key of the last object, where more follow.
    pub(crate) next: Option<(i64, Id)>,
}

/// Takes `per_page` objects that `keep` accepts.
pub(crate) fn cut(
    index: &Index,
    walk: &Walk,
    per_page: u64,
    mut keep: impl FnMut(&Id) -> bool,
) -> Cut {
    let per_page = usize::try_from(per_page).unwrap_or(usize::MAX);
    let mut ids = Vec::with_capacity(per_page.min(256));
    let mut last = None;
    for key in walk.over(index) {
        if !keep(&key.1) {
            continue;
        }
        if ids.len() == per_page {
            return Cut { ids, next: last };
        }
        ids.push(key.1.clone());
        last = Some(key.clone());
    }
    Cut { ids, next: None }
}

/// `pages` with a cursor object. On the last page `next` is left out, as recorded.
pub(crate) fn cursor_pages(
    cut: &Cut,
    sorted: bool,
    page: u64,
    per_page: u64,
    total: usize,
) -> Value {
    let mut pages = json!({
        "type": "pages",
        "page": page,
        "per_page": per_page,
        "total_pages": (total as u64).div_ceil(per_page),
    });
    if let Some((sort, id)) = &cut.next {
        let cursor = Cursor {
            sort: sorted.then_some(*sort),
            id: id.clone(),
            page: page + 1,
        };
        pages["next"] = json!({"page": page + 1, "starting_after": cursor.encode()});
    }
    pages
}

/// `pages` with a URL. On the last page `next` is null.
pub(crate) fn url_pages(path: &str, extra: &str, page: u64, per_page: u64, total: usize) -> Value {
    let total_pages = (total as u64).div_ceil(per_page);
    json!({
        "type": "pages",
        "next": (page < total_pages)
            .then(|| format!("{path}?per_page={per_page}&page={}{extra}", page + 1)),
        "page": page,
        "per_page": per_page,
        "total_pages": total_pages,
    })
}
