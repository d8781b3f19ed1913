//! Faults of the fleet's own processes.

use std::time::{Duration, Instant};

use rand::{Rng, rngs::StdRng};
use rustix::process::Signal;
use tokio::sync::MutexGuard;

use super::{Kind, Stage};
use crate::{
    Failure,
    fleet::{Place, WORKERS},
    history::Open,
    scrape,
};

/// How long a victim in the middle of a slice is looked for. Longer than a server's absence, mostly.
const SEARCH: Duration = Duration::from_secs(4);
/// A worker that was told to end has left by then, whatever the servers do.
const DRAIN: Duration = Duration::from_secs(45);
/// A zombie's work is taken over by then: a lease, a sweep, and what servers were away.
const TAKEN_OVER: Duration = Duration::from_secs(60);
/// A zombie that goes on tries to write by then: its calls to Intercom end after 2 s.
const REFUSED: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_secs(3);
/// A lease lasts six seconds and is renewed every two. On a busy machine a pause may become longer than what is left.
const LONGEST_PAUSE: Duration = Duration::from_millis(3_500);
const SCHEDULER_PAUSE: Duration = Duration::from_secs(12);

/// Injects the fault. Returns whether it hit.
pub(super) async fn strike(
    stage: &Stage<'_>,
    kind: Kind,
    rng: &mut StdRng,
) -> Result<bool, Failure> {
    match kind {
        Kind::WorkerKilled => kill(stage, rng).await,
        Kind::WorkerTerminated => terminate(stage, rng).await,
        Kind::WorkerFrozen => freeze(stage, rng).await,
        Kind::WorkerPaused => pause(stage, rng).await,
        Kind::SchedulerFrozen => freeze_scheduler(stage, rng).await,
        Kind::ApiKilled => kill_api(stage).await,
        _ => kill_scheduler(stage, rng).await,
    }
}

/// Hit: slices were cut off, which the history shows: taken over and never written to.
async fn kill(stage: &Stage<'_>, rng: &mut StdRng) -> Result<bool, Failure> {
    let Some((mut place, _)) = victim(stage, rng).await? else {
        return Ok(false);
    };
    let Some(mut process) = place.take() else {
        return Ok(false);
    };
    process.signal(Signal::KILL);
    let gone = process.ended(Duration::from_secs(5)).await.is_some();
    stage.world.died(&process.user);
    // A commit that was under way in Postgres ends without its client.
    tokio::time::sleep(Duration::from_millis(60)).await;
    let cut_off = stage.world.history.open(&process.user).await?;
    // The place stays empty for a moment: the supervisor has to wait for the lock.
    tokio::time::sleep(Duration::from_millis(rng.random_range(0..600))).await;
    stage.world.fleet.fill(&mut place).await?;
    Ok(gone && !cut_off.is_empty())
}

/// Hit: it was in the middle of slices when the signal came. It has to leave with 0.
async fn terminate(stage: &Stage<'_>, rng: &mut StdRng) -> Result<bool, Failure> {
    let Some((mut place, open)) = victim(stage, rng).await? else {
        return Ok(false);
    };
    let Some(mut process) = place.take() else {
        return Ok(false);
    };
    let told = Instant::now();
    process.signal(Signal::TERM);
    let status = process.ended(DRAIN).await;
    stage.note(|broken| match status {
        Some(status) if status.success() => {
            broken.drained_seconds.push(told.elapsed().as_secs_f64());
        }
        other => broken.wrong.push(format!(
            "{} was told to end and did not well: {other:?}",
            process.user
        )),
    });
    stage.world.fleet.fill(&mut place).await?;
    Ok(!open.is_empty())
}

/// Hit: another worker took over a slice that it was in, and after it went on something of it was refused.
async fn freeze(stage: &Stage<'_>, rng: &mut StdRng) -> Result<bool, Failure> {
    let Some((mut place, _)) = victim(stage, rng).await? else {
        return Ok(false);
    };
    let Some(process) = place.process() else {
        return Ok(false);
    };
    let before = match stage.world.fleet.counters(process).await {
        Some(counters) => counters,
        None => stage.world.fleet.last_counters(&process.user),
    };
    process.signal(Signal::STOP);
    let begun = Instant::now();
    tokio::time::sleep(Duration::from_millis(60)).await;
    let held = stage.world.history.open(&process.user).await?;
    let mut taken = 0;
    while begun.elapsed() < stage.freeze
        || taken == 0 && begun.elapsed() < TAKEN_OVER && !held.is_empty()
    {
        tokio::time::sleep(Duration::from_millis(200)).await;
        taken = stage.world.history.taken_over(&held).await?;
    }
    process.signal(Signal::CONT);
    let thawed = Instant::now();
    let mut refused = 0.0;
    while taken > 0 && refused == 0.0 && thawed.elapsed() < REFUSED {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if let Some(after) = stage.world.fleet.counters(process).await {
            refused = scrape::refused(&after) - scrape::refused(&before);
        }
    }
    stage.note(|broken| broken.zombies_refused += refused as u64);
    Ok(taken > 0 && refused > 0.0)
}

