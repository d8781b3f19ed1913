//! Contacts: a full walk of the list, or a search for changes.
//!
//! Contact search counts in whole days up to version 2.16, and in seconds from 2.17 on. A search therefore begins well
//! before the watermark (see `overlap_probe.rs`), newest first, and stops at the first record older than the
//! watermark. It costs only the pages that changed. A record that changes during the walk is newer than the walk's
//! start, and the watermark never passes that start, so the next walk finds the record.
//!
//! Search never shows deleted, archived or merged contacts. A full walk notes which stored contacts were not shown.
//! Contacts that are absent from two full walks are fetched by id before the walk ends.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    SliceError, SliceOutcome, contact_absences, contact_companies,
    overlap_probe::{self, OVERLAP, OverlapProbes},
    page_objects::PageObjects,
    page_size::PageSize,
    paged_walk::{PagedWalk, Turn},
    slice::SliceContext,
};
use crate::{
    domain::{Stream, Verdict, records::Contact},
    intercom::{
        Endpoint, Error, Refusal, Response, Search, Version,
        wire::{self, Page},
    },
    store::{ProofDelta, WalkEnd, WorkerTx},
};

/// How far a walk has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct ContactWalk {
    #[serde(flatten)]
    pages: PagedWalk,
    /// Where the search begins.
    #[serde(default)]
    from: Option<DateTime<Utc>>,
    #[serde(default, rename = "witnesses")]
    probes: OverlapProbes,
    /// Set when every page of a full walk is stored, and the absent contacts are being fetched.
    #[serde(default, rename = "asking")]
    absences: Option<Absences>,
}

/// The last phase of a full walk.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Absences {
    /// Contacts that Intercom counts and the pages did not show.
    missing: Option<i64>,
}

/// Works one slice: a page, or a batch of absent contacts.
///
/// # Errors
/// See [`SliceError`].
#[tracing::instrument(name = "contacts", skip_all)]
pub async fn run(cx: &SliceContext<'_>) -> Result<SliceOutcome, SliceError> {
    let mut walk = cx.open_walk(ContactWalk::begin).await?;
    if let Some(Absences { missing }) = walk.absences {
        return confirm_absences(cx, &walk, missing).await;
    }
    let answer = match fetch_page(cx, &mut walk).await {
        // The new size is saved before it is tried, so that a worker that dies of it does not begin
        // with the large page again.
        Err(Error::TooLarge(_)) if walk.pages.page_size.shrink() => {
            cx.save_cursor_only(&walk).await?;
            return Ok(Verdict::Requeue.into());
        }
        Err(error)
            if walk.pages.after.is_some() && error.refusal() == Some(&Refusal::BadRequest) =>
        {
            if walk.pages.page_size.refused() {
                return start_over(cx, walk.pages.page_size).await;
            }
            return Err(SliceError::StartOver("intercom no longer knows the cursor"));
        }
        answer => answer?,
    };
    let page = Page::split(&answer.body)?;
    // A cursor that leads to its own page would never end.
    let next = match walk.pages.turn(&page, answer.at) {
        Ok(next) => next,
        Err(Turn::Repeats) => return Err(SliceError::StartOver("intercom repeats its cursor")),
        Err(Turn::Unreadable(error)) => return Err(error.into()),
    };
    let mut objects = PageObjects::of_page(&answer, &page.items, wire::read_contact)?;
    walk.pages.page_size.landed(answer.size());
    // Before the transaction, because these calls may take seconds and the stream must not be
    // locked for so long.
    contact_companies::complete(cx, &mut objects).await?;
    let ended = walk.advance(cx, next, &objects.records);
    walk.pages.poisoned += objects.poisons.len() as i64;
    let count = Endpoint::ContactsSearch {
        search: &Search::count_all(),
        merge_history: false,
    };
    let total = walk.pages.total(cx, &page, ended, &count).await?;
    store(cx, walk, ended, objects, total).await
}

impl ContactWalk {
    fn begin(cx: &SliceContext<'_>) -> Self {
        let pages = PagedWalk::begin(cx);
        Self {
            from: pages.since.map(|since| {
                overlap_probe::search_from(cx.workspace.version(), since, cx.state.overlap_probe)
            }),
            pages,
            probes: OverlapProbes::default(),
            absences: None,
        }
    }

