//! What pages load. It is compiled in, and its path names its content, so that a browser may keep it for ever.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::header,
    response::{IntoResponse, Response},
};
use shared::vault;

use super::notice::Refusal;

const STYLE: &str = include_str!("style.css");
const STYLE_PREFIX: &str = "pages-";
const STYLE_SUFFIX: &str = ".css";
/// Digits of a content's digest in its path.
const DIGITS: usize = 16;

static STYLE_NAME: LazyLock<String> = LazyLock::new(|| {
    let digest = vault::sha256(STYLE.as_bytes());
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{STYLE_PREFIX}{}{STYLE_SUFFIX}", &digits[..DIGITS])
});

/// The path of the style that this build's pages load.
pub(super) fn style_path() -> String {
    format!("/assets/{}", *STYLE_NAME)
}

/// `GET /assets/{name}`
pub(super) async fn asset(Path(name): Path<String>) -> Result<Response, Refusal> {
    if !name.starts_with(STYLE_PREFIX) || !name.ends_with(STYLE_SUFFIX) {
        return Err(Refusal::NotFound);
    }
    // While builds are replaced, a page of another build may ask here. Its style is likely to fit, and is not kept.
    let kept = if name == *STYLE_NAME {
        "public, max-age=31536000, immutable"
    } else {
        "no-store"
    };
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, kept),
    ];
    Ok((headers, STYLE).into_response())
}
