//! The result of a comparison: counts, and examples of faults.

use std::fmt;

use serde::Serialize;

/// Examples kept per report.
const EXAMPLES: usize = 20;

/// The result of a comparison. The copy is exact if all counts but `records` are zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Records that the copy must have: contacts, companies, links between them, conversations, first
    /// messages, parts, admins, teams, tags and segments.
    pub records: u64,
    /// Records that are not stored.
    pub missing: u64,
    /// Stored records that the truth does not know.
    pub extra: u64,
    /// Stored records that differ from the truth. A wrong status or count of a thread is a difference of its
    /// conversation.
    pub different: u64,
    /// The first faults, a sentence each.
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
        let free = EXAMPLES.saturating_sub(self.examples.len());
        self.examples
            .extend(other.examples.iter().take(free).cloned());
    }

    pub(super) fn example(&mut self, what: impl FnOnce() -> String) {
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
