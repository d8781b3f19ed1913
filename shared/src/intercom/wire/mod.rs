//! Intercom's JSON as it is sent, read into our records.
//!
//! A page is first split into raw objects, then each is read alone: one bad object is one
//! [`Poison`](crate::domain::records::Poison) and its neighbours land. Unknown fields and unknown
//! enum values pass, and both forms of what 2.16 changed are read.

mod company;
mod contact;
mod conversation;
pub mod me;
mod page;
mod poison;
mod reference;
mod repair;
mod scalar;

pub use company::read_company;
pub use contact::{company_ids, read_contact};
pub use conversation::{read_conversation, read_thread};
pub use page::{Next, Page};
pub use poison::Read;
pub use reference::{ReferenceKind, read_reference};
