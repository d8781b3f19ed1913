//! One step of a tick: a statement, or a batch of pushes.

use std::time::Duration;

use super::SchedulerError;

/// A step takes milliseconds. A server that accepts and never answers would hold the scheduler for ever without a limit.
const STEP_LIMIT: Duration = Duration::from_secs(20);

/// Runs a step within its limit.
///
/// # Errors
/// That of the step, or [`SchedulerError::Late`].
pub(crate) async fn within<T, E>(
    step: impl Future<Output = Result<T, E>>,
) -> Result<T, SchedulerError>
where
    SchedulerError: From<E>,
{
    let outcome = tokio::time::timeout(STEP_LIMIT, step).await;
    Ok(outcome.map_err(|_| SchedulerError::Late(STEP_LIMIT))??)
}
