//! What goes wrong while the fleet is watched.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use intercom_simulator::{Fault, FaultAction};
use serde_json::json;

use super::{Count, WINDOW};
use crate::{report::Failure, sync::WORKSPACE};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    None,
    /// A worker is killed every 20 s.
    Kills,
    /// Another app of the customer's takes a fifth of the limit, at random.
    Foreign,
    /// One answer in a hundred is lost after its call was counted.
    LostAnswers,
    /// Polls come beside the backfill, and wait as little as they can.
    Fresh,
    /// The limit becomes half of it in the middle of a window.
    Halved,
    /// Redis is stopped for a minute and comes back empty.
    RedisAway,
    /// Intercom's clock is so many seconds ahead of Redis' and everybody's.
    Skewed(i64),
    /// All of the backlog is one connection's, and so one worker's.
    OneConnection,
}

impl Trouble {
    pub(super) const ALL: &[Self] = &[
        Self::None,
        Self::Kills,
        Self::Foreign,
        Self::LostAnswers,
        Self::Fresh,
        Self::Halved,
        Self::RedisAway,
        Self::Skewed(30),
        Self::Skewed(-30),
        Self::OneConnection,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Kills => ".kills",
            Self::Foreign => ".foreign_20_percent",
            Self::LostAnswers => ".lost_1_percent",
            Self::Fresh => ".fresh_beside",
            Self::Halved => ".halved",
            Self::RedisAway => ".redis_away_60_s",
            Self::Skewed(0..) => ".clock_30_s_ahead",
            Self::Skewed(..0) => ".clock_30_s_behind",
            Self::OneConnection => ".one_connection",
        }
    }
}

/// Another app of the workspace's.
pub(super) struct Others {
    counts: Arc<(AtomicU64, AtomicU64)>,
    _senders: tokio::task::JoinSet<()>,
}

impl Others {
    pub(super) fn start(intercom: &str, limit: u32) -> Self {
        let counts = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
        let (intercom, counted) = (intercom.to_owned(), Arc::clone(&counts));
        let mut senders = tokio::task::JoinSet::new();
        senders.spawn(async move {
            if let Err(error) = send(&intercom, limit, &counted).await {
                eprintln!("bench: the other app stopped: {error}");
            }
        });
        Self {
            counts,
            _senders: senders,
        }
    }

    /// Calls that were counted, and calls that were refused.
    pub(super) fn so_far(&self) -> Count {
        (
            self.counts.0.load(Ordering::Relaxed),
            self.counts.1.load(Ordering::Relaxed),
        )
    }
}

async fn send(
    intercom: &str,
    limit: u32,
    counts: &Arc<(AtomicU64, AtomicU64)>,
) -> Result<(), Failure> {
    let http = pathbound::api_client::http_client()?;
    let url = format!("{intercom}/_control/workspaces/{WORKSPACE}/tokens");
    let token: serde_json::Value = http.post(url).body("{}").send().await?.json().await?;
    let token = token["token"]
        .as_str()
        .ok_or("no token for the other app")?
        .to_owned();
    let every = WINDOW.as_secs_f64() / (0.2 * f64::from(limit));
    loop {
        // Exponential waits: calls that know nothing of each other.
        let wait = -every * (1.0 - rand::random::<f64>()).ln();
        tokio::time::sleep(Duration::from_secs_f64(wait)).await;
        let call = http
            .get(format!("{intercom}/me"))
            .bearer_auth(&token)
            .header("Intercom-Version", "2.16");
        let counts = Arc::clone(counts);
        tokio::spawn(async move {
            match call.header("Accept", "application/json").send().await {
                Ok(answer) if answer.status().as_u16() == 429 => {
                    counts.1.fetch_add(1, Ordering::Relaxed)
                }
                _ => counts.0.fetch_add(1, Ordering::Relaxed),
            };
        });
    }
}

/// Cuts the connection of every hundredth call, after it was counted.
pub(super) async fn lose_answers(intercom: &str, calls: u64) -> Result<(), Failure> {
    let http = pathbound::api_client::http_client()?;
    for lost in (0..calls).step_by(100) {
        let fault = Fault {
            skip: lost,
            times: Some(1),
            ..Fault::new(FaultAction::Reset)
        };
        http.post(format!("{intercom}/_control/faults"))
            .json(&fault)
            .send()
            .await?
            .error_for_status()?;
    }
    Ok(())
}

/// Another limit per window, from now on.
pub(super) async fn set_limit(intercom: &str, limit: u32) -> Result<(), Failure> {
    let url = format!("{intercom}/_control/workspaces/{WORKSPACE}/limit");
    put(&url, &json!({"per_window": limit})).await
}

/// Sets Intercom's clock.
pub(super) async fn skew(intercom: &str, seconds: i64) -> Result<(), Failure> {
    put(
        &format!("{intercom}/_control/clock"),
        &json!({"offset_seconds": seconds}),
    )
    .await
}

async fn put(url: &str, body: &serde_json::Value) -> Result<(), Failure> {
    pathbound::api_client::http_client()?
        .put(url)
        .json(body)
        .send()
        .await?
        .error_for_status()?;
    Ok(())
}
