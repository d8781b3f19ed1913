//! The copy is provably complete: a case a sentence, held against the simulator's own truth and the floor of calls.
//!
//! Cases share a world and have a tenant each, so that a case costs some tenths of a second. Those that move
//! the simulator's clock take turns in a world of their own.

mod companies;
mod contacts;
mod conversations;
mod killed;
mod known_defects;
mod merges;
mod partial;
mod proof;
mod sweeps;
mod threads;
mod versions;
mod zones;

use std::{
    future::Future,
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use intercom_simulator::{Fault, FaultAction, FaultId, Kind, Mutation, Workspace, WorkspaceSpec};
use shared::{
    completeness::{StreamStatus, SyncStatus},
    domain::{Mode, Region, Stream},
};
use tokio::{
    runtime::Runtime,
    sync::{Mutex, MutexGuard, OnceCell},
};

use crate::{
    floors,
    world::{Connected, Fleet, PATIENCE, World},
};

/// A test per case; its name says what holds.
macro_rules! cases {
    ($($name:ident $body:block)+) => {
        $(#[test]
        fn $name() {
            $crate::complete::play(async $body);
        })+
    };
}

/// A test per row of a table: the same case with other givens.
macro_rules! rows {
    ($case:ident: $($name:ident($($given:expr),* $(,)?);)+) => {
        $(#[test]
        fn $name() {
            $crate::complete::play($case($($given),*));
        })+
    };
}

use {cases, rows};

/// Streams of objects: what a poll looks at. Reference data has a slow timer of its own.
const OBJECTS: &[Stream] = &[
    Stream::Contacts,
    Stream::Companies,
    Stream::Conversations,
    Stream::Threads,
];

/// Plays a case on the runtime that the shared worlds live on.
pub(crate) fn play(case: impl Future<Output = ()>) {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
    RUNTIME.block_on(case);
}

/// A world that many cases share, with its fleet.
type Shared = OnceCell<(World, Fleet)>;

async fn shared_world(world: &'static Shared) -> &'static World {
    let (world, _) = world
        .get_or_init(|| async {
            let world = World::with(&[("DATABASE_CONNECTIONS", "16")]).await;
            let fleet = world.fleet(1);
            (world, fleet)
        })
        .await;
    world
}

/// A tenant and its workspace.
struct Case {
    world: &'static World,
    workspace: Workspace,
    connected: Option<Connected>,
    version: &'static str,
    region: Region,
    /// The clock is this case's alone.
    _turn: Option<MutexGuard<'static, ()>>,
}

/// The smallest workspace that has everything; cases ask for more of what they are about.
fn tiny() -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 6,
        companies: 3,
        conversations: 4,
        parts: 2.0,
        admins: 2,
        teams: 1,
        tags: 12,
        segments: 1,
        contacts_over_10_companies: 0.0,
        contacts_over_10_tags: 0.0,
        limit_per_window: 100_000,
        ..WorkspaceSpec::default()
    }
}

impl Case {
    /// A workspace that nobody has connected yet.
    async fn of(spec: WorkspaceSpec) -> Self {
        static STEADY: Shared = OnceCell::const_new();
        Self::made(shared_world(&STEADY).await, spec, None)
    }

    /// The same, where the simulator's clock shows this moment and is this case's to move.
    async fn at(moment: &str, spec: WorkspaceSpec) -> Self {
        static CLOCKED: Shared = OnceCell::const_new();
        static TURN: Mutex<()> = Mutex::const_new(());
        let turn = TURN.lock().await;
        let world = shared_world(&CLOCKED).await;
        world.simulator.clock().set_now(unix(moment));
        Self::made(world, spec, Some(turn))
    }

