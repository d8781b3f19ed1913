//! A record's bytes on their way to the store.

/// The bytes of a record: as they were sent, or as the store keeps them.
///
/// Packing takes a core for about ten microseconds, so a full walk does it where its call ran and not while a
/// transaction waits. A packed record also takes a sixth of the memory.
#[derive(Clone, Debug)]
pub enum RawRecord {
    Sent(String),
    Packed {
        /// Of the bytes as they were sent.
        digest: i64,
        bytes: Vec<u8>,
    },
}

impl RawRecord {
    /// The bytes that it takes.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        match self {
            Self::Sent(text) => text.len(),
            Self::Packed { bytes, .. } => bytes.len(),
        }
    }

    /// The text as it was sent. `None` once it is packed.
    #[must_use]
    pub fn sent(&self) -> Option<&str> {
        match self {
            Self::Sent(text) => Some(text),
            Self::Packed { .. } => None,
        }
    }
}

impl From<&str> for RawRecord {
    fn from(text: &str) -> Self {
        Self::Sent(text.to_owned())
    }
}