    /// Moves the walk behind a page. Returns whether the walk has seen all it came for.
    fn advance(
        &mut self,
        cx: &SliceContext<'_>,
        next: Option<String>,
        contacts: &[Contact],
    ) -> bool {
        let changed = contacts.iter().map(|contact| contact.updated_at);
        self.probes.note(changed, self.pages.watermark(cx));
        // An early stop is safe only if the answer really is sorted.
        let reached_stored = self.pages.since.is_some_and(|since| {
            contacts
                .last()
                .is_some_and(|last| last.updated_at < since - OVERLAP)
                && is_newest_first(contacts)
        });
        self.pages.after = next.filter(|_| !reached_stored);
        let day_granular_from = self.pages.since.map(overlap_probe::day_granular_from);
        if self.pages.after.is_some() || reached_stored || self.from == day_granular_from {
            return self.pages.after.is_none();
        }
        // The search ended without showing a probe, so it may have counted in days and left changes out.
        tracing::info!("the search showed no overlap probe, so it is repeated by days");
        self.from = day_granular_from;
        false
    }
}

async fn fetch_page(cx: &SliceContext<'_>, walk: &mut ContactWalk) -> Result<Response, Error> {
    let merge_history = cx.workspace.version() >= Version::V2_16;
    let per_page = walk.pages.page_size.records();
    let search;
    let read = match walk.pages.since {
        None => Endpoint::Contacts {
            after: walk.pages.after.as_deref(),
            per_page,
            merge_history,
        },
        Some(since) => {
            let from = *walk
                .from
                .get_or_insert_with(|| overlap_probe::day_granular_from(since));
            search = Search::newest_first(from, walk.pages.after.clone(), per_page);
            Endpoint::ContactsSearch {
                search: &search,
                merge_history,
            }
        }
    };
    cx.workspace.read(&read).await
}

/// Begins the walk anew with the pages' new size. This is not a failure, which would lose the size.
async fn start_over(
    cx: &SliceContext<'_>,
    page_size: PageSize,
) -> Result<SliceOutcome, SliceError> {
    // The cursor belongs to the old page size, so every page is read again.
    let mut walk = ContactWalk::begin(cx);
    walk.pages.page_size = page_size;
    let mut tx = cx.begin().await?;
    tx.begin_absence_scan(cx.key).await?;
    tx.save_cursor_only(cx.key, &walk).await?;
    tx.commit().await?;
    Ok(Verdict::Requeue.into())
}

fn is_newest_first(contacts: &[Contact]) -> bool {
    contacts
        .windows(2)
        .all(|pair| pair[0].updated_at >= pair[1].updated_at)
}

/// Fetches contacts that were absent from two full walks. Only a 404 or a 410 ends a contact.
async fn confirm_absences(
    cx: &SliceContext<'_>,
    walk: &ContactWalk,
    missing: Option<i64>,
) -> Result<SliceOutcome, SliceError> {
    let key = cx.key;
    let absent = contact_absences::fetch(cx).await?;
    let mut tx = cx.begin().await?;
    let written = tx
        .write_contacts(key.connection, absent.objects.records)
        .await?;
    tx.quarantine(key.connection, &absent.objects.poisons)
        .await?;
    // They answered, so their absence from the list is Intercom's and not a deletion.
    tx.note_alive(key.connection, key.stream, &absent.alive)
        .await?;
    tx.mark_contacts_deleted(key, &absent.deleted, &absent.merged)
        .await?;
    let more = !tx.absentees(key, 1).await?.is_empty();
    let verdict = if more || absent.trouble.is_some() {
        Verdict::Requeue
    } else {
        tx.end_walk(key, &walk_end(cx, walk, missing)).await?;
        Verdict::Done
    };
    tx.commit().await?;
    written.count(Stream::Contacts);
    match absent.trouble {
        // The answers before it are stored, so a failure costs only its own calls.
        Some(error) => Err(error.into()),
        None => Ok(verdict.into()),
    }
}

