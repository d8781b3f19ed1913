//! `pathbound config`: shows the configuration, and checks whether it can be used.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Map;
use shared::{
    config::{
        Config, DoubtConfig, Environment, FleetConfig, IntercomConfig, Intervals, ProcessRole,
        Profile, Retention, SignIn,
    },
    domain::Secret,
};

use crate::{
    cli::ConfigCommand,
    failure::Failure,
    output::{self, Format, Table},
};

/// Shows or checks the configuration.
///
/// # Errors
/// If the configuration has a fault.
pub fn run(file: Option<&Path>, format: Format, command: ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Show => show(file, format),
        ConfigCommand::Check { role } => check(file, format, role),
    }
}

fn show(file: Option<&Path>, format: Format) -> Result<(), Failure> {
    let values = values(&super::load(file, ProcessRole::Migrate)?);
    let mut table = Table::new(&["option", "value"]);
    for (name, value) in &values {
        table.row([*name, value]);
    }
    let json: Map<String, _> = values
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    output::show(format, &table, &json)
}

/// What a check has found.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct CheckedConfig {
    valid: bool,
    faults: Vec<String>,
    warnings: Vec<String>,
}

fn check(file: Option<&Path>, format: Format, role: ProcessRole) -> Result<(), Failure> {
    let (faults, warnings) = match Config::load(file, &Environment::of_process(), role) {
        Ok(config) => (Vec::new(), config.warnings),
        Err(error) => (error.faults, error.warnings),
    };
    let mut table = Table::new(&["the configuration"]);
    if faults.is_empty() {
        table.row(["can be used"]);
    }
    faults.iter().for_each(|fault| table.row([fault]));
    for warning in &warnings {
        table.row([format!("warning: {warning}")]);
    }
    let checked = CheckedConfig {
        valid: faults.is_empty(),
        faults,
        warnings,
    };
    output::show(format, &table, &checked)?;
    if checked.valid {
        Ok(())
    } else {
        Err(Failure::Setting(format!(
            "the configuration has {}",
            output::counted(checked.faults.len() as i64, "fault")
        )))
    }
}

/// Every option in the order of the manual (`default.toml`).
fn values(config: &Config) -> Vec<(&'static str, String)> {
    [
        servers(config),
        intercom(&config.intercom),
        intervals(&config.intervals),
        doubt(&config.doubt),
        retention(&config.retention),
        fleet(&config.fleet),
        worker_and_logs(config),
    ]
    .concat()
}

fn servers(config: &Config) -> Vec<(&'static str, String)> {
    let profile = match config.profile {
        Profile::Production => "production",
        Profile::Development => "development",
    };
    let operator_key = config.operator_key.as_ref();
    let client = config.redis_tls.client.as_ref();
    let database = &config.database;
    let sign_in =
        |value: fn(&SignIn) -> String| config.mcp.sign_in.as_ref().map(value).unwrap_or_default();
    vec![
        ("profile", profile.to_owned()),
        ("database_url", secret(&database.url)),
        ("migrate_url", secret(&config.migrate_url)),
        ("role_prefix", database.role_prefix.clone()),
        ("database_connections", database.connections.to_string()),
        (
            "database_statement_timeout",
            duration(database.statement_timeout),
        ),
        (
            "database_prepared_statements",
            database.prepared_statements.to_string(),
        ),
        ("database_partitions", database.partitions.to_string()),
        ("redis_url", secret(&config.redis_url)),
        ("redis_ca_file", path(config.redis_tls.ca_file.as_ref())),
        (
            "redis_cert_file",
            path(client.map(|(certificate, _)| certificate)),
        ),
        ("redis_key_file", path(client.map(|(_, key)| key))),
        ("redis_prefix", config.redis_prefix.clone()),
        ("redis_cluster", config.redis_cluster.to_string()),
        ("listen", config.listen.to_string()),
        ("ops_listen", config.ops_listen.to_string()),
        ("public_url", config.public_url.clone()),
        ("return_url", config.return_url.clone()),
        ("cors_origins", config.rest.cors_origins.join(",")),
        (
            "key_requests_per_minute",
            config.rest.key_requests_per_minute.to_string(),
        ),
        (
            "service_requests_per_minute",
            config.rest.service_requests_per_minute.to_string(),
        ),
        ("mcp_hosts", config.mcp.hosts.join(",")),
        ("mcp_issuer", sign_in(|sign_in| sign_in.issuer.clone())),
        (
            "mcp_jwks_url",
            sign_in(|sign_in| sign_in.jwks_url.clone().unwrap_or_default()),
        ),
        (
            "mcp_tenant_claim",
            sign_in(|sign_in| sign_in.tenant_claim.clone()),
        ),
        (
            "mcp_jwks_interval",
            sign_in(|sign_in| duration(sign_in.jwks_interval)),
        ),
        ("service_key", secret(&config.service_key)),
        (
            "operator_key",
            operator_key.map_or_else(|| is_set(false), secret),
        ),
        (
            "operator_name",
            config
                .operator_name
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        ),
        (
            "viewer_key",
            config
                .viewer_key
                .as_ref()
                .map_or_else(|| is_set(false), secret),
        ),
        ("encryption_keys", secret(&config.encryption_keys)),
    ]
}

