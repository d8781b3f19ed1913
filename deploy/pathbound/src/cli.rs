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
    /// A configuration file; the environment (`PATHBOUND_*`) overrides it
    #[arg(long, global = true, value_name = "FILE", env = "PATHBOUND_CONFIG")]
    pub config: Option<PathBuf>,
    /// How data is printed
    #[arg(short, long, global = true, value_enum, default_value_t)]
    pub output: Format,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve REST and the browser's side of connecting
    Api,
    /// Find what is due and make tickets of it
    Scheduler,
    /// Take tickets and sync
    Worker,
    /// API, scheduler and worker in one process
    All,
    /// Bring the database to this build's schema
    Migrate(MigrateArgs),
    /// Sync simulated workspaces in this process and compare every record
    #[cfg(feature = "demo")]
    Demo(DemoArgs),
    /// How much waits in Redis
    Queues(QueuesArgs),
    /// In one sentence, why a tenant is where it is; then what is missing, the next step, and when
    Why {
        /// The tenant's id
        tenant: TenantId,
    },
    /// Ask for a run over every connection of a tenant
    Resync(ResyncArgs),
    /// Read again what is in quarantine, from the bytes that were kept
    Replay(ReplayArgs),
    /// Work that was given up: look, retry, drop
    #[command(subcommand)]
    Dead(DeadCommand),
    /// Pause or resume the work for a tenant
    #[command(subcommand)]
    Tenants(TenantsCommand),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// Calls of the ops listener (`PATHBOUND_OPS_LISTEN`) with the operator key.
#[derive(Debug, Subcommand)]
pub enum DeadCommand {
    /// Open dead letters, oldest first
    List {
        #[command(flatten)]
        filter: DeadFilter,
        /// How many to show
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
        limit: u32,
    },
    /// One dead letter
    Show { id: uuid::Uuid },
    /// Try again now; the letter closes when the stream succeeds
    Retry(DeadChoice),
    /// Close, and forget the walk that died; the stream goes on with its next regular one
    Drop(DeadChoice),
}

/// Which dead letters.
#[derive(Args, Clone, Debug, Default)]
pub struct DeadFilter {
    /// Of this tenant
    #[arg(long)]
    pub tenant: Option<TenantId>,
    /// Of this stream
    #[arg(long)]
    pub stream: Option<Stream>,
    /// Whose cause has this in it
    #[arg(long, value_name = "TEXT")]
    pub cause: Option<String>,
}

impl DeadFilter {
    /// As a query or a body names them.
    #[must_use]
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let tenant = self.tenant.map(|tenant| ("tenant_id", tenant.to_string()));
        let stream = self.stream.map(|stream| ("stream", stream.to_string()));
        let cause = self.cause.clone().map(|cause| ("cause", cause));
        [tenant, stream, cause].into_iter().flatten().collect()
    }
}

/// One dead letter by its id, or all that the filter means.
#[derive(Args, Clone, Debug)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true).args(["id", "tenant", "stream", "cause", "all"]))]
pub struct DeadChoice {
    /// This one
    #[arg(conflicts_with_all = ["tenant", "stream", "cause", "all"])]
    pub id: Option<uuid::Uuid>,
    #[command(flatten)]
    pub filter: DeadFilter,
    /// All of them
    #[arg(long)]
    pub all: bool,
    /// Only count
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask: needed to drop more than one
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, Subcommand)]
pub enum TenantsCommand {
    /// Begin no further work for a tenant; what is under way ends
    Pause {
        tenant: TenantId,
        /// Why, for whoever looks
        #[arg(long)]
        reason: Option<String>,
    },
    /// Go on
    Resume { tenant: TenantId },
}

#[derive(Args, Clone, Copy, Debug)]
pub struct MigrateArgs {
    /// Change nothing; exit 1 when a migration is missing
    #[arg(long)]
    pub check: bool,
}

#[cfg(feature = "demo")]
#[derive(Args, Clone, Copy, Debug)]
pub struct DemoArgs {
    /// Not interactive: print one JSON object and exit 0 only if everything is as expected
    #[arg(long)]
    pub smoke: bool,
    /// With --smoke: stay up after the report until Ctrl-C, so that it can be looked at.
    /// The data directory always goes with the process.
    #[arg(long)]
    pub keep: bool,
    /// How many tenants; the first has as many records as all others together
    #[arg(long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub tenants: u32,
}

#[derive(Args, Clone, Copy, Debug)]
pub struct QueuesArgs {
    /// Look again every second, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
}

#[derive(Args, Clone, Copy, Debug)]
pub struct ResyncArgs {
    /// The tenant's id
    pub tenant: TenantId,
    /// What changed, everything, or everything to verify and repair
    #[arg(long, value_enum, default_value_t)]
    pub mode: ModeArg,
    /// Wait until the runs have ended
    #[arg(long)]
    pub wait: bool,
}

#[derive(Args, Clone, Copy, Debug)]
pub struct ReplayArgs {
    /// The tenant's id
    pub tenant: TenantId,
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
    /// The effective values; of secrets only whether they are set
    Show,
    /// Name every fault; exit 78 when there is one
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
