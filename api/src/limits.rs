//! How many requests a key may make. Each process counts for itself, so a fleet of n allows n times as many.
//!
//! A key's requests refill evenly, as in a leaky bucket: a key that was quiet may make a whole minute's at once. The
//! fields are those of draft-ietf-httpapi-ratelimit-headers-10.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use governor::{
    DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
};
use shared::config::RestConfig;
use uuid::Uuid;

use crate::error::ApiError;

const WINDOW_SECONDS: u64 = 60;
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");

/// After so many requests, keys that have all of their limit again are forgotten.
const FORGET_EVERY: u64 = 65_536;

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    ServiceKey,
    /// One tenant key, by its id.
    TenantKey(Uuid),
    /// One subject of the authorization server in one tenant, by its derived id.
    Subject(Uuid),
}

/// The limits of one process.
#[derive(Debug)]
pub(crate) struct Limits {
    service_key: DefaultDirectRateLimiter<StateInformationMiddleware>,
    tenant_keys: DefaultKeyedRateLimiter<Uuid, StateInformationMiddleware>,
    service_quota: NonZeroU32,
    tenant_quota: NonZeroU32,
    clock: DefaultClock,
    counted: AtomicU64,
}

/// What is left of a key's limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    left: u32,
    /// Until all of it is back.
    reset_seconds: u64,
}

impl Limits {
    pub(crate) fn new(config: &RestConfig) -> Self {
        let service_quota = config.service_requests_per_minute;
        let tenant_quota = config.key_requests_per_minute;
        Self {
            service_key: DefaultDirectRateLimiter::direct(Quota::per_minute(service_quota))
                .with_middleware(),
            tenant_keys: DefaultKeyedRateLimiter::keyed(Quota::per_minute(tenant_quota))
                .with_middleware(),
            service_quota,
            tenant_quota,
            clock: DefaultClock::default(),
            counted: AtomicU64::new(0),
        }
    }

    /// Counts one request.
    ///
    /// # Errors
    /// If the key has none left.
    pub(crate) fn count(&self, whose: Counted) -> Result<Standing, ApiError> {
        let outcome = match whose {
            Counted::ServiceKey => self.service_key.check(),
            Counted::TenantKey(id) | Counted::Subject(id) => {
                let counted = self.counted.fetch_add(1, Ordering::Relaxed);
                if counted.is_multiple_of(FORGET_EVERY) {
                    self.tenant_keys.retain_recent();
                }
                self.tenant_keys.check_key(&id)
            }
        };
        match outcome {
            Ok(state) => Ok(self.standing(whose, state.remaining_burst_capacity())),
            Err(refused) => {
                let wait = refused.wait_time_from(self.clock.now());
                Err(ApiError::rate_limited(wait.as_secs() + 1))
            }
        }
    }

    fn standing(&self, whose: Counted, left: u32) -> Standing {
        let quota = u64::from(self.quota(whose).get());
        let used = quota.saturating_sub(u64::from(left));
        Standing {
            left,
            reset_seconds: (used * WINDOW_SECONDS).div_ceil(quota),
        }
    }

    fn quota(&self, whose: Counted) -> NonZeroU32 {
        match whose {
            Counted::ServiceKey => self.service_quota,
            Counted::TenantKey(_) | Counted::Subject(_) => self.tenant_quota,
        }
    }

    /// Writes the limit, and what is left of it if the request was counted.
    pub(crate) fn write(
        &self,
        whose: Counted,
        standing: Option<Standing>,
        headers: &mut HeaderMap,
    ) {
        let name = match whose {
            Counted::ServiceKey => "service_key",
            Counted::TenantKey(_) => "tenant_key",
            Counted::Subject(_) => "subject",
        };
        let quota = self.quota(whose);
        let mut set = |field: HeaderName, value: String| {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(field, value);
            }
        };
        set(POLICY, format!("\"{name}\";q={quota};w={WINDOW_SECONDS}"));
        if let Some(Standing {
            left,
            reset_seconds,
        }) = standing
        {
            set(STANDING, format!("\"{name}\";r={left};t={reset_seconds}"));
        }
    }

    /// What a refused key has left.
    pub(crate) fn nothing_left(&self, whose: Counted) -> Standing {
        self.standing(whose, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(per_minute: u32) -> Limits {
        Limits::new(&RestConfig {
            cors_origins: Vec::new(),
            key_requests_per_minute: NonZeroU32::new(per_minute).unwrap(),
            service_requests_per_minute: NonZeroU32::new(6).unwrap(),
        })
    }

    #[test]
    fn each_key_has_a_limit_of_its_own() {
        let limits = limits(3);
        let (acme, zeta) = (
            Counted::TenantKey(Uuid::now_v7()),
            Counted::TenantKey(Uuid::now_v7()),
        );
        let left: Vec<u32> = (0..3).map(|_| limits.count(acme).unwrap().left).collect();
        assert_eq!(left, [2, 1, 0]);
        let refused = limits.count(acme).unwrap_err().into_problem();
        let wait = refused.retry_after_s.unwrap();
        assert!((1..=20).contains(&wait), "{wait}");
        assert_eq!(limits.count(zeta).unwrap().left, 2);
        assert_eq!(limits.count(Counted::ServiceKey).unwrap().left, 5);
    }

    #[test]
    fn the_fields_are_structured() {
        let limits = limits(3);
        let mut headers = HeaderMap::new();
        let key = Counted::TenantKey(Uuid::now_v7());
        let standing = limits.count(key).unwrap();
        limits.write(key, Some(standing), &mut headers);
        assert_eq!(headers[POLICY], "\"tenant_key\";q=3;w=60");
        assert_eq!(headers[STANDING], "\"tenant_key\";r=2;t=20");
        limits.write(
            Counted::ServiceKey,
            Some(limits.nothing_left(Counted::ServiceKey)),
            &mut headers,
        );
        assert_eq!(headers[POLICY], "\"service_key\";q=6;w=60");
        assert_eq!(headers[STANDING], "\"service_key\";r=0;t=60");
    }

    #[test]
    fn keys_with_their_whole_limit_are_forgotten() {
        // A request a nanosecond is back at once, and three a minute are not.
        for (per_minute, remembered) in [(1_000_000_000, 1), (3, 2)] {
            let limits = limits(per_minute);
            limits.counted.store(FORGET_EVERY - 1, Ordering::Relaxed);
            for _ in 0..2 {
                limits.count(Counted::TenantKey(Uuid::now_v7())).unwrap();
            }
            assert_eq!(limits.tenant_keys.len(), remembered, "{per_minute}");
        }
    }
}
