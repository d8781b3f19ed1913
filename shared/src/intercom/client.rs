//! Intercom as one process sees it: the HTTP client, the OAuth app, and the fleet's rate budgets.

use std::{sync::Arc, time::Duration};

use super::{
    Endpoint, Error, Workspace,
    memory::ResponseMemory,
    response::{classify_response, count_call, rate_limit_headers},
    transport::Transport,
    wire::me::Me,
};
use crate::{
    config::Config,
    domain::{Class, Region, Secret},
    pacing::{BudgetStatus, Pacing},
};

/// The longest we make a customer wait on the OAuth callback page.
const MAX_CALLBACK_WAIT: Duration = Duration::from_secs(12);

/// The client of Intercom's API, with this process's part in the fleet's rate budgets. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Intercom {
    pub(super) transport: Transport,
    pub(super) settings: Arc<Settings>,
    pub(super) pacing: Pacing,
}

#[derive(Debug)]
pub(super) struct Settings {
    pub(super) client_id: String,
    pub(super) client_secret: Secret,
    api_url: Option<String>,
    app_url: Option<String>,
    version: String,
}

impl Intercom {
    /// A client for the configured OAuth app.
    ///
    /// # Errors
    /// When no TLS client can be made, or the Redis URL cannot be used.
    pub fn new(config: &Config) -> Result<Self, Error> {
        Ok(Self {
            transport: Transport::new(config)?,
            settings: Arc::new(Settings {
                client_id: config.intercom.client_id.clone(),
                client_secret: config.intercom.client_secret.clone(),
                api_url: config.intercom.api_url.clone(),
                app_url: config.intercom.app_url.clone(),
                version: config.intercom.version.clone(),
            }),
            pacing: Pacing::open(config).map_err(|error| Error::Unavailable(error.to_string()))?,
        })
    }

    /// A reader of one workspace, whose calls compete as a class.
    #[must_use]
    pub fn workspace(
        &self,
        workspace_id: &str,
        region: Region,
        version: &str,
        token: Secret,
        class: Class,
    ) -> Workspace {
        Workspace {
            transport: self.transport.clone(),
            // All readers of one workspace share its budget in this process.
            budget: self.pacing.budget(region, workspace_id),
            host: self.api_host(region),
            version: version.to_owned(),
            token,
            class,
            gate: None,
            calls: Arc::default(),
        }
    }

    /// The fleet's rate budgets.
    #[must_use]
    pub const fn pacing(&self) -> &Pacing {
        &self.pacing
    }

    /// `GET /me`: the workspace that a token belongs to.
    ///
    /// This is the only call without a permit, because its response names the workspace whose budget it
    /// takes from. A customer waits for it, so a spent window is waited out here.
    ///
    /// # Errors
    /// When the token is refused or Intercom cannot be reached.
    pub async fn me(&self, region: Region, token: &Secret) -> Result<Me, Error> {
        let mut windows = 2;
        loop {
            let request = Endpoint::Me.request()?;
            let answer = self
                .transport
                .read(
                    &self.api_host(region),
                    token,
                    &self.settings.version,
                    request,
                )
                .await?;
            let rate_limit = rate_limit_headers(&answer.headers);
            let until_reset = rate_limit.until_reset();
            // Jitter, because several processes may wait for the same window.
            if answer.status == 429 && windows > 0 && until_reset <= MAX_CALLBACK_WAIT {
                count_call("me", "429");
                windows -= 1;
                tokio::time::sleep(until_reset + Duration::from_millis(rand::random_range(5..=60)))
                    .await;
                continue;
            }
            let me = Me::parse(&classify_response(answer, "me")?.body)?;
            // The budget learns the window from this response, before the first slice starts.
            self.pacing
                .budget(region, &me.workspace_id)
                .on_response(rate_limit);
            return Ok(me);
        }
    }

    /// How the rate budget of a workspace stands in the whole fleet, and our share of it. `None` if Redis cannot be reached.
    pub async fn budget_status(
        &self,
        region: Region,
        workspace_id: &str,
    ) -> Option<(BudgetStatus, f64)> {
        Some((
            self.pacing.status(region, workspace_id).await?,
            self.pacing.max_share(),
        ))
    }

    /// How many workspaces' rate budgets this process keeps.
    #[must_use]
    pub fn kept_budgets(&self) -> usize {
        self.pacing.kept_budgets()
    }

    /// The memory budget of this process for response bodies.
    #[must_use]
    pub const fn response_memory(&self) -> &ResponseMemory {
        self.transport.memory()
    }

    /// Where a region's authorize page is.
    #[must_use]
    pub fn app_host(&self, region: Region) -> String {
        self.settings
            .app_url
            .clone()
            .unwrap_or_else(|| super::hosts(region).1.to_owned())
    }

    pub(super) fn api_host(&self, region: Region) -> String {
        self.settings
            .api_url
            .clone()
            .unwrap_or_else(|| super::hosts(region).0.to_owned())
    }
}
