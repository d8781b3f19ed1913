//! The kinds of raw records.

/// What a record is, because each kind has keys of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawKind {
    Contact,
    Company,
    Conversation,
    Part,
}

impl RawKind {
    /// The kind of a quarantined object. Objects without a dictionary of their own share words with a conversation.
    pub(in crate::store) fn of_quarantined(kind: &str) -> Self {
        match kind {
            "contact" => Self::Contact,
            "company" => Self::Company,
            "part" => Self::Part,
            _ => Self::Conversation,
        }
    }
}
