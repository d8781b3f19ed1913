//! The authorization server's keys as they were read last.
//!
//! They are read again if a token names a key that is not among them, if a token that names none is signed with another
//! one, and if they are ten times `mcp_jwks_interval` old.
//! Whatever comes, two reads are that interval apart. If the server is away, the last keys are used on: tokens end by themselves.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jsonwebtoken::{Algorithm, DecodingKey};
use parking_lot::RwLock;
use reqwest::Client;
use tokio::sync::Mutex;

use super::{fetch::get, key_set::KeySet, metadata};
use crate::{config::SignIn, telemetry::Repeats};

/// Of a whole read. A request waits for it, and has a limit of its own.
const READ_LIMIT: Duration = Duration::from_secs(5);

/// The intervals after which keys are old. A key that the server has withdrawn is good for so long at most, while the
/// server answers and tokens come.
const LIFETIME_INTERVALS: u32 = 10;

#[derive(Debug)]
pub(super) struct KeyCache {
    http: Client,
    issuer: String,
    /// `None` if the server's metadata says it.
    url: Option<String>,
    interval: Duration,
    held: RwLock<Held>,
    /// Locked by the one read that is under way.
    reading: Mutex<()>,
    failures: Repeats,
}

#[derive(Clone, Debug, Default)]
struct Held {
    keys: Option<Arc<KeySet>>,
    read_at: Option<Instant>,
    tried_at: Option<Instant>,
}

/// The keys could never be read.
#[derive(Debug)]
pub(super) struct NoKeys;

impl KeyCache {
    pub(super) fn new(http: Client, sign_in: &SignIn) -> Self {
        Self {
            http,
            issuer: sign_in.issuer.clone(),
            url: sign_in.jwks_url.clone(),
            interval: sign_in.jwks_interval,
            held: RwLock::default(),
            reading: Mutex::default(),
            failures: Repeats::new(),
        }
    }

    /// The key with this id, or the one key for the algorithm if the token names none. `None` if the server has no such
    /// key.
    ///
    /// # Errors
    /// If it could never be asked.
    pub(super) async fn find(
        self: &Arc<Self>,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Option<DecodingKey>, NoKeys> {
        let held = self.held.read().clone();
        if let Some(key) = held.find(id, algorithm) {
            if older_than(held.read_at, self.interval * LIFETIME_INTERVALS) && self.may_read() {
                // The request does not wait for it, because it has a key.
                tokio::spawn(Arc::clone(self).read());
            }
            return Ok(Some(key));
        }
        self.find_anew(id, algorithm).await
    }

    /// The same, after the keys were read again, unless that was tried within the interval.
    ///
    /// # Errors
    /// If the server could never be asked.
    pub(super) async fn find_anew(
        self: &Arc<Self>,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Option<DecodingKey>, NoKeys> {
        // In a task of its own, so that a client that goes away does not end it.
        let _ = tokio::spawn(Arc::clone(self).read()).await;
        let held = self.held.read().clone();
        if held.keys.is_none() {
            return Err(NoKeys);
        }
        Ok(held.find(id, algorithm))
    }

    fn may_read(&self) -> bool {
        older_than(self.held.read().tried_at, self.interval)
    }

    /// Reads the keys unless it was tried within the interval. Returns behind a read that is under way.
    async fn read(self: Arc<Self>) {
        let _only_one = self.reading.lock().await;
        if !self.may_read() {
            return;
        }
        self.held.write().tried_at = Some(Instant::now());
        let fetched = tokio::time::timeout(READ_LIMIT, self.fetch()).await;
        match fetched.unwrap_or(Err("it takes too long")) {
            Ok(keys) => {
                let mut held = self.held.write();
                held.keys = Some(Arc::new(keys));
                held.read_at = Some(Instant::now());
                crate::log_end!(
                    self.failures.ended(),
                    "reads the authorization server's keys again"
                );
            }
            Err(fault) => {
                crate::log_failure!(
                    self.failures.failed_as(fault),
                    warn,
                    { fault },
                    "could not read the authorization server's keys"
                );
            }
        }
    }

    async fn fetch(&self) -> Result<KeySet, &'static str> {
        let url = match &self.url {
            Some(url) => url.clone(),
            // Asked for each time, because a server may move its keys.
            None => metadata::jwks_url(&self.http, &self.issuer).await?,
        };
        KeySet::read(&get(&self.http, &url).await?)
    }
}

impl Held {
    fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
        let keys = self.keys.as_ref()?;
        keys.find(id, algorithm).cloned()
    }
}

fn older_than(time: Option<Instant>, age: Duration) -> bool {
    time.is_none_or(|time| time.elapsed() >= age)
}
