//! Runs the roles, alone or together, beside the ops listener.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use api::{
    Api, StartError,
    ops::{self, Operator, Ops},
};
use scheduler::{Scheduler, SchedulerError};
use shared::{
    config::{Config, ProcessRole, Profile},
    egress,
    pulse::Pulse,
    queue::{Heartbeat, Queue},
    shutdown::{self, Shutdown},
    store::{self, Database, roles},
    telemetry,
};
use tokio::{net::TcpListener, task::JoinSet};
use worker::{Worker, WorkerError};

use crate::{failure::Failure, schema_gate};

/// After the drain limit, parts settle their leases and close their sessions within this time.
const CLOSING: Duration = Duration::from_secs(10);

/// Runs a role and the ops listener until `shutdown`. If one part ends before that, the others are
/// told to end too.
///
/// # Errors
/// If a part cannot start or ends on its own. The error names the part and the cause.
pub async fn run(config: Config, role: ProcessRole, shutdown: Shutdown) -> Result<(), Failure> {
    // The recorder must be there before the first metric is counted.
    telemetry::begin(role);
    let mut parts = RunningParts {
        serving_ends: serving_ends(&config, role, &shutdown),
        config: Arc::new(config),
        shutdown: shutdown.clone(),
        tasks: JoinSet::new(),
        running: BTreeSet::new(),
    };
    // A start waits for servers that may be away. Nothing is under way yet, so it can be dropped.
    let database = match shutdown.run_until_cancelled(parts.start(role)).await {
        Some(started) => started?,
        None => return Ok(()),
    };
    let outcome = parts.until_all_end().await;
    // Last, because every part works with them until it has ended.
    shutdown::close(database.close_all()).await;
    outcome
}

/// When the listeners stop. Behind the shutdown of an API, a load balancer sends requests on until it finds out.
fn serving_ends(config: &Config, role: ProcessRole, shutdown: &Shutdown) -> Shutdown {
    if !role.runs_api() || config.shutdown_delay.is_zero() {
        return shutdown.clone();
    }
    let (ends, shutdown, delay) = (Shutdown::new(), shutdown.clone(), config.shutdown_delay);
    let end = ends.clone();
    tokio::spawn(async move {
        shutdown.cancelled().await;
        tracing::info!(?delay, "serving on while load balancers find out");
        tokio::time::sleep(delay).await;
        end.cancel();
    });
    ends
}

/// The parts of one process, each in a task.
struct RunningParts {
    config: Arc<Config>,
    shutdown: Shutdown,
    /// Cancelled some time after `shutdown`: until then the listeners take new connections.
    serving_ends: Shutdown,
    tasks: JoinSet<Ended>,
    /// The names of the parts that have not ended.
    running: BTreeSet<&'static str>,
}

