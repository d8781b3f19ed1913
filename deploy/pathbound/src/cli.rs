//! The command line.

use std::path::PathBuf;

use clap::{
    Args, Parser, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use shared::{
    config::ProcessRole,
    domain::{Mode, Stream, TenantId},
};

use crate::output::Format;

/// Pathbound's Intercom sync: many customers' workspaces, kept complete in one Postgres.
///
/// Data goes to stdout, everything else to stderr. Exit codes: 0 ok, 1 failed, 2 usage, 3 cannot reach a
/// server, 4 not allowed, 5 partly done, 78 bad configuration.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub struct Cli {
    /// A configuration file. The environment (`PATHBOUND_*`) overrides it
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "PATHBOUND_CONFIG",
        hide_env_values = true
    )]
    pub config: Option<PathBuf>,
    /// The format of the data
    #[arg(short, long, global = true, value_enum, default_value_t)]
    pub output: Format,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve REST and the pages that connect a workspace
    Api,
    /// Queue the streams that are due
    Scheduler,
    /// Sync the streams that are queued
    Worker,
    /// Run API, scheduler and worker in one process
    All,
    /// Bring the database to this build's schema
    Migrate(MigrateArgs),
    /// Sync simulated workspaces in this process and compare every record
    #[cfg(feature = "demo")]
    Demo(DemoArgs),
    /// Check the configuration, both servers, the schema, the roles, the clocks and the keys
    Doctor {
        /// For the role that will start with it
        #[arg(long = "for", value_parser = role_parser(), default_value_t, value_name = "ROLE")]
        role: ProcessRole,
    },
    /// Show queue depth and age
    Queues(QueuesArgs),
    /// Watch tenants and budgets on a terminal, once a second. Without a terminal, print one frame
    Top(TopArgs),
    /// Explain the state of a tenant: a summary, then every reason with its next step
    Why {
        /// The tenant: its name, its id, or the beginning of its id
        tenant: String,
    },
    /// Request a sync run for every connection of a tenant
    Resync(ResyncArgs),
    /// Parse quarantined records again, from their stored bytes
    Replay(ReplayArgs),
    /// List, show, retry or drop dead letters, the syncs that failed too often
    #[command(subcommand)]
    Dead(DeadCommand),
    /// List what operators should know of, such as a workspace that two tenants have connected
    Events(EventsArgs),
    /// List what operators have done, newest first
    Actions(ActionsArgs),
    /// Show the fleet at a glance: its state, workers, classes and counts
    Overview,
    /// List tenants by their lag, show one, or pause and resume the work for one
    #[command(subcommand)]
    Tenants(TenantsCommand),
    /// List tickets or show one: which a worker has, which come next, and which wait for a time
    #[command(subcommand)]
    Jobs(JobsCommand),
    /// List what becomes due from a time on, soonest first
    Schedule(ScheduleArgs),
    /// Start no more work of a class, or of the whole fleet. Work in progress finishes
    Pause {
        /// What to pause
        #[arg(value_enum)]
        scope: ScopeArg,
        /// The reason, which `why` shows
        #[arg(long)]
        reason: Option<String>,
    },
    /// Resume the work of a class, or of the whole fleet
    Resume {
        /// What to resume
        #[arg(value_enum)]
        scope: ScopeArg,
    },
    /// Show which keys seal the stored tokens, or seal all of them with the first key
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Show or set which source a tenant believes before which
    #[command(subcommand)]
    MergeRules(MergeRulesCommand),
    /// Show or set which values join no records of a tenant
    #[command(subcommand)]
    IdentityRules(IdentityRulesCommand),
    /// Print raw records as Intercom sent them, from what `psql -At` shows of their columns on stdin
    Unpack,
    /// Show or check the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the description of the REST API as OpenAPI 3.1
    Openapi,
    /// Write a man page of each command
    Man {
        /// Where to, such as `/usr/local/share/man/man1`. It is made if it is not there
        directory: PathBuf,
    },
    /// Print the completions of a shell, for its start-up file
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

/// A call of the ops listener (`PATHBOUND_OPS_LISTEN`) with the operator key.
#[derive(Args, Clone, Copy, Debug)]
pub struct EventsArgs {
    /// How many to show
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub limit: u32,
}

/// A call of the ops listener (`PATHBOUND_OPS_LISTEN`) with the operator key.
#[derive(Args, Clone, Debug)]
pub struct ActionsArgs {
    /// Only what was about this tenant: its name, its id, or the beginning of its id
    #[arg(long)]
    pub tenant: Option<String>,
    /// How many to show
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub limit: u32,
}

