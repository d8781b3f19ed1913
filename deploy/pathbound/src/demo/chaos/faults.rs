//! The four faults. Each breaks something, says what the fleet does about it, and mends it again.

use std::time::{Duration, Instant};

use intercom_simulator::{Fault, FaultAction, FaultId, Latency, Simulator};

use super::{
    POLL_INTERVAL,
    door::Caller,
    victim::Victim,
    watcher::{Counts, Watcher, until},
};
use crate::{cli::ChaosFault, demo::world::World, failure::Failure, output::counted};

/// How long Postgres stays away.
const AWAY: Duration = Duration::from_secs(2);
/// How long Intercom refuses.
const STORM: Duration = Duration::from_secs(5);
/// A killed worker is tried again if it had nothing in hand.
const VICTIMS: usize = 3;
/// Leases last six seconds, and those of one worker end within two of each other.
const LEASES_END: Duration = Duration::from_secs(12);
const LEASES_APART: Duration = Duration::from_secs(2);
/// Calls take so many milliseconds while a worker is looked for that is in the middle of slices.
const SLOW: Latency = Latency::Between(100, 400);

/// Plays the fault that the caller asks for. Returns how long after it the fleet wrote records again.
///
/// # Errors
/// If it could not be played, or the fleet does not recover.
pub(super) async fn strike(
    caller: &mut Caller,
    world: &World,
    watcher: &Watcher,
) -> Result<Duration, Failure> {
    match caller.fault {
        ChaosFault::KillWorker => kill_worker(caller, world, watcher).await,
        ChaosFault::RedisFlush => flush_redis(caller, world, watcher).await,
        ChaosFault::PostgresRestart => restart_postgres(caller, world, watcher).await,
        ChaosFault::RateLimitStorm => refuse_calls(caller, world, watcher).await,
    }
}

async fn kill_worker(
    caller: &mut Caller,
    world: &World,
    watcher: &Watcher,
) -> Result<Duration, Failure> {
    for _ in 0..VICTIMS {
        let victim = Victim::start(world)?;
        let process = victim.process;
        caller
            .say(format!(
                "a third worker starts in a process of its own, {process}"
            ))
            .await;
        let slow = Slow::begin(&world.simulator);
        let mut busy = 0;
        until("the third worker had nothing to do", async || {
            let worker = watcher.worker(process).await?;
            busy = worker.map_or(0, |worker| worker.busy);
            Ok(busy > 0)
        })
        .await?;
        let before = watcher.counts().await?;
        let killed = victim.kill().await?;
        drop(slow);
        caller
            .say(format!(
                "killed it with SIGKILL. Its last report had {} under way",
                counted(busy.try_into().unwrap_or(i64::MAX), "slice")
            ))
            .await;
        let recovered = orphans(watcher, before).await?;
        if recovered > 0 {
            caller
                .say(format!(
                    "its leases have run out, and the other workers have taken over {}",
                    counted(recovered.try_into().unwrap_or(i64::MAX), "ticket")
                ))
                .await;
            watcher.until_written(&watcher.counts().await?).await?;
            return Ok(killed.elapsed());
        }
        caller
            .say("it had just ended its last slice, so another one has to die")
            .await;
    }
    Err(Failure::because(
        "no worker was in the middle of a slice when it was killed, so try again",
    ))
}

