//! Lists: `{items, next_cursor?}`, 1 to 200 items a page.
//!
//! A cursor is sealed and bound to the tenant and to everything that selects or orders the list, so
//! it cannot be made up, changed, carried to another tenant or used with other filters.

use std::{borrow::Cow, marker::PhantomData};

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::{RawValue, to_raw_value};
use shared::{
    domain::TenantId,
    vault::{self, KeyRing, SealContext},
};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ArrayBuilder, ObjectBuilder, Ref, RefOr, Schema, schema::Type},
};

use crate::{conditional::ContentDigest, error::ApiError};

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

/// One list as one caller asked for it: its limit, and the context that its cursors are bound to.
pub(crate) struct Pager<'a> {
    vault: &'a KeyRing,
    context: SealContext,
    limit: usize,
}

impl<'a> Pager<'a> {
    /// `list` holds the list's name and its filters, so that a cursor does not open with other filters.
    ///
    /// # Errors
    /// If `limit` is not 1 to 200.
    pub(crate) fn new(
        vault: &'a KeyRing,
        tenant: TenantId,
        list: &str,
        limit: Option<u32>,
    ) -> Result<Self, ApiError> {
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(ApiError::invalid(
                "limit",
                format!("must be 1 to {MAX_LIMIT}"),
            ));
        }
        Ok(Self {
            vault,
            context: SealContext::cursor(tenant, list),
            limit: limit as usize,
        })
    }

    /// The number of rows to read: one more than a page, because that row shows a next page.
    pub(crate) fn fetch(&self) -> i64 {
        self.limit as i64 + 1
    }

    /// Items of a page.
    pub(crate) const fn limit(&self) -> usize {
        self.limit
    }

    /// The position in the caller's cursor. `None` at the start of the list.
    ///
    /// # Errors
    /// If the cursor was not made here for this tenant and these filters.
    pub(crate) fn position<P: DeserializeOwned>(
        &self,
        cursor: Option<&str>,
    ) -> Result<Option<P>, ApiError> {
        let Some(cursor) = cursor else {
            return Ok(None);
        };
        // One error for every fault, because the reason would help only a forger.
        let open = || {
            let sealed = URL_SAFE_NO_PAD.decode(cursor).ok()?;
            let plain = self.vault.open(&self.context, &sealed).ok()?;
            serde_json::from_slice(&plain).ok()
        };
        open().map(Some).ok_or_else(ApiError::invalid_cursor)
    }

    /// The page's answer. `fetched` may hold one row more than the page. `position` gives a row's
    /// position in the list, and `view` the row's shape in JSON.
    ///
    /// # Errors
    /// If the system gives no random bytes for sealing.
    pub(crate) fn answer<Row, P: Serialize, View: Serialize>(
        &self,
        mut fetched: Vec<Row>,
        position: impl Fn(&Row) -> P,
        view: impl Fn(Row) -> View,
    ) -> Result<Response, ApiError> {
        let more = fetched.len() > self.limit;
        fetched.truncate(self.limit);
        // Empty on the last page.
        let position_text = match fetched.last() {
            Some(last) if more => {
                serde_json::to_string(&position(last)).map_err(|_| ApiError::internal())?
            }
            _ => String::new(),
        };
        let next_cursor = if more {
            Some(self.seal(&position_text)?)
        } else {
            None
        };
        // The items are written once, for the answer and for its tag.
        let items: Vec<View> = fetched.into_iter().map(view).collect();
        let items = to_raw_value(&items).map_err(|_| ApiError::internal())?;
        let content = format!("{}{}", items.get(), position_text);
        let mut response = Json(PageText { items, next_cursor }).into_response();
        let digest = ContentDigest(vault::sha256(content.as_bytes()));
        response.extensions_mut().insert(digest);
        Ok(response)
    }

    /// The cursor of a position.
    ///
    /// # Errors
    /// If the system gives no random bytes for sealing.
    pub(crate) fn cursor<P: Serialize>(&self, position: &P) -> Result<String, ApiError> {
        self.seal(&serde_json::to_string(position).map_err(|_| ApiError::internal())?)
    }

    fn seal(&self, position: &str) -> Result<String, ApiError> {
        let sealed = self.vault.seal(&self.context, position.as_bytes());
        let sealed = sealed.map_err(|_| ApiError::internal())?;
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }
}

/// A page, as it is sent.
#[derive(Serialize)]
struct PageText {
    items: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// The shape of a page, for the description. It has no values.
#[derive(Debug)]
pub(crate) struct ListView<T>(PhantomData<T>);

/// A derived schema would hold a copy of the item's.
impl<T: ToSchema> PartialSchema for ListView<T> {
    fn schema() -> RefOr<Schema> {
        let items = ArrayBuilder::new()
            .items(Ref::from_schema_name(T::name()))
            .max_items(Some(MAX_LIMIT as usize));
        let cursor = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("For the next page. Absent on the last one."));
        ObjectBuilder::new()
            .description(Some(format!("A page of a list of `{}`.", T::name())))
            .property("items", items)
            .property("next_cursor", cursor)
            .required("items")
            .into()
    }
}

impl<T: ToSchema> ToSchema for ListView<T> {
    fn name() -> Cow<'static, str> {
        format!("{}List", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use serde_json::Value;

    use super::*;

    fn ring() -> KeyRing {
        KeyRing::parse(&format!(
            "k1:{}",
            base64::engine::general_purpose::STANDARD.encode([7; 32])
        ))
        .unwrap()
    }

    async fn body(response: Response) -> Value {
        serde_json::from_slice(&to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_cursor_leads_on_only_where_it_was_made() {
        let (ring, tenant) = (ring(), TenantId::new());
        let pager = |tenant, list| Pager::new(&ring, tenant, list, Some(2)).unwrap();
        let here = pager(tenant, "contacts?state=open");
        let page = body(here.answer(vec![1, 2, 3], |n| *n, |n| n).unwrap()).await;
        assert_eq!(page["items"], serde_json::json!([1, 2]));
        let cursor = page["next_cursor"].as_str().unwrap();

        assert_eq!(here.position::<i32>(Some(cursor)).unwrap(), Some(2));
        let mut tampered = cursor.as_bytes().to_vec();
        tampered[20] = if tampered[20] == b'A' { b'B' } else { b'A' };
        let tampered = String::from_utf8(tampered).unwrap();
        assert!(here.position::<i32>(Some(&tampered)).is_err());
        assert!(here.position::<i32>(Some("")).is_err());
        assert!(
            pager(TenantId::new(), "contacts?state=open")
                .position::<i32>(Some(cursor))
                .is_err()
        );
        assert!(
            pager(tenant, "contacts?state=closed")
                .position::<i32>(Some(cursor))
                .is_err()
        );
    }

    #[tokio::test]
    async fn the_last_page_has_no_cursor() {
        let (ring, tenant) = (ring(), TenantId::new());
        let page = body(
            Pager::new(&ring, tenant, "l", Some(3))
                .unwrap()
                .answer(vec![1, 2, 3], |n| *n, |n| n)
                .unwrap(),
        )
        .await;
        assert_eq!(page, serde_json::json!({"items": [1, 2, 3]}));
    }

    #[test]
    fn a_limit_is_1_to_200() {
        let (ring, tenant) = (ring(), TenantId::new());
        for (limit, good) in [(0, false), (1, true), (200, true), (201, false)] {
            assert_eq!(
                Pager::new(&ring, tenant, "l", Some(limit)).is_ok(),
                good,
                "{limit}"
            );
        }
    }
}
