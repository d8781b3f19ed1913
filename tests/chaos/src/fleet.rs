//! The processes of the fleet: one API, two schedulers, three workers, each under a name of its own.
//!
//! Every start logs in to Postgres as a user that no other start has, so the history there can tell
//! processes apart even where they share a database role.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitStatus,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use rustix::process::{Pid, Signal, kill_process};
use tokio::{sync::MutexGuard, task::JoinHandle};

use crate::{
    Failure,
    roles::{Nursery, Role},
    scrape::{self, Counters},
};

pub(crate) const LOGS: &str = "target/chaos";
pub(crate) const WORKERS: usize = 3;
const SCHEDULERS: usize = 2;

/// `pathbound` leaves with this when a server cannot be reached at its start.
const UNREACHABLE: i32 = 3;

/// All processes. A place is locked while a fault has it, so that the supervisor leaves it alone.
#[derive(Clone)]
pub(crate) struct Fleet(Arc<Inner>);

struct Inner {
    nursery: Nursery,
    environment: Vec<(String, String)>,
    database_url: String,
    starts: AtomicU32,
    places: Vec<tokio::sync::Mutex<Place>>,
    http: reqwest::Client,
    /// The last counters of every process that ever ran, by its user.
    counters: Mutex<BTreeMap<String, Counters>>,
    notes: Mutex<Notes>,
}

/// One place in the fleet and the process that fills it now.
pub(crate) struct Place {
    kind: &'static str,
    process: Option<Process>,
}

/// A running process.
pub(crate) struct Process {
    /// Its Postgres user: its name in the history.
    pub(crate) user: String,
    role: Role,
    log: PathBuf,
}

/// What the supervisor saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    /// Ends that the run did not ask for, and that no server's absence explains.
    pub(crate) died: Vec<String>,
    /// Starts that found a server away and left, as they should.
    pub(crate) turned_away: u32,
}

/// The supervisor: starts again what ended, as an orchestrator would, and reads counters.
pub(crate) struct Supervisor(Vec<JoinHandle<()>>);

impl Fleet {
    /// # Errors
    /// When a process cannot be started.
    pub(crate) async fn start(
        environment: Vec<(String, String)>,
        database_url: String,
    ) -> Result<Self, Failure> {
        std::fs::create_dir_all(LOGS)?;
        let kinds = ["api"]
            .into_iter()
            .chain(["scheduler"; SCHEDULERS])
            .chain(["worker"; WORKERS]);
        let fleet = Self(Arc::new(Inner {
            nursery: Nursery::open(),
            environment,
            database_url,
            starts: AtomicU32::new(0),
            places: kinds
                .map(|kind| {
                    tokio::sync::Mutex::new(Place {
                        kind,
                        process: None,
                    })
                })
                .collect(),
            http: pathbound::api_client::http_client()?,
            counters: Mutex::default(),
            notes: Mutex::default(),
        }));
        for place in &fleet.0.places {
            fleet.fill(&mut *place.lock().await).await?;
        }
        Ok(fleet)
    }

    /// Starts a process in an empty place.
    pub(crate) async fn fill(&self, place: &mut Place) -> Result<(), Failure> {
        let number = self.0.starts.fetch_add(1, Ordering::Relaxed);
        let user = user(place.kind, number);
        let mut environment = self.0.environment.clone();
        let url = self
            .0
            .database_url
            .replacen("pathbound@", &format!("{user}@"), 1);
        environment.push(("PATHBOUND_DATABASE_URL".to_owned(), url));
        let log = Path::new(LOGS).join(format!("{user}.log"));
        let role = self.0.nursery.start(place.kind, &environment, &log).await?;
        place.process = Some(Process { user, role, log });
        Ok(())
    }

