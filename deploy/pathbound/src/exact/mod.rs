//! Is the copy exact? Compares everything held for a connection with the simulator's own truth, field by
//! field.
//!
//! What each column should hold is worked out here from the truth's JSON, with none of the code that
//! the sync reads Intercom with: a mistake there must not be able to excuse itself.
//!
//! What is *not* expected is said explicitly, and only here:
//! - a part beyond the newest 500 may be held (it was shown once) or not; its thread is then `truncated`;
//! - what was deleted before we saw it is not expected; what we hold of it has to be marked as deleted,
//!   and a contact that was merged away has to name its survivor;
//! - parts of a deleted conversation, and links of a deleted contact or company, may stay or not;
//! - an object that cannot be read (no id, no time, the wrong type) belongs in quarantine;
//! - what a plan or scope keeps from us is taken out of the truth by the caller: [`without_conversations`].
//!
//! One allowance: a connection pinned to a version before 2.16 is shown other shapes, so its raw bytes
//! are not compared.

mod check;
mod companies;
mod contacts;
mod conversations;
mod fields;
mod parts;
#[cfg(test)]
mod tests;
mod value;

use std::fmt;

use intercom_simulator::{Kind, TruthLine};
use serde::Serialize;
use shared::{
    domain::{ConnectionId, TenantId},
    store::{Store, StoreError},
};
use uuid::Uuid;

use check::{Check, Shape};

/// Rows read at once.
const PAGE: i64 = 2_000;

/// Examples kept of what is wrong: enough to see what it is.
const EXAMPLES: usize = 20;

/// What a comparison found. All zero but `records` means: exact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Records that the copy has to hold: contacts, companies, links between them, conversations, first
    /// messages, parts, and what ids stand for (admins, teams, tags, segments).
    pub records: u64,
    /// Not held.
    pub missing: u64,
    /// Held, and unknown to the truth.
    pub extra: u64,
    /// Held, and not as the truth says; a thread's wrong status or count is a difference of its conversation.
    pub different: u64,
    /// The first few, in words.
    pub examples: Vec<String>,
}

impl Report {
    /// Nothing is missing, extra or different.
    #[must_use]
    pub const fn is_exact(&self) -> bool {
        self.missing == 0 && self.extra == 0 && self.different == 0
    }

    /// Adds another connection's report.
    pub fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.missing += other.missing;
        self.extra += other.extra;
        self.different += other.different;
        let room = EXAMPLES.saturating_sub(self.examples.len());
        self.examples
            .extend(other.examples.iter().take(room).cloned());
    }

    fn example(&mut self, what: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(what());
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            records,
            missing,
            extra,
            different,
            examples,
        } = self;
        write!(
            f,
            "{records} records: {missing} missing, {extra} extra, {different} different"
        )?;
        examples
            .iter()
            .try_for_each(|example| write!(f, "\n  {example}"))
    }
}

/// Compares everything held for a connection with `truth`. `store` has to have the API's role.
///
/// Rows are read page by page; nothing may be written for the connection meanwhile, or the answer
/// is of no one moment.
///
/// # Errors
/// When Postgres fails.
pub async fn compare(
    store: &Store,
    tenant: TenantId,
    connection: ConnectionId,
    truth: &[TruthLine],
) -> Result<Report, StoreError> {
    let mut tx = store.begin(tenant).await?;
    let version = tx
        .connection(connection)
        .await?
        .map(|connection| connection.api_version);
    let mut check = Check::new(
        truth,
        Shape::of_version(version.as_deref().unwrap_or_default()),
    );

    let mut after = String::new();
    loop {
        let page = tx.export_contacts(connection, &after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.source_id);
        page.iter().for_each(|held| check.contact(held));
    }
    let mut after = String::new();
    loop {
        let page = tx.export_companies(connection, &after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.source_id);
        page.iter().for_each(|held| check.company(held));
    }
    let mut after = (String::new(), String::new());
    loop {
        let page = tx
            .export_links(connection, (&after.0, &after.1), PAGE)
            .await?;
        let Some(last) = page.last() else { break };
        after = (
            last.contact_source_id.clone(),
            last.company_source_id.clone(),
        );
        page.iter().for_each(|held| check.link(held));
    }
    let mut after = Uuid::nil();
    loop {
        let page = tx.export_conversations(connection, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        page.iter().for_each(|held| check.conversation(held));
    }
    let mut after = (Uuid::nil(), String::new());
    loop {
        let page = tx
            .export_parts(connection, (after.0, &after.1), PAGE)
            .await?;
        let Some(last) = page.last() else { break };
        after = (last.conversation_id, last.source_id.clone());
        page.iter().for_each(|held| check.part(held));
    }
    tx.export_reference(connection)
        .await?
        .iter()
        .for_each(|held| check.reference(held));
    Ok(check.finish())
}

/// The truth for a workspace whose plan (or whose app's scopes) keeps conversations from us: none are
/// expected, and one that is held counts as extra.
#[must_use]
pub fn without_conversations(truth: &[TruthLine]) -> Vec<TruthLine> {
    truth
        .iter()
        .filter(|line| !matches!(line.kind, Kind::Conversation | Kind::Part))
        .cloned()
        .collect()
}
