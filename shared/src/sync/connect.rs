//! Connecting a workspace: start link → a browser opens it → Intercom asks the customer → callback.
//!
//! Intercom's OAuth has no PKCE and its tokens do not expire, so only the state ties a callback to the browser that
//! began the flow. The state is derived from 256 random bits, stored as a digest, bound to the browser's session cookie
//! and the tenant, valid for ten minutes, and burnt by its first use.
//!
//! Link scanners and previews open links without a cookie. Nothing that they can do opens, replaces or burns a flow.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::{
    config::Config,
    domain::{
        ConnectionId, Region, Secret, Stream, TenantId,
        audit_event::{Actor, AuditAction, NewAuditEvent},
    },
    intercom::{self, Intercom, Me, Refusal},
    store::{
        FlowFate, FlowOrigin, NewFlow, NewWorkspace, OauthStore, OauthTx, StartPage, StoreError,
    },
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
    pub region: Region,
}

/// A flow whose state is burnt, so that only its holder can finish it.
#[derive(Clone, Copy, Debug)]
pub struct Burnt {
    tenant: TenantId,
    flow: Uuid,
    /// The region that the customer has guessed.
    pub region: Region,
    /// Which of the browser's sessions began the flow.
    pub session: usize,
}

/// A connected workspace. Its streams are due now.
#[derive(Clone, Debug)]
pub struct Connected {
    pub tenant: TenantId,
    pub connection: ConnectionId,
    pub streams: Vec<Stream>,
    /// The flow has begun on our page of integrations.
    pub is_from_page: bool,
}

/// The customer has chosen another workspace than that of the connection to be renewed.
#[derive(Clone, Debug)]
pub struct OtherWorkspace {
    pub connection: ConnectionId,
    /// The name of the connection's workspace.
    pub connected: String,
    /// The name of the one that was chosen.
    pub chosen: String,
    /// Where the chosen one is.
    pub region: Region,
}

/// Begins a flow for the transaction's tenant. The caller commits it. A flow that renews a connection takes its workspace
/// and no other.
///
/// # Errors
/// [`ConnectError::Random`] when the system gives no random bytes.
pub async fn start(
    tx: &mut OauthTx,
    region: Region,
    renews: Option<ConnectionId>,
    actor: Actor,
) -> Result<Started, ConnectError> {
    let start_token = token()?;
    let browser_session = match actor {
        Actor::BrowserSession(session) => Some(session),
        _ => None,
    };
    let flow = NewFlow {
        region,
        origin: FlowOrigin {
            browser_session,
            renews,
        },
    };
    let expires_at = tx
        .start_oauth_flow(&flow, &digest(&start_token), FLOW_LIFE)
        .await?;
    let event = NewAuditEvent::new(actor, AuditAction::ConnectStarted, tx.tenant().0);
    tx.add_audit_event(event.with(json!({"region": region})))
        .await?;
    Ok(Started {
        start_token,
        expires_at,
    })
}

/// Reads what the start page shows. Nothing is opened, so a link preview may come first.
///
/// # Errors
/// [`ConnectError::StartUnknown`] when the link is unknown, used or expired.
pub async fn start_page(store: &OauthStore, start_token: &str) -> Result<StartPage, ConnectError> {
    store
        .oauth_start_page(&vault::sha256(start_token.as_bytes()))
        .await?
        .ok_or(ConnectError::StartUnknown)
}

/// A session for a browser that has none for this flow. Stored in the browser, as a cookie.
///
/// # Errors
/// [`ConnectError::Random`] when the system gives no random bytes.
pub fn new_session() -> Result<Secret, ConnectError> {
    token()
}

/// Opens a flow in the browser that has this session. Another browser that opens it later takes it over.
///
/// # Errors
/// [`ConnectError::StartUnknown`] when the link is unknown, used or expired.
pub async fn open(
    store: &OauthStore,
    start_token: &str,
    session: &Secret,
) -> Result<Opened, ConnectError> {
    // Derived, so that a second press of the button leads to the same state and both of its tabs can finish.
    let state = vault::derived_token(&["oauth state", start_token, session.expose()]);
    let start = vault::sha256(start_token.as_bytes());
    let region = store
        .open_oauth_flow(&start, &digest(&state), &digest(session))
        .await?;
    Ok(Opened {
        state,
        region: region.ok_or(ConnectError::StartUnknown)?,
    })
}

/// Burns a state that one of the browser's sessions began. Without any session nothing is burnt, because a link scanner
/// has none. A browser with other sessions only is no scanner, and gets no second try.
///
/// # Errors
/// [`ConnectError::SessionMismatch`], or what is wrong with the state.
pub async fn burn(
    store: &OauthStore,
    state: &str,
    sessions: &[&str],
) -> Result<Burnt, ConnectError> {
    let state = vault::sha256(state.as_bytes());
    // One statement finds and burns the state, so that of two callbacks at once one fails.
    let burnt = if sessions.is_empty() {
        None
    } else {
        store.burn_oauth_flow(&state).await?
    };
    let Some(flow) = burnt else {
        return Err(match store.oauth_flow_fate(&state).await? {
            FlowFate::Open => ConnectError::SessionMismatch,
            FlowFate::Unknown => ConnectError::StateUnknown,
            FlowFate::Used => ConnectError::StateUsed,
            FlowFate::Expired => ConnectError::StateExpired,
        });
    };
    let is_of_flow = |session: &&str| {
        vault::constant_time_eq(&vault::sha256(session.as_bytes()), &flow.session_sha256)
    };
    let Some(session) = sessions.iter().position(is_of_flow) else {
        tracing::warn!(tenant = %flow.tenant, "the oauth callback came from another browser than the one that began the flow");
        return Err(ConnectError::SessionMismatch);
    };
    Ok(Burnt {
        tenant: flow.tenant,
        flow: flow.id,
        region: flow.region,
        session,
    })
}