/// A call of the ops listener (`PATHBOUND_OPS_LISTEN`) with the operator key.
#[derive(Args, Clone, Debug)]
pub struct ScheduleArgs {
    /// The time, such as 14:00 (UTC) or 2026-01-02T14:00:00Z. Now, if it is missing
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// How many to show
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub limit: u32,
    /// Go on behind the last one of a page
    #[arg(long)]
    pub cursor: Option<String>,
}

/// What can be paused beside a tenant.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ScopeArg {
    Fleet,
    Fresh,
    Backfill,
}

impl ScopeArg {
    /// As the ops listener names it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fleet => "fleet",
            Self::Fresh => "fresh",
            Self::Backfill => "backfill",
        }
    }
}

/// Calls of the ops listener (`PATHBOUND_OPS_LISTEN`) with the operator key.
#[derive(Debug, Subcommand)]
pub enum JobsCommand {
    /// List tickets of a state, or all of a tenant
    List {
        /// The state. Of the ready ones it is the next of each tenant
        #[arg(long, value_enum, default_value_t)]
        state: JobStateArg,
        /// All tickets of this tenant, in any state: its name, its id, or the beginning of its id
        #[arg(long, conflicts_with = "state")]
        tenant: Option<String>,
        /// How many to show
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
        limit: u32,
        /// Where the page before has ended
        #[arg(long)]
        cursor: Option<u32>,
    },
    /// Show one ticket and the work that it names
    Show {
        /// The ticket, as the list has it
        ticket: String,
    },
}

/// The state of a ticket.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum JobStateArg {
    #[default]
    Leased,
    Ready,
    Parked,
}

impl JobStateArg {
    /// As the ops listener names it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Leased => "leased",
            Self::Ready => "ready",
            Self::Parked => "parked",
        }
    }
}

/// Which tenants to list.
#[derive(Args, Clone, Debug)]
pub struct TenantsListArgs {
    /// The order
    #[arg(long, value_enum, default_value_t)]
    pub sort: TenantSortArg,
    /// Only tenants with a connection in this state
    #[arg(long, value_enum, conflicts_with = "search")]
    pub state: Option<ConnectionStateArg>,
    /// Only tenants that this names: the beginning of a name, a tenant's id, or a workspace's id
    #[arg(long, value_name = "TEXT")]
    pub search: Option<String>,
    /// How many to show
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub limit: u32,
    /// Where the page before has ended
    #[arg(long)]
    pub cursor: Option<String>,
}

/// The order of tenants.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum TenantSortArg {
    /// The longest lag first
    #[default]
    Lag,
    Name,
}

/// The state of a connection.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ConnectionStateArg {
    Active,
    #[value(alias = "reauth_required")]
    ReauthRequired,
    Error,
    Disconnected,
}

