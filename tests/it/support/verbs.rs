//! What a test does: it works in Intercom, breaks it, asks for runs, and compares.

use intercom_simulator::{Fault, FaultId, Mutation, TruthLine};
use pathbound::exact::{Report, compare};
use shared::{
    completeness::{self, Facts, StreamStatus, SyncStatus},
    domain::{Mode, Stream},
    queue::Ticket,
    store::{Connection, RunRequest, StoreError},
};

use super::{Case, OBJECTS, floors, held, of, wait_for};

impl Case {
    /// Works in Intercom. Returns the ids of what changed.
    pub(crate) fn mutate(&self, mutation: Mutation) -> Vec<String> {
        self.workspace.mutate(mutation)
    }

    /// Breaks calls of this workspace alone.
    pub(crate) fn inject(&self, fault: Fault) -> FaultId {
        self.world
            .simulator
            .inject(fault.workspace(self.workspace.id_code()))
    }

    /// Ends a fault. The calls that it held go on.
    pub(crate) fn clear_fault(&self, fault: FaultId) {
        self.world.simulator.clear_fault(fault);
    }

    /// How many calls have met the fault.
    pub(crate) fn hits(&self, fault: FaultId) -> u64 {
        self.world.simulator.fault_hits(fault)
    }

    /// Holds a walk's second page until the fault is cleared. What changes meanwhile changes behind or before it.
    pub(crate) fn hold_second_page(&self, operation: &str) -> FaultId {
        self.inject(held().operation(operation).skip(1).times(1))
    }

    /// Calls of one operation since the ledger was reset.
    pub(crate) fn calls(&self, operation: &str) -> u64 {
        self.workspace.ledger().calls(operation)
    }

    /// All calls since the ledger was reset.
    pub(crate) fn all_calls(&self) -> u64 {
        self.workspace.ledger().total
    }

    /// Scrolls that were refused, because an older one of the workspace was still open.
    pub(crate) fn refused_scrolls(&self) -> u64 {
        let rows = self.workspace.ledger().rows();
        let refused = rows
            .iter()
            .filter(|row| row.operation == "scroll_companies" && row.status == 400);
        refused.count() as u64
    }

    pub(crate) fn reset_calls(&self) {
        self.workspace.ledger().reset();
    }

    /// Connects it and waits for the whole copy: exact, within 2 % of the floor of calls.
    pub(crate) async fn synced(self) -> Self {
        self.synced_with(0).await
    }

    /// The same, where this many calls more are needed.
    pub(crate) async fn synced_with(self, more: u64) -> Self {
        // What there is now: a test may change it once the case is connected.
        let floor = self.first_floor() + more;
        let case = self.connect().await;
        case.until_complete().await;
        case.assert_exact_within(floor).await;
        case
    }

    /// Waits for the first sync: exact, within its floor and this many calls more.
    pub(crate) async fn first_sync(&self, more: u64) {
        self.until_complete().await;
        self.assert_exact_within(self.first_floor() + more).await;
    }

    /// Asks for a run over some streams, and waits for nothing.
    pub(crate) async fn request(&self, mode: Mode, streams: &[Stream]) {
        // The request commits before its tickets are pushed, because a worker may take a ticket at once.
        let mut tx = self
            .world
            .store
            .begin(self.tenant)
            .await
            .expect("postgres answers");
        let request = tx
            .request_run(self.connection(), mode, streams)
            .await
            .expect("a run")
            .expect("the connection");
        assert!(matches!(request, RunRequest::Queued(_)), "{request:?}");
        tx.commit().await.expect("it commits");
        let tickets: Vec<Ticket> = streams
            .iter()
            .map(|stream| Ticket::new(self.tenant, self.connection(), *stream))
            .collect();
        self.push(&tickets).await;
    }

    /// Asks for a run over every stream, as the API does, and waits for nothing.
    pub(crate) async fn resync(&self, mode: Mode) {
        self.request(mode, Stream::ALL).await;
    }