    fn made(
        world: &'static World,
        spec: WorkspaceSpec,
        turn: Option<MutexGuard<'static, ()>>,
    ) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let spec = WorkspaceSpec {
            id_code: Some(format!("case{number}")),
            ..spec
        };
        let workspace = world.simulator.add_workspace(spec);
        Self {
            world,
            workspace,
            connected: None,
            version: "2.16",
            region: Region::Us,
            _turn: turn,
        }
    }

    fn version(mut self, version: &'static str) -> Self {
        self.version = version;
        self
    }

    fn region(mut self, region: Region) -> Self {
        self.region = region;
        self
    }

    fn connected(&self) -> &Connected {
        self.connected.as_ref().expect("the case is connected")
    }

    fn change(&self, mutation: Mutation) -> Vec<String> {
        self.workspace.mutate(mutation)
    }

    /// Breaks calls of this workspace alone.
    fn fault(&self, fault: Fault) -> FaultId {
        self.world
            .simulator
            .inject(fault.workspace(self.workspace.id_code()))
    }

    fn hits(&self, fault: FaultId) -> u64 {
        self.world.simulator.fault_hits(fault)
    }

    async fn until_hit(&self, fault: FaultId) {
        let begun = Instant::now();
        while self.hits(fault) == 0 {
            assert!(begun.elapsed() < PATIENCE, "the fault is never met");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn calls(&self, operation: &str) -> u64 {
        self.workspace.ledger().calls(operation)
    }

    /// Connects it, as a browser would, and waits for nothing.
    async fn connect(mut self) -> Self {
        let tenant = self
            .world
            .store
            .create_tenant("Acme")
            .await
            .expect("a tenant")
            .id;
        self.connected = Some(
            self.world
                .connect_in(tenant, &self.workspace, self.region, self.version)
                .await,
        );
        self
    }

    /// Connects it and waits for the whole copy: exact, within 2 % of the floor of calls.
    async fn synced(self) -> Self {
        self.synced_with(0).await
    }

    /// The same, where this many calls more are needed.
    async fn synced_with(self, more: u64) -> Self {
        let floor = self.first() + more;
        let case = self.connect().await;
        case.complete().await;
        case.exact_within(floor).await;
        case
    }

    /// The floor of a first sync of what there is now.
    fn first(&self) -> u64 {
        floors::first(&self.workspace.truth(), self.version)
    }

    /// The floor of a full walk of what there is now.
    fn walk(&self) -> u64 {
        floors::walk(&self.workspace.truth())
    }

    /// The first sync ends: exact, within its floor and this many calls more.
    async fn first_sync(&self, more: u64) {
        self.complete().await;
        self.exact_within(self.first() + more).await;
    }

    async fn complete(&self) {
        self.world.until_complete(self.connected()).await;
    }

    async fn exact(&self) {
        self.world.assert_exact(self.connected()).await;
    }

    /// Exact, for not more calls than this since the ledger began.
    async fn exact_within(&self, floor: u64) {
        self.exact().await;
        self.within(floor);
    }

    async fn status(&self) -> SyncStatus {
        self.world.status(self.connected()).await
    }

    async fn stream(&self, stream: Stream) -> StreamStatus {
        of(&self.status().await, stream).clone()
    }

    async fn until(&self, what: &str, holds: impl Fn(&SyncStatus) -> bool) {
        self.world.until(self.connected(), what, holds).await;
    }

    /// Not more calls than this since the ledger began, but for the 2 % that a drift may cost.
    fn within(&self, floor: u64) {
        floors::within(&self.workspace, floor);
    }

    /// A poll that ends; its calls are the ledger's.
    async fn poll(&self) {
        self.ask(Mode::Incremental, OBJECTS).await;
    }

    /// A poll, after which the copy is exact: two calls and these.
    async fn run(&self, more: u64) {
        self.poll().await;
        self.exact_within(2 + more).await;
    }

    /// A full walk of everything that ends: its pages, and this many calls more.
    async fn sweep(&self, more: u64) {
        let floor = self.walk() + more;
        self.ask(Mode::Full, OBJECTS).await;
        self.within(floor);
    }

    /// Runs once and waits until the copy calls itself complete.
    async fn ask(&self, mode: Mode, streams: &[Stream]) {
        self.world.until_run_ends(self.connected()).await;
        self.workspace.ledger().reset();
        self.world.request(self.connected(), mode, streams).await;
        self.complete().await;
    }

    /// What failed and waits for its next attempt tries now, until the copy is complete. Whoever waits for the next
    /// poll polls too: at most [`Case::asked_again`] calls beside those of what failed.
    async fn ask_again(&self) {
        self.sql(
            "UPDATE streams SET due_at = now(), ticketed_at = NULL
             WHERE connection_id = $1 AND due_at IS NOT NULL RETURNING stream, ''",
        )
        .await;
        self.complete().await;
    }

    /// The reference data, and a search of contacts and one of conversations.
    fn asked_again(&self) -> u64 {
        floors::reference(self.version) + 2
    }

    /// What no method of ours shows.
    async fn sql(&self, query: &'static str) -> Vec<(String, String)> {
        self.world.sql(query, self.connected()).await
    }

    /// So much time passes for us that the slow timers are due; nobody asks.
    async fn a_week_passes(&self) {
        self.sql(
            "UPDATE streams SET walked_at = walked_at - interval '8 days', due_at = now(), ticketed_at = NULL
             WHERE connection_id = $1 AND stream IN ('contacts', 'conversations', 'companies')
             RETURNING stream, ''",
        )
        .await;
    }

    /// A walk's second page is on its way until it is let go: what happens meanwhile, happens behind or before it.
    fn late_second_page(&self, operation: &str) -> FaultId {
        self.fault(
            Fault::new(FaultAction::Hold { after: 0 })
                .operation(operation)
                .skip(1)
                .times(1),
        )
    }

    /// The fault is over; what it held goes on.
    fn let_go(&self, fault: FaultId) {
        self.world.simulator.clear_fault(fault);
    }

    /// Waits for the end of a walk that ends after this.
    async fn walks(&self, stream: Stream, after: Option<DateTime<Utc>>) {
        self.until("a walk has ended", |status| {
            of(status, stream).last_ok_at > after
        })
        .await;
    }

    /// Conversations that do not count their parts: only a call shows them.
    fn uncounted(&self) -> u64 {
        let truth = self.workspace.truth();
        let uncounted = truth
            .iter()
            .filter(|line| line.kind == Kind::Conversation && line.value()["statistics"].is_null());
        uncounted.count() as u64
    }

    /// The ids of live objects of a kind.
    fn ids(&self, kind: Kind) -> Vec<String> {
        let truth = self.workspace.truth();
        truth
            .into_iter()
            .filter(|line| line.kind == kind && !line.deleted)
            .map(|line| line.id)
            .collect()
    }
}

fn of(status: &SyncStatus, stream: Stream) -> &StreamStatus {
    status
        .streams
        .iter()
        .find(|status| status.stream == stream)
        .expect("every stream has a status")
}

fn unix(moment: &str) -> i64 {
    chrono::DateTime::parse_from_rfc3339(moment)
        .expect("a moment")
        .timestamp()
}
