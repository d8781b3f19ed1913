//! Conversation stubs: a search by `updated_at`, newest first, over everything or over the changes.
//!
//! The walk follows Intercom's own cursor, a keyset that survives a restart. If the cursor dies, the walk resumes by
//! time and reads the last second it had reached again in full, because a bulk update gives thousands of conversations
//! one `updated_at`.
//!
//! A full walk notes which stored conversations were not shown. Conversations that are absent from two full walks are
//! fetched by their threads.
//!
//! If a page keeps failing, the failing record is found, quarantined and stepped over: see
//! `conversation_bisect.rs`.

use super::{
    SliceError, SliceOutcome,
    bisect::{Bisect, Found},
    conversation_bisect::{narrow, probe},
    conversation_walk::ConversationWalk,
    course::Course,
    page_objects::PageObjects,
    paged_walk::Turn,
    record_faults::{keeps_failing, may_be_a_record},
    slice::SliceContext,
    statistics::analyze_after,
};
use crate::{
    domain::{Mode, Stream, Verdict, records::Conversation},
    intercom::{
        Endpoint, Error, Refusal, Search,
        wire::{self, Page},
    },
    store::{ProofDelta, WorkerTx},
};

/// Works one slice: a page of stubs of the walk or of a poll, or a step of a bisection.
///
/// # Errors
/// See [`SliceError`].
#[tracing::instrument(name = "conversations", skip_all)]
pub async fn run(cx: &SliceContext<'_>) -> Result<SliceOutcome, SliceError> {
    let mut course = Course::open(cx).await?;
    let result = page(cx, &mut course).await;
    course.settle(cx, result).await
}

async fn page(
    cx: &SliceContext<'_>,
    course: &mut Course<ConversationWalk>,
) -> Result<SliceOutcome, SliceError> {
    if let Some(before) = course.bisect.as_ref().and_then(Bisect::probe) {
        return probe(cx, course, before).await;
    }
    let search = course.search();
    let read = Endpoint::ConversationsSearch { search: &search };
    let answer = match cx.workspace.read(&read).await {
        Err(Error::TooLarge(_)) if course.pages.page_size.shrink() => {
            // A smaller page may no longer hold the failing record, so a bisection begins again.
            course.bisect = None;
            cx.save_cursor_only(course).await?;
            return Ok(Verdict::Requeue.into());
        }
        Err(error)
            if course.pages.after.is_some() && error.refusal() == Some(&Refusal::BadRequest) =>
        {
            course.pages.page_size.refused();
            return resume_by_time(cx, course).await;
        }
        Err(error)
            if may_be_a_record(&error)
                && (course.bisect.is_some() || keeps_failing(cx, &error)) =>
        {
            return narrow(cx, course, error).await;
        }
        answer => answer?,
    };
    let page = Page::split(&answer.body)?;
    let next = match course.pages.turn(&page, answer.at) {
        Ok(next) => next,
        Err(Turn::Repeats) => return resume_by_time(cx, course).await,
        Err(Turn::Unreadable(error)) => return Err(error.into()),
    };
    let objects = PageObjects::of_page(&answer, &page.items, wire::read_conversation)?;
    if course.bisect.is_none() {
        // The pages of a bisection are small for another reason than their bytes.
        course.pages.page_size.landed(answer.size());
    }
    // Unsorted pages prove nothing about older ones, so the walk must not resume by time.
    course.note_order(&objects.records);
    course.pages.poisoned += objects.poisons.len() as i64;
    course.pages.after = next;
    course.note_page();
    course.bisect = course
        .bisect
        .take()
        .and_then(|bisect| match bisect.worked() {
            Found::NotYet(bisect) => Some(bisect),
            _ => None,
        });
    let count = Endpoint::ConversationsSearch {
        search: &Search::count_all(),
    };
    // A poll between two pages counts nothing, because the walk counts at its end.
    let counts = course.pages.after.is_none() && !course.is_polling();
    if counts {
        answer.release_slot();
    }
    let total = course.pages.total(cx, &page, counts, &count).await?;
    // The records count in the response memory until they are stored.
    let _permit = answer.into_permit();
    store(cx, course, objects, total).await
}

