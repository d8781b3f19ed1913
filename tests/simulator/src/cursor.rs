//! Search cursors: base64 of `[sort value in ms, id, page]`, as published examples show. A
//! keyset, so it survives changes: whatever sorts behind it comes next.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::errors::ApiError;
use crate::store::Id;

/// Where a walk continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// Seconds, or `None` where the walk is not sorted by a field.
    pub(crate) sort: Option<i64>,
    pub(crate) id: Id,
    /// The number of the page that comes next.
    pub(crate) page: u64,
}

impl Cursor {
    pub(crate) fn encode(&self) -> String {
        let sort = self.sort.map_or(-1, |seconds| seconds.saturating_mul(1000));
        STANDARD.encode(json!([sort, &*self.id.0, self.page]).to_string())
    }

    /// Reads a cursor of a walk that is (or is not) sorted by a field.
    ///
    /// # Errors
    /// 400 for anything that [`Cursor::encode`] does not give for such a walk.
    pub(crate) fn decode(text: &str, sorted: bool) -> Result<Self, ApiError> {
        let invalid = || ApiError::parameter("starting_after is not a valid cursor");
        let bytes = STANDARD.decode(text).map_err(|_| invalid())?;
        let parts: [Value; 3] = serde_json::from_slice(&bytes).map_err(|_| invalid())?;
        let (Some(sort), Some(id), Some(page)) =
            (parts[0].as_i64(), parts[1].as_str(), parts[2].as_u64())
        else {
            return Err(invalid());
        };
        if (sort == -1) == sorted {
            return Err(invalid());
        }
        Ok(Self {
            sort: sorted.then(|| sort.div_euclid(1000)),
            id: Id(Arc::from(id)),
            page,
        })
    }
}
