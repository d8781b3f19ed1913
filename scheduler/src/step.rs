//! One step of a tick or of the janitor: a statement, or a batch of pushes.

use std::time::Duration;

use super::SchedulerError;

/// A step takes milliseconds. A server that accepts and never answers would hold the scheduler for ever without a limit.
const STEP_LIMIT: Duration = Duration::from_secs(20);

/// Runs a step of a tick within its limit.
///
/// # Errors
/// That of the step, or [`SchedulerError::Late`].
pub(crate) fn within<T, E>(
    step: impl Future<Output = Result<T, E>>,
) -> impl Future<Output = Result<T, SchedulerError>>
where
    SchedulerError: From<E>,
{
    within_limit(STEP_LIMIT, step)
}

/// The same with another limit. The step is in a box, so that the futures around it have no room for it in theirs: the stack
/// of an unoptimised build and the depth that the compiler follows are bounded.
pub(crate) fn within_limit<T, E>(
    limit: Duration,
    step: impl Future<Output = Result<T, E>>,
) -> impl Future<Output = Result<T, SchedulerError>>
where
    SchedulerError: From<E>,
{
    let step = Box::pin(step);
    async move {
        let outcome = tokio::time::timeout(limit, step).await;
        Ok(outcome.map_err(|_| SchedulerError::Late(limit))??)
    }
}
