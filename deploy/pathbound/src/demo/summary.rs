//! The result of the demo: the JSON object of `--smoke`, the table, and commands to try next.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::{
    other_sources::{OtherSources, has_other_sources},
    sign_in,
    tenant_run::TenantOutcome,
    world::{World, shown},
};
use crate::{exact::Report, failure::Failure, output::Table};

/// The object that `--smoke` prints. Its first twelve keys are a public contract.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Summary {
    /// Whether every record of every tenant is stored as the truth says, and no other.
    pub exact: bool,
    pub tenants: usize,
    pub records: u64,
    pub missing: u64,
    pub extra: u64,
    pub different: u64,
    /// From the start of the process until every tenant was compared or had failed.
    pub seconds: f64,
    /// Until the first contact, company or conversation is in Postgres. `None` if there is none.
    pub first_row_seconds: Option<f64>,
    /// Calls to Intercom for the first syncs, token exchanges included, and the fewest possible.
    pub calls: u64,
    pub calls_floor: u64,
    /// Calls answered 429.
    pub throttled: u64,
    /// Calls that a read-only sync does not need.
    pub outside_read_list: u64,
    /// `calls / calls_floor`.
    pub ratio: f64,
    /// Whether every connection ended as its scenario says.
    pub states_as_expected: bool,
    /// The first faults, a sentence each.
    pub problems: Vec<String>,
}

impl Summary {
    pub(super) fn of(
        outcomes: &[TenantOutcome],
        world: &World,
        took: Duration,
        first_row: Option<Duration>,
    ) -> Self {
        let mut report = Report::default();
        let mut problems = Vec::new();
        for outcome in outcomes {
            report.add(&outcome.report);
            problems.extend(problems_of(outcome));
        }
        let ledger = world.simulator.ledger();
        // The ratio is about the first syncs alone: no calls of browsers, and none after a revoked token.
        let later: u64 = outcomes.iter().map(|outcome| outcome.later_calls).sum();
        let calls =
            ledger.total - ledger.calls("authorize") - ledger.calls("authorize_decision") - later;
        let calls_floor: u64 = outcomes.iter().map(|outcome| outcome.floor).sum();
        Self {
            exact: report.is_exact() && report.records > 0,
            tenants: outcomes.len(),
            records: report.records,
            missing: report.missing,
            extra: report.extra,
            different: report.different,
            seconds: rounded(took.as_secs_f64()),
            first_row_seconds: first_row.map(|time| rounded(time.as_secs_f64())),
            calls,
            calls_floor,
            throttled: ledger.throttled,
            outside_read_list: ledger.outside_read_list,
            ratio: rounded(calls as f64 / calls_floor.max(1) as f64),
            states_as_expected: outcomes
                .iter()
                .all(|outcome| outcome.as_expected && outcome.failure.is_none()),
            problems,
        }
    }

    /// # Errors
    /// A figure is not as expected. The failure names the figures in one line.
    pub(super) fn judge(&self) -> Result<(), Failure> {
        if self.exact && self.states_as_expected && self.outside_read_list == 0 {
            return Ok(());
        }
        let Self {
            missing,
            extra,
            different,
            outside_read_list,
            ..
        } = self;
        let first = self
            .problems
            .first()
            .map_or_else(String::new, |problem| format!("; first: {problem}"));
        Err(Failure::because(format!(
            "not as expected: {missing} missing, {extra} extra, {different} different, {outside_read_list} calls outside the read list{first}"
        )))
    }
}

/// What failed for a tenant, and the first differences of its records.
fn problems_of(outcome: &TenantOutcome) -> Vec<String> {
    let name = &outcome.demo_tenant.name;
    let mut problems = Vec::new();
    match &outcome.failure {
        Some(failure) => problems.push(format!("{name}: {failure}")),
        None if !outcome.as_expected => {
            problems.push(format!("{name}: ended {}, not as expected", outcome.state));
        }
        None => {}
    }
    let examples = outcome.report.examples.iter().take(3);
    problems.extend(examples.map(|example| format!("{name}: {example}")));
    problems
}

/// One row per tenant, and a line for all.
pub(super) fn table(outcomes: &[TenantOutcome], summary: &Summary) -> String {
    let mut table = Table::new(&[
        "tenant",
        "region",
        "state",
        "records",
        "missing",
        "extra",
        "different",
        "calls",
        "floor",
        "seconds",
    ]);
    for outcome in outcomes {
        table.row(row(outcome));
    }
    let verdict = if summary.exact {
        "every record is exact"
    } else {
        "NOT exact"
    };
    let problems: String = summary
        .problems
        .iter()
        .map(|problem| format!("  {problem}\n"))
        .collect();
    format!(
        "{}\n{verdict}: {} records of {} tenants in {:.1} s, the first after {:.1} s; {} calls, {:.1} % above the floor of {}; {} throttled\n{problems}",
        table.render(),
        summary.records,
        summary.tenants,
        summary.seconds,
        summary.first_row_seconds.unwrap_or_default(),
        summary.calls,
        (summary.ratio - 1.0) * 100.0,
        summary.calls_floor,
        summary.throttled,
    )
}

fn row(outcome: &TenantOutcome) -> Vec<String> {
    let TenantOutcome {
        demo_tenant,
        state,
        report,
        calls,
        floor,
        took,
        ..
    } = outcome;
    let numbers = [
        report.records,
        report.missing,
        report.extra,
        report.different,
        *calls,
        *floor,
    ];
    let mut row = vec![
        demo_tenant.name.clone(),
        demo_tenant.spec.region.clone(),
        state.clone(),
    ];
    row.extend(numbers.map(|number| number.to_string()));
    row.push(format!("{:.1}", took.as_secs_f64()));
    row
}

