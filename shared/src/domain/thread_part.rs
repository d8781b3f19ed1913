//! A part of a fetched thread on its way to the store.

use std::{ops::Range, sync::Arc};

use chrono::{DateTime, Utc};

use super::records::{Part, Poison};

/// How a part is read from its bytes. The same bytes always give the same part.
pub type ReadPart = fn(&str) -> Result<Part, Poison>;

/// A part that was read, or one that stays in its answer until it is written.
///
/// A part that was read takes twice its bytes: as it was sent, and as its text. The parts of a giant are therefore read
/// one by one.
#[derive(Clone, Debug)]
pub enum ThreadPart {
    Read(Part),
    Unread(UnreadPart),
}

/// A readable part in the answer that shows it. The answer is shared by its parts and lives as long as one of them.
#[derive(Clone, Debug)]
pub struct UnreadPart {
    source_id: String,
    updated_at: DateTime<Utc>,
    answer: Arc<String>,
    /// Where the part's bytes are in the answer.
    place: Range<usize>,
    read: ReadPart,
}

impl ThreadPart {
    #[must_use]
    pub fn source_id(&self) -> &str {
        match self {
            Self::Read(part) => &part.source_id,
            Self::Unread(part) => &part.source_id,
        }
    }

    #[must_use]
    pub const fn updated_at(&self) -> DateTime<Utc> {
        match self {
            Self::Read(part) => part.updated_at,
            Self::Unread(part) => part.updated_at,
        }
    }

    /// The bytes that the part takes once it is read, but for its short fields.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Read(part) => part.raw.len() + part.body.as_ref().map_or(0, String::len),
            // Most of a large part is its text.
            Self::Unread(part) => 2 * part.place.len(),
        }
    }

    /// The part itself.
    ///
    /// # Errors
    /// When a part that could be read before cannot be read now.
    pub fn into_part(self) -> Result<Part, Poison> {
        match self {
            Self::Read(part) => Ok(part),
            Self::Unread(part) => (part.read)(&part.answer[part.place]),
        }
    }
}

impl From<Part> for ThreadPart {
    fn from(part: Part) -> Self {
        Self::Read(part)
    }
}

impl UnreadPart {
    /// A part that `read` has read from `raw`, which is a slice of `answer`.
    #[must_use]
    pub fn of(part: Part, answer: &Arc<String>, raw: &str, read: ReadPart) -> Self {
        let begin = raw.as_ptr() as usize - answer.as_ptr() as usize;
        Self {
            source_id: part.source_id,
            updated_at: part.updated_at,
            answer: Arc::clone(answer),
            place: begin..begin + raw.len(),
            read,
        }
    }
}
