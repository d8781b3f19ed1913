//! The tools, one file each. The list below is the only one.

pub(super) mod company;
pub(super) mod contact;
pub(super) mod conversation;
mod conversation_counts;
mod conversation_facts;
mod field_table;
mod fields;
mod search;
mod search_conversations;
mod search_profiles;
mod shapes;
mod sync_status;
mod timeline;
mod which;

use std::sync::LazyLock;

use super::call::Entry;

pub(super) use self::{company::GetCompany, contact::GetContact, conversation::GetConversation};

/// Every tool, in the order in which it is listed.
pub(super) static TOOLS: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    vec![
        Entry::of::<search_profiles::SearchProfiles>(),
        Entry::of::<GetContact>(),
        Entry::of::<GetCompany>(),
        Entry::of::<timeline::GetContactTimeline>(),
        Entry::of::<search_conversations::SearchConversations>(),
        Entry::of::<GetConversation>(),
        Entry::of::<sync_status::GetSyncStatus>(),
        Entry::of::<fields::DescribeFields>(),
    ]
});

#[cfg(test)]
mod tests {
    use super::*;

    /// Agents are prompted with this list, so a change of it is a decision.
    #[test]
    fn the_list_of_tools_reads_well() {
        let listed: Vec<_> = TOOLS.iter().map(|tool| &tool.listed).collect();
        insta::assert_snapshot!(serde_json::to_string_pretty(&listed).unwrap());
    }
}
