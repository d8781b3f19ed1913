//! Search: the request grammar, the fields that can be searched, and how objects match.

mod day;
mod fields;
mod filter;
mod grammar;
mod run;

pub(crate) use fields::{CONTACT_FIELDS, CONVERSATION_FIELDS};
pub(crate) use filter::Node;
pub(crate) use grammar::{Dates, Request, Rules, parse};
pub(crate) use run::{Found, Searched, run};
