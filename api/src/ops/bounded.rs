//! Reads of operators end soon, because the page is needed when a server is in trouble.

use std::time::Duration;

use crate::error::ApiError;

/// A read of a list or of a tenant. Each of its statements ends within a second, but a server that hangs answers none.
const READ_LIMIT: Duration = Duration::from_secs(5);

/// A question to Redis within such a read. It ends before the read does, which then goes on without it.
const REDIS_LIMIT: Duration = Duration::from_millis(400);

/// The counts of a list end here.
pub(super) const COUNT_CAP: i32 = 10_000;

/// What a read finds within the limit.
///
/// # Errors
/// If the read fails, or takes longer.
pub(super) async fn bounded<T>(
    read: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    tokio::time::timeout(READ_LIMIT, read)
        .await
        .unwrap_or_else(|_| Err(ApiError::unavailable()))
}

/// What Redis answers. `None` if it does not answer soon.
pub(super) async fn promptly<T>(asked: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(REDIS_LIMIT, asked).await.ok()
}
