//! The run of one tenant: create it, connect its workspace, sync, and compare.

use std::{
    borrow::Cow,
    time::{Duration, Instant},
};

use intercom_simulator::{TruthLine, Workspace};
use serde_json::{Value, json};
use shared::{
    completeness::{self, StreamStatus, SyncStatus},
    domain::{ConnectionId, Stream, TenantId},
    store::ApiStore,
};

use super::{
    browser::Browser,
    floor::Sizes,
    other_sources::{OtherSources, has_other_sources},
    progress::DemoProgress,
    scenarios::{DemoTenant, Scenario},
    searching,
    world::World,
};
use crate::{
    api_client::ApiClient,
    exact::{self, Report},
    failure::Failure,
};

/// Time between two polls of the sync status. It is shorter until the first row is there, because the time of
/// the first row is a figure of the summary.
const POLL_UNTIL_FIRST_ROW: Duration = Duration::from_millis(100);
const POLL_INTERVAL: Duration = Duration::from_millis(300);

/// The result of a tenant's run.
#[derive(Clone, Debug)]
pub struct TenantOutcome {
    pub demo_tenant: DemoTenant,
    pub tenant: Option<TenantId>,
    pub connection: Option<ConnectionId>,
    /// The connection's state at the end, as the API says it.
    pub state: String,
    /// Whether state and streams fit the scenario.
    pub as_expected: bool,
    pub report: Report,
    /// Calls of the first sync, connecting included, and the fewest that it could need.
    pub calls: u64,
    pub floor: u64,
    /// Calls after the first sync: those of a run that a revoked token refuses.
    pub later_calls: u64,
    /// From the start of the process to complete and compared.
    pub took: Duration,
    /// Why the run ended early.
    pub failure: Option<String>,
}

/// The run of one tenant.
#[derive(Debug)]
pub(super) struct TenantRun<'w> {
    pub(super) number: usize,
    pub(super) demo_tenant: &'w DemoTenant,
    pub(super) world: &'w World,
    pub(super) browser: &'w Browser,
    pub(super) progress: &'w DemoProgress,
    pub(super) started: Instant,
    pub(super) deadline: Instant,
}

impl TenantRun<'_> {
    /// Runs every step. A failure is part of the outcome.
    pub(super) async fn run(&self) -> TenantOutcome {
        let (workspace, truth) = self.workspace();
        let mut outcome = TenantOutcome {
            demo_tenant: self.demo_tenant.clone(),
            tenant: None,
            connection: None,
            state: "-".to_owned(),
            as_expected: false,
            report: Report::default(),
            calls: 0,
            floor: Sizes::of(truth).floor(self.demo_tenant.spec.conversations_plan),
            later_calls: 0,
            took: Duration::ZERO,
            failure: None,
        };
        if let Err(failure) = self.steps(&mut outcome).await {
            outcome.failure = Some(failure.line());
        }
        // The token exchange carries no token, so the ledger of the workspace does not count it.
        let all = workspace.ledger().total + 1;
        outcome.calls = all - outcome.later_calls.min(all);
        if let Err(failure) = self.compare(&mut outcome).await {
            outcome.failure.get_or_insert(failure.line());
        }
        outcome.took = self.started.elapsed();
        self.progress.done(self.number);
        outcome
    }

    async fn steps(&self, outcome: &mut TenantOutcome) -> Result<(), Failure> {
        let rest = &self.world.rest;
        let tenant = rest
            .post(None, "/v1/tenants", &json!({"name": self.demo_tenant.name}))
            .await?
            .success()?;
        let tenant: TenantId = parsed(&tenant["id"], "a tenant")?;
        outcome.tenant = Some(tenant);

        let region = self.demo_tenant.spec.region.to_lowercase();
        let start = rest
            .post(
                Some(tenant),
                "/v1/integrations/intercom/connect",
                &json!({"region": region}),
            )
            .await?
            .success()?;
        let start_url = start["start_url"]
            .as_str()
            .ok_or_else(|| Failure::because("the API gave no start_url"))?;
        // The browser takes the OAuth pages, as the customer would.
        let home = self
            .browser
            .connect(start_url, &self.workspace().0.id_code())
            .await?;
        if !home.contains("intercom=connected") {
            return Err(Failure::because(format!("the browser ended at {home}")));
        }
        let connections = rest.get(tenant, "/v1/connections").await?;
        let connection: ConnectionId = parsed(&connections["items"][0]["id"], "a connection")?;
        outcome.connection = Some(connection);

        let others = has_other_sources(self.number, self.demo_tenant)
            .then(|| OtherSources::of(&self.workspace().1));
        if let Some(others) = &others {
            others.send(rest, tenant).await?;
        }
        // Counted before the token is revoked, because the floor is about the first sync.
        let synced = self.until_synced(tenant, connection).await?;
        if let Some(others) = &others {
            others.check(rest, tenant).await?;
            searching::check(rest, tenant, self.deadline).await?;
        }
        let calls = self.workspace().0.ledger();
        if self.demo_tenant.scenario == Scenario::Revoked {
            self.workspace().0.revoke_tokens();
            self.until_reauth_required(tenant, connection).await?;
            outcome.later_calls = self.workspace().0.ledger().total - calls.total;
        }
        outcome.state = state(rest, tenant, connection).await?;
        let expected = if self.demo_tenant.scenario == Scenario::Revoked {
            "reauth_required"
        } else {
            "active"
        };
        outcome.as_expected =
            outcome.state == expected && thread_counts_fit(&synced, self.demo_tenant);
        Ok(())
    }

    /// Waits until the sync status is complete, or as complete as the plan allows.
    async fn until_synced(
        &self,
        tenant: TenantId,
        connection: ConnectionId,
    ) -> Result<SyncStatus, Failure> {
        loop {
            let status = status(&self.world.store, tenant, connection).await?;
            self.progress.note(self.number, &status);
            if is_synced(&status, self.demo_tenant.scenario) {
                return Ok(status);
            }
            if Instant::now() >= self.deadline {
                return Err(Failure::because(format!(
                    "was not complete in time: {}",
                    unfinished(&status)
                )));
            }
            tokio::time::sleep(if self.progress.first_row().is_some() {
                POLL_INTERVAL
            } else {
                POLL_UNTIL_FIRST_ROW
            })
            .await;
        }
    }

    /// Asks for a sync, which the revoked token must end, and waits for that state of the connection.
    async fn until_reauth_required(
        &self,
        tenant: TenantId,
        connection: ConnectionId,
    ) -> Result<(), Failure> {
        let rest = &self.world.rest;
        let path = format!("/v1/connections/{connection}/syncs");
        rest.post(Some(tenant), &path, &json!({"mode": "incremental"}))
            .await?
            .success()?;
        while state(rest, tenant, connection).await? != "reauth_required" {
            if Instant::now() >= self.deadline {
                return Err(Failure::because(
                    "the revoked token was not noticed in time",
                ));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }

    async fn compare(&self, outcome: &mut TenantOutcome) -> Result<(), Failure> {
        let truth = expected(&self.workspace().1, self.demo_tenant.scenario);
        let truth = &*truth;
        let (Some(tenant), Some(connection)) = (outcome.tenant, outcome.connection) else {
            // Without a connection every record is missing.
            let records = truth
                .iter()
                .filter(|line| !line.deleted && !line.hidden)
                .count() as u64;
            outcome.report = Report {
                records,
                missing: records,
                ..Report::default()
            };
            return Ok(());
        };
        outcome.report = exact::compare(&self.world.store, tenant, connection, truth).await?;
        Ok(())
    }

    fn workspace(&self) -> &(Workspace, Vec<TruthLine>) {
        &self.world.workspaces[self.number]
    }
}

/// The truth without the conversations that the plan excludes.
pub(super) fn expected(truth: &[TruthLine], scenario: Scenario) -> Cow<'_, [TruthLine]> {
    match scenario {
        Scenario::Restricted => exact::without_conversations(truth).into(),
        _ => truth.into(),
    }
}

