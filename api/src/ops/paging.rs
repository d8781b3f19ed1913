//! Pages of the operators' lists, whose cursor is the last id of the page before.

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
