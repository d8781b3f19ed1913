//! A record of every call to the Intercom side (not to `/_control`).

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use serde::Serialize;

use crate::rate::lock;
use crate::routes::{Operation, ROUTES, Route};

/// The operations whose calls a first sync makes once if nothing changes, for [`Ledger::repeated`]. A scroll of companies
/// cannot be resumed, so it begins anew.
pub const READ_ONCE: [&str; 11] = [
    "list_contacts",
    "contact_companies",
    "search_conversations",
    "get_conversation",
    "deleted_conversations",
    "list_admins",
    "list_teams",
    "list_tags",
    "list_segments",
    "data_attributes",
    "conversation_attributes",
];

/// The counters at one moment, of a simulator or of one workspace.
#[derive(Debug, Clone, Serialize)]
pub struct Ledger {
    /// Calls that were answered.
    pub total: u64,
    /// Calls per operation. Operations without a call are left out.
    pub by_operation: BTreeMap<String, u64>,
    /// Calls per HTTP status. A call without an answer (connection reset) counts as 0.
    pub by_status: BTreeMap<u16, u64>,
    /// Calls that no read-only sync needs: writes and unknown paths.
    pub outside_read_list: u64,
    /// Answers 429.
    pub throttled: u64,
    /// Authenticated calls without an `Intercom-Version` header.
    pub version_missing: u64,
    #[serde(skip)]
    book: Arc<Book>,
}

/// One call.
#[derive(Debug, Clone, Serialize)]
pub struct LedgerRow {
    /// Simulator time, Unix milliseconds.
    pub at_millis: i64,
    /// The workspace that the token belongs to. `None` without a known token.
    pub workspace: Option<Arc<str>>,
    /// HTTP method.
    pub method: String,
    /// Path template, such as `/contacts/{}`, or `(other)` for an unknown path.
    pub path_template: &'static str,
    /// Path and query as sent.
    pub path: String,
    /// Equal for equal bodies.
    pub body_digest: u64,
    /// Operation name, such as `get_contact`, or `outside` for an unknown one.
    pub operation: &'static str,
    /// The `Intercom-Version` header as sent.
    pub version: Option<String>,
    /// An authenticated call did not name a version.
    pub version_missing: bool,
    /// HTTP status, or 0 if the connection was reset.
    pub status: u16,
    /// Whether the call is one that a read-only sync needs.
    pub in_read_list: bool,
}

impl Ledger {
    /// The calls, oldest first, as far as rows are kept (see
    /// [`crate::Options::ledger_rows`]).
    pub fn rows(&self) -> Vec<LedgerRow> {
        lock(&self.book.rows).clone()
    }

    /// Calls of these operations that were answered with a 200 more than once, as far as rows are kept. Two calls are one
    /// if workspace, path and body are equal, so a page that was read twice shows here.
    pub fn repeated(&self, operations: &[&str]) -> Vec<String> {
        let mut times: BTreeMap<_, u64> = BTreeMap::new();
        let rows = self.rows();
        for row in &rows {
            if row.status == 200 && operations.contains(&row.operation) {
                let call = (&row.workspace, row.operation, &row.path, row.body_digest);
                *times.entry(call).or_default() += 1;
            }
        }
        times.retain(|_, times| *times > 1);
        let said = times
            .iter()
            .map(|((workspace, operation, path, _), times)| {
                let workspace = workspace.as_deref().unwrap_or("(none)");
                format!("{workspace}: {operation} {path}: {times} times")
            });
        said.collect()
    }

    /// Sets the ledger that this was taken from to zero.
    pub fn reset(&self) {
        self.book.reset();
    }

    /// Calls of one operation.
    pub fn calls(&self, operation: &str) -> u64 {
        self.by_operation.get(operation).copied().unwrap_or(0)
    }
}

/// Live counters.
#[derive(Debug)]
pub(crate) struct Book {
    by_operation: [AtomicU64; ROUTES.len()],
    by_status: Mutex<BTreeMap<u16, u64>>,
    throttled: AtomicU64,
    version_missing: AtomicU64,
    rows: Mutex<Vec<LedgerRow>>,
    /// 0: counters only.
    cap: usize,
}

/// What one call leaves behind.
#[derive(Debug)]
pub(crate) struct Call<'c> {
    pub(crate) at_millis: i64,
    pub(crate) workspace: Option<&'c Arc<str>>,
    pub(crate) method: &'c str,
    pub(crate) path: &'c str,
    pub(crate) body: &'c [u8],
    pub(crate) route: &'static Route,
    pub(crate) version: Option<&'c str>,
    pub(crate) version_missing: bool,
    pub(crate) status: u16,
}

fn digest(body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
}

impl Book {
    pub(crate) fn new(cap: usize) -> Self {
        Self {
            by_operation: [const { AtomicU64::new(0) }; ROUTES.len()],
            by_status: Mutex::default(),
            throttled: AtomicU64::new(0),
            version_missing: AtomicU64::new(0),
            rows: Mutex::default(),
            cap,
        }
    }

    pub(crate) fn enter(&self, call: &Call<'_>) {
        self.by_operation[call.route.operation as usize].fetch_add(1, Ordering::Relaxed);
        *lock(&self.by_status).entry(call.status).or_default() += 1;
        if call.status == 429 {
            self.throttled.fetch_add(1, Ordering::Relaxed);
        }
        if call.version_missing {
            self.version_missing.fetch_add(1, Ordering::Relaxed);
        }
        if self.cap == 0 {
            return;
        }
        let mut rows = lock(&self.rows);
        if rows.len() < self.cap {
            rows.push(LedgerRow {
                at_millis: call.at_millis,
                workspace: call.workspace.map(Arc::clone),
                method: call.method.to_owned(),
                path_template: call.route.template,
                path: call.path.to_owned(),
                body_digest: digest(call.body),
                operation: call.route.name,
                version: call.version.map(ToOwned::to_owned),
                version_missing: call.version_missing,
                status: call.status,
                in_read_list: call.route.operation != Operation::Outside,
            });
        }
    }

    pub(crate) fn snapshot(self: &Arc<Self>) -> Ledger {
        let counts = self
            .by_operation
            .each_ref()
            .map(|n| n.load(Ordering::Relaxed));
        Ledger {
            total: counts.iter().sum(),
            by_operation: ROUTES
                .iter()
                .zip(counts)
                .filter(|(_, count)| *count > 0)
                .map(|(route, count)| (route.name.to_owned(), count))
                .collect(),
            by_status: lock(&self.by_status).clone(),
            outside_read_list: counts[Operation::Outside as usize],
            throttled: self.throttled.load(Ordering::Relaxed),
            version_missing: self.version_missing.load(Ordering::Relaxed),
            book: Arc::clone(self),
        }
    }

    fn reset(&self) {
        for count in &self.by_operation {
            count.store(0, Ordering::Relaxed);
        }
        lock(&self.by_status).clear();
        self.throttled.store(0, Ordering::Relaxed);
        self.version_missing.store(0, Ordering::Relaxed);
        lock(&self.rows).clear();
    }
}
