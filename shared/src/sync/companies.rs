//! Companies: a scroll through all of them, or the few that changed contacts point to.
//!
//! Intercom has no incremental endpoint for companies. A workspace has one scroll at a time. It dies after a minute of
//! silence and cannot be resumed, because a page is sent only once. One slice therefore drains the whole scroll, each
//! page is stored as it comes, and a broken scroll starts from the beginning.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};

use super::{
    SliceError, SliceOutcome, block_messages, page_objects::PageObjects, slice::SliceContext,
};
use crate::{
    domain::{Mode, Stream, Verdict, records::Company},
    intercom::{
        Endpoint, Error, Refusal, Response, SCROLL_PAGE,
        wire::{self, Page},
    },
    store::{CompanyFetches, ProofDelta, WalkEnd},
};

/// Another app's scroll ends a minute after its last page. It cannot be ended sooner.
const SCROLL_TAKEN_RETRY: Duration = Duration::from_secs(61);
/// How long the rate budget may delay the next page of a scroll, well below the minute in which it dies.
const MAX_GAP: Duration = Duration::from_secs(25);
/// Companies fetched by id in one slice.
const FETCHES_PER_SLICE: i64 = 100;

/// What a broken scroll leaves to the next one, in `streams.cursor`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct BrokenScroll {
    /// How many companies the last scroll had shown when it met a 404.
    not_found_after: Option<i64>,
    /// How many scrolls in a row met a 404 there.
    #[serde(default)]
    times: u32,
}

impl BrokenScroll {
    /// Whether a 404 is the end of the companies. Some workspaces end with a 404 and no empty page, and a dead cursor
    /// looks the same. The 404 is the end if a second scroll meets it after the same number of companies, or a third
    /// one if it comes after a full page.
    fn is_the_end(&self, seen: i64, last_page: usize) -> bool {
        self.not_found_after == Some(seen) && (last_page < SCROLL_PAGE || self.times >= 2)
    }

    fn not_found(&self, seen: i64) -> Self {
        let times = if self.not_found_after == Some(seen) {
            self.times + 1
        } else {
            1
        };
        Self {
            not_found_after: Some(seen),
            times,
        }
    }
}

/// Works one slice: the whole scroll, or a batch of companies by id.
///
/// # Errors
/// See [`SliceError`].
#[tracing::instrument(name = "companies", skip_all)]
pub async fn run(cx: &SliceContext<'_>) -> Result<SliceOutcome, SliceError> {
    let mut tx = cx.begin().await?;
    tx.start_runs(cx.key).await?;
    let fetches = tx
        .pending_company_fetches(cx.key.connection, FETCHES_PER_SLICE)
        .await?;
    tx.commit().await?;
    // One more call for the page that is not full, and one for the empty page at the end.
    let scroll_calls = cx.state.held / SCROLL_PAGE as i64 + 2;
    if cx.state.mode > Mode::Incremental
        || !cx.walked_within(cx.config().intervals.company_walk)
        // The scroll costs fewer calls than the single companies would.
        || fetches.changed >= scroll_calls
    {
        return scroll(cx, &fetches).await;
    }
    fetch_by_id(cx, &fetches).await
}

/// Every fetch that was queued up to now is served by the calls from now on. A page of contacts that was being stored
/// when the slice began may have queued a later one, and the slice waited for it.
fn served_until(cx: &SliceContext<'_>, fetches: &CompanyFetches) -> DateTime<Utc> {
    fetches
        .newest
        .map_or(cx.state.now, |newest| newest.max(cx.state.now))
}

