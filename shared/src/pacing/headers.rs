//! What a response says about the rate limit.

use std::time::Duration;

/// Intercom counts in windows of ten seconds, so that 1,000 calls a minute show as 167 per window.
pub(super) const WINDOW: Duration = Duration::from_secs(10);

/// The rate limit headers of one response. Intercom may leave out any of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimitHeaders {
    /// Calls allowed in the window.
    pub limit: Option<u64>,
    /// Calls left in the window.
    pub remaining: Option<u64>,
    /// The window's end, in Unix seconds of Intercom's clock.
    pub reset: Option<u64>,
    /// The time of the response, in Unix seconds of Intercom's clock.
    pub date: Option<u64>,
    /// Intercom does not document this header. It is honoured if it comes.
    pub retry_after: Option<Duration>,
}

impl RateLimitHeaders {
    /// How long until the next window has begun. Both times are whole seconds of Intercom's clock.
    ///
    /// A whole window if headers are missing or absurd, and longer if `Retry-After` asks for it.
    #[must_use]
    pub fn until_reset(&self) -> Duration {
        let left = self
            .reset
            .zip(self.date)
            .and_then(|(reset, date)| reset.checked_sub(date))
            .map(Duration::from_secs)
            .filter(|left| *left <= WINDOW)
            .unwrap_or(WINDOW);
        left.max(self.retry_after.unwrap_or_default())
    }
}
