//! What conversations and their parts show beside their columns.

use crate::{
    domain::conversation_extras::{Attachment, ConversationExtras},
    intercom::wire,
    store::{
        raw::PackedRaw,
        reads::{ConversationRecord, PartRecord},
    },
};

/// The further fields of a conversation. A record that is damaged has none.
#[must_use]
pub fn conversation_extras(conversation: &ConversationRecord) -> ConversationExtras {
    read(&conversation.raw, &conversation.source_id)
        .map_or_else(ConversationExtras::default, |raw| {
            wire::read_conversation_extras(&raw)
        })
}

/// The files that came with a message.
#[must_use]
pub fn attachments(part: &PartRecord) -> Vec<Attachment> {
    read(&part.raw, &part.source_id).map_or_else(Vec::new, |raw| wire::read_attachments(&raw))
}

/// One damaged record costs the others nothing. Its columns are shown all the same.
fn read(raw: &PackedRaw, source_id: &str) -> Option<String> {
    raw.text()
        .inspect_err(|error| {
            let error = error as &dyn std::error::Error;
            tracing::error!(
                source_id,
                error,
                "a stored record is damaged, so its further fields are not shown"
            );
        })
        .ok()
}