    /// Waits until no run is open, and counts calls from zero.
    pub(crate) async fn settle(&self) {
        self.until_run_ends().await;
        self.reset_calls();
    }

    /// Asks for a run once no other is open. Its calls are the ledger's.
    pub(crate) async fn begin_run(&self, mode: Mode, streams: &[Stream]) {
        self.settle().await;
        self.request(mode, streams).await;
    }

    /// Runs once, and waits until the copy calls itself complete.
    pub(crate) async fn sync(&self, mode: Mode, streams: &[Stream]) {
        self.begin_run(mode, streams).await;
        self.until_complete().await;
    }

    /// A poll of every object, until the copy is complete.
    pub(crate) async fn poll(&self) {
        self.sync(Mode::Incremental, OBJECTS).await;
    }

    /// A poll, after which the copy is exact: two calls, and this many more.
    pub(crate) async fn poll_exact(&self, more: u64) {
        self.poll().await;
        self.assert_exact_within(2 + more).await;
    }

    /// A full walk of everything: its pages, and this many calls more.
    pub(crate) async fn full_walk(&self, more: u64) {
        // The floor of what the walk will see.
        let floor = self.walk_floor() + more;
        self.sync(Mode::Full, OBJECTS).await;
        self.assert_calls_within(floor);
    }

    /// An operator replays the quarantine, so what is set aside is asked for now. Returns how much is left.
    pub(crate) async fn replay(&self) -> i64 {
        let store = self.world.worker_store(1).await;
        let replayed = shared::sync::replay(&store, self.tenant, self.connection(), false).await;
        replayed.expect("postgres answers").expect("it syncs").left
    }

    /// A busy machine may be slower than the store waits. The same question again changes nothing.
    pub(crate) async fn status(&self) -> SyncStatus {
        let facts = wait_for("postgres answers", async || {
            let facts = self.facts().await;
            facts.map_err(|error| error.to_string())
        });
        completeness::judge(&facts.await.expect("the connection"))
    }

    async fn facts(&self) -> Result<Option<Facts>, StoreError> {
        let mut tx = self.world.store.begin(self.tenant).await?;
        tx.sync_facts(self.connection()).await
    }

    pub(crate) async fn stream(&self, stream: Stream) -> StreamStatus {
        of(&self.status().await, stream).clone()
    }

    /// What is held of a stream, and what Intercom said there is.
    pub(crate) async fn held(&self, stream: Stream) -> (i64, Option<i64>) {
        let status = self.stream(stream).await;
        (status.held, status.expected)
    }

    pub(crate) async fn connection_row(&self) -> Connection {
        self.world
            .store
            .connection(self.tenant, self.connection())
            .await
            .expect("postgres answers")
            .expect("the connection")
    }

    /// Compares every record with a truth, field by field.
    pub(crate) async fn compare(&self, truth: &[TruthLine]) -> Report {
        compare(&self.world.store, self.tenant, self.connection(), truth)
            .await
            .expect("it compares")
    }

    /// Compares every record with the simulator's truth.
    pub(crate) async fn assert_exact(&self) {
        self.assert_exact_with(&self.workspace.truth()).await;
    }

    /// Compares every record with a truth of the test's own making.
    pub(crate) async fn assert_exact_with(&self, truth: &[TruthLine]) {
        let report = self.compare(truth).await;
        assert!(report.records > 0, "nothing was compared");
        assert!(report.is_exact(), "{report}");
        assert_eq!(self.wrong_counts().await, Vec::<String>::new());
        assert_eq!(
            self.world.simulator.ledger().outside_read_list,
            0,
            "intercom is only ever read"
        );
    }

    /// Not more calls than this since the ledger was reset, except for the 2 % that a drift may cost.
    pub(crate) fn assert_calls_within(&self, floor: u64) {
        floors::within(&self.workspace, floor);
    }

    /// Exact, for not more calls than this since the ledger was reset.
    pub(crate) async fn assert_exact_within(&self, floor: u64) {
        self.assert_exact().await;
        self.assert_calls_within(floor);
    }
}