/// Stores a page and the cursor behind it in one transaction.
async fn store(
    cx: &SliceContext<'_>,
    mut walk: ContactWalk,
    ended: bool,
    objects: PageObjects<Contact>,
    total: Option<i64>,
) -> Result<SliceOutcome, SliceError> {
    let key = cx.key;
    let shown = objects.shown();
    let PageObjects { records, poisons } = objects;
    // A contact whose companies are cut is stored and quarantined, so it is not healed.
    let is_whole = |id: &String| poisons.iter().all(|poison| poison.source_id != *id);
    let whole: Vec<String> = records
        .iter()
        .map(|contact| contact.source_id.clone())
        .filter(is_whole)
        .collect();
    let mut tx = cx.begin().await?;
    if !walk.pages.is_full() {
        // Companies are locked before their rows are written, in the order in which every transaction locks streams.
        tx.lock_stream(key.connection, Stream::Companies).await?;
    }
    let written = tx.write_contacts(key.connection, records).await?;
    let quarantined = tx.quarantine(key.connection, &poisons).await?;
    let healed = tx
        .resolve_quarantine(key.connection, "contact", &whole)
        .await?;
    let also_due = if walk.pages.is_full() {
        // A full walk of contacts comes with a full walk of companies.
        tx.note_shown(key, &shown).await?;
        Vec::new()
    } else {
        fetch_companies_of(&mut tx, cx, &written.changed).await?
    };
    let missing = walk.pages.missing(total);
    if walk.pages.is_full() && ended {
        // Saved with the last page, so that the next slice begins with the absent contacts and not
        // with the walk.
        walk.absences = Some(Absences { missing });
    }
    let delta = ProofDelta {
        inserted: written.inserted,
        quarantined,
        healed,
    };
    tx.save_cursor(key, &walk, delta).await?;
    if !walk.pages.is_full() {
        tx.forget_absences(key, &shown).await?;
    }
    let verdict = if ended {
        end(&mut tx, cx, &walk, total).await?
    } else {
        Verdict::Requeue
    };
    tx.commit().await?;
    written.count(Stream::Contacts);
    Ok(SliceOutcome::from(verdict).with_due(also_due))
}

/// Queues the companies of changed contacts, and makes `companies` due for them.
async fn fetch_companies_of(
    tx: &mut WorkerTx,
    cx: &SliceContext<'_>,
    changed: &[String],
) -> Result<Vec<Stream>, SliceError> {
    let connection = cx.key.connection;
    if changed.is_empty() || !tx.add_company_fetches(connection, changed).await? {
        return Ok(Vec::new());
    }
    tx.make_due(connection, Stream::Companies).await?;
    Ok(vec![Stream::Companies])
}

/// Ends a walk whose pages are all stored, unless absent contacts have to be fetched first.
async fn end(
    tx: &mut WorkerTx,
    cx: &SliceContext<'_>,
    walk: &ContactWalk,
    total: Option<i64>,
) -> Result<Verdict, SliceError> {
    let key = cx.key;
    if walk.pages.is_full() {
        tx.forget_quarantine(key.connection, "contact", walk.pages.begun_at)
            .await?;
        tx.end_absence_scan(key).await?;
        if !tx.absentees(key, 1).await?.is_empty() {
            return Ok(Verdict::Requeue);
        }
    } else if let Some(total) = total {
        tx.recount(key, total).await?;
    }
    let missing = walk.pages.missing(total);
    tx.end_walk(key, &walk_end(cx, walk, missing)).await?;
    Ok(Verdict::Done)
}

fn walk_end(cx: &SliceContext<'_>, walk: &ContactWalk, missing: Option<i64>) -> WalkEnd {
    WalkEnd {
        overlap_probe: walk.probes.first(),
        ..walk.pages.end(cx, missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_under_way_survives_a_deploy() {
        let stored = serde_json::json!({
            "mode": "full", "begun_at": "2026-11-28T12:00:00Z", "started_at": "2026-11-28T12:00:01Z",
            "since": null, "from": null, "after": "cursor", "witnesses": [1_780_000_000], "seen": 300,
            "poisoned": 1, "asking": {"missing": 4},
            "page_size": {"records": 75, "fitted": 2, "patience": 4, "grew": false, "changed": true, "is_final": false},
        });
        let walk: ContactWalk = serde_json::from_value(stored.clone()).expect("a walk");
        assert_eq!(walk.pages.seen, 300);
        assert_eq!(walk.pages.page_size.records(), 75);
        assert_eq!(serde_json::to_value(&walk).expect("json"), stored);
    }

    #[test]
    fn a_walk_from_before_the_page_size_was_kept_decodes() {
        let stored = serde_json::json!({
            "mode": "incremental", "begun_at": "2026-11-28T12:00:00Z", "started_at": null,
            "since": "2026-11-27T12:00:00Z", "after": null, "seen": 0, "poisoned": 0,
        });
        let walk: ContactWalk = serde_json::from_value(stored).expect("a walk");
        assert_eq!(walk.pages.page_size, PageSize::default());
        assert!(walk.absences.is_none());
    }
}
