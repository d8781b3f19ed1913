//! The handle of a running simulator.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, RwLock};

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::api::{Scroll, Totals};
use crate::auth::Keys;
use crate::clock::Clock;
use crate::faults::{Fault, FaultId, Faults};
use crate::generate::{World, populate};
use crate::ledger::{Book, Ledger};
use crate::options::{Latency, Options, StartError};
use crate::rate::{Bucket, lock};
use crate::server;
use crate::spec::{SpecError, WorkspaceSpec};
use crate::versions::Version;
use crate::workspace::{Inner, Shelf, Workspace};

/// A running simulator. Clones are the same one. It serves until [`Simulator::stop`] or the end
/// of the runtime that it was started on.
#[derive(Debug, Clone)]
pub struct Simulator {
    shared: Arc<Shared>,
}

/// Everything that calls share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) app_version: Version,
    pub(crate) address: SocketAddr,
    pub(crate) clock: Clock,
    pub(crate) keys: Keys,
    pub(crate) faults: Faults,
    pub(crate) latency: Mutex<Latency>,
    pub(crate) book: Arc<Book>,
    pub(crate) app_bucket: Bucket,
    pub(crate) app_limit: Mutex<Option<u32>>,
    /// The number of the call, which also picks its latency.
    pub(crate) calls: AtomicU64,
    pub(crate) workspaces: RwLock<Vec<Arc<Inner>>>,
    /// Bytes of bodies that were handed to connections.
    pub(crate) sent: AtomicU64,
    pub(crate) stop: watch::Sender<bool>,
}

impl Simulator {
    /// Binds, and serves on the current tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]: the address cannot be bound, or an option has no meaning.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let app_version =
            Version::parse(&options.app_version).ok_or_else(|| StartError::AppVersion {
                version: options.app_version.clone(),
            })?;
        let refused = |source| StartError::Listen {
            address: options.listen,
            source,
        };
        let listener = TcpListener::bind(options.listen).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let clock = Clock::default();
        clock.set_offset(options.clock_offset);
        let cap = if options.ledger_rows {
            options.ledger_cap
        } else {
            0
        };
        let shared = Arc::new(Shared {
            app_version,
            address,
            clock,
            keys: Keys::default(),
            faults: Faults::default(),
            latency: Mutex::new(options.latency),
            book: Arc::new(Book::new(cap)),
            app_bucket: Bucket::default(),
            app_limit: Mutex::new(options.app_limit_per_window),
            calls: AtomicU64::new(0),
            workspaces: RwLock::default(),
            sent: AtomicU64::new(0),
            stop: watch::Sender::new(false),
            options,
        });
        tokio::spawn(server::serve(listener, Arc::clone(&shared)));
        Ok(Self { shared })
    }

    /// `http://127.0.0.1:port`: API host, authorize host and control host in one.
    pub fn url(&self) -> String {
        self.shared.url()
    }

    /// Makes a workspace.
    ///
    /// # Panics
    /// Where the recipe is invalid or its id code taken: a mistake in a test's own setup. See
    /// [`Simulator::try_add_workspace`].
    pub fn add_workspace(&self, spec: WorkspaceSpec) -> Workspace {
        match self.try_add_workspace(spec) {
            Ok(workspace) => workspace,
            Err(error) => panic!("{error}"),
        }
    }

    /// Makes a workspace.
    ///
    /// # Errors
    /// [`SpecError`]: which field is wrong.
    pub fn try_add_workspace(&self, spec: WorkspaceSpec) -> Result<Workspace, SpecError> {
        self.shared.add_workspace(spec)
    }

    /// All workspaces, in the order they were added.
    pub fn workspaces(&self) -> Vec<Workspace> {
        self.shared.list()
    }

    /// The simulator's clock.
    pub fn clock(&self) -> Clock {
        self.shared.clock.clone()
    }

    /// Breaks calls.
    pub fn inject(&self, fault: Fault) -> FaultId {
        self.shared.faults.inject(fault)
    }

    /// How many calls a fault has hit.
    pub fn fault_hits(&self, id: FaultId) -> u64 {
        self.shared.faults.hits(id)
    }

    /// Takes a fault away. Its count stays.
    pub fn clear_fault(&self, id: FaultId) {
        self.shared.faults.clear(Some(id));
    }

    /// Takes all faults away.
    pub fn clear_faults(&self) {
        self.shared.faults.clear(None);
    }

    /// Delays every answer from now on.
    pub fn set_latency(&self, latency: Latency) {
        *lock(&self.shared.latency) = latency;
    }

    /// Sets the limit that all workspaces share from now on. `None` leaves each its own limit only.
    pub fn set_app_limit(&self, per_window: Option<u32>) {
        *lock(&self.shared.app_limit) = per_window;
    }

    /// All calls, with and without a known token.
    pub fn ledger(&self) -> Ledger {
        self.shared.book.snapshot()
    }

    /// Bytes of bodies sent so far, as far as connections took them.
    pub fn bytes_sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// Stops listening and closes the connections.
    pub async fn stop(&self) {
        // If the server ended with its runtime, the signal has no receiver.
        // Also when the server has not begun to listen for it yet.
        self.shared.stop.send_replace(true);
        self.shared.stop.closed().await;
    }
}

impl Shared {
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn list(self: &Arc<Self>) -> Vec<Workspace> {
        self.workspaces
            .read()
            .iter()
            .map(|inner| self.handle(inner))
            .collect()
    }

    pub(crate) fn workspace(self: &Arc<Self>, id_code: &str) -> Option<Workspace> {
        self.list()
            .into_iter()
            .find(|workspace| &*workspace.inner.id_code == id_code)
    }

    pub(crate) fn add_workspace(
        self: &Arc<Self>,
        mut spec: WorkspaceSpec,
    ) -> Result<Workspace, SpecError> {
        spec.check()?;
        let tz = spec.tz()?;
        spec.id_code = Some(spec.resolved_id_code());
        let (limit, plan) = (spec.limit_per_window, spec.conversations_plan);
        let world = World::new(spec);
        if self.workspace(&world.id_code).is_some() {
            return Err(SpecError::Exists(world.id_code));
        }
        let store = populate(&world, self.clock.now());
        let cap = if self.options.ledger_rows {
            self.options.ledger_cap
        } else {
            0
        };
        let inner = Arc::new(Inner {
            id_code: Arc::from(world.id_code.as_str()),
            world,
            tz,
            token: OnceLock::new(),
            limit: AtomicU32::new(limit),
            plan: AtomicBool::new(plan),
            bucket: Bucket::default(),
            answered: AtomicU64::new(0),
            book: Arc::new(Book::new(cap)),
            state: Mutex::new(Shelf {
                store,
                scroll: Scroll::default(),
                totals: Totals::default(),
            }),
        });
        let token = self.keys.issue(&inner);
        inner.token.get_or_init(|| token);
        let mut all = self.workspaces.write();
        if all.iter().any(|other| other.id_code == inner.id_code) {
            return Err(SpecError::Exists(inner.id_code.to_string()));
        }
        all.push(Arc::clone(&inner));
        Ok(self.handle(&inner))
    }

    fn handle(self: &Arc<Self>, inner: &Arc<Inner>) -> Workspace {
        Workspace {
            inner: Arc::clone(inner),
            shared: Arc::clone(self),
        }
    }
}
