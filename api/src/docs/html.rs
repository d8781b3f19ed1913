//! Text as HTML, and the frame of every page.

use std::sync::LazyLock;

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use htmlize::escape_text;
use shared::vault;

use super::CACHED;

const STYLE: &str = include_str!("style.css");

/// Nothing is loaded, run, framed or sent. The one style is named by its digest.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let digest = STANDARD.encode(vault::sha256(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

/// A page, as it is sent.
pub(super) fn response(page: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, CACHED),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, POLICY.as_str()),
    ];
    (headers, page).into_response()
}

/// The frame around a page's body.
pub(super) fn frame(title: &str, body: &str) -> String {
    let title = escape_text(title);
    format!(
        r#"<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>{title}</title>
<style>{STYLE}</style></head>
<body>
{body}</body>
</html>
"#
    )
}

/// Paragraphs of text with `code` and **strong** words.
pub(super) fn paragraphs(text: &str) -> String {
    let paragraphs = text.split("\n\n").filter(|text| !text.trim().is_empty());
    paragraphs
        .map(|text| format!("<p>{}</p>\n", inline(text)))
        .collect()
}

/// One run of text with `code` and **strong** words.
pub(super) fn inline(text: &str) -> String {
    let escaped = escape_text(text);
    let mut html = String::new();
    // Every second piece stands between two marks.
    for (n, piece) in escaped.split('`').enumerate() {
        if n % 2 == 1 {
            html += &format!("<code>{piece}</code>");
            continue;
        }
        for (n, piece) in piece.split("**").enumerate() {
            if n % 2 == 1 {
                html += &format!("<strong>{piece}</strong>");
            } else {
                html += piece;
            }
        }
    }
    html
}
