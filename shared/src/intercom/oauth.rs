//! OAuth: the authorize URL and the token exchange. Separate from [`super::Endpoint`], whose list has reads
//! only.

use url::Url;

use super::{Error, Intercom, wire};
use crate::domain::{Region, Secret};

/// The URL that starts the authorization in the browser. Scopes are fixed per app and not part of it.
/// Intercom has no PKCE, so `state` alone ties the callback to this browser.
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
    /// Exchanges a code for a token: `POST /auth/eagle/token`. A code works once, so this never retries.
    ///
    /// Tokens do not expire, and there is no refresh token. The response does not name the workspace, so the
    /// caller reads `/me` next.
    ///
    /// # Errors
    /// When Intercom refuses the code or cannot be reached. No error has the code or the response in it.
    pub async fn exchange(&self, code: &str) -> Result<Secret, Error> {
        let body: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("code", code)
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("client_secret", self.settings.client_secret.expose())
            .finish();
        // There is one documented token host, and it serves every region.
        let host = self.api_host(Region::Us);
        let url = Url::parse(&format!("{host}/auth/eagle/token"))
            .map_err(|_| Error::Unavailable("bad host".to_owned()))?;
        let answer = self.transport.exchange(url, body).await?;
        wire::read_token(answer.body.whole())
            .ok_or_else(|| Error::Unavailable("the token exchange gave no token".to_owned()))
    }
}
