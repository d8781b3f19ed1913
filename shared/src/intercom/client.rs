//! Reading one workspace: budget, call, verdict on the answer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::{DATE, HeaderMap, LINK, RETRY_AFTER};

use super::{
    Endpoint, Error, Gate,
    memory::{MemoryPermit, ResponseMemory},
    transport::{Body, MAX_RESPONSE_BYTES, RawResponse, Transport},
    wire::{self, me::Me},
};
use crate::{
    config::{Config, Profile},
    domain::{Class, Region, Secret},
    pacing::{BudgetStatus, Pacing, RateLimitHeaders},
};

/// The end of 2010.
const BEFORE_INTERCOM: DateTime<Utc> = DateTime::from_timestamp(1_293_839_999, 0).expect("a time");

/// The longest we make a customer wait on the OAuth callback page.
const MAX_CALLBACK_WAIT: Duration = Duration::from_secs(12);

/// The pause before a call is repeated whose response found no memory here.
const NO_MEMORY_PAUSE: Duration = Duration::from_secs(1);

/// Intercom as this process sees it: one HTTP client, and its part in the fleet's rate budgets. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Intercom {
    pub(super) transport: Transport,
    pub(super) settings: Arc<Settings>,
    pacing: Pacing,
}

#[derive(Debug)]
pub(super) struct Settings {
    pub(super) client_id: String,
    pub(super) client_secret: Secret,
    api_url: Option<String>,
    app_url: Option<String>,
    version: String,
}

/// One workspace, with the token and version of its connection.
#[derive(Clone, Debug)]
pub struct Workspace {
    intercom: Intercom,
    host: String,
    version: String,
    token: Secret,
    /// The budget's key: Intercom counts per app and workspace.
    workspace_id: String,
    /// What its calls compete as.
    class: Class,
    gate: Option<Gate>,
}

/// A 2xx answer's body, and the time by Intercom's own clock.
#[derive(Debug)]
pub struct Response {
    pub body: String,
    pub at: DateTime<Utc>,
    /// The page has one record and is too large even so: of the record `body` has the short fields alone, so it is
    /// nothing that could be stored.
    pub is_outline: bool,
}

impl Response {
    /// Bytes of the body; of an outline, of which more was sent than is held, the most that an answer may have.
    #[must_use]
    pub const fn size(&self) -> usize {
        if self.is_outline {
            MAX_RESPONSE_BYTES
        } else {
            self.body.len()
        }
    }
}

impl Intercom {
    /// # Errors
    /// When no TLS client can be made, or the Redis URL cannot be used.
    pub fn new(config: &Config) -> Result<Self, Error> {
        Ok(Self {
            transport: Transport::new(
                config.intercom.request_timeout,
                config.profile == Profile::Production,
                config.answer_memory,
            )?,
            settings: Arc::new(Settings {
                client_id: config.intercom.client_id.clone(),
                client_secret: config.intercom.client_secret.clone(),
                api_url: config.intercom.api_url.clone(),
                app_url: config.intercom.app_url.clone(),
                version: config.intercom.version.clone(),
            }),
            pacing: Pacing::open(config).map_err(|error| Error::Unavailable(error.to_string()))?,
        })
    }

    /// A reader of one workspace, whose calls compete as a class.
    #[must_use]
    pub fn workspace(
        &self,
        workspace_id: &str,
        region: Region,
        version: &str,
        token: Secret,
        class: Class,
    ) -> Workspace {
        Workspace {
            intercom: self.clone(),
            host: self.api_host(region),
            version: version.to_owned(),
            token,
            workspace_id: workspace_id.to_owned(),
            class,
            gate: None,
        }
    }

    /// `GET /me`: the workspace that a token belongs to.
    ///
    /// The one call without a permit, since its answer says whose budget it is. A person waits for it: a window that
    /// others have spent is waited out here.
    ///
    /// # Errors
    /// When the token is refused or Intercom cannot be reached.
    pub async fn me(&self, region: Region, token: &Secret) -> Result<Me, Error> {
        let mut windows = 2;
        loop {
            let request = Endpoint::Me.request()?;
            let answer = self
                .transport
                .read(
                    &self.api_host(region),
                    token,
                    &self.settings.version,
                    request,
                )
                .await?;
            let rate_limit = rate_limit_headers(&answer.headers);
            let until_reset = rate_limit.until_reset();
            if answer.status == 429 && windows > 0 && until_reset <= MAX_CALLBACK_WAIT {
                count("me", "429");
                windows -= 1;
                tokio::time::sleep(until_reset + Duration::from_millis(rand::random_range(5..=60)))
                    .await;
                continue;
            }
            let me = Me::parse(&classify_response(answer, "me")?.0.body)?;
            // What this first answer says of the window is known before the first slice starts.
            self.pacing.budget(&me.workspace_id).learn(rate_limit);
            return Ok(me);
        }
    }

