//! The story, from the browser's first click to the last part read back.
//!
//! | chapter | what it tells |
//! |---|---|
//! | [`connect`] | a browser connects a workspace, and an attacker does not |
//! | [`first_sync`] | everything is there, for the calls that it needs |
//! | [`incremental`] | what has changed, and nothing else |
//! | [`threads`] | conversations with all of their parts |
//! | [`absence`] | what has vanished, and what only seems to have |
//! | [`completeness`] | is the copy complete, and why not |
//! | [`limits`] | the fleet spends exactly the rate limit |
//! | [`fairness`] | the queue, and which tenant is next |
//! | [`crash`] | workers and Redis die |
//! | [`servers`] | servers move, hang and refuse |
//! | [`properties`] | any order of all this ends exact |
//! | [`hostile`] | answers that no API should give |
//! | [`refusals`] | what Intercom refuses, and how much of it is believed |
//! | [`disconnect`] | the end of a connection |
//! | [`retention`] | what has ended goes, and what is needed stays |
//! | [`scale`] | costs follow the change |
//! | [`tenancy`] | no tenant sees another |
//! | [`rest`] | what programs read |
//! | [`mcp`] | what models read |
//! | [`pages`] | what people see and press |
//! | [`operations`], [`fleet_calls`], [`bulk`], [`ops_pages`] | what operators do, and what they see |
//! | [`fleet_numbers`] | what one scheduler measures of the whole fleet |
//! | [`alerts`] | what wakes somebody up, and what to do then |
//! | [`logs`] | what processes say of their customers: nothing |
//! | [`repeats`] | what processes say of failures that come again and again: each once, and its end once |
//! | [`traces`] | what processes send to a collector of traces: ids only |
//! | [`outputs`] | what commands print, for programs and for a typing error |
//! | [`top`] | what they watch on a terminal |
//! | [`doctor`] | what is wrong with an installation |
//! | [`demo`] | a demo that is broken while it runs |
//! | [`environments`] | servers and machines as they are elsewhere |
//! | [`payloads`], [`architecture`] | hygiene: the official examples, and the rules of the tree |

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test says what it expects"
)]

mod support;

mod connect;

mod first_sync;

mod incremental;

mod threads;

mod absence;

mod completeness;

mod limits;

mod fairness;

mod crash;

mod servers;

mod properties;

mod hostile;

mod refusals;

mod disconnect;

mod retention;

mod scale;

mod tenancy;

mod rest;

mod mcp;

mod pages;

mod operations;

mod fleet_calls;

mod bulk;

mod ops_pages;

mod fleet_numbers;

mod alerts;

mod logs;

mod traces;

mod repeats;

mod outputs;

mod top;

mod doctor;

mod demo;

mod environments;

mod payloads;

mod architecture;
