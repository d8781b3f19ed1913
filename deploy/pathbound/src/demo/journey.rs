//! One tenant's way: made by the product backend, connected by its customer, synced, and compared.

use std::time::{Duration, Instant};

use intercom_simulator::{TruthLine, Workspace};
use serde_json::{Value, json};
use shared::{
    domain::{ConnectionId, Stream, TenantId},
    store::{
        Store,
        reads::{StreamStatus, SyncStatus},
    },
};

use super::{
    browser::Browser,
    cast::{Member, Play},
    floor::Sizes,
    progress::Progress,
    world::World,
};
use crate::{
    exact::{self, Report},
    failure::Failure,
    rest::Rest,
};

/// Between two looks at Postgres: closer together until the first row is there, since that is a figure.
const FIRST_LOOKS: Duration = Duration::from_millis(100);
const LOOKS: Duration = Duration::from_millis(300);

/// What became of a tenant.
#[derive(Clone, Debug)]
pub struct Journey {
    pub member: Member,
    pub tenant: Option<TenantId>,
    pub connection: Option<ConnectionId>,
    /// The connection's state at the end, as the API says it.
    pub state: String,
    /// Whether state and streams are what this tenant is there to show.
    pub as_expected: bool,
    pub report: Report,
    /// Calls of the first sync, connecting included, and the fewest that it could need.
    pub calls: u64,
    pub floor: u64,
    /// Calls after the first sync: those of a run that a revoked token refuses.
    pub later_calls: u64,
    /// From the start of the process to complete and compared.
    pub took: Duration,
    /// Why the journey ended early.
    pub failure: Option<String>,
}

/// One tenant on its way.
#[derive(Debug)]
pub(super) struct Traveller<'w> {
    pub(super) number: usize,
    pub(super) member: &'w Member,
    pub(super) world: &'w World,
    pub(super) browser: &'w Browser,
    pub(super) progress: &'w Progress,
    pub(super) started: Instant,
    pub(super) deadline: Instant,
}

impl Traveller<'_> {
    /// Goes the whole way. Never fails: what went wrong is part of what became of it.
    pub(super) async fn travel(&self) -> Journey {
        let (workspace, truth) = self.workspace();
        let mut journey = Journey {
            member: self.member.clone(),
            tenant: None,
            connection: None,
            state: "-".to_owned(),
            as_expected: false,
            report: Report::default(),
            calls: 0,
            floor: Sizes::of(truth).floor(self.member.spec.conversations_plan),
            later_calls: 0,
            took: Duration::ZERO,
            failure: None,
        };
        if let Err(failure) = self.steps(&mut journey).await {
            journey.failure = Some(failure.line());
        }
        // With the exchange, which carries no token yet.
        let all = workspace.ledger().total + 1;
        journey.calls = all - journey.later_calls.min(all);
        if let Err(failure) = self.compare(&mut journey).await {
            journey.failure.get_or_insert(failure.line());
        }
        journey.took = self.started.elapsed();
        self.progress.done(self.number);
        journey
    }

    async fn steps(&self, journey: &mut Journey) -> Result<(), Failure> {
        let rest = &self.world.rest;
        let tenant = rest
            .post(None, "/v1/tenants", &json!({"name": self.member.name}))
            .await?
            .success()?;
        let tenant: TenantId = parsed(&tenant["id"], "a tenant")?;
        journey.tenant = Some(tenant);

        let region = self.member.spec.region.to_lowercase();
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
        let home = self
            .browser
            .connect(start_url, &self.workspace().0.id_code())
            .await?;
        if !home.contains("intercom=connected") {
            return Err(Failure::because(format!("the browser ended at {home}")));
        }
        let connections = rest.get(tenant, "/v1/connections").await?;
        let connection: ConnectionId = parsed(&connections["items"][0]["id"], "a connection")?;
        journey.connection = Some(connection);

        let synced = self.until_synced(tenant, connection).await?;
        let calls = self.workspace().0.ledger();
        if self.member.play == Play::Revoked {
            self.workspace().0.revoke_tokens();
            self.until_reauth_required(tenant, connection).await?;
            journey.later_calls = self.workspace().0.ledger().total - calls.total;
        }
        journey.state = state(rest, tenant, connection).await?;
        let wanted = if self.member.play == Play::Revoked {
            "reauth_required"
        } else {
            "active"
        };
        journey.as_expected = journey.state == wanted && thread_counts_fit(&synced, self.member);
        Ok(())
    }

    /// Waits until the copy says of itself that it is complete, or as complete as the plan lets it be.
    async fn until_synced(
        &self,
        tenant: TenantId,
        connection: ConnectionId,
    ) -> Result<SyncStatus, Failure> {
        loop {
            let status = status(&self.world.store, tenant, connection).await?;
            self.progress.note(self.number, &status);
            if is_synced(&status, self.member.play) {
                return Ok(status);
            }
            if Instant::now() >= self.deadline {
                return Err(Failure::because(format!(
                    "was not complete in time: {}",
                    unfinished(&status)
                )));
            }
            tokio::time::sleep(if self.progress.first_row().is_some() {
                LOOKS
            } else {
                FIRST_LOOKS
            })
            .await;
        }
    }

    /// Asks for a run that the dead token must end, and waits for the connection to say so.
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
            tokio::time::sleep(LOOKS).await;
        }
        Ok(())
    }

    async fn compare(&self, journey: &mut Journey) -> Result<(), Failure> {
        let truth = &self.workspace().1;
        // What the plan keeps from us is not expected, and would be too much.
        let without =
            (self.member.play == Play::Restricted).then(|| exact::without_conversations(truth));
        let truth = without.as_deref().unwrap_or(truth);
        let (Some(tenant), Some(connection)) = (journey.tenant, journey.connection) else {
            // Never connected: everything is missing.
            let records = truth
                .iter()
                .filter(|line| !line.deleted && !line.hidden)
                .count() as u64;
            journey.report = Report {
                records,
                missing: records,
                ..Report::default()
            };
            return Ok(());
        };
        journey.report = exact::compare(&self.world.store, tenant, connection, truth).await?;
        Ok(())
    }

    fn workspace(&self) -> &(Workspace, Vec<TruthLine>) {
        &self.world.workspaces[self.number]
    }
}

async fn status(
    store: &Store,
    tenant: TenantId,
    connection: ConnectionId,
) -> Result<SyncStatus, Failure> {
    let mut tx = store.begin(tenant).await?;
    tx.sync_status(connection)
        .await?
        .ok_or_else(|| Failure::because("the connection is gone"))
}

async fn state(rest: &Rest, tenant: TenantId, connection: ConnectionId) -> Result<String, Failure> {
    let view = rest
        .get(tenant, &format!("/v1/connections/{connection}"))
        .await?;
    Ok(view["state"].as_str().unwrap_or_default().to_owned())
}

/// Complete; where the plan excludes conversations: blocked there, for that reason, and complete elsewhere.
fn is_synced(status: &SyncStatus, play: Play) -> bool {
    if play != Play::Restricted {
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
fn thread_counts_fit(status: &SyncStatus, member: &Member) -> bool {
    let threads = &status.threads;
    threads.truncated == i64::from(member.spec.conversations_over_500)
        && threads.blocked == 0
        && threads.pending == 0
}

fn unfinished(status: &SyncStatus) -> String {
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
