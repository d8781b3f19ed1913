//! Connecting a workspace: start link → a browser opens it → Intercom asks the customer → callback.
//!
//! Intercom's OAuth has no PKCE and its tokens do not expire, so only the state ties a callback to the browser that
//! began the flow. The state is 256 random bits, stored as a digest, bound to the browser's session cookie and the
//! tenant, valid for ten minutes, and burnt by its first use.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};

use crate::{
    config::Config,
    domain::{ConnectionId, Region, Secret, Stream, TenantId},
    intercom::{self, Intercom, Me, Refusal},
    store::{FlowFate, NewWorkspace, OauthStore, StoreError},
    vault::{self, KeyRing, SealContext, SealError},
};

/// How long a flow may take from the start link to the callback.
pub const FLOW_LIFE: Duration = Duration::from_secs(600);

/// What connecting a workspace may touch. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ConnectContext {
    pub store: OauthStore,
    pub vault: Arc<KeyRing>,
    pub intercom: Intercom,
    pub config: Arc<Config>,
}

/// A flow that has begun. The start token lets its bearer open the flow in a browser.
#[derive(Clone, Debug)]
pub struct Started {
    pub start_token: Secret,
    pub expires_at: DateTime<Utc>,
}

/// A flow that a browser has opened.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Sent to Intercom, which returns it in the callback.
    pub state: Secret,
    /// Stored in the browser, as a cookie.
    pub session: Secret,
    pub region: Region,
}

/// A connected workspace. Its streams are due now.
#[derive(Clone, Debug)]
pub struct Connected {
    pub tenant: TenantId,
    pub connection: ConnectionId,
    pub streams: Vec<Stream>,
}

/// Begins a flow for a tenant.
///
/// # Errors
/// [`ConnectError::Random`] when the system gives no random bytes.
pub async fn start(
    store: &OauthStore,
    tenant: TenantId,
    region: Region,
) -> Result<Started, ConnectError> {
    let start_token = token()?;
    let mut tx = store.begin(tenant).await?;
    let expires_at = tx
        .start_oauth_flow(region, &digest(&start_token), FLOW_LIFE)
        .await?;
    tx.commit().await?;
    Ok(Started {
        start_token,
        expires_at,
    })
}

/// Opens a flow in a browser. Opening it again (a reload, a link preview) replaces the state and the session.
///
/// # Errors
/// [`ConnectError::StartUnknown`] when the link is unknown, used or expired.
pub async fn open(store: &OauthStore, start_token: &str) -> Result<Opened, ConnectError> {
    // A link preview may open the link before the customer does. The last opening counts, because
    // its browser has the cookie.
    let (state, session) = (token()?, token()?);
    let start = vault::sha256(start_token.as_bytes());
    let region = store
        .open_oauth_flow(&start, &digest(&state), &digest(&session))
        .await?;
    Ok(Opened {
        state,
        session,
        region: region.ok_or(ConnectError::StartUnknown)?,
    })
}

/// Finishes a flow: burns the state, exchanges the code, reads the workspace of the token, and stores the connection,
/// the token, the streams and the first run in one transaction.
///
/// # Errors
/// See [`ConnectError`]. The state is burnt even then.
pub async fn finish(
    context: &ConnectContext,
    state: &str,
    session: Option<&str>,
    code: &str,
) -> Result<Connected, ConnectError> {
    let (tenant, region) = burn(&context.store, state, session).await?;
    let token = context
        .intercom
        .exchange(code)
        .await
        .map_err(ConnectError::at_exchange)?;
    // Everything that can fail outside of Postgres comes before the transaction, so that no half
    // connection is stored.
    let me = token_owner(context, region, &token).await?;

    let mut tx = context.store.begin(tenant).await?;
    let connection = tx
        .connect_workspace(&NewWorkspace {
            // Intercom knows the workspace's region. The customer's choice at the start was a guess.
            region: me.region.unwrap_or(region),
            id: me.workspace_id,
            name: me.workspace_name,
            timezone: me.timezone,
            api_version: context.config.intercom.version.clone(),
        })
        .await?
        // A purge in progress would delete the rows of the new connection as well.
        .ok_or(ConnectError::PurgeUnderWay)?;
    // Sealed for this tenant and connection, so that a copied row opens nowhere else.
    let sealed = context.vault.seal(
        &SealContext::access_token(tenant, connection),
        token.expose().as_bytes(),
    )?;
    tx.put_access_token(connection, &sealed).await?;
    tx.mark_all_due(connection).await?;
    tx.commit().await?;
    tracing::info!(%tenant, %connection, "workspace connected");
    Ok(Connected {
        tenant,
        connection,
        streams: Stream::ALL.to_vec(),
    })
}

/// Ends a flow without a code, because the customer declined. The state is burnt here too.
///
/// # Errors
/// Always. [`ConnectError::Denied`], or the fault of the state itself.
pub async fn refuse(store: &OauthStore, state: &str, session: Option<&str>) -> ConnectError {
    match burn(store, state, session).await {
        Ok(_) => ConnectError::Denied,
        Err(error) => error,
    }
}