async fn resume_by_time(
    cx: &SliceContext<'_>,
    course: &mut Course<ConversationWalk>,
) -> Result<SliceOutcome, SliceError> {
    if !course.resume_by_time() {
        return Err(SliceError::StartOver("intercom no longer knows the cursor"));
    }
    let mut tx = cx.begin().await?;
    tx.save_cursor(cx.key, course, ProofDelta::default())
        .await?;
    tx.commit().await?;
    Ok(Verdict::Requeue.into())
}

/// Stores a page and the cursor behind it in one transaction.
async fn store(
    cx: &SliceContext<'_>,
    course: &mut Course<ConversationWalk>,
    objects: PageObjects<Conversation>,
    total: Option<i64>,
) -> Result<SliceOutcome, SliceError> {
    let key = cx.key;
    if total.is_none() && changed_nothing(cx, course, &objects).await? {
        return Ok(Verdict::Done.into());
    }
    let (ids, shown) = (objects.ids(), objects.shown());
    let mut tx = cx.begin().await?;
    let written = tx.write_stubs(key.connection, objects.records).await?;
    if course.pages.mode == Mode::Reconcile {
        // A stub proves nothing of its thread, so a reconciling run reads every thread again.
        tx.reopen_threads(key.connection, &ids).await?;
    }
    let quarantined = tx.quarantine(key.connection, &objects.poisons).await?;
    let healed = tx
        .resolve_quarantine(key.connection, "conversation", &ids)
        .await?;
    if course.shows_all() {
        tx.note_shown(key, &shown).await?;
    } else {
        // A conversation that moved to the front during a walk was not shown by it.
        tx.forget_absences(key, &shown).await?;
    }
    let delta = ProofDelta {
        alive: written.alive,
        quarantined,
        healed,
    };
    let ended = course.pages.after.is_none();
    let is_last = ended && !course.is_polling();
    if ended && course.is_polling() {
        course.end_poll(cx);
    }
    tx.save_cursor(key, course, delta).await?;
    let verdict = if is_last {
        end(&mut tx, cx, course, total).await?;
        Verdict::Done
    } else {
        Verdict::Requeue
    };
    if is_last && cx.state.has_open_run {
        // The threads of a run end after its conversations, even if no thread is left to be fetched.
        tx.make_due(key.connection, Stream::Threads).await?;
    }
    let also_due = if tx.has_threads_due() {
        vec![Stream::Threads]
    } else {
        Vec::new()
    };
    tx.commit().await?;
    written.count(Stream::Conversations);
    if is_last && course.pages.is_full() {
        analyze_after(cx, course.pages.seen).await;
    }
    Ok(SliceOutcome::from(verdict).with_due(also_due))
}

/// Ends a poll whose last page shows nothing new, which is what most polls do. It costs one look at the versions of the
/// page and one update.
async fn changed_nothing(
    cx: &SliceContext<'_>,
    course: &Course<ConversationWalk>,
    objects: &PageObjects<Conversation>,
) -> Result<bool, SliceError> {
    let has_ended = course.pages.after.is_none();
    if !(has_ended && course.is_plain_poll(cx) && objects.poisons.is_empty()) {
        return Ok(false);
    }
    let mut tx = cx.begin_unfenced().await?;
    let records = &objects.records;
    if !records.is_empty() && tx.has_changed_stubs(cx.key.connection, records).await? {
        return Ok(false);
    }
    let end = course.end(cx, None);
    let ended = tx.end_quiet_poll(cx.key, &end).await?;
    tx.commit().await?;
    Ok(ended)
}

async fn end(
    tx: &mut WorkerTx,
    cx: &SliceContext<'_>,
    course: &Course<ConversationWalk>,
    total: Option<i64>,
) -> Result<(), SliceError> {
    let key = cx.key;
    if course.pages.is_full() {
        tx.forget_quarantine(key.connection, "conversation", course.pages.begun_at)
            .await?;
        tx.end_absence_scan(key).await?;
        // An absent conversation may be deleted. Its own call gives the proof.
        tx.reopen_absent_threads(key).await?;
    } else if let Some(total) = total {
        tx.recount(key, total).await?;
    }
    let end = course.end(cx, course.missing(total));
    tx.end_walk(key, &end).await?;
    Ok(())
}
