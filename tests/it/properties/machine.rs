//! A worker without a queue: takes slices of one connection in whatever order it is told, over real Postgres and
//! real HTTP, dies where it is told, and moves time instead of waiting for it.

use std::{collections::BTreeSet, time::Duration};

use intercom_simulator::{Fault, FaultAction, FaultId, Kind, Workspace};
use pathbound::exact::compare;
use shared::{
    domain::{Mode, Region, Stream, TenantId, Verdict},
    intercom::Intercom,
    store::{SliceKey, WorkerStore},
    sync::{Context, SliceOutcome, connect::ConnectError},
    vault::KeyRing,
};
use simulation::rng::Rng;
use sqlx::{Connection, PgConnection};
use tokio::task::JoinHandle;

use super::{
    faults,
    plan::{Disconnect, Ending, Op, Plan},
};
use crate::world::{Connected, World};

/// What is wrong, as a sentence.
pub(super) type Wrong = String;

/// Longer waits than this are a day's or a poll's.
const WAITED_FOR: f64 = 1_800.0;
/// Slices without coming to rest: it would go on for ever.
const MOST_SLICES: u32 = 600;
/// How often a customer who is told to begin again does.
const MOST_CLICKS: usize = 20;

pub(super) struct Machine {
    pub(super) world: World,
    context: Context,
    pub(super) workspace: Workspace,
    pub(super) connected: Connected,
    /// Between a disconnect and the next time that the workspace is connected.
    pub(super) is_away: bool,
    version: &'static str,
    pub(super) admin: PgConnection,
    fence: i64,
    trap: Option<Trap>,
    /// Slices of workers that were stopped and go on later.
    frozen: Vec<JoinHandle<SliceOutcome>>,
    slices: u32,
    /// What really happened: a fault that never came proves nothing.
    pub(super) met: BTreeSet<&'static str>,
    faults: Vec<(&'static str, FaultId)>,
}

/// A call that hangs, and what happens meanwhile.
#[derive(Clone, Copy, Debug)]
struct Trap {
    hang: FaultId,
    then: Then,
}

#[derive(Clone, Copy, Debug)]
enum Then {
    /// The worker that made it is killed.
    Kill,
    /// That worker is stopped, loses its leases, and goes on later.
    Freeze,
    Disconnect(Disconnect),
}

/// Plays a plan to its end, and compares the copy with the truth.
pub(super) async fn play(servers: &World, plan: &Plan) -> Result<BTreeSet<&'static str>, Wrong> {
    let mut machine = Machine::new(servers, plan).await;
    for op in &plan.ops {
        machine.step(op).await?;
    }
    match plan.ending {
        Ending::Repaired => machine.settle().await?,
        Ending::AtRest => {
            machine.slices = 0;
            machine.rest(f64::INFINITY).await?;
            machine.judge().await?;
        }
        Ending::Disconnected(last) => machine.end(last).await?,
    }
    machine.note_faults();
    Ok(machine.met)
}

/// A customer's clicks, until Intercom answers in time: a busy machine is late as well.
async fn click(
    world: &World,
    tenant: TenantId,
    workspace: &Workspace,
    version: &'static str,
) -> Result<Connected, Wrong> {
    for _ in 0..MOST_CLICKS {
        match world
            .try_connect(tenant, workspace, Region::Us, version)
            .await
        {
            Ok(connected) => return Ok(connected),
            Err(ConnectError::Unavailable(_)) => {}
            Err(error) => return Err(format!("it cannot be connected: {error:?}")),
        }
    }
    Err(format!("{MOST_CLICKS} times told to begin again"))
}

impl Machine {
    pub(super) async fn new(servers: &World, plan: &Plan) -> Self {
        let world = servers.beside(&[("REQUEST_TIMEOUT", "1s")]).await;
        let workspace = world.simulator.add_workspace(plan.spec.clone());
        let tenant = world
            .store
            .create_tenant("Acme")
            .await
            .expect("a tenant")
            .id;
        let connected = click(&world, tenant, &workspace, plan.version)
            .await
            .expect("it connects");
        let context = Context {
            store: WorkerStore::connect(&world.config.database_url, 6)
                .await
                .expect("postgres answers"),
            vault: KeyRing::parse(world.config.encryption_keys.expose())
                .expect("keys")
                .into(),
            intercom: Intercom::new(&world.config).expect("an http client"),
            config: world.config.clone(),
            stopping: shared::shutdown::Shutdown::new(),
        };
        let admin = PgConnection::connect(world.config.database_url.expose())
            .await
            .expect("postgres answers");
        Self {
            world,
            context,
            workspace,
            connected,
            is_away: false,
            version: plan.version,
            admin,
            fence: 0,
            trap: None,
            frozen: Vec::new(),
            slices: 0,
            met: BTreeSet::new(),
            faults: Vec::new(),
        }
    }

