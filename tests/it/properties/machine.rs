//! A worker without a queue: takes slices of one connection in whatever order it is told, over real Postgres and
//! real HTTP, dies where it is told, and moves time instead of waiting for it.

use std::collections::BTreeSet;

use intercom_simulator::{Fault, FaultAction, FaultId, Kind};
use shared::{
    domain::{ConnectionId, Mode, Stream},
    sync::{Context, SliceOutcome, connect::ConnectError},
};
use simulation::rng::Rng;
use tokio::task::JoinHandle;

use super::{
    faults,
    plan::{Disconnect, Ending, Op, Plan},
};
use crate::support::{Case, World};

/// What is wrong, as a sentence.
pub(super) type Wrong = String;

/// How often a customer who is told to begin again does.
const MOST_CLICKS: usize = 20;

pub(super) struct Machine {
    pub(super) case: Case,
    pub(super) context: Context,
    /// Between a disconnect and the next time that the workspace is connected.
    pub(super) is_away: bool,
    pub(super) fence: i64,
    pub(super) trap: Option<Trap>,
    /// Slices of workers that were stopped and go on later.
    pub(super) frozen: Vec<JoinHandle<SliceOutcome>>,
    pub(super) slices: u32,
    /// What really happened. A fault that never came proves nothing.
    pub(super) met: BTreeSet<&'static str>,
    faults: Vec<(&'static str, FaultId)>,
}

/// A call that hangs, and what happens meanwhile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trap {
    pub(super) hang: FaultId,
    pub(super) then: Then,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Then {
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
        Ending::Repaired => machine.repair().await?,
        Ending::AtRest => {
            machine.work_to_the_end().await?;
            machine.judge().await?;
        }
        Ending::Disconnected(last) => machine.end(last).await?,
    }
    machine.note_faults();
    Ok(machine.met)
}

/// A customer's clicks, until Intercom answers in time. A busy machine is late as well.
async fn click(case: &Case) -> Result<ConnectionId, Wrong> {
    for _ in 0..MOST_CLICKS {
        match case.try_connect().await {
            Ok(connection) => return Ok(connection),
            Err(ConnectError::Unavailable(_)) => {}
            Err(error) => return Err(format!("it cannot be connected: {error:?}")),
        }
    }
    Err(format!("{MOST_CLICKS} times told to begin again"))
}

impl Machine {
    async fn new(servers: &World, plan: &Plan) -> Self {
        let world = servers.beside(&[("REQUEST_TIMEOUT", "1s")]).await;
        let case = world.case(plan.spec.clone()).await.version(plan.version);
        // A life without a connection has nothing to break.
        let connection = click(&case).await.expect("it connects");
        Self {
            case: case.connected_as(connection),
            context: world.job_context(6).await,
            is_away: false,
            fence: 0,
            trap: None,
            frozen: Vec::new(),
            slices: 0,
            met: BTreeSet::new(),
            faults: Vec::new(),
        }
    }

    async fn step(&mut self, op: &Op) -> Result<(), Wrong> {
        match op {
            Op::Change(mutation) => drop(self.case.mutate(mutation.clone())),
            Op::Request { mode, streams } => self.request(*mode, streams).await,
            Op::Slices { count, seed } => {
                let mut rng = Rng::new(*seed);
                for _ in 0..*count {
                    let due = self.case.due().await;
                    if !due.is_empty() {
                        self.work(&[*rng.pick(&due)]).await?;
                    }
                }
            }
            Op::AllAtOnce => {
                let due = self.case.due().await;
                self.work(&due).await?;
            }
            Op::Work => self.work_until_idle(100.0).await.map(|_| ())?,
            Op::Break(fault) => self.inject(fault.clone()),
            Op::Choke { nth, status } => self.choke(*nth, *status),
            Op::Heal => self.case.world.simulator.clear_faults(),
            // A killed worker's call never ends. A stopped worker's answer is there when it goes on.
            Op::Kill { after } => self.set_trap(*after, 900, Then::Kill),
            Op::Freeze { after } => self.set_trap(*after, 200, Then::Freeze),
            Op::Flush => self.restart().await,
            Op::Pass { seconds } => self.case.pass(*seconds as f64).await,
            // Nothing is ever due of a connection that has ended.
            Op::PassWeek if self.is_away => self.case.pass_week_disconnected().await,
            Op::PassWeek => self.case.pass_week().await,
            Op::Reconnect => self.connect().await?,
            Op::Disconnect(how) => match how.after {
                None => self.disconnect(*how, "disconnect").await?,
                Some(after) => self.set_trap(after, how.millis, Then::Disconnect(*how)),
            },
        }
        Ok(())
    }

    pub(super) async fn connect(&mut self) -> Result<(), Wrong> {
        let connection = click(&self.case).await?;
        if connection != self.case.connection() {
            return Err(format!(
                "the workspace became another connection: {connection}"
            ));
        }
        self.met.insert(if self.is_away {
            "connected again"
        } else {
            "reconnect"
        });
        self.is_away = false;
        Ok(())
    }

    /// As [`Case::request`], without a ticket: no queue is there to take it. A run may be open.
    pub(super) async fn request(&mut self, mode: Mode, streams: &[Stream]) {
        let mut tx = self
            .case
            .world
            .store
            .begin(self.case.tenant)
            .await
            .expect("postgres answers");
        tx.request_run(self.case.connection(), mode, streams)
            .await
            .expect("a request")
            .expect("the connection");
        tx.commit().await.expect("it commits");
    }

    /// Breaks calls of every workspace of this Intercom: the browser's calls belong to none.
    fn inject(&mut self, fault: Fault) {
        self.faults.push((
            faults::name(&fault),
            self.case.world.simulator.inject(fault),
        ));
    }

    fn choke(&mut self, nth: usize, status: u16) {
        let conversations = self.case.ids(Kind::Conversation);
        if let Some(id) = conversations.get(nth % conversations.len().max(1)) {
            let choke = FaultAction::Choke {
                id: id.clone(),
                status,
            };
            self.inject(Fault::new(choke).operation("search_conversations"));
        }
    }

    fn note_faults(&mut self) {
        for (what, fault) in &self.faults {
            if self.case.hits(*fault) > 0 {
                self.met.insert(what);
            }
        }
    }

    pub(super) fn set_trap(&mut self, after: u64, millis: u64, then: Then) {
        if self.trap.is_none() {
            // Calls of this workspace. A browser's calls on its way to connect it are none.
            let hang = Fault::new(FaultAction::Delay { millis });
            self.trap = Some(Trap {
                hang: self.case.inject(hang.skip(after).times(1)),
                then,
            });
        }
    }
}
