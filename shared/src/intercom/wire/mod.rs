//! Parsers of Intercom's JSON.
//!
//! A page is first split into raw objects. Each object is then read alone, so that a bad object becomes
//! one [`Poison`](crate::domain::records::Poison) and the others become records. Unknown fields and
//! unknown enum values are accepted. The forms before and after version 2.16 are both read.

mod company;
mod contact;
mod contact_extras;
mod conversation;
mod conversation_extras;
mod deleted;
mod document;
mod extra_list;
mod items;
mod lenient;
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
mod sub_list;
mod thread;
mod token;

pub use company::{read_company, read_company_fields};
pub use contact::{company_ids, read_contact, read_contact_fields};
pub use conversation::{read_conversation, read_part};
pub use conversation_extras::{read_attachments, read_conversation_extras};
pub use deleted::{Deleted, read_deleted};
pub use page::{Next, Page};
pub use poison::oversized;
pub use readable::readable;
pub use reference::{ReferenceKind, read_reference};
pub use refused::{error_code, exchange_error_code, survivor};
pub use thread::{SentThread, poison_of_part, read_thread, split_thread};
pub use token::read_token;
