//! `pathbound resync TENANT`: requests a sync run for every connection of a tenant.

use std::{path::Path, time::Duration};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use shared::domain::{Mode, TenantId};

use crate::{
    api_client::ApiClient,
    cli::ResyncArgs,
    failure::Failure,
    names,
    output::{self, Format, Table},
};

/// The time between two reads of a run's status.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// One connection's run.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct RequestedRun {
    connection: String,
    workspace: String,
    /// `None` if no run could be requested.
    run: Option<String>,
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// Requests the runs. With `--wait` it waits until every run has ended.
///
/// # Errors
/// If the API cannot be reached or refuses, or not every connection synced.
pub async fn run(file: Option<&Path>, format: Format, args: ResyncArgs) -> Result<(), Failure> {
    let config = super::api_config(file)?;
    let api = ApiClient::new(&config.public_url, &config.service_key)?;
    let tenant = names::tenant_anywhere(&config, &args.tenant).await?;
    let mut runs = Vec::new();
    for connection in connections(&api, tenant).await? {
        runs.push(request_run(&api, tenant, &connection, args.mode.into()).await?);
    }
    if args.wait {
        for run in &mut runs {
            wait(&api, tenant, run).await?;
        }
    }
    let mut table = Table::new(&["workspace", "connection", "run", "status", "detail"]);
    for run in &runs {
        table.row([
            run.workspace.as_str(),
            &run.connection,
            run.run.as_deref().unwrap_or("-"),
            &run.status,
            run.detail.as_deref().unwrap_or_default(),
        ]);
    }
    output::show(format, &table, &runs)?;
    judge(&runs)
}

async fn connections(api: &ApiClient, tenant: TenantId) -> Result<Vec<Value>, Failure> {
    let all = api.all(tenant, "/v1/connections").await?;
    if all.is_empty() {
        return Err(Failure::because(
            "the tenant has no connection, so connect a workspace first",
        ));
    }
    Ok(all)
}

async fn request_run(
    api: &ApiClient,
    tenant: TenantId,
    connection: &Value,
    mode: Mode,
) -> Result<RequestedRun, Failure> {
    let id = text(&connection["id"]);
    let answer = api
        .post(
            Some(tenant),
            &format!("/v1/connections/{id}/syncs"),
            &json!({"mode": mode}),
        )
        .await?;
    // An equal run that has not finished does what this request wants, so the 409 names it.
    let run = if answer.status.is_success() {
        &answer.body
    } else {
        &answer.body["run"]
    };
    let active = run["id"].as_str().map(str::to_owned);
    Ok(RequestedRun {
        connection: id,
        workspace: text(&connection["workspace"]["name"]),
        status: if active.is_some() {
            text(&run["status"])
        } else {
            text(&connection["state"])
        },
        detail: (!answer.status.is_success()).then(|| answer.detail()),
        run: active,
    })
}

async fn wait(
    api: &ApiClient,
    tenant: TenantId,
    requested: &mut RequestedRun,
) -> Result<(), Failure> {
    let Some(run) = requested.run.clone() else {
        return Ok(());
    };
    loop {
        let state = api
            .get(
                tenant,
                &format!("/v1/connections/{}/syncs/{run}", requested.connection),
            )
            .await?;
        requested.status = text(&state["status"]);
        if !matches!(requested.status.as_str(), "queued" | "running") {
            requested.detail = state["error"]["message"].as_str().map(str::to_owned);
            return Ok(());
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Turns the states of all runs into the command's exit code.
fn judge(runs: &[RequestedRun]) -> Result<(), Failure> {
    let good = runs
        .iter()
        .filter(|run| matches!(run.status.as_str(), "queued" | "running" | "succeeded"))
        .count();
    let partly = runs.iter().any(|run| run.status == "partial");
    match good {
        all if all == runs.len() => Ok(()),
        0 if !partly => Err(Failure::because("no connection was synced")),
        _ => Err(Failure::Partly(format!(
            "{good} of {} synced",
            output::counted(runs.len() as i64, "connection")
        ))),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_says_how_many_synced() {
        let asked = |statuses: &[&str]| -> Vec<RequestedRun> {
            let one = |status: &&str| RequestedRun {
                connection: String::new(),
                workspace: String::new(),
                run: None,
                status: (*status).to_owned(),
                detail: None,
            };
            statuses.iter().map(one).collect()
        };
        let code = |statuses: &[&str]| {
            judge(&asked(statuses)).map_or_else(|failure| failure.code(), |()| 0)
        };
        assert_eq!(code(&["succeeded", "queued"]), 0);
        assert_eq!(code(&["succeeded", "failed"]), 5);
        assert_eq!(code(&["partial"]), 5);
        assert_eq!(code(&["failed", "reauth_required"]), 1);
    }
}
