//! The OAuth door: the authorize URL and the token exchange. Separate from [`super::Endpoint`] on purpose.

use url::Url;

use super::{Error, Intercom, wire};
use crate::domain::{Region, Secret};

/// Where the browser is sent. Intercom takes no scopes here (they are fixed per app) and has no PKCE,
/// so `state` is the only thing that ties the answer to this browser.
#[must_use]
pub fn authorize_url(app_url: &str, client_id: &str, state: &Secret, redirect_uri: &str) -> String {
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", client_id)
        .append_pair("state", state.expose())
        .append_pair("redirect_uri", redirect_uri)
        .finish();
    format!("{app_url}/oauth?{query}")
}

impl Intercom {
    /// Exchanges a code for a token: `POST /auth/eagle/token`. A code is good once, so this never retries.
    ///
    /// Tokens do not expire and there is no refresh token; the answer names no workspace, `/me` does.
    ///
    /// # Errors
    /// When Intercom refuses the code or cannot be reached. No error holds the code or the answer's body.
    pub async fn exchange(&self, code: &str) -> Result<Secret, Error> {
        let body: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("code", code)
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("client_secret", self.settings.client_secret.expose())
            .finish();
        // The one documented token host serves every region.
        let host = self.api_host(Region::Us);
        let url = Url::parse(&format!("{host}/auth/eagle/token"))
            .map_err(|_| Error::Unavailable("bad host".to_owned()))?;
        let answer = self.transport.exchange(url, body).await?;
        wire::read_token(answer.body.whole())
            .ok_or_else(|| Error::Unavailable("the token exchange gave no token".to_owned()))
    }
}
