//! What the ops listener says, once a second.

use std::{collections::HashSet, time::Duration};

use api::ops::{
    fleet_views::{OverviewView, TenantRowView, TenantView, TenantsView},
    views::{BulkStartedView, PausedView},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::domain::TenantId;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use crate::{failure::Failure, ops_client::OpsClient};

const EVERY: Duration = Duration::from_secs(1);
/// A listener that does not answer by then is away. Its own reads end within a second.
const LIMIT: Duration = Duration::from_secs(5);
/// As many tenants as one page has.
const TENANTS: u32 = 200;
/// What operators read in the list of actions.
const REASON: &str = "from pathbound top";

/// The numbers of one moment. It is also what `-o json` prints.
#[derive(Clone, Debug, JsonSchema, Serialize, Deserialize)]
pub struct TopReading {
    pub overview: OverviewView,
    /// Those with the longest lag, 200 at most, and those whose names come first, 200 at most.
    pub tenants: Vec<TenantRowView>,
    /// The tenant that is selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selected: Option<TenantView>,
}

/// What to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) search: String,
    pub(super) selected: Option<TenantId>,
}

/// What an operator does to a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) verb: Verb,
    pub(super) tenant: TenantId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Pause,
    Resume,
    Retry,
}

/// What the screen has to take.
#[derive(Debug)]
pub(super) enum News {
    /// New numbers, or why there are none.
    Reading(Result<Box<TopReading>, Failure>),
    /// What became of a change.
    Changed(Result<String, Failure>),
}

/// Reads and changes beside the screen. Dropping it ends both.
#[derive(Debug)]
pub(super) struct Reader {
    ops: OpsClient,
    question: watch::Sender<Question>,
    readings: mpsc::Receiver<Result<TopReading, Failure>>,
    changes: JoinSet<Result<String, Failure>>,
    _reading: JoinSet<()>,
}

impl Reader {
    pub(super) fn start(ops: OpsClient) -> Self {
        let question = watch::Sender::default();
        let (sender, readings) = mpsc::channel(1);
        let mut reading = JoinSet::new();
        reading.spawn(read_on(ops.clone(), question.subscribe(), sender));
        Self {
            ops,
            question,
            readings,
            changes: JoinSet::new(),
            _reading: reading,
        }
    }

    /// What to read from now on.
    pub(super) fn ask(&self, question: Question) {
        self.question.send_if_modified(|before| {
            let is_new = *before != question;
            *before = question;
            is_new
        });
    }

    /// What comes next. It may be dropped at any time.
    pub(super) async fn next(&mut self) -> News {
        tokio::select! {
            Some(reading) = self.readings.recv() => News::Reading(reading.map(Box::new)),
            Some(changed) = self.changes.join_next() => News::Changed(match changed {
                Ok(outcome) => outcome,
                Err(error) => Err(Failure::failed("the change panicked", error)),
            }),
            else => std::future::pending().await,
        }
    }

    pub(super) fn change(&mut self, change: Change) {
        self.changes.spawn(apply(self.ops.clone(), change));
    }
}

async fn read_on(
    ops: OpsClient,
    mut question: watch::Receiver<Question>,
    readings: mpsc::Sender<Result<TopReading, Failure>>,
) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            changed = question.changed() => if changed.is_err() { return },
        }
        let asked = question.borrow_and_update().clone();
        if readings.send(read(&ops, &asked).await).await.is_err() {
            return;
        }
    }
}

/// The numbers of now.
///
/// # Errors
/// If the ops listener does not answer in time, or refuses.
pub(super) async fn read(ops: &OpsClient, question: &Question) -> Result<TopReading, Failure> {
    let selected = async {
        match question.selected {
            // A tenant may be gone.
            Some(tenant) => ops.get(&format!("/ops/tenants/{tenant}")).await.ok(),
            None => None,
        }
    };
    let all = async { tokio::join!(ops.get("/ops/overview"), tenants(ops, question), selected) };
    let (overview, tenants, selected) =
        tokio::time::timeout(LIMIT, all)
            .await
            .map_err(|_| Failure::Unreachable {
                server: "the ops listener",
                cause: format!("no answer within {} s", LIMIT.as_secs()).into(),
            })?;
    Ok(TopReading {
        overview: overview?,
        tenants: tenants?,
        selected,
    })
}

/// The tenants of two lists, because the one by lag has no tenant without an active connection.
async fn tenants(ops: &OpsClient, question: &Question) -> Result<Vec<TenantRowView>, Failure> {
    let list = async |sort: &str| -> Result<Vec<TenantRowView>, Failure> {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("limit", &TENANTS.to_string())
            .append_pair("sort", sort)
            .append_pair("q", &question.search)
            .finish();
        let page: TenantsView = ops.get(&format!("/ops/tenants?{query}")).await?;
        Ok(page.items)
    };
    let mut rows = list("name").await?;
    // A search is by name already.
    if question.search.is_empty() {
        let known: HashSet<TenantId> = rows.iter().map(|row| row.id).collect();
        let by_lag = list("lag").await?.into_iter();
        rows.extend(by_lag.filter(|row| !known.contains(&row.id)));
    }
    Ok(rows)
}

async fn apply(ops: OpsClient, change: Change) -> Result<String, Failure> {
    let tenant = change.tenant;
    let pause = async |verb: &str| -> Result<PausedView, Failure> {
        let path = format!("/ops/tenants/{tenant}/{verb}");
        ops.post(&path, &json!({"reason": REASON})).await
    };
    Ok(match change.verb {
        Verb::Pause => {
            pause("pause").await?;
            "paused. Work in progress finishes".to_owned()
        }
        Verb::Resume => {
            pause("resume").await?;
            "resumed".to_owned()
        }
        Verb::Retry => {
            let body = json!({"tenant_id": tenant});
            let started: BulkStartedView = ops.post("/ops/dead/retry", &body).await?;
            let letters = crate::output::counted(started.count, "dead letter");
            format!("a scheduler retries {letters}")
        }
    })
}
