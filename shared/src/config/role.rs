//! The roles of a process: which parts of the fleet it runs, and so what it needs configured.

use std::{fmt, str::FromStr};

/// What one process runs.
///
/// A role asks only for the options it uses, so that a worker's pod holds no key of the API's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProcessRole {
    /// API, scheduler and worker in one process.
    #[default]
    All,
    /// Listens for REST and browsers. Holds the service key and the OAuth app's secret.
    Api,
    /// Plans what is due. Knows ids and times only.
    Scheduler,
    /// Syncs. Opens the tokens.
    Worker,
    /// Migrations and the operators' commands: the database only.
    Migrate,
}

impl ProcessRole {
    pub const ALL: [Self; 5] = [
        Self::All,
        Self::Api,
        Self::Scheduler,
        Self::Worker,
        Self::Migrate,
    ];

    /// The role's name on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Api => "api",
            Self::Scheduler => "scheduler",
            Self::Worker => "worker",
            Self::Migrate => "migrate",
        }
    }

    /// Whether the process serves the API.
    #[must_use]
    pub const fn runs_api(self) -> bool {
        matches!(self, Self::Api | Self::All)
    }

    /// Whether the process runs the scheduler.
    #[must_use]
    pub const fn runs_scheduler(self) -> bool {
        matches!(self, Self::Scheduler | Self::All)
    }

    /// Whether the process runs a worker.
    #[must_use]
    pub const fn runs_worker(self) -> bool {
        matches!(self, Self::Worker | Self::All)
    }

    /// The fewest database sessions with which the process works: one for each of its parts (what it runs, its checks,
    /// the operators, connecting workspaces), and one for whichever part needs a second one.
    #[must_use]
    pub const fn fewest_sessions(self, has_operators: bool) -> u32 {
        let operators = has_operators as u32;
        match self {
            Self::All => 6 + operators,
            Self::Api => 4 + operators,
            Self::Scheduler | Self::Worker => 3 + operators,
            Self::Migrate => 1,
        }
    }

    /// Whether the process seals or opens tokens.
    pub(super) const fn uses_tokens(self) -> bool {
        self.runs_api() || self.runs_worker()
    }

    /// Whether the process connects to Redis.
    pub(super) const fn uses_redis(self) -> bool {
        !matches!(self, Self::Migrate)
    }
}

impl fmt::Display for ProcessRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ProcessRole {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("unknown role {0:?}: use all, api, scheduler, worker or migrate")]
pub struct UnknownRole(String);
