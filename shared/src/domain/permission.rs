//! The permissions that the sync needs, by the names that Intercom's Developer Hub shows.

pub const READ_CONTACTS: &str = "Read and list users and companies";
pub const READ_CONVERSATIONS: &str = "Read conversations";
pub const READ_ADMINS: &str = "Read admins";
pub const READ_TAGS: &str = "Read tags";
