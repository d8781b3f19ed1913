//! Companies: a scroll through all of them, or the few that changed contacts point to.
//!
//! Intercom has no incremental endpoint for companies. A workspace has one scroll at a time. It dies after a minute of
//! silence and cannot be resumed, because a page is sent only once. One slice therefore drains the whole scroll, each
//! page is stored as it comes, and a broken scroll starts from the beginning.
//!
//! A scroll that breaks again and again is set aside until its next try, and companies that contacts name are fetched by
//! id meanwhile (`companies_by_id.rs`).

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    SliceError, SliceOutcome, block_messages,
    companies_by_id::fetch_by_id,
    company_walk::{served_until, walk_end},
    page_objects::PageObjects,
    set_aside::set_aside,
    slice::SliceContext,
    statistics::analyze_after,
};
use crate::{
    domain::{Mode, Stream, Verdict, records::Company},
    intercom::{
        Endpoint, Error, Refusal, Response, SCROLL_PAGE,
        wire::{self, Page},
    },
    store::{CompanyFetches, ProofDelta, Retry, SetAside, WalkEnd},
};

/// Another app's scroll ends a minute after its last page. It cannot be ended sooner.
const SCROLL_TAKEN_RETRY: Duration = Duration::from_secs(61);
/// How long the rate budget may delay the next page of a scroll, well below the minute in which it dies.
const MAX_GAP: Duration = Duration::from_secs(25);
/// Companies fetched by id in one slice.
const FETCHES_PER_SLICE: i64 = 100;
/// A scroll that broke this often in a row, behind its first page, breaks over one of its companies.
const BROKEN_SCROLLS: i32 = 3;
/// A scroll that failed this often in a row at its first page is not to be had now.
const FAILED_SCROLLS: i32 = 5;
/// What a scroll that is set aside is called in quarantine.
pub(super) const SCROLL: &str = "scroll";

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
    let mut fetches = tx
        .pending_company_fetches(cx.key.connection, FETCHES_PER_SLICE)
        .await?;
    let retries = tx
        .due_questions(
            cx.key.connection,
            "company",
            Retry::Record,
            FETCHES_PER_SLICE,
        )
        .await?;
    let rest = tx.is_resting(cx.key.connection, "company", SCROLL).await?;
    tx.commit().await?;
    fetches
        .source_ids
        .extend(retries.into_iter().map(|retry| retry.source_id));
    let rests = rest == Some(true);
    if rests && cx.state.mode == Mode::Incremental {
        return fetch_by_id(cx, &fetches, rests).await;
    }
    // One more call for the page that is not full, and one for the empty page at the end.
    let scroll_calls = cx.state.held / SCROLL_PAGE as i64 + 2;
    if cx.state.mode > Mode::Incremental
        || !cx.walked_within(cx.config().intervals.company_walk)
        // The scroll costs fewer calls than the single companies would.
        || fetches.changed >= scroll_calls
    {
        return scroll(cx, &fetches, rest.is_some()).await;
    }
    fetch_by_id(cx, &fetches, rests).await
}

async fn scroll(
    cx: &SliceContext<'_>,
    fetches: &CompanyFetches,
    rested: bool,
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
        if cx.is_stopping() {
            return Ok(Verdict::Requeue.into());
        }
        let answer = match next_page(cx, param.as_deref()).await {
            Ok(answer) => answer,
            Err(error) => match error.refusal() {
                // A scroll of another app is no failure of ours, so it costs no attempt.
                Some(Refusal::ScrollExists) => return scroll_taken(cx).await,
                _ if is_broken(cx, seen, &error) || (rested && may_be_a_company(&error)) => {
                    return leave_scroll(cx, seen, &error).await;
                }
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
    let outcome = end(cx, fetches, started_at.unwrap_or(cx.state.now), poisoned).await?;
    analyze_after(cx, seen).await;
    Ok(outcome)
}

/// Whether a scroll that breaks so may break again because of a company on its page.
const fn may_be_a_company(error: &Error) -> bool {
    matches!(error, Error::Unavailable(_) | Error::TooLarge(_))
}

/// Whether the scroll has broken often enough to go on without it.
const fn is_broken(cx: &SliceContext<'_>, seen: i64, error: &Error) -> bool {
    let limit = if seen == 0 {
        FAILED_SCROLLS
    } else {
        BROKEN_SCROLLS
    };
    cx.state.restarts + 1 >= limit && may_be_a_company(error)
}

/// Sets the scroll aside until its next try. Companies that contacts name are fetched by id instead.
async fn leave_scroll(
    cx: &SliceContext<'_>,
    seen: i64,
    error: &Error,
) -> Result<SliceOutcome, SliceError> {
    let key = cx.key;
    let reason = format!(
        "the list of all companies breaks after {seen} of them, and those behind it are read only if a contact \
         names them: {error}"
    );
    let scroll = SetAside::unread(SCROLL, Retry::Walk, reason);
    let mut tx = cx.begin().await?;
    // A run must not stay open for as long as the scroll rests.
    tx.drop_from_runs(key, "set_aside", &scroll.reason).await?;
    set_aside(&mut tx, cx, "company", &[scroll]).await?;
    tx.add_unknown_company_fetches(key.connection, None).await?;
    // The next slice finds the scroll at rest and fetches by id.
    let end = WalkEnd {
        watermark: None,
        next_in_seconds: Some(0.0),
        ..walk_end(cx, cx.state.now, false, None)
    };
    tx.end_walk(key, &end).await?;
    tx.commit().await?;
    Ok(Verdict::Requeue.into())
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
        alive: written.alive,
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
    tx.complete_walked_company_fetches(key.connection, served_until(cx, fetches))
        .await?;
    // Every page was read, so an object that is no longer unreadable is either stored or gone.
    tx.forget_quarantine(key.connection, "company", cx.state.now)
        .await?;
    tx.end_absence_scan(key).await?;
    tx.end_walk(key, &walk_end(cx, started_at, true, Some(poisoned)))
        .await?;
    // Queued after the walk's end, which would drop their due time.
    tx.add_absent_company_fetches(key).await?;
    // The whole scroll was read, whatever broke it before.
    tx.resolve_quarantine(key.connection, "company", &[SCROLL.to_owned()])
        .await?;
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
