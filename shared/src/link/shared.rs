//! A connection that many callers use at once, and that is made anew when it is of no use any more.
//!
//! The client library has one of its own. It stays on a server that has become read-only, and on one that accepts and
//! never answers, so it is not used.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use parking_lot::Mutex;
use redis::RedisError;

use super::{
    connector::{Connector, OpenConnection, timed_out},
    fault::{ConnectionFault, ServerReply},
};

/// A connection to a server that lives is made anew at most this often, so that a server which stays read-only is not
/// flooded with connections.
const REMAKE_INTERVAL: Duration = Duration::from_secs(1);
/// A call that was given up after so long got no answer in time. A caller may also leave for a reason of its own, but
/// then it mostly leaves sooner.
const SILENT_AFTER: Duration = Duration::from_millis(400);
/// A connection that let so many calls go without an answer, and answered none in between, is of no use. A busy server
/// answers some, and a new connection would only add to its work.
const SILENT_CALLS: u32 = 2;

pub(crate) struct SharedConnection {
    connector: Connector,
    state: Mutex<SharedState>,
}

#[derive(Default)]
struct SharedState {
    /// Counts the connections, so that a late complaint about an old one does not end a new one.
    number: u64,
    current: Option<CurrentConnection>,
}

#[derive(Clone)]
struct CurrentConnection {
    number: u64,
    made_at: Instant,
    /// Calls without an answer since the last one with an answer.
    silent: Arc<AtomicU32>,
    /// Callers that come while the connection is being made wait for the same one.
    connecting: Shared<BoxFuture<'static, Result<OpenConnection, RedisError>>>,
}

impl SharedConnection {
    pub(super) fn new(connector: Connector) -> Self {
        Self {
            connector,
            state: Mutex::default(),
        }
    }

    /// Makes a call over the connection, which is made first if there is none.
    pub(super) async fn call<T, F>(
        &self,
        call: impl FnOnce(OpenConnection) -> F,
    ) -> Result<T, RedisError>
    where
        T: ServerReply,
        F: Future<Output = Result<T, RedisError>>,
    {
        let current = self.current();
        let connection = match current.connecting.clone().await {
            Ok(connection) => connection,
            Err(error) => {
                self.discard(current.number);
                return Err(error);
            }
        };
        let mut patience = Patience {
            shared: self,
            current: &current,
            since: Some(Instant::now()),
        };
        let answer = call(connection).await;
        patience.since = None;
        match answer.fault() {
            ConnectionFault::None => current.silent.store(0, Ordering::Relaxed),
            ConnectionFault::Silent => self.was_silent(&current),
            ConnectionFault::Lost => self.discard(current.number),
            ConnectionFault::Misplaced if current.made_at.elapsed() < REMAKE_INTERVAL => {}
            ConnectionFault::Misplaced => self.discard(current.number),
        }
        answer
    }

    fn was_silent(&self, current: &CurrentConnection) {
        if current.silent.fetch_add(1, Ordering::Relaxed) + 1 >= SILENT_CALLS {
            self.discard(current.number);
        }
    }

    fn current(&self) -> CurrentConnection {
        let mut state = self.state.lock();
        if let Some(current) = &state.current {
            return current.clone();
        }
        let connector = self.connector.clone();
        // A task of its own, so that it goes on if the caller gives up. Otherwise a caller with a short patience would
        // begin to connect again and again, and never end.
        let task = tokio::spawn(async move { connector.connect().await });
        let connecting = async move { task.await.unwrap_or_else(|_| Err(timed_out())) };
        state.number += 1;
        let current = CurrentConnection {
            number: state.number,
            made_at: Instant::now(),
            silent: Arc::default(),
            connecting: connecting.boxed().shared(),
        };
        state.current = Some(current.clone());
        current
    }

    /// The next call connects anew. Calls under way keep the old connection until they end.
    fn discard(&self, number: u64) {
        let mut state = self.state.lock();
        if state
            .current
            .as_ref()
            .is_some_and(|current| current.number == number)
        {
            state.current = None;
        }
    }
}

/// Notices that its caller gave a call up.
struct Patience<'a> {
    shared: &'a SharedConnection,
    current: &'a CurrentConnection,
    /// When the call began. `None` once it has its answer.
    since: Option<Instant>,
}

impl Drop for Patience<'_> {
    fn drop(&mut self) {
        if self
            .since
            .is_some_and(|since| since.elapsed() >= SILENT_AFTER)
        {
            self.shared.was_silent(self.current);
        }
    }
}