async fn scroll(
    cx: &SliceContext<'_>,
    fetches: &CompanyFetches,
) -> Result<SliceOutcome, SliceError> {
    let broken: BrokenScroll = cx.saved_walk().unwrap_or_default();
    let (mut param, mut seen, mut poisoned, mut last_page) =
        (None::<String>, 0_i64, 0_i64, SCROLL_PAGE);
    let mut started_at = None;
    let mut tx = cx.begin().await?;
    tx.begin_absence_scan(cx.key).await?;
    tx.commit().await?;
    loop {
        // A deploy does not wait for a scroll. The next one starts over once Intercom has forgotten this one.
        if cx.ctx.stopping.is_cancelled() {
            return Ok(Verdict::Requeue.into());
        }
        let answer = match next_page(cx, param.as_deref()).await {
            Ok(answer) => answer,
            Err(error) => match error.refusal() {
                // A scroll of another app is no failure of ours, so it costs no attempt.
                Some(Refusal::ScrollExists) => return scroll_taken(cx).await,
                Some(Refusal::NotFound) if param.is_some() => {
                    if broken.is_the_end(seen, last_page) {
                        break;
                    }
                    cx.save_cursor_only(&broken.not_found(seen)).await?;
                    return Err(SliceError::Broken("the scroll's cursor died"));
                }
                _ if matches!(error, Error::TooLarge(_)) => {
                    return Err(SliceError::Broken(
                        "a page of the scroll is larger than an answer may be, and intercom alone chooses how many \
                         companies a page has",
                    ));
                }
                _ => return Err(error.into()),
            },
        };
        started_at.get_or_insert(answer.at);
        let page = Page::split(&answer.body)?;
        if page.items.is_empty() {
            break;
        }
        last_page = page.items.len();
        seen += last_page as i64;
        let items = page.items.iter().copied();
        let objects = PageObjects::read(items, answer.at, wire::read_company);
        poisoned += objects.poisons.len() as i64;
        // Stored before the next call, because a page is never sent again.
        store_page(cx, objects).await?;
        // Intercom keeps one cursor for the whole scroll, and some pages leave it out.
        param = page.scroll_param.or(param);
        if param.is_none() {
            return Err(Error::Unavailable(
                "the scroll's page does not say how to go on".to_owned(),
            )
            .into());
        }
    }
    end(cx, fetches, started_at.unwrap_or(cx.state.now), poisoned).await
}

/// The next page of the scroll. Between two pages a spent rate budget is waited for here, because snoozing would kill
/// the scroll.
async fn next_page(cx: &SliceContext<'_>, param: Option<&str>) -> Result<Response, Error> {
    let read = Endpoint::CompaniesScroll { param };
    if param.is_some() {
        cx.read_patiently(&read, MAX_GAP).await
    } else {
        cx.workspace.read(&read).await
    }
}

/// The other scroll belongs to a dead worker of ours or to another app. Either way its minute has to pass.
async fn scroll_taken(cx: &SliceContext<'_>) -> Result<SliceOutcome, SliceError> {
    let why = block_messages::scroll_taken();
    let mut tx = cx.begin().await?;
    tx.block_stream(cx.key, &why, SCROLL_TAKEN_RETRY.as_secs_f64())
        .await?;
    tx.commit().await?;
    // Postgres remembers the wait. A parked ticket would delay a resync that comes meanwhile.
    Ok(Verdict::Done.into())
}

/// What Intercom says of a batch of companies.
#[derive(Default)]
struct Fetched {
    bodies: Vec<String>,
    at: Option<DateTime<Utc>>,
    alive: Vec<String>,
    gone: Vec<String>,
    /// The failure of a call that says nothing of its company.
    trouble: Option<Error>,
}

async fn fetch(cx: &SliceContext<'_>, ids: Vec<String>) -> Fetched {
    let answers: Vec<_> = stream::iter(ids)
        .map(|id| async move {
            let answer = cx.workspace.read(&Endpoint::Company { id: &id }).await;
            (id, answer)
        })
        .buffer_unordered(cx.config().conversation_concurrency)
        .collect()
        .await;
    let mut fetched = Fetched::default();
    for (id, answer) in answers {
        match answer {
            Ok(answer) => {
                fetched.at = Some(answer.at);
                fetched.bodies.push(answer.body);
                fetched.alive.push(id);
            }
            // Deleted since its contact was read, or absent from two scrolls. Only the latter ends the company.
            Err(error)
                if matches!(error.refusal(), Some(Refusal::NotFound))
                    || matches!(error, Error::BadId(_)) =>
            {
                fetched.gone.push(id);
            }
            Err(error) => fetched.trouble = Some(error),
        }
    }
    fetched
}

