//! Contacts: a full walk of the list, or a search for changes.
//!
//! Contact search counts in whole days up to version 2.16, and in seconds from 2.17 on. A search therefore begins well
//! before the watermark (see `overlap_probe.rs`), newest first, and stops at the first record older than the
//! watermark. It costs only the pages that changed. A record that changes during the walk is newer than the walk's
//! start, and the watermark never passes that start, so the next walk finds the record.
//!
//! Search never shows deleted, archived or merged contacts. A full walk notes which stored contacts were not shown.
//! Contacts that are absent from two full walks are asked for by id afterwards, in batches between two polls.
//!
//! If a page keeps failing, the walk goes around the failing contact: see `contact_culprit.rs`.

use std::collections::HashSet;

use super::{
    SliceError, SliceOutcome,
    companies::SCROLL,
    contact_companies,
    contact_culprit::{Way, is_suspected, narrow},
    contact_questions::{self, Questions},
    contact_walk::ContactWalk,
    course::Course,
    page_objects::PageObjects,
    paged_walk::Turn,
    set_aside::set_aside,
    slice::SliceContext,
    statistics::analyze_after,
};
use crate::{
    domain::{Stream, Verdict, records::Contact},
    intercom::{
        Endpoint, Error, Refusal, Search,
        wire::{self, Page},
    },
    store::{ProofDelta, SetAside, WalkEnd, WorkerTx},
};

/// Works one slice: a page of the walk or of a poll, or a batch of questions.
///
/// # Errors
/// See [`SliceError`].
#[tracing::instrument(name = "contacts", skip_all)]
pub async fn run(cx: &SliceContext<'_>) -> Result<SliceOutcome, SliceError> {
    if let Some(questions) = Questions::under_way(cx) {
        return contact_questions::ask(cx, questions).await;
    }
    let mut course = Course::open(cx).await?;
    let result = page(cx, &mut course).await;
    course.settle(cx, result).await
}

async fn page(
    cx: &SliceContext<'_>,
    course: &mut Course<ContactWalk>,
) -> Result<SliceOutcome, SliceError> {
    let answer = match course.fetch_page(cx).await {
        // The new size is saved before it is tried, so that a worker that dies of it does not begin
        // with the large page again.
        Err(Error::TooLarge(_)) if course.pages.page_size.shrink() => {
            course.suspects = None;
            cx.save_cursor_only(course).await?;
            return Ok(Verdict::Requeue.into());
        }
        Err(error)
            if course.pages.after.is_some() && error.refusal() == Some(&Refusal::BadRequest) =>
        {
            if course.pages.page_size.refused() {
                return start_over(cx, course).await;
            }
            return Err(SliceError::StartOver("intercom no longer knows the cursor"));
        }
        Err(error) if is_suspected(cx, course, &error) => {
            return match narrow(cx, course, error).await? {
                Way::On => Ok(Verdict::Requeue.into()),
                Way::Ends(unread, total) => {
                    store(
                        cx,
                        course,
                        true,
                        PageObjects::default(),
                        vec![unread],
                        total,
                    )
                    .await
                }
            };
        }
        answer => answer?,
    };
    let page = Page::split(&answer.body)?;
    let next = match course.pages.turn(&page, answer.at) {
        Ok(next) => next,
        // A cursor that leads to its own page would never end.
        Err(Turn::Repeats) => return Err(SliceError::StartOver("intercom repeats its cursor")),
        Err(Turn::Unreadable(error)) => return Err(error.into()),
    };
    let mut objects = PageObjects::of_page(&answer, &page.items, wire::read_contact)?;
    course.note_landed(answer.size());
    if !objects
        .records
        .iter()
        .all(|contact| contact.companies.is_whole())
    {
        answer.release_slot();
    }
    // Before the transaction, because these calls may take seconds and the stream must not be
    // locked for so long.
    let cut = cut_lists(cx, course, &objects.records).await?;
    let unread =
        contact_companies::complete(cx, &mut objects, |contact| cut.contains(&contact.source_id))
            .await?;
    let ended = course.advance(cx, next, &objects.records);
    course.note_page();
    course.pages.poisoned += objects.poisons.len() as i64;
    let count = Endpoint::ContactsSearch {
        search: &Search::count_all(),
        merge_history: false,
    };
    // A poll between two pages counts nothing, because the walk counts at its end.
    let counts = ended && !course.is_polling();
    if counts {
        answer.release_slot();
    }
    let total = course.pages.total(cx, &page, counts, &count).await?;
    // The records count in the response memory until they are stored.
    let _permit = answer.into_permit();
    store(cx, course, ended, objects, unread, total).await
}

/// Contacts that do not show all of their companies, and whose others are to be read. A full walk reads all of them,
/// because such a list may change without a trace in its contact. A poll reads those of changed contacts.
async fn cut_lists(
    cx: &SliceContext<'_>,
    course: &Course<ContactWalk>,
    contacts: &[Contact],
) -> Result<HashSet<String>, SliceError> {
    let cut: Vec<Contact> = contacts
        .iter()
        .filter(|contact| !contact.companies.is_whole() && !course.is_stored(contact))
        .cloned()
        .collect();
    if course.pages.is_full() || cut.is_empty() {
        return Ok(cut.into_iter().map(|contact| contact.source_id).collect());
    }
    let mut tx = cx.begin_unfenced().await?;
    Ok(tx.changed_contacts(cx.key.connection, &cut).await?)
}