pub(super) async fn status(
    store: &ApiStore,
    tenant: TenantId,
    connection: ConnectionId,
) -> Result<SyncStatus, Failure> {
    let mut tx = store.begin(tenant).await?;
    let facts = tx
        .sync_facts(connection)
        .await?
        .ok_or_else(|| Failure::because("the connection is gone"))?;
    Ok(completeness::judge(&facts))
}

async fn state(
    rest: &ApiClient,
    tenant: TenantId,
    connection: ConnectionId,
) -> Result<String, Failure> {
    let view = rest
        .get(tenant, &format!("/v1/connections/{connection}"))
        .await?;
    Ok(view["state"].as_str().unwrap_or_default().to_owned())
}

/// Whether every stream is complete. If the plan excludes conversations, those streams must be blocked for it.
pub(super) fn is_synced(status: &SyncStatus, scenario: Scenario) -> bool {
    if scenario != Scenario::Restricted {
        return status.complete;
    }
    let blocked = |stream: &StreamStatus| {
        stream
            .blocked
            .as_ref()
            .is_some_and(|why| why.code == "api_plan_restricted")
    };
    status.streams.iter().all(|stream| match stream.stream {
        Stream::Conversations => blocked(stream),
        _ => stream.complete,
    })
}

/// Exactly the threads longer than Intercom shows are truncated, and none is blocked.
fn thread_counts_fit(status: &SyncStatus, demo_tenant: &DemoTenant) -> bool {
    let threads = &status.threads;
    threads.truncated == i64::from(demo_tenant.spec.conversations_over_500)
        && threads.blocked == 0
        && threads.pending == 0
}

pub(super) fn unfinished(status: &SyncStatus) -> String {
    let streams = status.streams.iter().filter(|stream| !stream.complete);
    let words: Vec<String> = streams
        .map(|stream| {
            let expected = stream
                .expected
                .map_or_else(|| "?".to_owned(), |expected| expected.to_string());
            format!(
                "{} {:?} {}/{expected}",
                stream.stream, stream.status, stream.held
            )
            .to_lowercase()
        })
        .collect();
    format!(
        "{} ({} threads pending)",
        words.join(", "),
        status.threads.pending
    )
}

fn parsed<T: std::str::FromStr>(id: &Value, what: &str) -> Result<T, Failure> {
    id.as_str()
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| Failure::because(format!("the API gave no id of {what}")))
}
