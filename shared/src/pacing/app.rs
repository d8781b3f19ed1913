//! The app's own budget, and whether the fleet takes all workspaces' buckets for one.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::{Budget, RateLimitHeaders, Sightings, ledger::Ledger};

/// What the fleet judged is asked for when it was not heard for so long. Whoever works hears of it with each window.
pub const STALE: Duration = Duration::from_secs(12);

/// No workspace has this id.
pub(super) const APP: &str = "(app)";

/// The app's own budget, asked instead of the workspace's where all workspaces share a bucket.
#[derive(Debug)]
pub(super) struct App {
    pub(super) budget: Budget,
    ledger: Ledger,
    sightings: Mutex<Sightings>,
    /// As the fleet judged when last heard.
    shared: AtomicBool,
    heard: Mutex<Option<Instant>>,
    /// One asks for all.
    asking: tokio::sync::Mutex<()>,
}

impl App {
    pub(super) fn new(ledger: &Ledger) -> Self {
        Self {
            budget: Budget::new(APP, ledger, None),
            ledger: ledger.clone(),
            sightings: Mutex::default(),
            shared: AtomicBool::default(),
            heard: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// Whether the fleet takes the bucket for one. With Redis away, what it judged last.
    pub(super) async fn is_shared(&self) -> bool {
        if self.is_stale() {
            let _asking = self.asking.lock().await;
            if self.is_stale() {
                self.judged(self.ledger.is_shared(APP, None).await.ok());
            }
        }
        self.shared.load(Ordering::Relaxed)
    }

    fn is_stale(&self) -> bool {
        let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.is_none_or(|heard| heard.elapsed() > STALE)
    }

    fn judged(&self, shared: Option<bool>) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        if let Some(shared) = shared
            && self.shared.swap(shared, Ordering::Relaxed) != shared
        {
            tracing::info!(shared, "whether all workspaces share the app's rate limit");
        }
    }

    /// Takes in what a response announced; once per window the fleet is told, and says what it makes of it.
    pub(super) fn notice(self: &Arc<Self>, workspace_id: &str, headers: RateLimitHeaders) {
        let seen = self
            .sightings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .notice(workspace_id, headers);
        let Some(seen) = seen else { return };
        let app = Arc::clone(self);
        tokio::spawn(async move { app.judged(app.ledger.is_shared(APP, Some(&seen)).await.ok()) });
    }
}
