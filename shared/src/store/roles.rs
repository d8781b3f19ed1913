//! The database roles as types.
//!
//! A [`Store`](super::Store) and its transactions carry the role of their sessions in their type, so
//! a method that the role has no grant for does not compile. The types mirror the `GRANT`s in
//! `migrations/`, which remain the real barrier.
//!
//! The API's role has no grant to write contacts:
//! ```compile_fail,E0599
//! # async fn misuse(mut tx: shared::store::ApiTx, connection: shared::domain::ConnectionId) {
//! tx.write_contacts(connection, Vec::new()).await;
//! # }
//! ```
//! Only the worker's and the OAuth path's roles read sealed tokens:
//! ```compile_fail,E0599
//! # async fn misuse(store: shared::store::ApiStore, tenant: shared::domain::TenantId, id: shared::domain::ConnectionId) {
//! store.sealed_token(tenant, id).await;
//! # }
//! ```

//! # Names
//!
//! Roles belong to the server and not to the database. A role's name is therefore a prefix and its own word
//! (`pathbound` + `_worker`). The option `role_prefix` replaces the prefix, so that several installations can share one
//! server. The migrations are written with the default prefix, which `migrate.rs` replaces in their text.

use std::{fmt, time::Duration};

/// A role that a transaction takes.
pub trait DbRole: sealed::Sealed + fmt::Debug + Clone + Send + Sync + 'static {
    /// Its name in Postgres without the prefix. `migrations/0001_roles.sql` creates it.
    const WORD: &'static str;
    /// What its statements are part of.
    const WORK: Work;
}

/// A role as a session takes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct RoleName {
    pub(super) word: &'static str,
    pub(super) work: Work,
}

impl RoleName {
    pub(super) const fn of<R: DbRole>() -> Self {
        Self {
            word: R::WORD,
            work: R::WORK,
        }
    }

    /// The role for a read of the whole fleet, which ends soon.
    pub(super) const fn inspecting<R: DbRole>() -> Self {
        Self {
            word: R::WORD,
            work: Work::Inspection,
        }
    }
}

/// What a role's statements are part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// A caller waits, mostly for a page.
    Request,
    /// A slice or a tick.
    Slice,
    /// A page of operators, which must not cost the fleet much.
    Inspection,
}

impl Work {
    /// The longest statement, if the option `database_statement_timeout` allows more.
    pub(super) const fn longest_statement(self) -> Duration {
        match self {
            // A request ends after 30 seconds. Its statement ends before, so that its session is free when it does.
            Self::Request => Duration::from_secs(20),
            // They have limits of their own.
            Self::Slice => Duration::MAX,
            // The page shows what was read before, so a read that takes longer is of no use.
            Self::Inspection => Duration::from_secs(1),
        }
    }

    /// The longest time between two statements of a transaction.
    pub(super) const fn longest_pause(self) -> Duration {
        match self {
            Self::Inspection => Self::Request.longest_statement(),
            other => other.longest_statement(),
        }
    }
}

/// Roles with `SELECT` on connections and streams.
pub trait ReadsConnections: DbRole {}

/// Roles that also read runs, audits, absences, threads and dead letters.
pub trait ReadsStatus: ReadsConnections {}

/// Roles with `UPDATE` on streams, which locking a row requires.
pub trait LocksStreams: ReadsConnections {}

/// Roles that change what readers see, and so write to the feed.
pub trait ChangesObjects: DbRole {}

/// Roles that write records of contacts and companies.
pub trait WritesRecords: ChangesObjects {}

/// Roles that store the answer to a repeated POST with what it does.
pub trait AnswersCalls: DbRole {}

/// Roles that add audit events, in the transactions of what callers do.
pub trait KeepsAuditEvents: DbRole {}

/// Roles that may ask whether a tenant exists.
pub trait LooksUpTenants: DbRole {}

/// Roles that end bulk actions, and write what operators have done.
pub trait WorksBulkActions: DbRole {}

/// The words of all roles that a process takes.
pub(super) const WORDS: [&str; 6] = [
    Api::WORD,
    Oauth::WORD,
    Worker::WORD,
    Scheduler::WORD,
    Operator::WORD,
    Sources::WORD,
];

mod sealed {
    pub trait Sealed {}
}

macro_rules! role {
    ($(#[$doc:meta])* $role:ident = $name:literal, $work:ident: $($may:ident),*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub enum $role {}

        impl sealed::Sealed for $role {}
        impl DbRole for $role {
            const WORD: &'static str = $name;
            const WORK: Work = Work::$work;
        }
        $(impl $may for $role {})*
    };
}

role! {
    /// Serves REST: reads everything but tokens, and ends connections.
    Api = "api", Request: ReadsConnections, ReadsStatus, LocksStreams, LooksUpTenants, ChangesObjects, AnswersCalls,
        KeepsAuditEvents
}
role! {
    /// Connects workspaces: reads and writes sealed tokens.
    Oauth = "oauth", Request: ReadsConnections, LocksStreams, AnswersCalls, KeepsAuditEvents
}
role! {
    /// Syncs: reads sealed tokens and writes what Intercom returns.
    Worker = "worker", Slice: ReadsConnections, ReadsStatus, LocksStreams, ChangesObjects, WritesRecords
}
role! {
    /// Claims due streams of all tenants, through reviewed functions.
    Scheduler = "scheduler", Slice: WorksBulkActions
}
role! {
    /// Inspects tenants and handles dead letters and pauses, through reviewed functions.
    Operator = "operator", Request: ReadsConnections, ReadsStatus, LooksUpTenants, WorksBulkActions
}
role! {
    /// Writes the records that other sources send.
    Sources = "sources", Request: ReadsConnections, ChangesObjects, WritesRecords, AnswersCalls
}
