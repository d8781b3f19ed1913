//! What pages load. It is compiled in, and its path names its content, so that a browser may keep it for ever.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::header,
    response::{IntoResponse, Response},
};
use shared::vault;

use super::notice::Refusal;

/// Digits of a content's digest in its path.
const DIGITS: usize = 16;

/// The style of every page.
pub(super) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::of(
        "pages-",
        ".css",
        "text/css; charset=utf-8",
        include_str!("style.css"),
    )
});
/// The script of the live updates.
pub(super) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::of(
        "live-",
        ".js",
        "text/javascript; charset=utf-8",
        include_str!("live.js"),
    )
});

/// A file that pages load.
pub(super) struct Asset {
    prefix: &'static str,
    suffix: &'static str,
    kind: &'static str,
    content: &'static str,
    name: String,
}

impl Asset {
    fn of(
        prefix: &'static str,
        suffix: &'static str,
        kind: &'static str,
        content: &'static str,
    ) -> Self {
        let digest = vault::sha256(content.as_bytes());
        let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            prefix,
            suffix,
            kind,
            content,
            name: format!("{prefix}{}{suffix}", &digits[..DIGITS]),
        }
    }

    /// The path at which this build's pages load it.
    pub(super) fn path(&self) -> String {
        format!("/assets/{}", self.name)
    }

    fn is_named(&self, name: &str) -> bool {
        name.starts_with(self.prefix) && name.ends_with(self.suffix)
    }
}

/// `GET /assets/{name}`
pub(crate) async fn asset(Path(name): Path<String>) -> Result<Response, Refusal> {
    let assets: [&Asset; 2] = [&STYLE, &SCRIPT];
    let found = assets.into_iter().find(|asset| asset.is_named(&name));
    let asset = found.ok_or(Refusal::NotFound)?;
    // While builds are replaced, a page of another build may ask here. What this build has is likely to fit, and is not kept.
    let kept = if name == asset.name {
        "public, max-age=31536000, immutable"
    } else {
        "no-store"
    };
    let headers = [
        (header::CONTENT_TYPE, asset.kind),
        (header::CACHE_CONTROL, kept),
    ];
    Ok((headers, asset.content).into_response())
}
