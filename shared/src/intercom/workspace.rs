//! Reading one workspace: permit, gate, call, classification.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    Endpoint, Error, Gate, Response, Version,
    response::{classify_response, count_call, rate_limit_headers},
    transport::{ReceivedBody, Transport},
};
use crate::{
    domain::{Class, Secret},
    pacing::Budget,
};

/// The pause before a call is repeated whose response found no memory here.
const NO_MEMORY_PAUSE: Duration = Duration::from_secs(1);

/// One workspace, with the token and version of its connection.
#[derive(Clone, Debug)]
pub struct Workspace {
    pub(super) transport: Transport,
    /// The rate budget that every call takes a permit from.
    pub(super) budget: Budget,
    pub(super) host: String,
    pub(super) version: String,
    pub(super) token: Secret,
    /// The class in which the workspace's calls compete for permits.
    pub(super) class: Class,
    pub(super) gate: Option<Gate>,
    /// Calls that were sent. Clones count together.
    pub(super) calls: Arc<AtomicU32>,
}

impl Workspace {
    /// The same workspace with a gate that is asked before each call.
    #[must_use]
    pub fn behind(self, gate: Gate) -> Self {
        Self {
            gate: Some(gate),
            ..self
        }
    }

    /// The same workspace, whose calls are counted here.
    #[must_use]
    pub fn counting(self, calls: Arc<AtomicU32>) -> Self {
        Self { calls, ..self }
    }

    /// The same workspace with calls of another class.
    #[must_use]
    pub fn in_class(self, class: Class) -> Self {
        Self { class, ..self }
    }

    /// The version pinned for this connection.
    #[must_use]
    pub fn version(&self) -> Version {
        Version::parse(&self.version)
    }

    /// Sends one read within the rate budget.
    ///
    /// A passing fault (5xx, cut connection) is retried once at once, as Intercom's documentation
    /// suggests. A fault that stays is the caller's to wait out. The next page of a scroll is never
    /// requested twice, because the scroll may have moved on. The page of the lost response would then
    /// never be seen.
    ///
    /// # Errors
    /// See [`Error`]. A response that is not a JSON object is [`Error::Unavailable`].
    pub async fn read(&self, endpoint: &Endpoint<'_>) -> Result<Response, Error> {
        match self.read_once(endpoint, 1).await {
            Err(Error::Unavailable(why)) if endpoint.is_repeatable() => {
                match self.read_once(endpoint, 2).await {
                    // The first call was made and failed. A spent budget must not hide that.
                    Err(Error::Exhausted { .. }) => Err(Error::Unavailable(why)),
                    result => result,
                }
            }
            result => result,
        }
    }

    /// One call. Its span has ids and words only, and neither the token nor the URL.
    #[tracing::instrument(
        name = "intercom_call",
        skip_all,
        fields(
            endpoint = endpoint.name(),
            class = self.class.as_str(),
            attempt = attempt,
            status = tracing::field::Empty
        )
    )]
    async fn read_once(&self, endpoint: &Endpoint<'_>, attempt: u8) -> Result<Response, Error> {
        let request = endpoint.request()?;
        let permit = self
            .budget
            .acquire(self.class)
            .await
            .map_err(|until| Error::Exhausted { until })?;
        // The gate comes after the permit, because a permit may take seconds and a disconnect that
        // happens meanwhile must stop the call.
        if let Some(gate) = &self.gate
            && !gate.is_open().await
        {
            return Err(Error::Closed);
        }
        let name = endpoint.name();
        self.calls.fetch_add(1, Ordering::Relaxed);
        let started_at = Instant::now();
        let received = self
            .transport
            .read(&self.host, &self.token, &self.version, request)
            .await;
        metrics::histogram!("pathbound_intercom_request_duration_seconds", "endpoint" => name)
            .record(started_at.elapsed().as_secs_f64());
        let response = match received {
            Ok(response) => response,
            Err(error) => {
                permit.on_failure();
                count_call(name, "none");
                return Err(error);
            }
        };
        // The budget learns from every response, whatever becomes of its body.
        let rate_limit = rate_limit_headers(&response.headers);
        if response.status == 429 {
            count_call(name, "429");
            return Err(Error::Throttled {
                until: permit.on_throttled(rate_limit),
            });
        }
        permit.on_response(rate_limit, response.status >= 500);
        if matches!(response.body, ReceivedBody::NoMemory) {
            count_call(name, "none");
            return Err(no_memory(endpoint));
        }
        classify_response(response, name)
    }
}

/// The call was made, but a lack of memory here must not cost the job an attempt.
fn no_memory(endpoint: &Endpoint<'_>) -> Error {
    if endpoint.is_repeatable() {
        Error::Exhausted {
            until: Instant::now() + NO_MEMORY_PAUSE,
        }
    } else {
        Error::Unavailable("there was no memory for the response".to_owned())
    }
}