/// Hit: it was in the middle of slices, and the pause was as short as meant. No other worker may have taken them. Needs
/// whole servers: an emptied Redis gives the work to others, and rightly.
async fn pause(stage: &Stage<'_>, rng: &mut StdRng) -> Result<bool, Failure> {
    let _calm = stage.calm.lock().await;
    // What the last trouble left behind is swept and taken by then.
    tokio::time::sleep(Duration::from_secs(9)).await;
    let Some((mut place, _)) = victim(stage, rng).await? else {
        return Ok(false);
    };
    let Some(process) = place.process() else {
        return Ok(false);
    };
    process.signal(Signal::STOP);
    let begun = Instant::now();
    tokio::time::sleep(Duration::from_millis(60)).await;
    let held = stage.world.history.open(&process.user).await?;
    tokio::time::sleep(PAUSE.saturating_sub(begun.elapsed())).await;
    let taken = stage.world.history.taken_over(&held).await?;
    let is_short = begun.elapsed() < LONGEST_PAUSE;
    process.signal(Signal::CONT);
    if is_short {
        stage.note(|broken| broken.false_orphans += taken as u64);
    }
    Ok(is_short && !held.is_empty())
}

/// Whether work is done from now on.
async fn work_goes_on(stage: &Stage<'_>) -> Result<bool, Failure> {
    let history = &stage.world.history;
    let here = history.here().await?;
    let went_on = history.until_work(here, Duration::from_secs(90)).await?;
    Ok(went_on.is_some())
}

/// Hit: work went on without it. There is no leader.
async fn kill_scheduler(stage: &Stage<'_>, rng: &mut StdRng) -> Result<bool, Failure> {
    let mut place = stage.world.fleet.scheduler(rng.random_range(0..2)).await;
    let Some(mut process) = place.take() else {
        return Ok(false);
    };
    process.signal(Signal::KILL);
    process.ended(Duration::from_secs(5)).await;
    let went_on = work_goes_on(stage).await?;
    stage.world.fleet.fill(&mut place).await?;
    Ok(went_on)
}

/// Hit: work went on beside it. Its locks, if it held any, have to end without it.
async fn freeze_scheduler(stage: &Stage<'_>, rng: &mut StdRng) -> Result<bool, Failure> {
    let mut place = stage.world.fleet.scheduler(rng.random_range(0..2)).await;
    let Some(process) = place.process() else {
        return Ok(false);
    };
    process.signal(Signal::STOP);
    let begun = Instant::now();
    let went_on = work_goes_on(stage).await?;
    tokio::time::sleep(SCHEDULER_PAUSE.saturating_sub(begun.elapsed())).await;
    process.signal(Signal::CONT);
    Ok(went_on)
}

/// Hit: another one answers in its place. It cannot start while a server is away, so that is asked for a while.
async fn kill_api(stage: &Stage<'_>) -> Result<bool, Failure> {
    let mut place = stage.world.fleet.api().await;
    let Some(mut process) = place.take() else {
        return Ok(false);
    };
    process.signal(Signal::KILL);
    process.ended(Duration::from_secs(5)).await;
    stage.world.fleet.fill(&mut place).await?;
    drop(place);
    let begun = Instant::now();
    while begun.elapsed() < TAKEN_OVER {
        // The supervisor fills the place again if the process was turned away.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut place = stage.world.fleet.api().await;
        if let Some(process) = place.process()
            && stage.world.fleet.counters(process).await.is_some()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A worker in the middle of slices, or any worker if none is found. Its place is locked.
async fn victim<'s>(
    stage: &'s Stage<'_>,
    rng: &mut StdRng,
) -> Result<Option<(MutexGuard<'s, Place>, Vec<Open>)>, Failure> {
    let (begun, first) = (Instant::now(), rng.random_range(0..WORKERS));
    loop {
        for number in first..first + WORKERS {
            let mut place = stage.world.fleet.worker(number).await;
            let Some(process) = place.process() else {
                continue;
            };
            let open = stage.world.history.open(&process.user).await?;
            if !open.is_empty() || begun.elapsed() > SEARCH {
                return Ok(Some((place, open)));
            }
        }
        if begun.elapsed() > 2 * SEARCH {
            return Ok(None);
        }
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}
