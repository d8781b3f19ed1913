//! The harness. A [`World`] is the servers, an Intercom and a fleet. A [`Case`] is a tenant and its workspace in a world.
//!
//! | act | verb |
//! |---|---|
//! | connect, and sync for the first time | `connect`, `synced`, `first_sync` |
//! | work in Intercom, or break it | `mutate`, `inject`, `clear_fault` |
//! | call the tools as a model does | `answer`, `refusal`, `pages` |
//! | send what other sources know | `send`, `remove_source` |
//! | ask for a run | `request`, `resync`, `begin_run`, `sync`, `poll`, `full_walk` |
//! | let time pass | `make_due`, `age_walks`, `retry_now`, `pass`, `pass_for_all` |
//! | wait | `until_complete`, `until`, `until_run_ends`, `until_hit` |
//! | look | `status`, `stream`, `quarantined`, `stored_parts`, `calls` |
//! | compare | `assert_exact`, `assert_calls_within`, `assert_exact_within` |
//!
//! Raw SQL is here and nowhere else, except where a test is about the database itself.

mod agent;
mod answers;
mod caller;
mod case;
mod cast;
mod collector;
mod connecting;
mod cookie_jar;
mod damage;
mod database;
mod ended;
mod explained;
pub(crate) mod floors;
mod kept;
mod letters;
mod pooler;
mod postgres;
mod process;
mod redis;
mod residue;
mod sending;
mod shapes;
mod shared_world;
mod sign_in;
mod states;
mod stored;
mod tables;
mod terminal;
mod time;
mod tls;
mod verbs;
mod waits;
mod world;

pub(crate) use agent::{Agent, RawAnswer, ToolAnswer};
pub(crate) use answers::{drip, garbled, hang, held, proxy_page, raw, refusal};
pub(crate) use caller::{Answer, Caller, client};
pub(crate) use case::Case;
pub(crate) use cast::{Recording, asciicast, last_screen, normalised, svg};
pub(crate) use collector::{Collector, Received};
pub(crate) use cookie_jar::{CookieJar, Form, HtmlAnswer};
pub(crate) use database::servers;
pub(crate) use explained::{ExplainedServer, RanPlan};
pub(crate) use kept::Kept;
pub(crate) use letters::{COMMON_CAUSE, RARE_CAUSE};
pub(crate) use pooler::Pooler;
pub(crate) use postgres::migrated;
pub(crate) use process::Process;
pub(crate) use redis::{own_redis, tell};
pub(crate) use shapes::{assert_shape, described_commands};
pub(crate) use shared_world::{OBJECTS, cases, play, rows, tiny, unix};
pub(crate) use sign_in::{SignInServer, TokenKey, encoded, with_secret};
pub(crate) use tables::{Digest, Tables};
pub(crate) use terminal::Terminal;
pub(crate) use tls::{Certificates, TlsFront};
pub(crate) use waits::{PATIENCE, of, wait_for};
pub(crate) use world::{Fleet, World};
