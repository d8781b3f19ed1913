//! Companies: a scroll through all of them, or the few that changed contacts point to.
//!
//! There is no incremental endpoint. The scroll is one per workspace, dies after a minute of silence and
//! cannot be resumed: a page that was sent is never sent again, so a walk that breaks starts from the
//! beginning. One slice therefore drains the whole scroll, each page stored as it comes.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};

use super::{Progress, SliceError, Sliced, blocked, slice::Slice};
use crate::{
    domain::{
        Mode, Stream,
        records::{Company, Poison},
    },
    intercom::{
        Answer, Error, Read, Refusal, SCROLL_PAGE,
        wire::{self, Page},
    },
    store::{Tally, WalkEnd},
};

/// Somebody else's scroll ends a minute after its last page; there is no way to end it sooner.
const SCROLL_TAKEN: Duration = Duration::from_secs(61);
/// How long the rate budget may keep a scroll waiting between two pages, well below its minute.
const LONGEST_GAP: Duration = Duration::from_secs(25);
/// Companies asked for one by one in a slice.
const WANTS_PER_SLICE: i64 = 100;

/// What one broken walk leaves to the next.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Walk {
    /// How many companies had been shown when the last walk met a 404, and how many walks in a row did.
    not_found_after: Option<i64>,
    #[serde(default)]
    times: u32,
}

impl Walk {
    /// Some workspaces end with a 404 and no empty page, and a dead cursor looks the same. So it is believed
    /// when a second walk meets it after the same number of companies; after a full page, when a third does.
    fn is_the_end(&self, seen: i64, last_page: usize) -> bool {
        self.not_found_after == Some(seen) && (last_page < SCROLL_PAGE || self.times >= 2)
    }

    fn not_found(&self, seen: i64) -> Self {
        let times = if self.not_found_after == Some(seen) { self.times + 1 } else { 1 };
        Self { not_found_after: Some(seen), times }
    }
}

pub(super) async fn slice(slice: &Slice<'_>) -> Result<Sliced, SliceError> {
    let mut tx = slice.ctx.store.begin_fenced(slice.key).await?;
    tx.start_runs(slice.key).await?;
    let (wants, wanted) = tx.company_wants(slice.key.connection, WANTS_PER_SLICE).await?;
    tx.commit().await?;
    let walk_calls = slice.state.held / SCROLL_PAGE as i64 + 2;
    if slice.state.mode > Mode::Incremental || walk_is_due(slice) || wanted >= walk_calls {
        return scroll(slice).await;
    }
    fetch_wanted(slice, &wants, wanted).await
}

fn walk_is_due(slice: &Slice<'_>) -> bool {
    let every = TimeDelta::from_std(slice.ctx.config.rhythm.company_walk).unwrap_or(TimeDelta::MAX);
    slice.state.walked_at.is_none_or(|walked_at| slice.state.now - walked_at >= every)
}