    /// How the rate budget of a workspace stands in the whole fleet, and our share of it. `None` when Redis is away.
    pub async fn budget_status(&self, workspace_id: &str) -> Option<(BudgetStatus, f64)> {
        Some((
            self.pacing.status(workspace_id).await?,
            self.pacing.max_share(),
        ))
    }

    /// The memory budget of this process for response bodies.
    #[must_use]
    pub const fn response_memory(&self) -> &ResponseMemory {
        self.transport.memory()
    }

    /// Where a region's authorize page is.
    #[must_use]
    pub fn app_host(&self, region: Region) -> String {
        self.settings
            .app_url
            .clone()
            .unwrap_or_else(|| super::hosts(region).1.to_owned())
    }

    pub(super) fn api_host(&self, region: Region) -> String {
        self.settings
            .api_url
            .clone()
            .unwrap_or_else(|| super::hosts(region).0.to_owned())
    }
}

impl Workspace {
    /// The same, asking a gate before each call.
    #[must_use]
    pub fn behind(self, gate: Gate) -> Self {
        Self {
            gate: Some(gate),
            ..self
        }
    }

    /// Sends one read within the rate budget.
    ///
    /// A passing fault (5xx, cut connection) is tried once more at once, as Intercom's documentation
    /// suggests; what remains is the caller's to wait out. The next page of a scroll is not asked for
    /// twice: the scroll may have moved on, and the page with the lost answer would never be seen.
    ///
    /// # Errors
    /// See [`Error`]. An answer that is not a JSON object is [`Error::Unavailable`].
    pub async fn read(&self, read: &Endpoint<'_>) -> Result<Response, Error> {
        Ok(self.read_with_permit(read).await?.0)
    }

    /// The same, with the memory permit of the response, for a caller that keeps many of them. Keep the
    /// permit exactly as long as the body. Never wait for another response while a permit
    /// [is large](MemoryPermit::is_large), because the other response may need its slot.
    ///
    /// # Errors
    /// As [`Workspace::read`].
    pub async fn read_with_permit(
        &self,
        read: &Endpoint<'_>,
    ) -> Result<(Response, MemoryPermit), Error> {
        match self.read_once(read).await {
            Err(Error::Unavailable(why)) if read.is_repeatable() => {
                match self.read_once(read).await {
                    // A call was made and failed, and that is what counts.
                    Err(Error::Exhausted { .. }) => Err(Error::Unavailable(why)),
                    answer => answer,
                }
            }
            answer => answer,
        }
    }

    /// The version pinned for this connection.
    #[must_use]
    pub fn version(&self) -> Version {
        Version::parse(&self.version)
    }

    async fn read_once(&self, read: &Endpoint<'_>) -> Result<(Response, MemoryPermit), Error> {
        let budget = self.intercom.pacing.budget(&self.workspace_id);
        let request = read.request()?;
        let permit = budget
            .acquire(self.class)
            .await
            .map_err(|until| Error::Exhausted { until })?;
        if let Some(gate) = &self.gate
            && !gate.is_open().await
        {
            return Err(Error::Closed);
        }
        let endpoint = read.endpoint();
        let begun = Instant::now();
        let answer = self
            .intercom
            .transport
            .read(&self.host, &self.token, &self.version, request)
            .await;
        metrics::histogram!("pathbound_intercom_request_duration_seconds", "endpoint" => endpoint)
            .record(begun.elapsed().as_secs_f64());
        match answer {
            Ok(answer) => {
                let rate_limit = rate_limit_headers(&answer.headers);
                if answer.status == 429 {
                    count(endpoint, "429");
                    return Err(Error::Throttled {
                        until: permit.throttled(rate_limit),
                    });
                }
                permit.answered(rate_limit, answer.status >= 500);
                if matches!(answer.body, Body::NoMemory) {
                    count(endpoint, "none");
                    // The call was made, but a lack of memory here must not cost the job an attempt.
                    return Err(if read.is_repeatable() {
                        Error::Exhausted {
                            until: Instant::now() + NO_MEMORY_PAUSE,
                        }
                    } else {
                        Error::Unavailable("there was no memory for the response".to_owned())
                    });
                }
                classify_response(answer, endpoint)
            }
            Err(error) => {
                permit.failed();
                count(endpoint, "none");
                Err(error)
            }
        }
    }
}