/// Finishes a flow in the browser that has this session of our pages, if it has one: exchanges the code, reads the workspace of the token, and stores the connection, the token, the
/// streams and the first run in one transaction.
///
/// # Errors
/// See [`ConnectError`].
pub async fn finish(
    context: &ConnectContext,
    Burnt {
        tenant,
        flow,
        region,
        ..
    }: Burnt,
    browser_session: Option<Uuid>,
    code: &str,
) -> Result<Connected, ConnectError> {
    let mut tx = context.store.begin(tenant).await?;
    let origin = tx.oauth_flow_origin(flow).await?;
    // No session of Postgres waits for Intercom.
    drop(tx);
    // Somebody else may have signed in meanwhile, and would not see what was connected.
    if origin.browser_session.is_some() && origin.browser_session != browser_session {
        return Err(ConnectError::SessionMismatch);
    }
    let token = context
        .intercom
        .exchange(code)
        .await
        .map_err(ConnectError::at_exchange)?;
    // Everything that can fail outside of Postgres comes before the transaction, so that no half
    // connection is stored.
    let (me, answered) = token_owner(context, region, &token).await?;

    // Intercom knows the workspace's region. The customer's choice at the start was a guess, which the host of another
    // region has corrected if it answered instead.
    let region = me.region.unwrap_or(answered);
    let about = json!({"workspace_id": me.workspace_id, "region": region});

    let mut tx = context.store.begin(tenant).await?;
    if let Some(renewed) = origin.renews
        && let Some(connection) = tx.connection(renewed).await?
        && connection.workspace_id != me.workspace_id
    {
        return Err(ConnectError::OtherWorkspace(Box::new(OtherWorkspace {
            connection: renewed,
            connected: connection.workspace_name,
            chosen: me.workspace_name,
            region,
        })));
    }
    let connection = tx
        .connect_workspace(&NewWorkspace {
            region,
            id: me.workspace_id,
            name: me.workspace_name,
            connected_by: me.admin_name,
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
    let others = tx.note_shared_workspace(connection).await?;
    let actor = origin
        .browser_session
        .map_or(Actor::Browser, Actor::BrowserSession);
    let event = NewAuditEvent::new(actor, AuditAction::ConnectionMade, connection.0);
    tx.add_audit_event(event.with(about)).await?;
    tx.commit().await?;
    tracing::info!(%tenant, %connection, "workspace connected");
    if others > 0 {
        // It may be one company with two accounts. It may also be a start link that was sent to the wrong person.
        tracing::warn!(%tenant, %connection, others, "other tenants have connected this workspace as well");
        metrics::counter!("pathbound_operator_events_total", "code" => "workspace_shared")
            .increment(1);
    }
    Ok(Connected {
        tenant,
        connection,
        streams: Stream::ALL.to_vec(),
        is_from_page: origin.browser_session.is_some(),
    })
}

/// `GET /me`, and the region whose host answered it.
///
/// The code is spent and the token is fresh. A region that does not know the token, or cannot be reached, is therefore
/// more likely a wrong guess than a bad token, and the other regions are asked. The US host comes first among them,
/// because it routes to the others.
async fn token_owner(
    context: &ConnectContext,
    guess: Region,
    token: &Secret,
) -> Result<(Me, Region), ConnectError> {
    let first = match context.intercom.me(guess, token).await {
        Ok(me) => return Ok((me, guess)),
        Err(error) => error,
    };
    if may_be_elsewhere(&first) {
        for region in [Region::Us, Region::Eu, Region::Au] {
            if region == guess {
                continue;
            }
            match context.intercom.me(region, token).await {
                Ok(me) => return Ok((me, region)),
                Err(error) => {
                    tracing::debug!(%region, %error, "this region does not know the token");
                }
            }
        }
    }
    // The guessed region's error, because the others were never the customer's choice.
    Err(ConnectError::at_me(first))
}

/// Whether a region that failed so may be the wrong one. A missing scope and a stopped app are the same everywhere.
const fn may_be_elsewhere(error: &intercom::Error) -> bool {
    match error {
        intercom::Error::Unavailable(_) => true,
        intercom::Error::Refused { refusal, .. } => {
            !matches!(refusal, Refusal::MissingScope | Refusal::AppSuspended)
        }
        _ => false,
    }
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
    #[error("another workspace was chosen than that of the connection, so begin again")]
    OtherWorkspace(Box<OtherWorkspace>),
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
            Self::OtherWorkspace(_) => "oauth_other_workspace",
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
