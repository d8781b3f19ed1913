//! Intercom's error envelope.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use crate::generate::mix;
use crate::reply::Reply;

/// An answer that is an error list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// Target of a `Link: <…>; rel="canonical"` header.
    pub(crate) canonical: Option<String>,
}

impl ApiError {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            canonical: None,
        }
    }

    /// 400 `parameter_invalid`.
    pub(crate) fn parameter(message: impl Into<String>) -> Self {
        Self::new(400, "parameter_invalid", message)
    }

    /// 400: the pinned version lacks the resource.
    pub(crate) fn version() -> Self {
        Self::new(
            400,
            "intercom_version_invalid",
            "Requested resource is not available in current API version.",
        )
    }

    pub(crate) fn contact_not_found() -> Self {
        Self::new(404, "not_found", "User Not Found")
    }

    pub(crate) fn company_not_found() -> Self {
        Self::new(404, "company_not_found", "Company Not Found")
    }

    pub(crate) fn conversation_not_found() -> Self {
        Self::new(404, "not_found", "Resource Not Found")
    }

    /// 404: a dead scroll cursor, which looks like any other missing thing.
    pub(crate) fn scroll_not_found() -> Self {
        Self::new(404, "not_found", "scroll parameter not found")
    }

    /// The answer on the wire.
    pub(crate) fn reply(&self) -> Reply {
        let body = json!({
            "type": "error.list",
            "request_id": request_id(),
            "errors": [{"code": self.code, "message": self.message}],
        });
        let mut reply = Reply::json(self.status, body.to_string());
        if let Some(target) = &self.canonical {
            reply = reply.header("link", &format!("<{target}>; rel=\"canonical\""));
        }
        reply
    }
}

/// A request id. Some are no UUIDs, as recorded live.
pub(crate) fn request_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let (a, b) = (mix(number, 1), mix(number, 2));
    if number.is_multiple_of(8) {
        return format!("000{:017x}", a >> 2);
    }
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xfff,
        b >> 52,
        b & 0xffff_ffff_ffff
    )
}
