//! News of the overview as server-sent events, for one stream per browser, however many tabs it has.
//!
//! A stream reads the snapshot that all callers share once a second, and sends the part of the page that changes by
//! itself if it has changed. A beat tells the browser that no news is good news. A stream ends after a minute, and the
//! browser opens the next one, so that its session is checked again.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue},
    response::{IntoResponse, Response, Sse, sse::Event},
};
use futures::{Stream, stream};
use serde::Serialize;
use shared::shutdown::Shutdown;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Interval, MissedTickBehavior, interval},
};

use super::{notice::Refused, overview, session::OpsVisitor};
use crate::{error::ApiError, ops::operator::Operator, pages::etag};

const READ_INTERVAL: Duration = Duration::from_secs(1);
/// The script takes a stream for late after twice this time.
const BEAT_INTERVAL: Duration = Duration::from_secs(5);
const STREAM_LIFE: Duration = Duration::from_secs(60);
/// The browser waits so long before it opens the next stream.
const RETRY: Duration = Duration::from_secs(1);
/// Streams of one process. A browser without one asks every few seconds instead.
const STREAMS: usize = 256;
/// nginx would keep news back until its buffer is full.
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The process' streams. Clones share their number.
#[derive(Clone, Debug)]
pub(in crate::ops) struct Streams(Arc<Semaphore>);

impl Default for Streams {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(STREAMS)))
    }
}

/// `GET /ops/live/stream`
pub(super) async fn show(
    State(operator): State<Operator>,
    Extension(shutdown): Extension<Shutdown>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    OpsVisitor::of(&operator, &headers).ok_or(Refused::SignedOut)?;
    let permit = Arc::clone(&operator.streams.0)
        .try_acquire_owned()
        .map_err(|_| ApiError::unavailable())?;
    let known = headers.get("last-event-id");
    let known = known.and_then(|id| id.to_str().ok()).unwrap_or_default();
    let news = News::of(operator, shutdown, known, permit).stream();
    let unbuffered = [(UNBUFFERED, HeaderValue::from_static("no"))];
    Ok((unbuffered, Sse::new(news)).into_response())
}

/// What one stream knows.
struct News {
    operator: Operator,
    shutdown: Shutdown,
    reads: Interval,
    /// The version of the part that the browser shows.
    etag: String,
    sent_at: Instant,
    opened_at: Instant,
    /// Given back when the browser goes or the stream ends.
    _permit: OwnedSemaphorePermit,
}

/// The part in the form in which tabs pass it on to each other.
#[derive(Serialize)]
struct PartOfPage<'a> {
    etag: &'a str,
    html: &'a str,
}

impl News {
    fn of(
        operator: Operator,
        shutdown: Shutdown,
        known: &str,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let mut reads = interval(READ_INTERVAL);
        reads.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let now = Instant::now();
        Self {
            operator,
            shutdown,
            reads,
            etag: known.to_owned(),
            // A browser that knows everything hears at once that the stream is open.
            sent_at: now.checked_sub(BEAT_INTERVAL).unwrap_or(now),
            opened_at: now,
            _permit: permit,
        }
    }

    fn stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut news| async move {
            // A stream that is still open would keep the process from ending.
            let shutdown = news.shutdown.clone();
            let event = tokio::select! {
                () = shutdown.cancelled() => None,
                event = news.next() => event,
            };
            event.map(|event| (Ok(event), news))
        })
    }

    /// `None` at the end of the stream's life.
    async fn next(&mut self) -> Option<Event> {
        loop {
            self.reads.tick().await;
            if self.opened_at.elapsed() >= STREAM_LIFE {
                return None;
            }
            let html = overview::part(&self.operator).await;
            let version = etag(&html);
            if version != self.etag {
                self.etag = version;
                return self.sent(Event::default().event("news").json_data(PartOfPage {
                    etag: &self.etag,
                    html: &html,
                }));
            }
            if self.sent_at.elapsed() >= BEAT_INTERVAL {
                return self.sent(Event::default().event("beat").json_data(()));
            }
        }
    }

    fn sent(&mut self, event: Result<Event, axum::Error>) -> Option<Event> {
        self.sent_at = Instant::now();
        Some(event.ok()?.id(&self.etag).retry(RETRY))
    }
}