/// How many tickets of a dead worker the others have taken over.
async fn orphans(watcher: &Watcher, before: Counts) -> Result<u64, Failure> {
    let begun = Instant::now();
    let (mut found, mut last) = (0, begun);
    while begun.elapsed() < LEASES_END && (found == 0 || last.elapsed() < LEASES_APART) {
        let now = watcher.counts().await?.orphans - before.orphans;
        if now > found {
            (found, last) = (now, Instant::now());
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(found)
}

async fn flush_redis(
    caller: &mut Caller,
    world: &World,
    watcher: &Watcher,
) -> Result<Duration, Failure> {
    let redis = world.servers.redis();
    let flushed = tokio::task::block_in_place(|| redis.flush_all());
    let keys = flushed.map_err(|error| Failure::failed("could not empty redis", error))?;
    let broken = Instant::now();
    caller
        .say(format!(
            "emptied Redis: {keys} keys are gone, with every ticket, lease and rate budget"
        ))
        .await;
    let mut tickets = 0;
    until("no ticket was made again", async || {
        tickets = watcher.tickets().await?.unwrap_or_default();
        Ok(tickets > 0)
    })
    .await?;
    caller
        .say(format!(
            "the scheduler reads in Postgres what is due, and {tickets} tickets are live again"
        ))
        .await;
    watcher.until_written(&watcher.counts().await?).await?;
    let healthy = broken.elapsed();
    caller.say("records are written again").await;
    Ok(healthy)
}

async fn restart_postgres(
    caller: &mut Caller,
    world: &World,
    watcher: &Watcher,
) -> Result<Duration, Failure> {
    let postgres = world.servers.postgres();
    let failed = |error| Failure::failed("could not restart postgres", error);
    tokio::task::block_in_place(|| postgres.abort()).map_err(failed)?;
    let broken = Instant::now();
    let back = Back(world);
    caller
        .say("stopped Postgres in the middle of everything, without a checkpoint")
        .await;
    let mut reason = String::new();
    until(
        "the process called itself ready without Postgres",
        async || {
            let (ready, reasons) = watcher.ready().await?;
            reason = reasons.trim().to_owned();
            Ok(!ready)
        },
    )
    .await?;
    caller.say(format!("/readyz answers 503: {reason}")).await;
    tokio::time::sleep(AWAY.saturating_sub(broken.elapsed())).await;
    let begun = Instant::now();
    tokio::task::block_in_place(|| postgres.start()).map_err(failed)?;
    drop(back);
    caller
        .say(format!(
            "started it again. It recovered in {:.1} s",
            begun.elapsed().as_secs_f64()
        ))
        .await;
    let before = watcher.counts().await?;
    until("the process was not ready again", async || {
        Ok(watcher.ready().await?.0)
    })
    .await?;
    watcher.until_written(&before).await?;
    let healthy = broken.elapsed();
    caller
        .say("/readyz answers 200, and records are written again")
        .await;
    Ok(healthy)
}

/// Postgres comes back even if the fault is given up in its middle.
struct Back<'w>(&'w World);

impl Drop for Back<'_> {
    fn drop(&mut self) {
        if self.0.servers.postgres().pid().is_none() {
            let _ = tokio::task::block_in_place(|| self.0.servers.postgres().start());
        }
    }
}

async fn refuse_calls(
    caller: &mut Caller,
    world: &World,
    watcher: &Watcher,
) -> Result<Duration, Failure> {
    let calls = world.simulator.ledger().total;
    let begun = Instant::now();
    let storm = Storm::begin(&world.simulator);
    caller
        .say("Intercom answers every call with 429 from now on")
        .await;
    until("no call was refused", async || Ok(storm.hits() > 0)).await?;
    tokio::time::sleep(STORM.saturating_sub(begun.elapsed())).await;
    let (refused, asked) = (storm.hits(), world.simulator.ledger().total - calls);
    drop(storm);
    caller
        .say(format!(
            "the storm is over after {:.1} s: {refused} of {asked} calls were refused, because each workspace waits for its next window after a refusal",
            begun.elapsed().as_secs_f64()
        ))
        .await;
    let before = watcher.counts().await?;
    watcher.until_written(&before).await?;
    let healthy = begun.elapsed();
    caller
        .say("records are written again, and waiting has cost no attempt")
        .await;
    Ok(healthy)
}

/// Calls refused with 429 until this is dropped.
struct Storm<'s> {
    simulator: &'s Simulator,
    fault: FaultId,
}

impl<'s> Storm<'s> {
    fn begin(simulator: &'s Simulator) -> Self {
        let action = FaultAction::refusal(429, "rate_limit_exceeded");
        Self {
            simulator,
            fault: simulator.inject(Fault::new(action)),
        }
    }

    fn hits(&self) -> u64 {
        self.simulator.fault_hits(self.fault)
    }
}

impl Drop for Storm<'_> {
    fn drop(&mut self) {
        self.simulator.clear_fault(self.fault);
    }
}

/// Slow calls until this is dropped.
struct Slow<'s>(&'s Simulator);

impl<'s> Slow<'s> {
    fn begin(simulator: &'s Simulator) -> Self {
        simulator.set_latency(SLOW);
        Self(simulator)
    }
}

impl Drop for Slow<'_> {
    fn drop(&mut self) {
        self.0.set_latency(Latency::None);
    }
}