/// The name of a part that ended, and its outcome.
type Ended = (&'static str, Result<(), Failure>);

impl RunningParts {
    /// Returns the sessions that all parts share.
    async fn start(&mut self, role: ProcessRole) -> Result<Database, Failure> {
        refuse_unbound_login(&self.config).await?;
        check_egress(&self.config, role)?;
        let database = Database::open(&self.config, role).await?;
        let mut ops = checks(&database, Queue::connect(&self.config)?, role)
            .ready_until(self.shutdown.clone());
        if role.runs_api() {
            ops = ops.alive_while("the api", self.start_api(&database).await?);
        }
        // Opened before the ops listener starts, because `/livez` reads their signs of life.
        let worker = if role.runs_worker() {
            let worker =
                Worker::open(Arc::clone(&self.config), &database).map_err(worker_failure)?;
            let heartbeat = worker.heartbeat();
            ops = ops.alive(move || completes_rounds(&heartbeat));
            Some(worker)
        } else {
            None
        };
        let scheduler = if role.runs_scheduler() {
            let scheduler = Scheduler::open(&self.config, &database).map_err(scheduler_failure)?;
            ops = ops
                .alive_while("the scheduler", scheduler.pulse())
                .fleet(scheduler.fleet_recorder());
            Some(scheduler)
        } else {
            None
        };
        self.start_ops_listener(ops, &database)?;
        if let Some(worker) = worker {
            self.start_worker(worker);
        }
        if let Some(scheduler) = scheduler {
            self.start_scheduler(scheduler);
        }
        Ok(database)
    }

    /// Returns the API's sign of life.
    async fn start_api(&mut self, database: &Database) -> Result<Pulse, Failure> {
        let api = Api::open(Arc::clone(&self.config), database).map_err(api_failure)?;
        let pulse = api.pulse();
        // Bound here and not in the task, so that a port that is taken fails the start.
        let listener = listen(&self.config).await?;
        let serving = serve(api, listener, self.serving_ends.clone());
        self.spawn("the api", serving);
        Ok(pulse)
    }

    fn start_ops_listener(&mut self, ops: Ops, database: &Database) -> Result<(), Failure> {
        let operator = Operator::open(&self.config, database).map_err(api_failure)?;
        let address = self.config.ops_listen;
        let serving = ops::serve(address, ops.router(operator), self.serving_ends.clone());
        self.spawn("the ops listener", async move {
            serving
                .await
                .map_err(|error| Failure::failed(format!("could not listen on {address}"), error))
        });
        Ok(())
    }

    fn start_worker(&mut self, worker: Worker) {
        let shutdown = self.shutdown.clone();
        let fits = schema_gate::until_open(worker.store().clone(), shutdown.clone(), || {});
        self.spawn("the worker", async {
            fits.await;
            worker.run(shutdown).await.map_err(worker_failure)
        });
    }

    fn start_scheduler(&mut self, scheduler: Scheduler) {
        let shutdown = self.shutdown.clone();
        let pulse = scheduler.pulse();
        // A process that waits is alive.
        let beat = move || pulse.beat();
        let fits = schema_gate::until_open(scheduler.store().clone(), shutdown.clone(), beat);
        self.spawn("the scheduler", async {
            fits.await;
            scheduler.run(shutdown).await;
            Ok(())
        });
    }

    /// The first part that ends early is the failure. A part that fails during the shutdown is only printed. Parts
    /// that do not end in time end with the process.
    async fn until_all_end(mut self) -> Result<(), Failure> {
        let deadline = {
            let limit = self.config.drain_limit + CLOSING;
            let serving_ends = self.serving_ends.clone();
            async move {
                serving_ends.cancelled().await;
                tokio::time::sleep(limit).await;
            }
        };
        let mut deadline = std::pin::pin!(deadline);
        let mut first = None;
        loop {
            let ended = tokio::select! {
                ended = self.tasks.join_next() => ended,
                () = deadline.as_mut() => {
                    let parts = Vec::from_iter(self.running).join(", ");
                    tracing::warn!(parts, "ends although these did not end in time");
                    break;
                }
            };
            let Some(ended) = ended else { break };
            let Ok((part, outcome)) = ended else { continue };
            self.running.remove(part);
            let early = !self.shutdown.is_cancelled();
            // Half a process must not pass for a whole one.
            self.shutdown.cancel();
            if early {
                // A process that fails serves nobody any more.
                self.serving_ends.cancel();
            }
            let Some(failure) = failure_of(part, outcome, early) else {
                continue;
            };
            match first {
                None => first = Some(failure),
                Some(_) => eprintln!("pathbound: {}", failure.line()),
            }
        }
        first.map_or(Ok(()), Err)
    }

    fn spawn(
        &mut self,
        name: &'static str,
        part: impl Future<Output = Result<(), Failure>> + Send + 'static,
    ) {
        self.running.insert(name);
        self.tasks.spawn(async move {
            // A task inside the task, because the join error of a panic does not carry the name.
            let outcome = tokio::spawn(part).await;
            (
                name,
                outcome.unwrap_or_else(|error| {
                    Err(Failure::failed(format!("{name} panicked"), error))
                }),
            )
        });
    }
}

/// Row-level security does not bind a superuser, so one forgotten condition would show all tenants.
async fn refuse_unbound_login(config: &Config) -> Result<(), Failure> {
    if config.profile == Profile::Production && store::login_is_unbound(&config.database).await? {
        return Err(Failure::Setting(
            "database_url logs in as a superuser or with BYPASSRLS, so give pathbound a login of its own"
                .to_owned(),
        ));
    }
    Ok(())
}

/// Serves the API on an open listener.
///
/// # Errors
/// If the listener fails.
pub async fn serve(api: Api, listener: TcpListener, shutdown: Shutdown) -> Result<(), Failure> {
    api.serve(listener, shutdown)
        .await
        .map_err(|error| Failure::failed("the API's listener failed", error))
}

/// A worker completes a round every second, and every four seconds if Redis is away.
fn completes_rounds(heartbeat: &Heartbeat) -> Result<(), String> {
    match heartbeat.silence() {
        silence if silence > ops::STUCK => Err(format!(
            "the worker has not completed a round for {} s",
            silence.as_secs()
        )),
        _ => Ok(()),
    }
}

/// `None` if the part ended as it was told to.
fn failure_of(part: &'static str, outcome: Result<(), Failure>, early: bool) -> Option<Failure> {
    let cause = match outcome {
        Err(failure) => failure,
        Ok(()) if early => Failure::because("it stopped on its own, without an error"),
        Ok(()) => return None,
    };
    Some(Failure::Ended {
        part,
        cause: Box::new(cause),
    })
}

/// A process that could never call a server of others says so at its start.
fn check_egress(config: &Config, role: ProcessRole) -> Result<(), Failure> {
    if role.runs_api() || role.runs_worker() {
        egress::check(config).map_err(Failure::Setting)?;
    }
    Ok(())
}

async fn listen(config: &Config) -> Result<TcpListener, Failure> {
    let failed = |error| Failure::failed(format!("could not listen on {}", config.listen), error);
    let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
    eprintln!(
        "api listening on http://{}",
        listener.local_addr().map_err(failed)?
    );
    Ok(listener)
}

/// The checks of a role, with a session that no work takes, so that a busy process stays ready.
pub(crate) fn checks(database: &Database, queue: Queue, role: ProcessRole) -> Ops {
    let ops = Ops::new().pool(database.clone());
    if role.runs_api() {
        ops.servers(database.checks::<roles::Api>(), queue)
    } else if role.runs_worker() {
        ops.servers(database.checks::<roles::Worker>(), queue)
    } else {
        ops.servers(database.checks::<roles::Scheduler>(), queue)
    }
}

pub(crate) fn api_failure(error: StartError) -> Failure {
    match error {
        StartError::Store(error) => error.into(),
        StartError::Queue(error) => error.into(),
        other => Failure::failed("the api could not start", other),
    }
}

pub(crate) fn scheduler_failure(error: SchedulerError) -> Failure {
    match error {
        SchedulerError::Store(error) => error.into(),
        SchedulerError::Queue(error) => error.into(),
        other @ (SchedulerError::Late(_) | SchedulerError::Pacing(_)) => {
            Failure::failed("the scheduler could not start", other)
        }
    }
}

pub(crate) fn worker_failure(error: WorkerError) -> Failure {
    match error {
        WorkerError::Store(error) => error.into(),
        WorkerError::Queue(error) => error.into(),
        other => Failure::failed("the worker could not go on", other),
    }
}
