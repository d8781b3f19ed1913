//! How many conversations somebody has.

use shared::store::reads::ConversationTotals;

use crate::pages::text::{counted, number, time};

/// `12 conversations, 3 of them open. The last one changed at …`
pub(super) fn sentence(totals: &ConversationTotals) -> String {
    let total = counted(totals.total, "conversation", "conversations");
    let last = totals.last_at.map_or_else(String::new, |at| {
        format!(" The last one changed at {}.", time(at))
    });
    format!("{total}, {} of them open.{last}", number(totals.open))
}
