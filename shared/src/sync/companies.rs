//! Companies: a scroll through all of them, or the few that changed contacts point to.
//!
//! There is no incremental endpoint. The scroll is one per workspace, dies after a minute of silence and
//! cannot be resumed: a page that was sent is never sent again, so a walk that breaks starts from the
//! beginning. One slice therefore drains the whole scroll, each page stored as it comes.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};

use super::{SliceError, SliceOutcome, block_messages, future_dated, slice::SliceContext};
use crate::{
    domain::{
        Mode, Stream, Verdict,
        records::{Company, Poison},
    },
    intercom::{
        Endpoint, Error, Refusal, Response, SCROLL_PAGE,
        wire::{self, Page},
    },
    store::{Tally, WalkEnd, Wants},
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

#[tracing::instrument(name = "companies", skip_all)]
pub async fn run(cx: &SliceContext<'_>) -> Result<SliceOutcome, SliceError> {
    let mut tx = cx.begin().await?;
    tx.start_runs(cx.key).await?;
    let wants = tx.company_wants(cx.key.connection, WANTS_PER_SLICE).await?;
    tx.commit().await?;
    let walk_calls = cx.state.held / SCROLL_PAGE as i64 + 2;
    if cx.state.mode > Mode::Incremental
        || !cx.walked_within(cx.config().intervals.company_walk)
        || wants.changed >= walk_calls
    {
        return scroll(cx, &wants).await;
    }
    fetch_wanted(cx, &wants).await
}

/// What was wished for up to now is served by whatever is asked for from now on. A page of contacts that was being
/// stored when the slice began wishes later than that, and was waited for.
fn wished_until(cx: &SliceContext<'_>, wants: &Wants) -> DateTime<Utc> {
    wants
        .newest
        .map_or(cx.state.now, |newest| newest.max(cx.state.now))
}

async fn scroll(cx: &SliceContext<'_>, wants: &Wants) -> Result<SliceOutcome, SliceError> {
    let walk: Walk = cx
        .state
        .cursor
        .clone()
        .and_then(|cursor| serde_json::from_value(cursor).ok())
        .unwrap_or_default();
    let (mut param, mut seen, mut poisoned, mut last_page) =
        (None::<String>, 0_i64, 0_i64, SCROLL_PAGE);
    let mut started_at = None;
    let mut tx = cx.begin().await?;
    tx.begin_sweep(cx.key).await?;
    tx.commit().await?;
    loop {
        let answer = match next_page(cx, param.as_deref()).await {
            Ok(answer) => answer,
            Err(error) => match error.refusal() {
                Some(Refusal::ScrollExists) => return scroll_taken(cx).await,
                Some(Refusal::NotFound) if param.is_some() => {
                    if walk.is_the_end(seen, last_page) {
                        break;
                    }
                    return start_over(cx, &walk.not_found(seen)).await;
                }
                _ if matches!(error, Error::TooLarge(_)) => {
                    return Err(SliceError::Broken(
                        "a page of the scroll is larger than an answer may be, and intercom alone chooses how many \
                         companies a page of it has",
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
        let (companies, poisons) = read_all(page.items.iter().copied(), answer.at);
        poisoned += poisons.len() as i64;
        store_page(cx, companies, &poisons).await?;
        param = page.scroll_param.or(param);
        if param.is_none() {
            return Err(Error::Unavailable(
                "the scroll's page does not say how to go on".to_owned(),
            )
            .into());
        }
    }
    end(
        cx,
        wants,
        started_at.unwrap_or(cx.state.now),
        Some(poisoned),
    )
    .await
}

/// The next page of the scroll. Between two pages a spent rate budget is waited out: parking would kill the scroll.
async fn next_page(cx: &SliceContext<'_>, param: Option<&str>) -> Result<Response, Error> {
    let read = Endpoint::CompaniesScroll { param };
    if param.is_some() {
        cx.read_patiently(&read, LONGEST_GAP).await
    } else {
        cx.workspace.read(&read).await
    }
}

async fn start_over(cx: &SliceContext<'_>, walk: &Walk) -> Result<SliceOutcome, SliceError> {
    cx.save_place(walk).await?;
    Err(SliceError::Broken("the scroll's cursor died"))
}

/// Ours, of a worker that died, or another vendor's: its minute has to pass either way.
async fn scroll_taken(cx: &SliceContext<'_>) -> Result<SliceOutcome, SliceError> {
    let mut tx = cx.begin().await?;
    tx.block_stream(
        cx.key,
        &block_messages::scroll_taken(),
        SCROLL_TAKEN.as_secs_f64(),
    )
    .await?;
    tx.commit().await?;
    // Postgres remembers the wait: a resync that somebody asks for meanwhile finds no parked ticket.
    Ok(Verdict::Done.into())
}

async fn fetch_wanted(cx: &SliceContext<'_>, wants: &Wants) -> Result<SliceOutcome, SliceError> {
    let answers: Vec<(String, Result<Response, Error>)> = stream::iter(wants.source_ids.clone())
        .map(|id| async move {
            let answer = cx.workspace.read(&Endpoint::Company { id: &id }).await;
            (id, answer)
        })
        .buffer_unordered(cx.config().conversation_concurrency)
        .collect()
        .await;
    let (mut bodies, mut served, mut gone, mut trouble) =
        (Vec::new(), Vec::new(), Vec::new(), None);
    let mut now = Utc::now();
    for (id, answer) in answers {
        match answer {
            Ok(answer) => {
                now = answer.at;
                bodies.push(answer.body);
                served.push(id);
            }
            // Gone since the contact was read, or absent for long: only the latter is taken for deleted.
            Err(error)
                if matches!(error.refusal(), Some(Refusal::NotFound))
                    || matches!(error, Error::BadId(_)) =>
            {
                gone.push(id.clone());
                served.push(id);
            }
            Err(error) => trouble = Some(error),
        }
    }
    let (companies, poisons) = read_all(bodies.iter().map(String::as_str), now);
    let well: Vec<String> = companies
        .iter()
        .map(|company| company.source_id.clone())
        .chain(gone.iter().cloned())
        .collect();
    let alive: Vec<String> = served
        .iter()
        .filter(|id| !gone.contains(id))
        .cloned()
        .collect();
    let key = cx.key;
    let mut tx = cx.begin().await?;
    let written = tx.write_companies(key.connection, companies).await?;
    let quarantined = tx.quarantine(key.connection, &poisons).await?;
    let healed = tx
        .resolve_quarantine(key.connection, "company", &well)
        .await?;
    if !served.is_empty() {
        // Wishes made while the calls were under way speak of a later state and stay.
        tx.serve_company_wants(key.connection, &served, wished_until(cx, wants))
            .await?;
    }
    tx.note_alive(key.connection, key.stream, &alive).await?;
    // Asked again under the stream's lock: a contact's page may have wished for more while the calls were under
    // way, and the stream that it made due must not be put off to the next walk.
    let more = tx.company_wants(key.connection, 1).await?.all > 0;
    tx.save_cursor(
        key,
        &serde_json::Value::Null,
        Tally {
            inserted: written.inserted,
            quarantined,
            healed,
        },
    )
    .await?;
    tx.end_companies(key, &gone).await?;
    if !more && trouble.is_none() {
        tx.end_walk(key, &walk_end(cx, cx.state.now, false, None))
            .await?;
    }
    tx.commit().await?;
    written.count(Stream::Companies);
    match trouble {
        Some(error) => Err(error.into()),
        None => Ok(if more {
            Verdict::Requeue
        } else {
            Verdict::Done
        }
        .into()),
    }
}

async fn store_page(
    cx: &SliceContext<'_>,
    companies: Vec<Company>,
    poisons: &[Poison],
) -> Result<(), SliceError> {
    let key = cx.key;
    let ids: Vec<String> = companies
        .iter()
        .map(|company| company.source_id.clone())
        .collect();
    let shown: Vec<String> = ids
        .iter()
        .chain(poisons.iter().map(|poison| &poison.source_id))
        .cloned()
        .collect();
    let mut tx = cx.begin().await?;
    let written = tx.write_companies(key.connection, companies).await?;
    let quarantined = tx.quarantine(key.connection, poisons).await?;
    let healed = tx
        .resolve_quarantine(key.connection, "company", &ids)
        .await?;
    tx.note_shown(key, &shown).await?;
    tx.save_cursor(
        key,
        &cx.state.cursor,
        Tally {
            inserted: written.inserted,
            quarantined,
            healed,
        },
    )
    .await?;
    tx.commit().await?;
    written.count(Stream::Companies);
    Ok(())
}

async fn end(
    cx: &SliceContext<'_>,
    wants: &Wants,
    started_at: DateTime<Utc>,
    missing: Option<i64>,
) -> Result<SliceOutcome, SliceError> {
    let key = cx.key;
    let mut tx = cx.begin().await?;
    tx.serve_company_wants(key.connection, &[], wished_until(cx, wants))
        .await?;
    tx.forget_quarantine(key.connection, "company", cx.state.now)
        .await?;
    tx.end_sweep(key).await?;
    tx.end_walk(key, &walk_end(cx, started_at, true, missing))
        .await?;
    tx.want_absent_companies(key).await?;
    let left = tx.company_wants(key.connection, 1).await?.all;
    if left > 0 {
        tx.make_due(key.connection, Stream::Companies).await?;
    }
    tx.commit().await?;
    Ok(if left > 0 {
        Verdict::Requeue
    } else {
        Verdict::Done
    }
    .into())
}

fn walk_end(
    cx: &SliceContext<'_>,
    started_at: DateTime<Utc>,
    full: bool,
    missing: Option<i64>,
) -> WalkEnd {
    let every = cx.config().intervals.company_walk;
    // After single companies the next full walk stays where it was.
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
        witness: None,
        full,
        missing,
        next_in_seconds: Some(next),
    }
}

fn read_all<'a>(
    items: impl Iterator<Item = &'a str>,
    now: DateTime<Utc>,
) -> (Vec<Company>, Vec<Poison>) {
    let (mut companies, mut poisons) = (Vec::new(), Vec::new());
    for raw in items {
        match wire::read_company(raw) {
            Ok(company) => companies.push(company),
            Err(poison) => poisons.push(poison),
        }
    }
    let (companies, ahead) = future_dated::set_aside(companies, now);
    poisons.extend(ahead);
    (companies, poisons)
}