fn intercom(intercom: &IntercomConfig) -> Vec<(&'static str, String)> {
    let url = |url: &Option<String>| url.clone().unwrap_or_default();
    vec![
        ("intercom_client_id", intercom.client_id.clone()),
        ("intercom_client_secret", secret(&intercom.client_secret)),
        ("intercom_api_url", url(&intercom.api_url)),
        ("intercom_app_url", url(&intercom.app_url)),
        ("intercom_version", intercom.version.clone()),
        ("max_share", intercom.max_share.to_string()),
        (
            "rate_limit_scope",
            intercom.rate_limit_scope.as_str().to_owned(),
        ),
        ("request_timeout", duration(intercom.request_timeout)),
        (
            "proxy",
            intercom
                .egress
                .proxy
                .as_ref()
                .map_or_else(|| is_set(false), secret),
        ),
        ("ca_file", path(intercom.egress.ca_file.as_ref())),
    ]
}

fn intervals(intervals: &Intervals) -> Vec<(&'static str, String)> {
    vec![
        ("sync_interval", duration(intervals.sync)),
        ("reconcile_interval", duration(intervals.reconcile)),
        ("company_walk_interval", duration(intervals.company_walk)),
        ("reference_interval", duration(intervals.reference)),
        ("audit_interval", duration(intervals.audit)),
        ("search_index_lag", duration(intervals.search_index_lag)),
        ("record_retry", duration(intervals.record_retry)),
        ("company_lists_time", duration(intervals.company_lists)),
    ]
}

fn doubt(doubt: &DoubtConfig) -> Vec<(&'static str, String)> {
    let thread = doubt.thread;
    vec![
        ("refusal_confirmation", duration(doubt.refusal)),
        ("block_check_interval", duration(doubt.block_check)),
        ("thread_retry_interval", duration(thread.first_retry)),
        ("thread_refusal_confirmation", duration(thread.refusal)),
        ("deletion_confirmation", duration(thread.deletion)),
    ]
}

fn retention(kept: &Retention) -> Vec<(&'static str, String)> {
    vec![
        ("retention_interval", duration(kept.interval)),
        ("run_retention", duration(kept.runs)),
        ("dead_letter_retention", duration(kept.dead_letters)),
        ("quarantine_retention", duration(kept.quarantine)),
        ("api_key_retention", duration(kept.api_keys)),
        ("oauth_flow_retention", duration(kept.oauth_flows)),
        ("idempotency_retention", duration(kept.idempotency_keys)),
        ("operator_event_retention", duration(kept.operator_events)),
        ("audit_event_retention", duration(kept.audit_events)),
        ("browser_session_retention", duration(kept.browser_sessions)),
    ]
}