/// Begins the walk anew with the pages' new size. This is not a failure, which would lose the size.
async fn start_over(
    cx: &SliceContext<'_>,
    course: &mut Course<ContactWalk>,
) -> Result<SliceOutcome, SliceError> {
    // The cursor belongs to the old page size, so every page is read again.
    let page_size = course.pages.page_size.clone();
    course.restart(cx);
    course.pages.page_size = page_size;
    let mut tx = cx.begin().await?;
    if !course.is_polling() {
        tx.begin_absence_scan(cx.key).await?;
    }
    tx.save_cursor_only(cx.key, course).await?;
    tx.commit().await?;
    Ok(Verdict::Requeue.into())
}

/// Stores a page and the cursor behind it in one transaction.
async fn store(
    cx: &SliceContext<'_>,
    course: &mut Course<ContactWalk>,
    ended: bool,
    objects: PageObjects<Contact>,
    unread: Vec<SetAside>,
    total: Option<i64>,
) -> Result<SliceOutcome, SliceError> {
    let key = cx.key;
    if ended
        && total.is_none()
        && unread.is_empty()
        && changed_nothing(cx, course, &objects).await?
    {
        return Ok(Verdict::Done.into());
    }
    let shown = objects.shown();
    let PageObjects { records, poisons } = objects;
    // A contact whose companies are not read is stored and set aside, so it is not healed.
    let is_whole = |id: &String| unread.iter().all(|unread| unread.source_id != *id);
    let whole: Vec<String> = records
        .iter()
        .map(|contact| contact.source_id.clone())
        .filter(is_whole)
        .collect();
    let is_last = ended && !course.is_polling();
    let mut tx = cx.begin().await?;
    if is_last || !course.pages.is_full() {
        // Companies are locked before their rows are written, in the order in which every transaction locks streams.
        tx.lock_stream(key.connection, Stream::Companies).await?;
    }
    let written = tx.write_contacts(key.connection, records).await?;
    let quarantined = tx.quarantine(key.connection, &poisons).await?;
    let converted = set_aside(&mut tx, cx, "contact", &unread).await?;
    let healed = tx
        .resolve_quarantine(key.connection, "contact", &whole)
        .await?;
    if course.shows_all() {
        tx.note_shown(key, &shown).await?;
    } else {
        tx.forget_absences(key, &shown).await?;
    }
    let also_due = if !course.pages.is_full() {
        contact_companies::fetch_all(&mut tx, cx, &written.changed).await?
    } else if is_last && tx.is_resting(key.connection, "company", SCROLL).await? == Some(true) {
        // The scroll may have been set aside before the contacts that name companies were stored.
        contact_companies::fetch_unknown(&mut tx, cx, None).await?
    } else {
        // A full walk of contacts comes with a full walk of companies.
        Vec::new()
    };
    if ended && course.is_polling() {
        course.end_poll(cx);
    }
    let delta = ProofDelta {
        alive: written.alive,
        quarantined,
        healed: healed + converted,
    };
    tx.save_cursor(key, course, delta).await?;
    let verdict = if is_last {
        end(&mut tx, cx, course, total).await?
    } else {
        Verdict::Requeue
    };
    tx.commit().await?;
    written.count(Stream::Contacts);
    if is_last && course.pages.is_full() {
        analyze_after(cx, course.pages.seen).await;
    }
    Ok(SliceOutcome::from(verdict).with_due(also_due))
}

/// Ends a poll whose last page shows nothing new, which is what most polls do. It costs one look at the versions of the
/// page and one update.
async fn changed_nothing(
    cx: &SliceContext<'_>,
    course: &Course<ContactWalk>,
    objects: &PageObjects<Contact>,
) -> Result<bool, SliceError> {
    // Merges are written even if the survivor is unchanged, because a merged contact may have come after it.
    let has_merges = objects
        .records
        .iter()
        .any(|contact| !contact.absorbed.is_empty());
    if !course.is_plain_poll(cx) || !objects.poisons.is_empty() || has_merges {
        return Ok(false);
    }
    let mut tx = cx.begin_unfenced().await?;
    let records = &objects.records;
    if !records.is_empty()
        && !tx
            .changed_contacts(cx.key.connection, records)
            .await?
            .is_empty()
    {
        return Ok(false);
    }
    let end = WalkEnd {
        overlap_probe: course.probes.first(),
        ..course.end(cx, None)
    };
    let ended = tx.end_quiet_poll(cx.key, &end).await?;
    tx.commit().await?;
    Ok(ended)
}

/// Ends a walk whose pages are all stored. Questions about single contacts follow it.
async fn end(
    tx: &mut WorkerTx,
    cx: &SliceContext<'_>,
    course: &Course<ContactWalk>,
    total: Option<i64>,
) -> Result<Verdict, SliceError> {
    let key = cx.key;
    if course.pages.is_full() {
        tx.forget_quarantine(key.connection, "contact", course.pages.begun_at)
            .await?;
        tx.end_absence_scan(key).await?;
    } else if let Some(total) = total {
        tx.recount(key, total).await?;
    }
    let missing = course.pages.missing(total);
    let end = WalkEnd {
        overlap_probe: course.probes.first(),
        ..course.end(cx, missing)
    };
    let due_at = tx.end_walk(key, &end).await?;
    Questions::follow(tx, cx, due_at).await
}
