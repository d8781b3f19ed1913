//! Pages of the operators' lists. A cursor is the last item of the page before, by its id or by all that orders it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::error::ApiError;

const DEFAULT_LIMIT: i32 = 50;
const MAX_LIMIT: i32 = 200;

/// The number of items of a page.
///
/// # Errors
/// If the request asks for none or too many.
pub(super) fn limit(asked: Option<i32>) -> Result<i32, ApiError> {
    let limit = asked.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(ApiError::invalid(
            "limit",
            format!("must be 1 to {MAX_LIMIT}"),
        ));
    }
    Ok(limit)
}

/// The cursor of the next page. A full page may be the last one, and its cursor then leads to an empty page.
pub(super) fn next_cursor<T>(items: &[T], limit: i32, id: impl Fn(&T) -> Uuid) -> Option<Uuid> {
    let is_full = items.len() == limit as usize;
    items.last().filter(|_| is_full).map(id)
}

/// The last item of a page as a text, for a list that is ordered by more than ids.
pub(super) fn encoded(last: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(last).unwrap_or_default())
}

/// The item that a cursor stands for.
///
/// # Errors
/// If it is garbage, or one that Postgres could not compare with what it has.
pub(super) fn decoded<T: DeserializeOwned>(
    cursor: &str,
    is_storable: impl FnOnce(&T) -> bool,
) -> Result<T, ApiError> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    bytes
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .filter(is_storable)
        .ok_or_else(foreign_cursor)
}

/// A cursor of another list.
pub(super) fn foreign_cursor() -> ApiError {
    ApiError::invalid("cursor", "is not one of this list, so start without it")
}
