//! One step of a tick or of the janitor: a statement, or a batch of pushes.

use std::time::Duration;

use super::SchedulerError;

/// A step takes milliseconds. A server that accepts and never answers would hold the scheduler for ever without a limit.
const STEP_LIMIT: Duration = Duration::from_secs(20);

/// Runs a step of a tick within its limit.
///
/// # Errors
/// That of the step, or [`SchedulerError::Late`].
pub(crate) async fn within<T, E>(
    step: impl Future<Output = Result<T, E>>,
) -> Result<T, SchedulerError>
where
    SchedulerError: From<E>,
{
    within_limit(STEP_LIMIT, step).await
}

/// The same with another limit.
pub(crate) async fn within_limit<T, E>(
    limit: Duration,
    step: impl Future<Output = Result<T, E>>,
) -> Result<T, SchedulerError>
where
    SchedulerError: From<E>,
{
    // In a box, so that each future around it needs no stack for it. An unoptimised build would run out of it.
    let step = Box::pin(step);
    let outcome = tokio::time::timeout(limit, step).await;
    Ok(outcome.map_err(|_| SchedulerError::Late(limit))??)
}
