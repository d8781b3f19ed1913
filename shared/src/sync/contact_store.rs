//! Stores a page of contacts together with the walk behind it, and ends the walk.

use super::{
    SliceError, SliceOutcome,
    companies::SCROLL,
    contact_companies,
    contact_page::{Completed, ContactsRead},
    contact_questions::Questions,
    contact_walk::ContactWalk,
    course::Course,
    page_objects::PageObjects,
    set_aside::set_aside,
    slice::SliceContext,
    statistics::analyze_after,
};
use crate::{
    domain::{Stream, Verdict, records::Contact},
    store::{ProofDelta, WalkEnd, WorkerTx},
};

/// Stores a page and the cursor behind it in one transaction.
///
/// # Errors
/// See [`SliceError`].
pub(super) async fn store(
    cx: &SliceContext<'_>,
    course: &mut Course<ContactWalk>,
    page: ContactsRead,
    completed: Completed,
) -> Result<SliceOutcome, SliceError> {
    let Completed { unread, total } = completed;
    let (key, ended) = (cx.key, page.ended);
    if ended
        && total.is_none()
        && unread.is_empty()
        && changed_nothing(cx, course, &page.objects).await?
    {
        return Ok(Verdict::Done.into());
    }
    let mut shown = page.objects.shown();
    let PageObjects { records, poisons } = page.objects;
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
    // A person who is erased leaves no trace of the walk either.
    shown.retain(|id| !written.kept_out.contains(id));
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
