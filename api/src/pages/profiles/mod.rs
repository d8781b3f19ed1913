//! The pages of profiles: contacts and companies, what was said, and what is found.
//!
//! | file | what |
//! |---|---|
//! | `contacts.rs` | the list of contacts, with the box for a search |
//! | `found.rs` | what a search has found, instead of the list |
//! | `nothing.rs` | why a list is empty, and what to do |
//! | `contact.rs` | one contact |
//! | `contact_fields.rs`, `attributes.rs` | the rows of its profile |
//! | `fields.rs` | rows as HTML, each value with the record that it is from |
//! | `fate.rs` | that it was merged or deleted |
//! | `identities.rs` | why its records are one person |
//! | `timeline.rs`, `thread.rs` | what happened with it, and how much of each conversation is here |
//! | `conversation.rs`, `conversation_fields.rs` | one conversation |
//! | `parts.rs` | its messages |
//! | `company.rs`, `company_fields.rs` | one company, with its contacts |
//! | `totals.rs` | how many conversations there are |
//! | `paging.rs` | a page of a list, and the way to the next one |
//! | `naming.rs` | what people call a contact, a company and a source |
//! | `intercom_links.rs` | where a teammate opens an object in Intercom |
//!
//! All texts of customers are plain text here. They pass `text.rs`, and maud escapes them.

mod attributes;
mod company;
mod company_fields;
mod contact;
mod contact_fields;
mod contacts;
mod conversation;
mod conversation_fields;
mod fate;
mod fields;
mod found;
mod identities;
mod intercom_links;
mod naming;
mod nothing;
mod paging;
mod parts;
mod thread;
mod timeline;
mod totals;

pub(super) use self::{
    company::show as company, contact::show as contact, contacts::show as contacts,
    conversation::show as conversation,
};
