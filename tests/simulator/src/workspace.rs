//! The handle of one workspace: change it, limit it, read the truth about it.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use bytes::Bytes;
use chrono_tz::Tz;

use crate::api::{Scroll, Totals};
use crate::auth::TokenState;
use crate::generate::World;
use crate::ledger::{Book, Ledger};
use crate::mutate::{self, Mutation};
use crate::rate::{Bucket, lock};
use crate::simulator::Shared;
use crate::spec::WorkspaceSpec;
use crate::store::{Kind, PartEntry, Store};
use crate::truth::{self, TruthLine};

/// One workspace of a [`crate::Simulator`]. Clones are the same workspace.
#[derive(Debug, Clone)]
pub struct Workspace {
    pub(crate) inner: Arc<Inner>,
    pub(crate) shared: Arc<Shared>,
}

/// What a workspace is, shared by all handles and calls.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) world: World,
    pub(crate) id_code: Arc<str>,
    pub(crate) tz: Tz,
    /// The token that [`Workspace::token`] shows.
    pub(crate) token: std::sync::OnceLock<String>,
    pub(crate) limit: AtomicU32,
    pub(crate) plan: AtomicBool,
    pub(crate) bucket: Bucket,
    pub(crate) answered: AtomicU64,
    pub(crate) book: Arc<Book>,
    pub(crate) state: Mutex<Shelf>,
}

/// What calls read and mutations change, under one lock.
#[derive(Debug)]
pub(crate) struct Shelf {
    pub(crate) store: Store,
    pub(crate) scroll: Scroll,
    pub(crate) totals: Totals,
}

impl Workspace {
    /// The workspace id, `app.id_code` of `GET /me`.
    pub fn id_code(&self) -> String {
        self.inner.id_code.to_string()
    }

    /// The recipe that the workspace was made from, with its `id_code` filled in. Later changes
    /// of limit, plan and data do not show here.
    pub fn spec(&self) -> WorkspaceSpec {
        self.inner.world.spec.clone()
    }

    /// The workspace's first token, without the OAuth dance. It may have been revoked since.
    pub fn token(&self) -> String {
        self.inner.token.get().cloned().unwrap_or_default()
    }

    /// A new valid token, as another OAuth dance would give.
    pub fn issue_token(&self) -> String {
        self.shared.keys.issue(&self.inner)
    }

    /// Changes data. Returns the ids of the objects of the mutation's kind that it touched. For
    /// a merge, those that vanished. Combinations that mean nothing (merging companies) touch
    /// nothing.
    #[expect(clippy::needless_pass_by_value, reason = "callers build it in place")]
    pub fn mutate(&self, mutation: Mutation) -> Vec<String> {
        let now = self.shared.clock.now();
        let mut shelf = lock(&self.inner.state);
        mutate::apply(&self.inner.world, &mut shelf.store, &mutation, now)
    }

    /// Requests per 10-second window, from now on.
    pub fn set_limit(&self, per_window: u32) {
        self.inner.limit.store(per_window, Ordering::Relaxed);
    }

    /// All tokens so far answer 401 `token_revoked`. A new OAuth dance gives one that works.
    pub fn revoke_tokens(&self) {
        self.set_token_state(TokenState::Revoked);
    }

    /// All tokens so far work again.
    pub fn restore_tokens(&self) {
        self.set_token_state(TokenState::Valid);
    }

    /// Sets the state of all tokens so far.
    pub fn set_token_state(&self, state: TokenState) {
        self.shared.keys.set_state(&self.inner, state);
    }

    /// Whether the plan includes conversations.
    pub fn set_plan(&self, conversations: bool) {
        self.inner.plan.store(conversations, Ordering::Relaxed);
    }

    /// Another vendor's connector opens the company scroll and keeps it for this long.
    pub fn hold_scroll(&self, time: Duration) {
        let until = self.shared.clock.now() + i64::try_from(time.as_secs()).unwrap_or(i64::MAX / 2);
        lock(&self.inner.state).scroll.hold(until);
    }

    /// Ends any open scroll, ours or the foreign one.
    pub fn release_scroll(&self) {
        lock(&self.inner.state).scroll.close();
    }

    /// Replaces an object's bytes by arbitrary ones, JSON or not. Where they are JSON with a whole
    /// `updated_at`, sorting and date filters follow it. Later mutations leave an object alone
    /// that they cannot read. Kinds: contact, company, conversation, part. Returns whether there is such
    /// an object.
    pub fn put_raw(&self, kind: Kind, id: &str, json: impl Into<Bytes>) -> bool {
        let body = json.into();
        let mut shelf = lock(&self.inner.state);
        let store = &mut shelf.store;
        store.generation += 1;
        match kind {
            Kind::Contact => store.contacts.take(id).map(|mut entry| {
                entry.head.replace(body);
                store.contacts.put(entry);
            }),
            Kind::Company => store.companies.take(id).map(|mut entry| {
                entry.head.replace(body);
                store.companies.put(entry);
            }),
            Kind::Conversation => store.conversations.take(id).map(|mut entry| {
                entry.head.replace(body);
                store.conversations.put(entry);
            }),
            Kind::Part => put_raw_part(store, id, body),
            _ => None,
        }
        .is_some()
    }

    /// Everything that a complete copy holds: one line per live or dead object.
    pub fn truth(&self) -> Vec<TruthLine> {
        let mut lines = Vec::new();
        truth::each(&lock(&self.inner.state).store, |line| lines.push(line));
        lines
    }

    /// The same as JSON lines.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write_truth(&self, to: &mut impl Write) -> std::io::Result<()> {
        let mut outcome = Ok(());
        truth::each(&lock(&self.inner.state).store, |line| {
            if outcome.is_ok() {
                outcome = serde_json::to_writer(&mut *to, &line)
                    .map_err(Into::into)
                    .and_then(|()| to.write_all(b"\n"));
            }
        });
        outcome
    }

    /// The calls that came with this workspace's tokens.
    pub fn ledger(&self) -> Ledger {
        self.inner.book.snapshot()
    }
}

fn put_raw_part(store: &mut Store, id: &str, body: Bytes) -> Option<()> {
    let number: u64 = id.parse().ok()?;
    let has = |parts: &[PartEntry]| parts.iter().position(|part| part.id == number);
    let owner = store
        .conversations
        .iter()
        .find(|entry| has(&entry.parts).is_some())
        .map(|entry| entry.head.id.0.to_string())?;
    let mut entry = store.conversations.take(&owner)?;
    if let Some(place) = has(&entry.parts) {
        entry.parts[place].replace(body);
    }
    store.conversations.put(entry);
    Some(())
}
