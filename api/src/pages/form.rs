//! A form of a page: accepted only from the browser that was shown it.

use axum::http::HeaderMap;
use serde::{Deserialize, de::DeserializeOwned};

use super::{notice::Refusal, origin, visitor::Visitor};
use crate::Api;

/// What every form carries.
#[derive(Default, Deserialize)]
struct Proof {
    #[serde(default)]
    form_token: String,
}

/// The visitor that has sent a form of its own page, and the form's fields. Fields that cannot be read have their defaults.
///
/// # Errors
/// If another site sent it, nobody is signed in, or the token is not that of the session.
pub(super) async fn accepted<T: Default + DeserializeOwned>(
    api: &Api,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(Visitor, T), Refusal> {
    origin::check(&api.config.public_url, headers).map_err(Refusal::Origin)?;
    let visitor = Visitor::of(api, headers).await?;
    let visitor = visitor.ok_or(Refusal::SignedOut)?;
    let Proof { form_token } = fields(body);
    if !visitor.has_sent(api, &form_token) {
        return Err(Refusal::Form);
    }
    Ok((visitor, fields(body)))
}

/// The fields of a query or a form. What cannot be read has its default.
pub(crate) fn fields<T: Default + DeserializeOwned>(encoded: &[u8]) -> T {
    serde_urlencoded::from_bytes(encoded).unwrap_or_default()
}