/// Burns the state, then compares the session, so that another browser gets no second try.
async fn burn(
    store: &OauthStore,
    state: &str,
    session: Option<&str>,
) -> Result<(TenantId, Region), ConnectError> {
    let state = vault::sha256(state.as_bytes());
    // One statement finds and burns the state, so that of two callbacks at once one fails.
    let Some(flow) = store.burn_oauth_flow(&state).await? else {
        return Err(match store.oauth_flow_fate(&state).await? {
            FlowFate::Unknown => ConnectError::StateUnknown,
            FlowFate::Used => ConnectError::StateUsed,
            FlowFate::Expired => ConnectError::StateExpired,
        });
    };
    // A callback without a cookie is compared too. No session has the digest of the empty text.
    let session = vault::sha256(session.unwrap_or_default().as_bytes());
    if !vault::constant_time_eq(&session, &flow.session_sha256) {
        tracing::warn!(tenant = %flow.tenant, "the oauth callback came from another browser than the one that began the flow");
        return Err(ConnectError::SessionMismatch);
    }
    Ok((flow.tenant, flow.region))
}

/// `GET /me`. If the region refuses a fresh token, the US host is tried once, because it routes to the other regions.
async fn token_owner(
    context: &ConnectContext,
    region: Region,
    token: &Secret,
) -> Result<Me, ConnectError> {
    let me = match context.intercom.me(region, token).await {
        Err(error) if region != Region::Us && error.refusal() == Some(&Refusal::Unauthorized) => {
            context.intercom.me(Region::Us, token).await
        }
        me => me,
    };
    me.map_err(ConnectError::at_me)
}

fn token() -> Result<Secret, ConnectError> {
    vault::random_token().map_err(|_| ConnectError::Random)
}

fn digest(token: &Secret) -> [u8; 32] {
    vault::sha256(token.expose().as_bytes())
}

/// Why a workspace was not connected. Contains no code, state or token.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("the start link is unknown, used or expired, so begin again")]
    StartUnknown,
    #[error("the state was never issued, so begin again")]
    StateUnknown,
    #[error("the state was used before, so begin again")]
    StateUsed,
    #[error("the state has expired, so begin again")]
    StateExpired,
    #[error(
        "the callback came from another browser than the one that began, so begin again in one browser"
    )]
    SessionMismatch,
    #[error("intercom gave no access, so begin again and allow it")]
    Denied,
    #[error("intercom refused the code, so begin again")]
    ExchangeFailed(#[source] intercom::Error),
    #[error("intercom does not show the token's workspace, so check that the app may read admins")]
    TokenRefused(#[source] intercom::Error),
    #[error("the data of an earlier connection is still being deleted, so begin again later")]
    PurgeUnderWay,
    #[error("could not reach intercom, so begin again later")]
    Unavailable(#[source] intercom::Error),
    #[error("could not store the connection")]
    Store(#[from] StoreError),
    #[error("could not seal the token")]
    Seal(#[from] SealError),
    #[error("could not make a token, because the system gave no random bytes")]
    Random,
}

impl ConnectError {
    /// The stable code for pages, logs and tests.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::StartUnknown => "oauth_start_unknown",
            Self::StateUnknown => "oauth_state_unknown",
            Self::StateUsed => "oauth_state_used",
            Self::StateExpired => "oauth_state_expired",
            Self::SessionMismatch => "oauth_session_mismatch",
            Self::Denied => "oauth_denied",
            Self::ExchangeFailed(_) => "oauth_exchange_failed",
            Self::TokenRefused(_) => "oauth_token_refused",
            Self::PurgeUnderWay => "purge_under_way",
            Self::Unavailable(_) => "intercom_unavailable",
            Self::Store(_) | Self::Seal(_) | Self::Random => "internal",
        }
    }

    fn at_exchange(error: intercom::Error) -> Self {
        if error.refusal().is_some() {
            Self::ExchangeFailed(error)
        } else {
            Self::Unavailable(error)
        }
    }

    fn at_me(error: intercom::Error) -> Self {
        if error.refusal().is_some() {
            Self::TokenRefused(error)
        } else {
            Self::Unavailable(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16) -> intercom::Error {
        intercom::Error::Refused {
            status,
            code: "c".to_owned(),
            refusal: Refusal::Unauthorized,
            endpoint: "me",
        }
    }

    #[test]
    fn a_refusal_is_told_from_an_outage() {
        assert_eq!(
            ConnectError::at_exchange(refused(401)).code(),
            "oauth_exchange_failed"
        );
        assert_eq!(
            ConnectError::at_me(refused(401)).code(),
            "oauth_token_refused"
        );
        let outage = || intercom::Error::Unavailable("status 503".to_owned());
        assert_eq!(
            ConnectError::at_exchange(outage()).code(),
            "intercom_unavailable"
        );
        assert_eq!(ConnectError::at_me(outage()).code(), "intercom_unavailable");
    }
}