    pub(super) async fn step(&mut self, op: &Op) -> Result<(), Wrong> {
        match op {
            Op::Change {
                change,
                kind,
                count,
                parts,
                seed,
            } => {
                self.workspace
                    .mutate(Op::mutation(*change, *kind, *count, *parts, *seed));
            }
            Op::Ask { mode, streams } => self.ask(*mode, streams).await,
            Op::Slices { count, seed } => {
                let mut rng = Rng::new(*seed);
                for _ in 0..*count {
                    let due = self.due().await;
                    if !due.is_empty() {
                        self.slices(&[*rng.pick(&due)]).await?;
                    }
                }
            }
            Op::AllAtOnce => {
                let due = self.due().await;
                self.slices(&due).await?;
            }
            Op::Rest => self.rest(100.0).await.map(|_| ())?,
            Op::Break(fault) => self.inject(fault.clone()),
            Op::Choke { nth, status } => {
                let conversations = self.ids(Kind::Conversation);
                if let Some(id) = conversations.get(nth % conversations.len().max(1)) {
                    let choke = FaultAction::Choke {
                        id: id.clone(),
                        status: *status,
                    };
                    self.inject(Fault::new(choke).operation("search_conversations"));
                }
            }
            Op::Heal => self.world.simulator.clear_faults(),
            // A killed worker's call never ends; a stopped one's answer was there when it goes on.
            Op::Kill { after } => self.set_trap(*after, 900, Then::Kill),
            Op::Freeze { after } => self.set_trap(*after, 200, Then::Freeze),
            Op::Flush => self.start_again().await,
            Op::Pass { seconds } => self.pass(*seconds as f64).await,
            Op::AWeek => {
                // Nothing is ever due of a connection that has ended.
                let due = if self.is_away {
                    "UPDATE streams SET walked_at = walked_at - interval '8 days' WHERE connection_id = $1"
                } else {
                    "UPDATE streams SET walked_at = walked_at - interval '8 days', due_at = now() WHERE connection_id = $1 AND stream <> 'threads'"
                };
                self.admin(due).await;
            }
            Op::Reconnect => self.connect().await?,
            Op::Disconnect(how) => match how.after {
                None => self.disconnect(*how, "disconnect").await?,
                Some(after) => self.set_trap(after, how.millis, Then::Disconnect(*how)),
            },
        }
        Ok(())
    }

    async fn connect(&mut self) -> Result<(), Wrong> {
        let connected = click(
            &self.world,
            self.connected.tenant,
            &self.workspace,
            self.version,
        )
        .await?;
        if connected.connection != self.connected.connection {
            return Err(format!(
                "the workspace became another connection: {connected:?}"
            ));
        }
        self.connected = connected;
        self.met.insert(if self.is_away {
            "connected again"
        } else {
            "reconnect"
        });
        self.is_away = false;
        Ok(())
    }

    /// Nothing breaks any more; enough walks come to find whoever vanished; then the copy is exact and says so.
    pub(super) async fn settle(&mut self) -> Result<(), Wrong> {
        self.world.simulator.clear_faults();
        self.trap = None;
        self.thaw().await?;
        if self.is_away {
            self.connect().await?;
        }
        self.workspace.release_scroll();
        self.start_again().await;
        self.slices = 0;
        self.rest(f64::INFINITY).await?;
        for mode in [Mode::Full, Mode::Full, Mode::Incremental] {
            // Who was changed in this very second is seen by the next walk.
            self.pass(5.0).await;
            self.ask(mode, Stream::ALL).await;
            self.slices = 0;
            self.rest(f64::INFINITY).await?;
        }
        self.judge().await
    }

    async fn judge(&mut self) -> Result<(), Wrong> {
        let truth = self.workspace.truth();
        let report = compare(
            &self.world.store,
            self.connected.tenant,
            self.connected.connection,
            &truth,
        )
        .await
        .map_err(|error| error.to_string())?;
        if !report.is_exact() {
            return Err(format!("not exact: {report}"));
        }
        let status = self.world.status(&self.connected).await;
        if !status.complete {
            return Err(format!(
                "exact, and does not call itself complete: {status:#?}"
            ));
        }
        let ledger = self.world.simulator.ledger();
        if ledger.outside_read_list > 0 || ledger.version_missing > 0 {
            return Err(format!("calls that no reader makes: {ledger:?}"));
        }
        // The browser's two are on Intercom's own pages.
        let is_known = |name: &String| {
            name.starts_with("authorize") || faults::OPERATIONS.contains(&name.as_str())
        };
        if let Some(unknown) = ledger.by_operation.keys().find(|name| !is_known(name)) {
            return Err(format!("no life breaks {unknown}"));
        }
        Ok(())
    }