fn fleet(fleet: &FleetConfig) -> Vec<(&'static str, String)> {
    vec![
        ("freshness_target", duration(fleet.freshness_target)),
        ("fleet_interval", duration(fleet.interval)),
        ("autoscale_slots", fleet.slots.to_string()),
        ("autoscale_min_workers", fleet.min_workers.to_string()),
        ("autoscale_max_workers", fleet.max_workers.to_string()),
        ("autoscale_fresh_drain", duration(fleet.fresh_drain)),
        ("autoscale_backfill_drain", duration(fleet.backfill_drain)),
    ]
}

fn worker_and_logs(config: &Config) -> Vec<(&'static str, String)> {
    vec![
        ("drain_limit", duration(config.drain_limit)),
        ("shutdown_delay", duration(config.shutdown_delay)),
        ("worker_slots", config.worker_slots.to_string()),
        ("worker_pool", config.worker_pool.to_string()),
        (
            "conversations_per_slice",
            config.conversations_per_slice.to_string(),
        ),
        (
            "conversation_concurrency",
            config.conversation_concurrency.to_string(),
        ),
        (
            // The option counts MiB.
            "response_memory",
            (config.response_memory >> 20).to_string(),
        ),
        ("analyze_threshold", config.analyze_threshold.to_string()),
        ("log", config.log.clone()),
        (
            "log_format",
            if config.log_json { "json" } else { "text" }.to_owned(),
        ),
        (
            "otlp_endpoint",
            config.traces.endpoint.clone().unwrap_or_default(),
        ),
        ("otlp_sample_ratio", config.traces.sample_ratio.to_string()),
    ]
}

fn path(path: Option<&PathBuf>) -> String {
    path.map(|path| path.display().to_string())
        .unwrap_or_default()
}

/// A DSN may hold a password, so it is a secret too.
fn secret(secret: &Secret) -> String {
    is_set(!secret.expose().is_empty())
}

fn is_set(set: bool) -> String {
    if set { "[set]" } else { "[not set]" }.to_owned()
}

/// In the largest unit that gives a whole number, as the configuration is written.
fn duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
    ];
    let unit = units
        .iter()
        .find(|(_, size)| millis >= *size && millis.is_multiple_of(*size));
    unit.map_or_else(
        || format!("{millis}ms"),
        |(name, size)| format!("{}{name}", millis / size),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Config {
        let own = [
            ("PATHBOUND_DATABASE_URL", "postgres://user:hunter2@db/x"),
            ("PATHBOUND_PROFILE", "development"),
        ];
        let environment = own
            .iter()
            .chain(pairs)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::load(None, &environment.collect(), ProcessRole::Migrate).unwrap()
    }

    #[test]
    fn every_option_of_the_manual_is_shown_in_its_order() {
        let options = shared::config::DEFAULTS
            .lines()
            .filter_map(|line| line.split_once(" = "));
        let options: Vec<&str> = options
            .map(|(name, _)| name)
            .filter(|name| !name.starts_with('#'))
            .collect();
        let shown: Vec<&str> = values(&config(&[]))
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(shown, options);
    }

    #[test]
    fn values_read_as_they_are_written_and_secrets_do_not() {
        let shown = values(&config(&[
            ("PATHBOUND_INDEX_LAG", "90s"),
            ("PATHBOUND_MAX_SHARE", "1"),
        ]));
        let value = |name: &str| {
            shown
                .iter()
                .find(|(option, _)| *option == name)
                .unwrap()
                .1
                .clone()
        };
        assert_eq!(value("search_index_lag"), "90s");
        assert_eq!(value("reconcile_interval"), "7d");
        assert_eq!(
            (value("max_share"), value("response_memory")),
            ("1".to_owned(), "64".to_owned())
        );
        assert_eq!(
            (value("database_url"), value("operator_key")),
            ("[set]".to_owned(), "[not set]".to_owned())
        );
        assert!(shown.iter().all(|(_, value)| !value.contains("hunter2")));
    }
}