async fn fetch_by_id(
    cx: &SliceContext<'_>,
    fetches: &CompanyFetches,
) -> Result<SliceOutcome, SliceError> {
    let Fetched {
        bodies,
        at,
        alive,
        gone,
        trouble,
    } = fetch(cx, fetches.source_ids.clone()).await;
    // The batch is stored even if a call failed, so that the answered calls are not repeated.
    let bodies = bodies.iter().map(String::as_str);
    let objects = PageObjects::read(bodies, at.unwrap_or_else(Utc::now), wire::read_company);
    // A company that is gone has nothing left to be unreadable.
    let healthy = [objects.ids(), gone.clone()].concat();
    let served = [alive.clone(), gone.clone()].concat();
    let key = cx.key;
    let mut tx = cx.begin().await?;
    let written = tx.write_companies(key.connection, objects.records).await?;
    let quarantined = tx.quarantine(key.connection, &objects.poisons).await?;
    let healed = tx
        .resolve_quarantine(key.connection, "company", &healthy)
        .await?;
    if !served.is_empty() {
        // Fetches that were queued during the calls are for a later state, so they stay.
        tx.complete_company_fetches(key.connection, &served, served_until(cx, fetches))
            .await?;
    }
    tx.note_alive(key.connection, key.stream, &alive).await?;
    // Counted again under the stream's lock. A page of contacts may have queued more during the calls, and the stream
    // that it made due must not be put off to the next scroll.
    let more = tx.pending_company_fetches(key.connection, 1).await?.all > 0;
    let delta = ProofDelta {
        inserted: written.inserted,
        quarantined,
        healed,
    };
    tx.save_cursor(key, &serde_json::Value::Null, delta).await?;
    // Only a company that two scrolls left out is ended by its 404. Others may come back.
    tx.mark_companies_deleted(key, &gone).await?;
    if !more && trouble.is_none() {
        tx.end_walk(key, &walk_end(cx, cx.state.now, false, None))
            .await?;
    }
    tx.commit().await?;
    written.count(Stream::Companies);
    match trouble {
        // The answers before it are stored, so a failure costs only its own calls.
        Some(error) => Err(error.into()),
        None if more => Ok(Verdict::Requeue.into()),
        None => Ok(Verdict::Done.into()),
    }
}

async fn store_page(
    cx: &SliceContext<'_>,
    objects: PageObjects<Company>,
) -> Result<(), SliceError> {
    let key = cx.key;
    let (ids, shown) = (objects.ids(), objects.shown());
    let mut tx = cx.begin().await?;
    let written = tx.write_companies(key.connection, objects.records).await?;
    let quarantined = tx.quarantine(key.connection, &objects.poisons).await?;
    let healed = tx
        .resolve_quarantine(key.connection, "company", &ids)
        .await?;
    tx.note_shown(key, &shown).await?;
    let delta = ProofDelta {
        inserted: written.inserted,
        quarantined,
        healed,
    };
    // The cursor stays, because it holds only what a broken scroll left.
    tx.save_cursor(key, &cx.state.cursor, delta).await?;
    tx.commit().await?;
    written.count(Stream::Companies);
    Ok(())
}

async fn end(
    cx: &SliceContext<'_>,
    fetches: &CompanyFetches,
    started_at: DateTime<Utc>,
    poisoned: i64,
) -> Result<SliceOutcome, SliceError> {
    let key = cx.key;
    let mut tx = cx.begin().await?;
    tx.complete_company_fetches(key.connection, &[], served_until(cx, fetches))
        .await?;
    // Every page was read, so an object that is no longer unreadable is either stored or gone.
    tx.forget_quarantine(key.connection, "company", cx.state.now)
        .await?;
    tx.end_absence_scan(key).await?;
    tx.end_walk(key, &walk_end(cx, started_at, true, Some(poisoned)))
        .await?;
    // Queued after the walk's end, which would drop their due time.
    tx.add_absent_company_fetches(key).await?;
    let more = tx.pending_company_fetches(key.connection, 1).await?.all > 0;
    if more {
        tx.make_due(key.connection, Stream::Companies).await?;
    }
    tx.commit().await?;
    let verdict = if more {
        Verdict::Requeue
    } else {
        Verdict::Done
    };
    Ok(verdict.into())
}

fn walk_end(
    cx: &SliceContext<'_>,
    started_at: DateTime<Utc>,
    full: bool,
    missing: Option<i64>,
) -> WalkEnd {
    // Counted from the last scroll. Fetches by id would otherwise put the next scroll off for ever.
    let every = cx.config().intervals.company_walk;
    // Single companies do not move the time of the next scroll.
    let next = match cx.state.walked_at {
        Some(walked_at) if !full => (walked_at + TimeDelta::from_std(every).unwrap_or_default()
            - cx.state.now)
            .as_seconds_f64()
            .max(0.0),
        _ => every.as_secs_f64(),
    };
    WalkEnd {
        mode: if full {
            cx.state.mode.max(Mode::Full)
        } else {
            Mode::Incremental
        },
        begun_at: cx.state.now,
        watermark: Some(started_at),
        overlap_probe: None,
        full,
        missing,
        next_in_seconds: Some(next),
    }
}