    /// Slices of these streams at once, each by another worker's lease.
    pub(super) async fn slices(&mut self, streams: &[Stream]) -> Result<Vec<SliceOutcome>, Wrong> {
        let mut tasks: Vec<JoinHandle<SliceOutcome>> = Vec::new();
        for stream in streams {
            self.fence += 1;
            self.slices += 1;
            let Connected {
                tenant, connection, ..
            } = self.connected;
            let key = SliceKey {
                tenant,
                connection,
                stream: *stream,
                fence: self.fence,
            };
            let context = self.context.clone();
            tasks.push(tokio::spawn(
                async move { worker::work(&context, key, 0).await },
            ));
        }
        while let Some(Trap { hang, then }) = self.trap
            && tasks.iter().any(|task| !task.is_finished())
        {
            if self.world.simulator.fault_hits(hang) > 0 {
                self.trap = None;
                match then {
                    Then::Kill => {
                        self.met.insert("kill");
                        for task in tasks {
                            task.abort();
                            // Its transaction is rolled back before the next one may begin.
                            let _ = task.await;
                        }
                        self.start_again().await;
                    }
                    Then::Freeze => {
                        self.met.insert("freeze");
                        self.frozen.extend(tasks);
                    }
                    Then::Disconnect(how) => {
                        self.frozen.extend(tasks);
                        self.disconnect(how, "disconnect under way").await?;
                    }
                }
                return Ok(Vec::new());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(
                task.await
                    .map_err(|panic| format!("a slice panicked: {panic}"))?,
            );
        }
        Ok(outcomes)
    }

    /// Works until nothing is due, and for no longer than so many seconds of waiting. True when nothing was left.
    pub(super) async fn rest(&mut self, seconds: f64) -> Result<bool, Wrong> {
        let mut waited = 0.0;
        let begun = self.slices;
        loop {
            let due = self.due().await;
            if due.is_empty() {
                let Some(next) = self.next_due().await.filter(|next| *next < WAITED_FOR) else {
                    return Ok(true);
                };
                if waited + next > seconds {
                    return Ok(false);
                }
                let next = next.max(0.0) + 0.01;
                waited += next;
                self.pass(next).await;
                continue;
            }
            // In the order of the data, one at a time, or all of them: both are how fleets work.
            let at_once = if self.slices.is_multiple_of(3) {
                due.len()
            } else {
                1
            };
            let outcomes = self.slices(&due[..at_once]).await?;
            if seconds.is_finite() && self.slices - begun > 60 {
                return Ok(false);
            }
            if self.slices - begun > MOST_SLICES {
                return Err(format!(
                    "it never comes to rest: {:#?}",
                    self.world.status(&self.connected).await
                ));
            }
            let waits = outcomes
                .iter()
                .any(|outcome| matches!(outcome.verdict, Verdict::Snooze(_)));
            if waits && self.due().await == due {
                // The rate budget, or the breaker, holds it back: time that is Redis' and cannot be moved.
                self.pass(10.0).await;
                self.start_again().await;
            }
        }
    }

    async fn ask(&mut self, mode: Mode, streams: &[Stream]) {
        let mut tx = self
            .world
            .store
            .begin(self.connected.tenant)
            .await
            .expect("postgres answers");
        tx.request_run(self.connected.connection, mode, streams)
            .await
            .expect("a request")
            .expect("the connection");
        tx.commit().await.expect("it commits");
    }

    fn inject(&mut self, fault: Fault) {
        self.faults
            .push((faults::name(&fault), self.world.simulator.inject(fault)));
    }

    fn note_faults(&mut self) {
        for (what, fault) in &self.faults {
            if self.world.simulator.fault_hits(*fault) > 0 {
                self.met.insert(what);
            }
        }
    }

    fn set_trap(&mut self, after: u64, millis: u64, then: Then) {
        if self.trap.is_none() {
            // Calls of this workspace: a browser's on its way to connect it are none.
            let hang =
                Fault::new(FaultAction::Delay { millis }).workspace(self.workspace.id_code());
            self.trap = Some(Trap {
                hang: self.world.simulator.inject(hang.skip(after).times(1)),
                then,
            });
        }
    }

    /// The life's last step is this disconnect: where it says, or where there is nothing left to do.
    pub(super) async fn end(&mut self, last: Disconnect) -> Result<(), Wrong> {
        self.trap = None;
        let last = Disconnect {
            waits: true,
            ..last
        };
        if let Some(after) = last.after {
            self.set_trap(after, last.millis, Then::Disconnect(last));
            self.rest(100.0).await?;
        }
        if self.trap.take().is_some() || last.after.is_none() {
            self.disconnect(last, "disconnect").await?;
        }
        self.met.insert("last disconnect");
        self.stays_ended().await
    }

    /// The stopped workers go on, under leases that others have had since.
    pub(super) async fn thaw(&mut self) -> Result<(), Wrong> {
        for task in std::mem::take(&mut self.frozen) {
            task.await
                .map_err(|panic| format!("a stopped slice panicked: {panic}"))?;
        }
        Ok(())
    }

    /// Another worker process, and a Redis that knows nothing.
    pub(super) async fn start_again(&mut self) {
        self.world.empty_redis().await;
        self.context.intercom = Intercom::new(&self.world.config).expect("an http client");
    }

    fn ids(&self, kind: Kind) -> Vec<String> {
        let truth = self.workspace.truth();
        truth
            .into_iter()
            .filter(|line| line.kind == kind && !line.deleted)
            .map(|line| line.id)
            .collect()
    }
}