impl TenantsListArgs {
    /// As a query names them.
    #[must_use]
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let sort = match self.sort {
            TenantSortArg::Lag => "lag",
            TenantSortArg::Name => "name",
        };
        let state = self.state.map(|state| match state {
            ConnectionStateArg::Active => "active",
            ConnectionStateArg::ReauthRequired => "reauth_required",
            ConnectionStateArg::Error => "error",
            ConnectionStateArg::Disconnected => "disconnected",
        });
        [
            Some(("sort", sort.to_owned())),
            state.map(|state| ("state", state.to_owned())),
            self.search.clone().map(|text| ("q", text)),
            Some(("limit", self.limit.to_string())),
            self.cursor.clone().map(|cursor| ("cursor", cursor)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Calls of the ops listener (`PATHBOUND_OPS_LISTEN`) with the operator key.
#[derive(Debug, Subcommand)]
pub enum DeadCommand {
    /// List open dead letters, oldest first
    List {
        #[command(flatten)]
        filter: DeadFilterArgs,
        /// How many to show
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
        limit: u32,
    },
    /// List the causes of open dead letters, the most frequent first
    Causes,
    /// Show one dead letter
    Show {
        /// The dead letter's id
        id: uuid::Uuid,
    },
    /// Retry now. The dead letter closes when its stream succeeds
    Retry(DeadChangeArgs),
    /// Close the dead letter and discard its walk. The stream goes on with its next regular walk
    Drop(DeadChangeArgs),
    /// List, show or cancel retries and drops by filter, which a scheduler works through
    #[command(subcommand)]
    Bulk(DeadBulkCommand),
}

/// Calls of the ops listener (`PATHBOUND_OPS_LISTEN`) with the operator key.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum DeadBulkCommand {
    /// List bulk actions, newest first
    List {
        /// How many to show
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
        limit: u32,
    },
    /// Show one bulk action
    Show {
        /// Its id
        id: uuid::Uuid,
    },
    /// End a bulk action before its next batch. What was done stays done
    Cancel {
        /// Its id
        id: uuid::Uuid,
    },
}

/// Which dead letters.
#[derive(Args, Clone, Debug, Default)]
pub struct DeadFilterArgs {
    /// Only this tenant: its name, its id, or the beginning of its id
    #[arg(long)]
    pub tenant: Option<String>,
    /// Only this stream
    #[arg(long, value_parser = stream_parser())]
    pub stream: Option<Stream>,
    /// Only causes that contain this text, or with `=` in front, that are this text
    #[arg(long, value_name = "TEXT")]
    pub cause: Option<String>,
}

impl DeadFilterArgs {
    /// As a query or a body names them, with the id of the tenant that is named.
    #[must_use]
    pub fn fields(&self, tenant: Option<TenantId>) -> Vec<(&'static str, String)> {
        let tenant = tenant.map(|tenant| ("tenant_id", tenant.to_string()));
        let stream = self.stream.map(|stream| ("stream", stream.to_string()));
        let cause = self.cause.clone().map(|cause| ("cause", cause));
        [tenant, stream, cause].into_iter().flatten().collect()
    }
}

/// One dead letter by its id, or all that match the filter.
#[derive(Args, Clone, Debug)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true).args(["id", "tenant", "stream", "cause", "all"]))]
pub struct DeadChangeArgs {
    /// The id of one dead letter
    #[arg(conflicts_with_all = ["tenant", "stream", "cause", "all"])]
    pub id: Option<uuid::Uuid>,
    #[command(flatten)]
    pub filter: DeadFilterArgs,
    /// All dead letters
    #[arg(long)]
    pub all: bool,
    /// Only count
    #[arg(long)]
    pub dry_run: bool,
    /// Confirm a drop by filter
    #[arg(long)]
    pub yes: bool,
    /// Print the id of the bulk action and do not wait for its end
    #[arg(long, conflicts_with = "id")]
    pub no_wait: bool,
}

#[derive(Debug, Subcommand)]
pub enum TenantsCommand {
    /// List tenants
    List(TenantsListArgs),
    /// Show one tenant: its streams, threads, runs, rate limit, tickets and dead letters
    Show {
        /// The tenant: its name, its id, or the beginning of its id
        tenant: String,
    },
    /// Start no more work for a tenant. Work in progress finishes
    Pause {
        /// The tenant: its name, its id, or the beginning of its id
        tenant: String,
        /// The reason, which `why` shows
        #[arg(long)]
        reason: Option<String>,
    },
    /// Resume the work for a tenant
    Resume {
        /// The tenant: its name, its id, or the beginning of its id
        tenant: String,
    },
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub enum KeysCommand {
    /// List the keys of `encryption_keys` and every other that something stored was sealed with
    Status,
    /// Seal every access token with the first key of `encryption_keys`, while everything runs
    Rotate {
        /// Only count
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum MergeRulesCommand {
    /// Show the order of sources for each object, and for fields with an order of their own
    Show {
        /// The tenant: its id, or with the operator key its name or the beginning of its id
        tenant: String,
    },
    /// Replace all rules of a tenant
    Set {
        /// The tenant: its id, or with the operator key its name or the beginning of its id
        tenant: String,
        /// A JSON file as `show --output json` prints it, or `-` for stdin
        rules: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub enum IdentityRulesCommand {
    /// Show the values that are blocked beside those that are blocked for every tenant
    Show {
        /// The tenant: its id, or with the operator key its name or the beginning of its id
        tenant: String,
    },
    /// Replace all rules of a tenant. Its contacts and companies are parted and joined at once
    Set {
        /// The tenant: its id, or with the operator key its name or the beginning of its id
        tenant: String,
        /// A JSON file as `show --output json` prints it, or `-` for stdin
        rules: PathBuf,
    },
}

#[derive(Args, Clone, Copy, Debug)]
pub struct MigrateArgs {
    /// Change nothing, and exit with 1 if a migration is missing
    #[arg(long)]
    pub check: bool,
}

#[cfg(feature = "demo")]
#[derive(Args, Clone, Copy, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct DemoArgs {
    #[command(subcommand)]
    pub command: Option<DemoCommand>,
    /// Not interactive: print one JSON object and exit 0 only if everything is as expected
    #[arg(long)]
    pub smoke: bool,
    /// With --smoke: keep running after the report until Ctrl-C.
    /// The data directory is always deleted at the end
    #[arg(long)]
    pub keep: bool,
    /// How many tenants. The first has as many records as all others together
    #[arg(long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub tenants: u32,
}

/// What goes on beside a demo that runs.
#[cfg(feature = "demo")]
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum DemoCommand {
    /// Break a demo that runs in another terminal, and compare every record when it is well again
    Chaos(ChaosArgs),
    /// Print the settings of a demo that runs, so that commands of this terminal reach it
    ///
    /// In a shell: eval "$(pathbound demo env)"
    Env(DemoChoice),
    /// A worker of a demo, in a process of its own that ends with its standard input
    #[command(hide = true)]
    Worker,
}

#[cfg(feature = "demo")]
#[derive(Args, Clone, Copy, Debug)]
pub struct ChaosArgs {
    /// What to break
    #[arg(value_enum)]
    pub fault: ChaosFault,
    #[command(flatten)]
    pub choice: DemoChoice,
}

/// Which demo, of those that run.
#[cfg(feature = "demo")]
#[derive(Args, Clone, Copy, Debug)]
pub struct DemoChoice {
    /// The process id of the demo, if several run
    #[arg(long, value_name = "PID")]
    pub demo: Option<u32>,
}

/// What breaks in a demo.
#[cfg(feature = "demo")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ChaosFault {
    /// A worker dies in the middle of its slices
    KillWorker,
    /// Redis loses everything that it holds
    RedisFlush,
    /// Postgres ends without a checkpoint and is away for two seconds
    PostgresRestart,
    /// Intercom answers every call with 429 for five seconds
    #[serde(rename = "429-storm")]
    #[value(name = "429-storm")]
    RateLimitStorm,
}

#[cfg(feature = "demo")]
impl ChaosFault {
    /// As the command line has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KillWorker => "kill-worker",
            Self::RedisFlush => "redis-flush",
            Self::PostgresRestart => "postgres-restart",
            Self::RateLimitStorm => "429-storm",
        }
    }
}

#[derive(Args, Clone, Copy, Debug)]
pub struct QueuesArgs {
    /// Refresh every second, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
}

/// Calls of the ops listener (`PATHBOUND_OPS_LISTEN`) with the operator key.
#[derive(Args, Clone, Copy, Debug)]
pub struct TopArgs {
    /// Let keys pause and resume the selected tenant, and retry its dead letters
    #[arg(long)]
    pub operate: bool,
}

#[derive(Args, Clone, Debug)]
pub struct ResyncArgs {
    /// The tenant: its id, or with the operator key its name or the beginning of its id
    pub tenant: String,
    /// Sync the changes, everything, or everything with a check for deletions
    #[arg(long, value_enum, default_value_t)]
    pub mode: ModeArg,
    /// Wait until the runs have ended
    #[arg(long)]
    pub wait: bool,
}

#[derive(Args, Clone, Debug)]
pub struct ReplayArgs {
    /// The tenant: its id, or with the operator key its name or the beginning of its id
    pub tenant: String,
    /// Only count
    #[arg(long)]
    pub dry_run: bool,
}

/// [`Mode`] as clap lists it.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum ModeArg {
    #[default]
    Incremental,
    Full,
    Reconcile,
}

impl From<ModeArg> for Mode {
    fn from(mode: ModeArg) -> Self {
        match mode {
            ModeArg::Incremental => Self::Incremental,
            ModeArg::Full => Self::Full,
            ModeArg::Reconcile => Self::Reconcile,
        }
    }
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show the effective values. Of a secret, only whether it is set
    Show,
    /// List every fault, and exit with 78 if there is one
    Check {
        /// For the role that will start with it
        #[arg(long = "for", value_parser = role_parser(), default_value_t, value_name = "ROLE")]
        role: ProcessRole,
    },
}

/// The roles that `config check` offers, in its help and its completions too.
fn role_parser() -> impl TypedValueParser<Value = ProcessRole> {
    PossibleValuesParser::new(ProcessRole::ALL.map(ProcessRole::as_str))
        .try_map(|name| name.parse::<ProcessRole>())
}

/// The streams, so that help, completions and suggestions have them.
fn stream_parser() -> impl TypedValueParser<Value = Stream> {
    PossibleValuesParser::new(Stream::ALL.iter().map(|stream| stream.as_str()))
        .try_map(|name| name.parse::<Stream>())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    /// The help of a command and of all below it.
    #[cfg(feature = "demo")]
    fn help(command: &mut clap::Command, texts: &mut Vec<String>) {
        texts.push(command.render_help().to_string());
        for below in command.get_subcommands_mut() {
            if below.get_name() != "help" {
                help(below, texts);
            }
        }
    }

    #[cfg(feature = "demo")]
    #[test]
    fn every_help_text_reads_well() {
        let mut command = Cli::command();
        // Gives each command its full name, such as `pathbound dead list`.
        command.build();
        let mut texts = Vec::new();
        help(&mut command, &mut texts);
        insta::assert_snapshot!(texts.join("----\n"));
    }
}
