//! The pages of profiles: contacts, and what is found.
//!
//! | file | what |
//! |---|---|
//! | `contacts.rs` | the list of contacts, with the box for a search |
//! | `found.rs` | what a search has found, in the place of the list |
//! | `nothing.rs` | why a list is empty, and what to do |
//! | `paging.rs` | a page of a list, and the way to the next one |
//! | `naming.rs` | what people call a contact, a company and a source |
//!
//! All texts of customers are plain text here. They pass `text.rs`, and maud escapes them.

mod contacts;
mod found;
mod naming;
mod nothing;
mod paging;

pub(super) use self::contacts::show as contacts;
