//! Reading one workspace: budget, call, verdict on the answer.

use std::{
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use chrono::{DateTime, Utc};
use reqwest::header::{DATE, HeaderMap, LINK, RETRY_AFTER};

use super::{
    Error, Read,
    transport::{RawAnswer, Transport},
    wire::me::Me,
};
use crate::{
    config::{Config, Profile},
    domain::{Region, Secret},
    pacing::{Announced, Pacing},
};

/// Intercom as this process sees it: one HTTP client, one rate budget per workspace. Cheap to clone.
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
}

/// A 2xx answer's body, and the time by Intercom's own clock.
#[derive(Debug)]
pub struct Answer {
    pub body: String,
    pub at: DateTime<Utc>,
}

impl Intercom {
    /// # Errors
    /// When no TLS client can be made.
    pub fn new(config: &Config) -> Result<Self, Error> {
        Ok(Self {
            transport: Transport::new(config.intercom.request_timeout, config.profile == Profile::Production)?,
            settings: Arc::new(Settings {
                client_id: config.intercom.client_id.clone(),
                client_secret: config.intercom.client_secret.clone(),
                api_url: config.intercom.api_url.clone(),
                app_url: config.intercom.app_url.clone(),
                version: config.intercom.version.clone(),
            }),
            pacing: Pacing::new(config.intercom.max_share),
        })
    }

    /// A reader of one workspace.
    #[must_use]
    pub fn workspace(&self, workspace_id: &str, region: Region, version: &str, token: Secret) -> Workspace {
        Workspace {
            intercom: self.clone(),
            host: self.api_host(region),
            version: version.to_owned(),
            token,
            workspace_id: workspace_id.to_owned(),
        }
    }

    /// `GET /me`: the workspace that a token belongs to.
    ///
    /// # Errors
    /// When the token is refused or Intercom cannot be reached.
    pub async fn me(&self, region: Region, token: &Secret) -> Result<Me, Error> {
        let request = Read::Me.request()?;
        let answer = self.transport.read(&self.api_host(region), token, &self.settings.version, request).await?;
        let announced = announced(&answer.headers);
        let me = Me::parse(&judge(answer, "me")?.body)?;
        // What this first answer says of the window is known before the first slice starts.
        self.pacing.budget(&me.workspace_id).learn(announced);
        Ok(me)
    }

    /// Where a region's authorize page is.
    #[must_use]
    pub fn app_host(&self, region: Region) -> String {
        self.settings.app_url.clone().unwrap_or_else(|| super::hosts(region).1.to_owned())
    }

    pub(super) fn api_host(&self, region: Region) -> String {
        self.settings.api_url.clone().unwrap_or_else(|| super::hosts(region).0.to_owned())
    }
}

impl Workspace {
    /// Sends one read within the rate budget.
    ///
    /// A passing fault (5xx, cut connection) is tried once more at once, as Intercom's documentation
    /// suggests; what remains is the caller's to wait out. The next page of a scroll is not asked for
    /// twice: the scroll may have moved on, and the page with the lost answer would never be seen.
    ///
    /// # Errors
    /// See [`Error`]. An answer that is not a JSON object is [`Error::Unavailable`].
    pub async fn read(&self, read: &Read<'_>) -> Result<Answer, Error> {
        match self.read_once(read).await {
            Err(Error::Unavailable(_)) if read.is_repeatable() => self.read_once(read).await,
            answer => answer,
        }
    }

    /// The version pinned for this connection.
    #[must_use]
    pub fn version(&self) -> Version {
        Version::parse(&self.version)
    }

    async fn read_once(&self, read: &Read<'_>) -> Result<Answer, Error> {
        let budget = self.intercom.pacing.budget(&self.workspace_id);
        let permit = budget.acquire().await.map_err(|until| Error::Exhausted { until })?;
        let endpoint = read.endpoint();
        let begun = Instant::now();
        let answer = self.intercom.transport.read(&self.host, &self.token, &self.version, read.request()?).await;
        metrics::histogram!("pathbound_intercom_request_duration_seconds", "endpoint" => endpoint)
            .record(begun.elapsed().as_secs_f64());
        match answer {
            Ok(answer) => {
                permit.learn(announced(&answer.headers));
                if answer.status == 429 {
                    metrics::counter!("pathbound_intercom_throttled_total", "cause" => "refused").increment(1);
                    return Err(Error::Throttled { until: permit.throttled(retry_after(&answer.headers)) });
                }
                judge(answer, endpoint)
            }
            Err(error) => {
                metrics::counter!("pathbound_intercom_requests_total", "endpoint" => endpoint, "status" => "none")
                    .increment(1);
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
fn judge(answer: RawAnswer, endpoint: &'static str) -> Result<Answer, Error> {
    let status = match answer.status {
        200..=299 => "2xx",
        401 => "401",
        402 | 403 => "403",
        404 | 410 => "404",
        429 => "429",
        400..=499 => "4xx",
        _ => "5xx",
    };
    metrics::counter!("pathbound_intercom_requests_total", "endpoint" => endpoint, "status" => status).increment(1);
    if !(200..300).contains(&answer.status) {
        let link = answer.headers.get(LINK).and_then(|link| link.to_str().ok());
        return Err(Error::from_answer(answer.status, &answer.body, link));
    }
    // An empty 200 and an HTML page from a proxy are both seen in the field.
    if answer.body.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'{') {
        return Err(Error::Unavailable("the answer is not a JSON object".to_owned()));
    }
    let at = header(&answer.headers, DATE.as_str())
        .and_then(|date| DateTime::parse_from_rfc2822(date).ok())
        .map_or_else(Utc::now, |date| date.with_timezone(&Utc));
    // Bytes that are not UTF-8 cannot be JSON; replacing them keeps the neighbours readable.
    let body = String::from_utf8(answer.body.into())
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    Ok(Answer { body, at })
}

/// The rate headers (`X-RateLimit-Limit`, `-Remaining`, `-Reset`); any may be missing or absurd.
fn announced(headers: &HeaderMap) -> Announced {
    let number = |name| header(headers, name).and_then(|text| text.trim().parse::<u64>().ok());
    Announced {
        limit: number("x-ratelimit-limit"),
        remaining: number("x-ratelimit-remaining"),
        reset: number("x-ratelimit-reset"),
    }
}

/// `Retry-After` in seconds: not documented by Intercom, honoured where it comes.
fn retry_after(headers: &HeaderMap) -> Option<SystemTime> {
    let seconds: u64 = header(headers, RETRY_AFTER.as_str())?.trim().parse().ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Some(UNIX_EPOCH + now + std::time::Duration::from_secs(seconds.min(300)))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
