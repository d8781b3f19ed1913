//! Stores the stubs that a slice has read together with the walk behind them, and ends the walk.

use super::{
    SliceError, conversation_page::ConversationPage, conversation_walk::ConversationWalk,
    course::Course, page_objects::PageObjects, set_aside::set_aside, slice::SliceContext,
    statistics::analyze_after,
};
use crate::{
    domain::{Mode, Stream, Verdict, records::Conversation},
    intercom::{Endpoint, MemoryPermit, Search},
    store::{ProofDelta, SetAside, WorkerTx, WriteSummary},
};

/// The pages of one transaction. Each further one holds the locks for longer and saves little.
const MAX_PAGES: usize = 8;
/// The batch is stored at this many bytes, so that large pages stay small in memory.
const MAX_BYTES: usize = 4 << 20;

/// What is stored in one transaction.
#[derive(Default)]
pub(super) struct StubBatch {
    objects: PageObjects<Conversation>,
    /// Seconds whose conversations could not be read.
    unread: Vec<SetAside>,
    bytes: usize,
    /// One for each page.
    permits: Vec<MemoryPermit>,
    /// The walk has moved.
    has_moved: bool,
    /// It has come further, so its failed attempts are over.
    is_progress: bool,
}

impl StubBatch {
    /// Whether the batch has to be stored before more answers come. A large page gives its part of the memory back as
    /// soon as it can.
    pub(super) fn is_full(&self) -> bool {
        self.permits.len() >= MAX_PAGES
            || self.bytes >= MAX_BYTES
            || self.permits.iter().any(MemoryPermit::is_large)
    }

    pub(super) const fn has_pages(&self) -> bool {
        !self.permits.is_empty()
    }

    pub(super) fn add(&mut self, page: ConversationPage) {
        self.objects.extend(page.objects);
        self.bytes += page.size;
        self.permits.push(page.permit);
        self.note_progress();
    }

    /// The walk has moved without a page, and maybe over a second that is not read.
    pub(super) fn note_step(&mut self, unread: Option<SetAside>) {
        self.has_moved = true;
        self.is_progress |= unread.is_some();
        self.unread.extend(unread);
    }

    pub(super) const fn note_progress(&mut self) {
        self.has_moved = true;
        self.is_progress = true;
    }

    /// Gives large slots back, because another answer is waited for before the batch is stored.
    fn release_slots(&mut self) {
        for permit in &mut self.permits {
            permit.release_slot();
        }
    }
}

/// What a transaction leaves.
#[derive(Default)]
pub(super) struct Stored {
    /// The slice's verdict, if the walk or the poll has ended.
    pub(super) ended: Option<Verdict>,
    /// Threads became due.
    pub(super) threads_due: bool,
}

/// Stores a batch and the walk behind it in one transaction.
///
/// # Errors
/// See [`SliceError`].
pub(super) async fn store(
    cx: &SliceContext<'_>,
    course: &mut Course<ConversationWalk>,
    mut batch: StubBatch,
) -> Result<Stored, SliceError> {
    if !batch.is_progress {
        if batch.has_moved {
            cx.save_cursor_only(course).await?;
        }
        return Ok(Stored::default());
    }
    let ended = course.ranges.have_ended();
    let is_last = ended && !course.is_polling();
    // Before the transaction, because the stream must not be locked during a call.
    let total = if is_last {
        batch.release_slots();
        total(cx, course).await?
    } else {
        None
    };
    if is_last && total.is_none() && changed_nothing(cx, course, &batch).await? {
        return Ok(Stored {
            ended: Some(Verdict::Done),
            threads_due: false,
        });
    }
    let mut tx = cx.begin().await?;
    let (written, delta) = write(&mut tx, cx, course, batch).await?;
    if ended && course.is_polling() {
        course.end_poll(cx);
    }
    tx.save_cursor(cx.key, course, delta).await?;
    if is_last {
        end(&mut tx, cx, course, total).await?;
    }
    let threads_due = tx.has_threads_due();
    tx.commit().await?;
    written.count(Stream::Conversations);
    if is_last && course.pages.is_full() {
        analyze_after(cx, course.pages.seen).await;
    }
    let verdict = if is_last {
        Verdict::Done
    } else {
        Verdict::Requeue
    };
    Ok(Stored {
        ended: ended.then_some(verdict),
        threads_due,
    })
}

async fn write(
    tx: &mut WorkerTx,
    cx: &SliceContext<'_>,
    course: &Course<ConversationWalk>,
    batch: StubBatch,
) -> Result<(WriteSummary, ProofDelta), SliceError> {
    let key = cx.key;
    let (ids, shown) = (batch.objects.ids(), batch.objects.shown());
    let PageObjects { records, poisons } = batch.objects;
    let written = tx.write_stubs(key.connection, records).await?;
    if course.pages.mode == Mode::Reconcile {
        // A stub proves nothing of its thread, so a reconciling run reads every thread again.
        tx.reopen_threads(key.connection, &ids).await?;
    }
    let quarantined = tx.quarantine(key.connection, &poisons).await?;
    let converted = set_aside(tx, cx, "conversation", &batch.unread).await?;
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
        healed: healed + converted,
    };
    Ok((written, delta))
}

/// Ends a poll whose last page shows nothing new, which is what most polls do. It costs one look at the versions of the
/// page and one update.
async fn changed_nothing(
    cx: &SliceContext<'_>,
    course: &Course<ConversationWalk>,
    batch: &StubBatch,
) -> Result<bool, SliceError> {
    let is_plain = batch.objects.poisons.is_empty() && batch.unread.is_empty();
    if !(is_plain && course.is_plain_poll(cx)) {
        return Ok(false);
    }
    let mut tx = cx.begin_unfenced().await?;
    let records = &batch.objects.records;
    if !records.is_empty() && tx.has_changed_stubs(cx.key.connection, records).await? {
        return Ok(false);
    }
    let end = course.end(cx, None);
    let ended = tx.end_quiet_poll(cx.key, &end).await?;
    tx.commit().await?;
    Ok(ended)
}

/// Intercom's count of all conversations. A full walk reads it from its pages. A search for changes counts only the
/// changes, so they are counted at its end, if the last full walk saw fewer than there are.
async fn total(
    cx: &SliceContext<'_>,
    course: &Course<ConversationWalk>,
) -> Result<Option<i64>, SliceError> {
    let count = Endpoint::ConversationsSearch {
        search: &Search::count_all(),
    };
    course
        .pages
        .total(cx, course.ranges.total, true, &count)
        .await
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
    if cx.state.has_open_run {
        // The threads of a run end after its conversations, even if no thread is left to be fetched.
        tx.make_due(key.connection, Stream::Threads).await?;
    }
    Ok(())
}
