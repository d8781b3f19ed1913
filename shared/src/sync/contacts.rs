//! Contacts: a full walk of the list, or a search of what changed.
//!
//! Up to version 2.16 contact search counts in whole days of the workspace's time zone, and `>` means
//! "from the start of the next day". So a search asks for 48 hours before the watermark (a day can have
//! 25), newest first, and stops at the first record older than the watermark: it costs only the
//! pages that changed. A record touched while the walk goes on is newer than its start, and the
//! watermark never passes that start, so the next walk has it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{Progress, SliceError, Sliced, slice::Slice};
use crate::{
    domain::{
        Mode, Stream,
        records::{Contact, Poison},
    },
    intercom::{
        Read, Refusal, Search,
        wire::{self, Next, Page},
    },
    store::{Tally, WalkEnd},
};

/// A day-wise search needs this much more than the watermark: the longest day is 25 hours.
const DAYWISE: TimeDelta = TimeDelta::hours(48);
/// Second-wise search: clocks and same-second changes.
const OVERLAP: TimeDelta = TimeDelta::seconds(60);

/// How long the rate budget may keep a page waiting for the rest of a contact's companies.
const LONGEST_GAP: Duration = Duration::from_secs(25);

/// Where a walk is.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Walk {
    mode: Mode,
    /// By our Postgres' clock, for runs; by Intercom's clock, for the watermark.
    begun_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    /// Changes up to here were held when it began; `None` walks the whole list.
    since: Option<DateTime<Utc>>,
    after: Option<String>,
    seen: i64,
    poisoned: i64,
}

pub(super) async fn slice(slice: &Slice<'_>) -> Result<Sliced, SliceError> {
    let mut walk = open_walk(slice).await?;
    let merge_history = slice.workspace.version() >= crate::intercom::Version::V2_16;
    let search;
    let read = match walk.since {
        None => Read::Contacts { after: walk.after.as_deref(), merge_history },
        Some(since) => {
            let daywise = slice.workspace.version() < crate::intercom::Version::V2_17;
            let from = since - if daywise { DAYWISE } else { OVERLAP };
            search = Search::newest_first(from, walk.after.clone());
            Read::ContactsSearch { search: &search, merge_history }
        }
    };
    let answer = match slice.workspace.read(&read).await {
        Err(error) if walk.after.is_some() && error.refusal() == Some(&Refusal::BadRequest) => {
            return Err(SliceError::StartOver("intercom no longer knows the cursor"));
        }
        answer => answer?,
    };
    let page = Page::split(&answer.body)?;
    walk.started_at.get_or_insert(answer.at);
    walk.seen += page.items.len() as i64;
    let next = match page.next {
        Some(Next::After(after)) if Some(&after) == walk.after.as_ref() => {
            return Err(SliceError::StartOver("intercom repeats its cursor"));
        }
        Some(Next::After(after)) => Some(after),
        _ => None,
    };

    let (mut contacts, poisons) = read_all(&page.items);
    complete_companies(slice, &mut contacts).await?;
    let reached_held = walk.since.is_some_and(|since| {
        contacts.last().is_some_and(|last| last.updated_at < since - OVERLAP) && is_newest_first(&contacts)
    });
    walk.after = next.filter(|_| !reached_held);
    walk.poisoned += poisons.len() as i64;
    let total = if walk.since.is_none() {
        page.total_count
    } else if walk.after.is_none() && slice.is_short() {
        let search = Search::count_all();
        slice.total(&Read::ContactsSearch { search: &search, merge_history: false }).await?
    } else {
        None
    };
    store(slice, walk, contacts, &poisons, total).await
}

async fn open_walk(slice: &Slice<'_>) -> Result<Walk, SliceError> {
    if let Some(walk) = slice.state.cursor.clone().and_then(|cursor| serde_json::from_value(cursor).ok()) {
        return Ok(walk);
    }
    let mut tx = slice.ctx.store.begin_fenced(slice.key).await?;
    tx.start_runs(slice.key).await?;
    tx.commit().await?;
    let since = slice.since();
    Ok(Walk {
        mode: if since.is_some() { Mode::Incremental } else { slice.state.mode.max(Mode::Full) },
        begun_at: slice.state.now,
        started_at: None,
        since,
        after: None,
        seen: 0,
        poisoned: 0,
    })
}

