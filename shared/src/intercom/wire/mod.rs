//! Intercom's JSON as it is sent, read into our records.
//!
//! A page is first split into raw objects, then each is read alone: one bad object is one
//! [`Poison`](crate::domain::records::Poison) and its neighbours land. Unknown fields and unknown
//! enum values pass, and both forms of what 2.16 changed are read.

mod company;
mod contact;
mod conversation;
mod deleted;
mod items;
pub mod me;
mod object;
mod page;
mod poison;
mod readable;
mod reference;
mod refused;
mod repair;
mod salvage;
mod scalar;
mod token;

pub use company::read_company;
pub use contact::{company_ids, read_contact};
pub use conversation::{read_conversation, read_part, read_thread};
pub use deleted::{Deleted, read_deleted};
pub use page::{Next, Page};
pub use poison::oversized;
pub use readable::readable;
pub use reference::{ReferenceKind, read_reference};
pub use refused::{error_code, survivor};
pub use token::read_token;