/// Commands that work as they are printed.
pub(super) async fn things_to_try(
    outcomes: &[TenantOutcome],
    world: &World,
) -> Result<String, Failure> {
    let chosen = outcomes
        .iter()
        .enumerate()
        .find(|(number, outcome)| has_other_sources(*number, &outcome.demo_tenant))
        .map(|(_, outcome)| outcome)
        .or_else(|| outcomes.first());
    let Some((outcome, tenant, connection)) =
        chosen.and_then(|outcome| Some((outcome, outcome.tenant?, outcome.connection?)))
    else {
        return Ok(String::new());
    };
    let scopes = [
        "profiles:read",
        "conversations:read",
        "connections:read",
        "connections:write",
    ];
    let body = json!({"name": "demo", "scopes": scopes});
    let made = world
        .rest
        .post(Some(tenant), "/v1/api_keys", &body)
        .await?
        .success()?;
    let key = made["key"].as_str().unwrap_or_default();
    let (api, intercom) = (&world.config.public_url, world.simulator.url());
    let workspace = outcomes
        .iter()
        .position(|other| other.tenant == outcome.tenant)
        .map_or_else(String::new, |number| world.workspaces[number].0.id_code());
    let person = OtherSources::known_contact(&world.rest, tenant).await?;
    let links = sign_in::links(outcomes, world).await?;
    let service_key = shown(&world.config.service_key);
    let operator_key = world.config.operator_key.as_ref().map_or("", shown);
    let ops = world.ops_url();
    let database = shown(&world.config.database.url);
    let program = program();
    Ok(format!(
        r#"
The page of integrations, as customers of each kind see it. A link signs one browser in, within ten minutes:

{links}
The page of operators, which asks for the key {operator_key}:

  {ops}

The first command makes a new link for the tenant "{name}", and the others are calls of the API, which is at {api} and stays
up until Ctrl-C:

  curl -s -X POST -H 'Authorization: Bearer {service_key}' -H 'Pathbound-Tenant: {tenant}' '{api}/v1/sessions'

  curl -s -H 'Authorization: Bearer {key}' '{api}/v1/contacts?limit=2'
  curl -s -H 'Authorization: Bearer {key}' '{api}/v1/conversations?limit=2'
  curl -s -H 'Authorization: Bearer {key}' '{api}/v1/connections/{connection}/sync'

A person whom its CRM, its mailing tool, its analytics and Intercom know, why they are one, and what happened:

  curl -s -H 'Authorization: Bearer {key}' '{api}/v1/contacts/{person}?include=provenance'
  curl -s -H 'Authorization: Bearer {key}' '{api}/v1/contacts/{person}/identities'
  curl -s -H 'Authorization: Bearer {key}' '{api}/v1/contacts/{person}/timeline'

What anything says about a word, best first:

  curl -s -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' '{api}/v1/search' -d '{{"q":"person","limit":5}}'

The same for an AI agent, in the configuration of an MCP client (README.md has others), and by hand:

  {{"mcpServers": {{"pathbound": {{"type": "http", "url": "{api}/mcp", "headers": {{"Authorization": "Bearer {key}"}}}}}}}}
  claude mcp add --transport http pathbound {api}/mcp --header 'Authorization: Bearer {key}'
  curl -s -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' '{api}/mcp' -d '{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"get_contact","arguments":{{"contact_id":"{person}"}}}}}}'

Change something in its Intercom, ask for a sync, and read what is newest:

  curl -s '{intercom}/_control/workspaces/{workspace}/mutate' -d '{{"op":"update","kind":"contact","count":3}}'
  curl -s -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' '{api}/v1/connections/{connection}/syncs' -d '{{"mode":"incremental"}}'
  curl -s -H 'Authorization: Bearer {key}' '{api}/v1/contacts?limit=3'

From the command line in another terminal, and into the database. The last command kills a worker in the middle of its
work and compares every record afterwards:

  eval "$({program} demo env)"
  {program} top
  {program} resync {tenant} --wait
  {program} queues
  psql {database}
  {program} demo chaos kill-worker
"#,
        name = outcome.demo_tenant.name,
    ))
}

/// This program as it was called, for commands that a person copies.
pub(super) fn program() -> String {
    let called = std::env::args().next();
    called.unwrap_or_else(|| "pathbound".to_owned())
}

/// Rounded to three decimals.
fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn good() -> Summary {
        Summary {
            exact: true,
            tenants: 25,
            records: 1,
            missing: 0,
            extra: 0,
            different: 0,
            seconds: 1.0,
            first_row_seconds: Some(0.5),
            calls: 1,
            calls_floor: 1,
            throttled: 0,
            outside_read_list: 0,
            ratio: 1.0,
            states_as_expected: true,
            problems: Vec::new(),
        }
    }

    #[test]
    fn anything_unexpected_is_a_failure() {
        assert!(good().judge().is_ok());
        let changes: [fn(&mut Summary); 3] = [
            |it| it.exact = false,
            |it| it.states_as_expected = false,
            |it| it.outside_read_list = 1,
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut bad = good();
            change(&mut bad);
            assert_eq!(bad.judge().unwrap_err().code(), 1, "change {number}");
        }
    }

    #[test]
    fn the_keys_that_others_rely_on_are_there() {
        let json: Value = serde_json::to_value(good()).unwrap();
        for key in [
            "exact",
            "tenants",
            "records",
            "missing",
            "extra",
            "different",
            "seconds",
            "first_row_seconds",
            "calls",
            "calls_floor",
            "throttled",
            "outside_read_list",
        ] {
            assert!(json.get(key).is_some(), "{key}");
        }
    }
}