/// An API version, compared as numbers: 2.9 comes before 2.16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u32, u32);

impl Version {
    /// From here on: string owner ids, 410 for merged contacts, `/conversations/deleted`, merge history.
    pub const V2_16: Self = Self(2, 16);
    /// From here on contact search is exact to the second, in UTC.
    pub const V2_17: Self = Self(2, 17);

    fn parse(text: &str) -> Self {
        // `Preview` is ahead of every number.
        text.split_once('.')
            .and_then(|(major, minor)| Some(Self(major.parse().ok()?, minor.parse().ok()?)))
            .unwrap_or(Self(u32::MAX, 0))
    }
}

/// 2xx with a JSON object is an answer; everything else says what it is.
fn classify_response(
    answer: RawResponse,
    endpoint: &'static str,
) -> Result<(Response, MemoryPermit), Error> {
    let status = match answer.status {
        200..=299 => "2xx",
        401 => "401",
        402 | 403 => "403",
        404 | 410 => "404",
        429 => "429",
        400..=499 => "4xx",
        _ => "5xx",
    };
    count(endpoint, status);
    if !(200..300).contains(&answer.status) {
        let link = answer.headers.get(LINK).and_then(|link| link.to_str().ok());
        return Err(Error::from_answer(answer.status, answer.body.whole(), link));
    }
    let (body, is_outline) = match answer.body {
        Body::Whole(body) => (body, false),
        Body::Outline(body) => (body, true),
        Body::TooLarge | Body::NoMemory => return Err(Error::TooLarge(MAX_RESPONSE_BYTES)),
    };
    // An empty 200 and an HTML page from a proxy are both seen in the field.
    let body = wire::readable(body.into());
    if !body.trim_ascii_start().starts_with('{') {
        return Err(Error::Unavailable(
            "the response is not a JSON object".to_owned(),
        ));
    }
    let at = stated_time(&answer.headers);
    Ok((
        Response {
            body,
            at,
            is_outline,
        },
        answer.permit,
    ))
}

fn count(endpoint: &'static str, status: &'static str) {
    metrics::counter!("pathbound_intercom_requests_total", "endpoint" => endpoint, "status" => status).increment(1);
}

/// The time of an answer by the server's own clock. Where that is years ahead of ours it is no clock: the
/// watermark that is made of it would not come back. Nor is it where it shows a time before Intercom was: all that
/// it answers would claim to have changed in the future, and be put aside.
fn stated_time(headers: &HeaderMap) -> DateTime<Utc> {
    let now = Utc::now();
    dated(headers)
        .filter(|at| BEFORE_INTERCOM < *at && *at < now + TimeDelta::days(366))
        .unwrap_or(now)
}

/// The rate headers (`X-RateLimit-Limit`, `-Remaining`, `-Reset`); any may be missing or absurd.
#[must_use]
pub fn rate_limit_headers(headers: &HeaderMap) -> RateLimitHeaders {
    let number = |name| header(headers, name).and_then(|text| text.trim().parse::<u64>().ok());
    RateLimitHeaders {
        limit: number("x-ratelimit-limit"),
        remaining: number("x-ratelimit-remaining"),
        reset: number("x-ratelimit-reset"),
        date: dated(headers).and_then(|date| date.timestamp().try_into().ok()),
        retry_after: number(RETRY_AFTER.as_str())
            .map(|seconds| Duration::from_secs(seconds.min(300))),
    }
}

/// The time by the server's own clock.
fn dated(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    let date = DateTime::parse_from_rfc2822(header(headers, DATE.as_str())?).ok()?;
    Some(date.with_timezone(&Utc))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
