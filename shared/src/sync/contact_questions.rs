//! Questions about single contacts: those that were absent from two full walks, and those whose companies were not read.
//!
//! They follow a walk or a poll that has ended, in batches. When the next poll is due they wait for it, because news must
//! not wait for thousands of questions. `streams.cursor` says until when they are asked.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{
    SliceError, SliceOutcome, contact_absences, contact_companies, set_aside::set_aside,
    slice::SliceContext,
};
use crate::{
    domain::{Stream, Verdict},
    store::{ProofDelta, Retry, WorkerTx},
};

/// Contacts asked for by id in one slice.
const CONTACTS_PER_SLICE: i64 = 100;
/// Lists of companies read in one slice.
const LISTS_PER_SLICE: i64 = 100;

/// The state of a stream that asks questions.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Questions {
    /// By Postgres' clock. The next walk begins then, whatever is left.
    asks_until: DateTime<Utc>,
}

impl Questions {
    /// The questions under way, unless a walk is due.
    pub(super) fn under_way(cx: &SliceContext<'_>) -> Option<Self> {
        cx.saved_walk().filter(|questions: &Self| {
            cx.state.now < questions.asks_until && !cx.state.has_open_run
        })
    }

    /// Begins to ask if there is something to ask, after a walk has ended whose next one is due at `until`.
    pub(super) async fn follow(
        tx: &mut WorkerTx,
        cx: &SliceContext<'_>,
        until: Option<DateTime<Utc>>,
    ) -> Result<Verdict, SliceError> {
        let questions = Self {
            asks_until: until.unwrap_or(cx.state.now),
        };
        if !has_any(tx, cx).await? {
            if let Some(seconds) = tx.next_retry_in(cx.key.connection, "contact").await? {
                let next = questions.next_at(cx, Some(seconds));
                tx.wait_until(cx.key, next).await?;
            }
            return Ok(Verdict::Done);
        }
        tx.save_cursor_only(cx.key, &questions).await?;
        tx.make_due(cx.key.connection, cx.key.stream).await?;
        Ok(Verdict::Requeue)
    }

    /// Lets the stream rest until its next walk, or until the next try of a record that is set aside.
    async fn end(self, tx: &mut WorkerTx, cx: &SliceContext<'_>) -> Result<(), SliceError> {
        let retry = tx.next_retry_in(cx.key.connection, "contact").await?;
        Ok(tx.wait_until(cx.key, self.next_at(cx, retry)).await?)
    }

    /// When the next walk begins, or the next try if that is in fewer `seconds`.
    fn next_at(self, cx: &SliceContext<'_>, seconds: Option<f64>) -> DateTime<Utc> {
        seconds.map_or(self.asks_until, |seconds| {
            let retry = TimeDelta::milliseconds((seconds * 1000.0) as i64);
            self.asks_until.min(cx.state.now + retry)
        })
    }
}

async fn has_any(tx: &mut WorkerTx, cx: &SliceContext<'_>) -> Result<bool, SliceError> {
    let connection = cx.key.connection;
    Ok(!tx.absentees(cx.key, 1).await?.is_empty()
        || !tx
            .due_questions(connection, "contact", Retry::List, 1)
            .await?
            .is_empty())
}

/// Asks one batch of questions.
pub(super) async fn ask(
    cx: &SliceContext<'_>,
    questions: Questions,
) -> Result<SliceOutcome, SliceError> {
    let key = cx.key;
    let mut tx = cx.begin().await?;
    let ids = tx.absentees(key, CONTACTS_PER_SLICE).await?;
    let lists = tx
        .due_questions(key.connection, "contact", Retry::List, LISTS_PER_SLICE)
        .await?;
    // The calls may take long, so they hold no transaction.
    tx.commit().await?;
    let mut absent = contact_absences::fetch(cx, ids).await?;
    let lists = contact_companies::resume(cx, lists).await?;
    let mut tx = cx.begin().await?;
    // Companies are locked before their rows are written, in the order in which every transaction locks streams.
    tx.lock_stream(key.connection, Stream::Companies).await?;
    let written = tx
        .write_contacts(key.connection, absent.objects.records)
        .await?;
    tx.write_company_lists(key.connection, &lists.read).await?;
    let read: Vec<String> = lists.read.iter().map(|(id, _)| id.clone()).collect();
    let also_due = contact_companies::fetch_unknown(&mut tx, cx, Some(&read)).await?;
    let quarantined = tx
        .quarantine(key.connection, &absent.objects.poisons)
        .await?;
    absent.set_aside.extend(lists.set_aside);
    let converted = set_aside(&mut tx, cx, "contact", &absent.set_aside).await?;
    let answered = [absent.answered, lists.answered].concat();
    let healed = tx
        .resolve_quarantine(key.connection, "contact", &answered)
        .await?;
    // They answered, so their absence from the list is Intercom's and not a deletion.
    tx.note_alive(key.connection, key.stream, &absent.alive)
        .await?;
    tx.mark_contacts_deleted(key, &absent.deleted, &absent.merged)
        .await?;
    let delta = ProofDelta {
        alive: written.alive,
        quarantined,
        healed: healed + converted,
    };
    let trouble = absent.trouble.or(lists.trouble);
    let more = trouble.is_some() || has_any(&mut tx, cx).await?;
    let verdict = if more {
        tx.save_cursor(key, &questions, delta).await?;
        Verdict::Requeue
    } else {
        tx.save_cursor(key, &serde_json::Value::Null, delta).await?;
        questions.end(&mut tx, cx).await?;
        Verdict::Done
    };
    tx.commit().await?;
    written.count(Stream::Contacts);
    match trouble {
        // The answers before it are stored, so a failure costs only its own calls.
        Some(error) => Err(error.into()),
        None => Ok(SliceOutcome::from(verdict).with_due(also_due)),
    }
}