async fn scroll(slice: &Slice<'_>) -> Result<Sliced, SliceError> {
    let walk: Walk =
        slice.state.cursor.clone().and_then(|cursor| serde_json::from_value(cursor).ok()).unwrap_or_default();
    let (mut param, mut seen, mut poisoned, mut last_page) = (None::<String>, 0_i64, 0_i64, SCROLL_PAGE);
    let mut started_at = None;
    loop {
        let answer = match next_page(slice, param.as_deref()).await {
            Ok(answer) => answer,
            Err(error) => match error.refusal() {
                Some(Refusal::ScrollExists) => return scroll_taken(slice).await,
                Some(Refusal::NotFound) if param.is_some() => {
                    if walk.is_the_end(seen, last_page) {
                        break;
                    }
                    return start_over(slice, &walk.not_found(seen)).await;
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
        let (companies, poisons) = read_all(page.items.iter().copied());
        poisoned += poisons.len() as i64;
        store_page(slice, companies, &poisons).await?;
        param = page.scroll_param.or(param);
        if param.is_none() {
            return Err(Error::Unavailable("the scroll's page does not say how to go on".to_owned()).into());
        }
    }
    end(slice, started_at.unwrap_or(slice.state.now), Some(poisoned)).await
}

/// The next page of the scroll. Between two pages a spent rate budget is waited out: parking would kill the scroll.
async fn next_page(slice: &Slice<'_>, param: Option<&str>) -> Result<Answer, Error> {
    let read = Read::CompaniesScroll { param };
    if param.is_some() { slice.read_patiently(&read, LONGEST_GAP).await } else { slice.workspace.read(&read).await }
}

async fn start_over(slice: &Slice<'_>, walk: &Walk) -> Result<Sliced, SliceError> {
    let mut tx = slice.ctx.store.begin_fenced(slice.key).await?;
    tx.save_place(slice.key, walk).await?;
    tx.commit().await?;
    Err(SliceError::Broken("the scroll's cursor died"))
}

/// Ours, of a worker that died, or another vendor's: its minute has to pass either way.
async fn scroll_taken(slice: &Slice<'_>) -> Result<Sliced, SliceError> {
    let mut tx = slice.ctx.store.begin_fenced(slice.key).await?;
    tx.block_stream(slice.key, &blocked::scroll_taken(), SCROLL_TAKEN.as_secs_f64()).await?;
    tx.commit().await?;
    Ok(Progress::Wait(SystemTime::now() + SCROLL_TAKEN).into())
}

async fn fetch_wanted(slice: &Slice<'_>, wants: &[String], wanted: i64) -> Result<Sliced, SliceError> {
    let answers: Vec<(String, Result<Answer, Error>)> = stream::iter(wants.to_vec())
        .map(|id| async move {
            let answer = slice.workspace.read(&Read::Company { id: &id }).await;
            (id, answer)
        })
        .buffer_unordered(slice.ctx.config.thread_concurrency)
        .collect()
        .await;
    let (mut bodies, mut served, mut gone, mut trouble) = (Vec::new(), Vec::new(), Vec::new(), None);
    for (id, answer) in answers {
        match answer {
            Ok(answer) => {
                bodies.push(answer.body);
                served.push(id);
            }
            // Gone since the contact was read. Absence is not a deletion; the next full walk will tell.
            Err(error) if matches!(error.refusal(), Some(Refusal::NotFound)) || matches!(error, Error::BadId(_)) => {
                gone.push(id.clone());
                served.push(id);
            }
            Err(error) => trouble = Some(error),
        }
    }
    let (companies, poisons) = read_all(bodies.iter().map(String::as_str));
    let well: Vec<String> = companies.iter().map(|company| company.source_id.clone()).chain(gone).collect();
    let key = slice.key;
    let mut tx = slice.ctx.store.begin_fenced(key).await?;
    let written = tx.write_companies(key.connection, companies).await?;
    let quarantined = tx.quarantine(key.connection, &poisons).await?;
    let healed = tx.resolve_quarantine(key.connection, "company", &well).await?;
    if !served.is_empty() {
        // Wishes made while the calls were under way speak of a later state and stay.
        tx.serve_company_wants(key.connection, &served, slice.state.now).await?;
    }
    let more = wanted > wants.len() as i64;
    tx.save_cursor(key, &serde_json::Value::Null, Tally { inserted: written.inserted, quarantined, healed }).await?;
    if !more && trouble.is_none() {
        tx.end_walk(key, &walk_end(slice, slice.state.now, false, None)).await?;
    }
    tx.commit().await?;
    written.count(Stream::Companies);
    match trouble {
        Some(error) => Err(error.into()),
        None => Ok(if more { Progress::More } else { Progress::Done }.into()),
    }
}

async fn store_page(slice: &Slice<'_>, companies: Vec<Company>, poisons: &[Poison]) -> Result<(), SliceError> {
    let key = slice.key;
    let ids: Vec<String> = companies.iter().map(|company| company.source_id.clone()).collect();
    let mut tx = slice.ctx.store.begin_fenced(key).await?;
    let written = tx.write_companies(key.connection, companies).await?;
    let quarantined = tx.quarantine(key.connection, poisons).await?;
    let healed = tx.resolve_quarantine(key.connection, "company", &ids).await?;
    tx.save_cursor(key, &slice.state.cursor, Tally { inserted: written.inserted, quarantined, healed }).await?;
    tx.commit().await?;
    written.count(Stream::Companies);
    Ok(())
}

async fn end(slice: &Slice<'_>, started_at: DateTime<Utc>, missing: Option<i64>) -> Result<Sliced, SliceError> {
    let key = slice.key;
    let mut tx = slice.ctx.store.begin_fenced(key).await?;
    tx.serve_company_wants(key.connection, &[], slice.state.now).await?;
    tx.forget_quarantine(key.connection, "company", slice.state.now).await?;
    tx.end_walk(key, &walk_end(slice, started_at, true, missing)).await?;
    let left = tx.company_wants(key.connection, 1).await?.1;
    if left > 0 {
        tx.make_due(key.connection, Stream::Companies).await?;
    }
    tx.commit().await?;
    Ok(if left > 0 { Progress::More } else { Progress::Done }.into())
}

fn walk_end(slice: &Slice<'_>, started_at: DateTime<Utc>, full: bool, missing: Option<i64>) -> WalkEnd {
    let every = slice.ctx.config.rhythm.company_walk;
    // After single companies the next full walk stays where it was.
    let next = match slice.state.walked_at {
        Some(walked_at) if !full => {
            (walked_at + TimeDelta::from_std(every).unwrap_or_default() - slice.state.now).as_seconds_f64().max(0.0)
        }
        _ => every.as_secs_f64(),
    };
    WalkEnd {
        mode: if full { slice.state.mode.max(Mode::Full) } else { Mode::Incremental },
        begun_at: slice.state.now,
        watermark: Some(started_at),
        full,
        missing,
        next_in_seconds: Some(next),
    }
}

fn read_all<'a>(items: impl Iterator<Item = &'a str>) -> (Vec<Company>, Vec<Poison>) {
    let (mut companies, mut poisons) = (Vec::new(), Vec::new());
    for raw in items {
        match wire::read_company(raw) {
            wire::Read::Good(company) => companies.push(company),
            wire::Read::Bad(poison) => poisons.push(poison),
        }
    }
    (companies, poisons)
}
