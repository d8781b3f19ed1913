//! The form of Intercom's ids.

/// In bytes. Intercom's own ids have 24 at most.
const MAX_ID_BYTES: usize = 64;

/// Whether a text is an id as Intercom makes them. Any other text could leave the path that it becomes
/// part of.
pub(super) fn is_id(text: &str) -> bool {
    (1..=MAX_ID_BYTES).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}