    /// A worker's place, locked. `number` counts workers.
    pub(crate) async fn worker(&self, number: usize) -> MutexGuard<'_, Place> {
        self.0.places[1 + SCHEDULERS + number % WORKERS]
            .lock()
            .await
    }

    pub(crate) async fn scheduler(&self, number: usize) -> MutexGuard<'_, Place> {
        self.0.places[1 + number % SCHEDULERS].lock().await
    }

    pub(crate) async fn api(&self) -> MutexGuard<'_, Place> {
        self.0.places[0].lock().await
    }

    /// Reads a living process's counters now.
    pub(crate) async fn counters(&self, process: &Process) -> Option<Counters> {
        let read = scrape::read(&self.0.http, &process.ops()?).await.ok()?;
        lock(&self.0.counters).insert(process.user.clone(), read.clone());
        Some(read)
    }

    /// The last counters of a process, living or not.
    pub(crate) fn last_counters(&self, user: &str) -> Counters {
        lock(&self.0.counters)
            .get(user)
            .cloned()
            .unwrap_or_default()
    }

    /// A counter over all processes that ever ran, as they last showed it: what a killed one counted in
    /// its last second is not in it.
    pub(crate) fn total(&self, counter: impl Fn(&Counters) -> f64) -> f64 {
        lock(&self.0.counters).values().map(counter).sum()
    }

    pub(crate) fn notes(&self) -> Notes {
        lock(&self.0.notes).clone()
    }

    pub(crate) fn starts(&self) -> u32 {
        self.0.starts.load(Ordering::Relaxed)
    }

    /// Keeps every place filled until stopped.
    pub(crate) fn supervise(&self) -> Supervisor {
        let (keeper, reader) = (self.clone(), self.clone());
        Supervisor(vec![
            tokio::spawn(async move {
                loop {
                    keeper.refill().await;
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
            }),
            tokio::spawn(async move {
                loop {
                    for place in &reader.0.places {
                        // Not under the place's lock: a fault must not wait for a slow answer.
                        let known = place.try_lock().ok().and_then(|place| place.known());
                        let Some((user, ops)) = known else { continue };
                        if let Ok(read) = scrape::read(&reader.0.http, &ops).await {
                            lock(&reader.0.counters).insert(user, read);
                        }
                    }
                    tokio::time::sleep(Duration::from_millis(700)).await;
                }
            }),
        ])
    }

    async fn refill(&self) {
        for place in &self.0.places {
            let Ok(mut place) = place.try_lock() else {
                continue;
            };
            let ended = place
                .process
                .as_mut()
                .and_then(|process| process.role.child.try_wait().ok().flatten());
            if let Some(status) = ended {
                self.note(&place, status);
                place.process = None;
            }
            if place.process.is_none()
                && let Err(error) = self.fill(&mut place).await
            {
                lock(&self.0.notes)
                    .died
                    .push(format!("a {} could not be started: {error}", place.kind));
            }
        }
    }

    fn note(&self, place: &Place, status: ExitStatus) {
        let mut notes = lock(&self.0.notes);
        if status.code() == Some(UNREACHABLE) {
            notes.turned_away += 1;
            return;
        }
        let process = place.process.as_ref();
        let last = process.and_then(|process| std::fs::read_to_string(&process.log).ok());
        let last = last
            .as_deref()
            .and_then(|text| text.lines().last())
            .unwrap_or("no log")
            .to_owned();
        let user = process.map_or(place.kind, |process| &process.user);
        notes
            .died
            .push(format!("{user} ended by itself with {status}: {last}"));
    }

    /// Tells every process of a kind to end. Returns those that did not leave with 0 in time.
    pub(crate) async fn retire(&self, kind: &str, patience: Duration) -> Vec<String> {
        let mut late = Vec::new();
        for place in &self.0.places {
            let mut place = place.lock().await;
            if place.kind != kind {
                continue;
            }
            let Some(mut process) = place.process.take() else {
                continue;
            };
            let _ = self.counters(&process).await;
            process.signal(Signal::TERM);
            match process.ended(patience).await {
                Some(status) if status.success() => {}
                other => late.push(format!(
                    "{} was told to end and did not well: {other:?}",
                    process.user
                )),
            }
        }
        late
    }
}

impl Supervisor {
    pub(crate) async fn stop(self) {
        for task in self.0 {
            task.abort();
            let _ = task.await;
        }
    }
}

impl Place {
    pub(crate) fn process(&mut self) -> Option<&mut Process> {
        self.process.as_mut()
    }

    /// Empties the place.
    pub(crate) fn take(&mut self) -> Option<Process> {
        self.process.take()
    }

    fn known(&self) -> Option<(String, String)> {
        let process = self.process.as_ref()?;
        Some((process.user.clone(), process.ops()?))
    }
}

impl Process {
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.role.child.id())
            .ok()
            .and_then(Pid::from_raw)
        {
            // It may have ended by itself, which the supervisor notes.
            let _ = kill_process(pid, signal);
        }
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self, patience: Duration) -> Option<ExitStatus> {
        let begun = Instant::now();
        loop {
            if let Ok(Some(status)) = self.role.child.try_wait() {
                return Some(status);
            }
            if begun.elapsed() > patience {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Where its ops listener is, once it has said so.
    fn ops(&self) -> Option<String> {
        let text = std::fs::read_to_string(&self.log).ok()?;
        text.lines()
            .find_map(|line| line.strip_prefix("ops listening on "))
            .map(str::to_owned)
    }
}

/// The Postgres user of the n-th start.
pub(crate) fn user(kind: &str, number: u32) -> String {
    format!("chaos_{kind}_{number:04}")
}

fn lock<T>(mutex: &Mutex<T>) -> parking_lot::MutexGuard<'_, T> {
    mutex.lock()
}
