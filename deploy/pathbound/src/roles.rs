//! Runs the roles, alone or together, beside the ops listener, and says which ended and why.

use std::{sync::Arc, time::Duration};

use api::{
    Api, StartError,
    ops::{self, Operator, Ops},
};
use scheduler::SchedulerError;
use shared::{
    config::{Config, ProcessRole, Profile},
    queue::{Heartbeat, Queue},
    shutdown::Shutdown,
    store::{self, SchedulerStore, Store, WorkerStore, roles::DbRole},
    telemetry,
};
use tokio::{net::TcpListener, task::JoinSet};
use worker::{Worker, WorkerError};

use crate::failure::Failure;

/// A worker that has not gone round for this long hangs.
const STUCK: Duration = Duration::from_secs(60);

/// Runs a role and the ops listener until `shutdown`. When one part ends before that, the others are
/// told to end too, because half a process must not pass for a whole one.
///
/// # Errors
/// When a part cannot start or ends by itself. The error names the part and the cause.
pub async fn run(config: Config, role: ProcessRole, shutdown: Shutdown) -> Result<(), Failure> {
    // The recorder must be there before the first metric is counted.
    telemetry::metrics();
    if config.profile == Profile::Production
        && store::login_is_unbound(&config.database_url).await?
    {
        let what = "database_url logs in as a superuser (or with BYPASSRLS): give pathbound a login of its own";
        return Err(Failure::Setting(what.to_owned()));
    }
    let config = Arc::new(config);
    let mut tasks = JoinSet::new();
    let ops = if role.runs_api() {
        let api = Api::open(Arc::clone(&config)).await.map_err(api_failure)?;
        let ops = api.ops();
        let listener = listen(&config).await?;
        spawn(
            &mut tasks,
            "the api",
            serve(api, listener, shutdown.clone()),
        );
        ops
    } else {
        checks(&config, role).await?
    };
    let worker = if role.runs_worker() {
        Some(
            Worker::open(Arc::clone(&config))
                .await
                .map_err(worker_failure)?,
        )
    } else {
        None
    };
    let ops = match worker.as_ref().map(Worker::heartbeat) {
        Some(heartbeat) => ops.alive(move || completes_rounds(&heartbeat)),
        None => ops,
    };
    let operator = Operator::open(&config).await.map_err(api_failure)?;
    let serving = ops::serve(config.ops_listen, ops.router(operator), shutdown.clone());
    let address = config.ops_listen;
    spawn(&mut tasks, "the ops listener", async move {
        serving
            .await
            .map_err(|error| Failure::failed(format!("could not listen on {address}"), error))
    });
    if let Some(worker) = worker {
        let shutdown = shutdown.clone();
        spawn(&mut tasks, "the worker", async {
            worker.run(shutdown).await.map_err(worker_failure)
        });
    }
    if role.runs_scheduler() {
        let (config, shutdown) = (Arc::clone(&config), shutdown.clone());
        spawn(&mut tasks, "the scheduler", async {
            scheduler::run(config, shutdown)
                .await
                .map_err(scheduler_failure)
        });
    }
    until_all_end(tasks, &shutdown).await
}

/// Serves the API on a listener of the caller's.
///
/// # Errors
/// When the listener fails.
pub async fn serve(api: Api, listener: TcpListener, shutdown: Shutdown) -> Result<(), Failure> {
    api.serve(listener, shutdown)
        .await
        .map_err(|error| Failure::failed("the API's listener failed", error))
}

/// A worker goes round every second, every four when Redis is away.
fn completes_rounds(heartbeat: &Heartbeat) -> Result<(), String> {
    match heartbeat.last_round() {
        Some(ago) if ago > STUCK => Err(format!(
            "the worker has not gone round for {} s",
            ago.as_secs()
        )),
        _ => Ok(()),
    }
}

/// What ended, and how.
type Ended = (&'static str, Result<(), Failure>);

fn spawn(
    tasks: &mut JoinSet<Ended>,
    name: &'static str,
    part: impl Future<Output = Result<(), Failure>> + Send + 'static,
) {
    tasks.spawn(async move {
        // A task of its own, so that a panic still has a name.
        let outcome = tokio::spawn(part).await;
        (
            name,
            outcome.unwrap_or_else(|error| Err(Failure::failed(format!("{name} panicked"), error))),
        )
    });
}

/// The first part that ends early is the failure; one that fails on the way out only says so.
async fn until_all_end(mut tasks: JoinSet<Ended>, shutdown: &Shutdown) -> Result<(), Failure> {
    let mut first = None;
    while let Some(ended) = tasks.join_next().await {
        let Ok((part, outcome)) = ended else { continue };
        let early = !shutdown.is_cancelled();
        shutdown.cancel();
        let failure = match outcome {
            Err(failure) => failure,
            Ok(()) if early => Failure::because("it stopped on its own, without an error"),
            Ok(()) => continue,
        };
        let failure = Failure::Ended {
            part,
            cause: Box::new(failure),
        };
        match first {
            None => first = Some(failure),
            Some(_) => eprintln!("pathbound: {}", failure.line()),
        }
    }
    first.map_or(Ok(()), Err)
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

/// Readiness of a role without the API: both servers answer, asked over connections of their own.
async fn checks(config: &Config, role: ProcessRole) -> Result<Ops, Failure> {
    if role.runs_worker() {
        checks_with(config, WorkerStore::connect(&config.database_url, 1).await?)
    } else {
        checks_with(
            config,
            SchedulerStore::connect(&config.database_url, 1).await?,
        )
    }
}

fn checks_with<R: DbRole>(config: &Config, store: Store<R>) -> Result<Ops, Failure> {
    let queue = Queue::connect(config)?;
    Ok(Ops::new()
        .check("postgres", move || {
            let store = store.clone();
            async move { store.ping().await }
        })
        .check("redis", move || {
            let queue = queue.clone();
            async move { queue.ping().await }
        }))
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
    }
}

pub(crate) fn worker_failure(error: WorkerError) -> Failure {
    match error {
        WorkerError::Store(error) => error.into(),
        WorkerError::Queue(error) => error.into(),
        other => Failure::failed("the worker could not go on", other),
    }
}