fn read_all(items: &[&str]) -> (Vec<Contact>, Vec<Poison>) {
    let (mut contacts, mut poisons) = (Vec::with_capacity(items.len()), Vec::new());
    for raw in items {
        match wire::read_contact(raw) {
            wire::Read::Good(contact) => contacts.push(contact),
            wire::Read::Bad(poison) => poisons.push(poison),
        }
    }
    (contacts, poisons)
}

/// A contact shows ten companies; the rest has to be asked for, or its links would be cut.
async fn complete_companies(slice: &Slice<'_>, contacts: &mut [Contact]) -> Result<(), SliceError> {
    for contact in contacts.iter_mut().filter(|contact| contact.companies.is_none()) {
        let (mut companies, mut page) = (Vec::new(), 1);
        loop {
            let read = Read::ContactCompanies { id: &contact.source_id, page };
            // Waited for here: parking would throw the page away, and with little budget it would never end.
            let answer = match slice.read_patiently(&read, LONGEST_GAP).await {
                // Merged or deleted since the page was made: the links we know stay as they are.
                Err(error) if matches!(error.refusal(), Some(Refusal::NotFound | Refusal::Merged { .. })) => break,
                answer => answer?,
            };
            let list = Page::split(&answer.body)?;
            companies.extend(wire::company_ids(&list.items));
            match list.next {
                Some(Next::Number(next)) if next > page => page = next,
                _ => {
                    contact.companies = Some(companies);
                    break;
                }
            }
        }
    }
    Ok(())
}

/// Asked for newest first; but an early stop is safe only if the answer really is.
fn is_newest_first(contacts: &[Contact]) -> bool {
    contacts.windows(2).all(|pair| pair[0].updated_at >= pair[1].updated_at)
}

async fn store(
    slice: &Slice<'_>,
    walk: Walk,
    contacts: Vec<Contact>,
    poisons: &[Poison],
    total: Option<i64>,
) -> Result<Sliced, SliceError> {
    let key = slice.key;
    let ids: Vec<String> = contacts.iter().map(|contact| contact.source_id.clone()).collect();
    let mut tx = slice.ctx.store.begin_fenced(key).await?;
    if walk.since.is_some() {
        tx.lock_stream(key.connection, Stream::Companies).await?;
    }
    let written = tx.write_contacts(key.connection, contacts).await?;
    let quarantined = tx.quarantine(key.connection, poisons).await?;
    let healed = tx.resolve_quarantine(key.connection, "contact", &ids).await?;
    let mut made_due = Vec::new();
    // A full walk of contacts comes with one of companies; between walks only those of changed contacts are asked for.
    if walk.since.is_some()
        && !written.changed.is_empty()
        && tx.want_companies_of(key.connection, &written.changed).await?
    {
        tx.make_due(key.connection, Stream::Companies).await?;
        made_due.push(Stream::Companies);
    }
    tx.save_cursor(key, &walk, Tally { inserted: written.inserted, quarantined, healed }).await?;
    let progress = if walk.after.is_some() {
        Progress::More
    } else {
        let started_at = walk.started_at.unwrap_or(walk.begun_at);
        let rhythm = &slice.ctx.config.rhythm;
        match total {
            _ if walk.since.is_none() => tx.forget_quarantine(key.connection, "contact", walk.begun_at).await?,
            Some(total) => tx.recount_contacts(key, total).await?,
            None => {}
        }
        tx.end_walk(
            key,
            &WalkEnd {
                mode: walk.mode,
                begun_at: walk.begun_at,
                watermark: Some(started_at - TimeDelta::from_std(rhythm.index_lag).unwrap_or_default()),
                full: walk.since.is_none(),
                missing: total.map(|total| (total - walk.seen).max(0) + walk.poisoned),
                next_in_seconds: Slice::every(rhythm.sync),
            },
        )
        .await?;
        Progress::Done
    };
    tx.commit().await?;
    written.count(Stream::Contacts);
    Ok(Sliced { progress, made_due })
}
