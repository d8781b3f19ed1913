//! `pathbound resync TENANT`: asks the API for a run over every connection of a tenant.

use std::{path::Path, time::Duration};

use serde::Serialize;
use serde_json::{Value, json};
use shared::{
    config::Config,
    domain::{Mode, TenantId},
};

use crate::{
    cli::ResyncArgs,
    failure::Failure,
    output::{self, Format, Table},
    rest::Rest,
};

/// Between two looks at a run.
const POLL: Duration = Duration::from_millis(500);

/// One connection's run.
#[derive(Debug, Serialize)]
struct Asked {
    connection: String,
    workspace: String,
    /// `None` when none could be asked for.
    run: Option<String>,
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// Asks, and with `--wait` waits until every run has ended.
///
/// # Errors
/// When the API cannot be reached or refuses; when not every connection synced.
pub async fn run(file: Option<&Path>, format: Format, args: ResyncArgs) -> Result<(), Failure> {
    let config = client_config(file)?;
    let rest = Rest::new(&config.public_url, &config.service_key)?;
    let mut asked = Vec::new();
    for connection in connections(&rest, args.tenant).await? {
        asked.push(ask(&rest, args.tenant, &connection, args.mode.into()).await?);
    }
    if args.wait {
        for one in &mut asked {
            wait(&rest, args.tenant, one).await?;
        }
    }
    let mut table = Table::new(&["workspace", "connection", "run", "status", "detail"]);
    for one in &asked {
        let texts = [
            one.run.as_deref().unwrap_or("-"),
            &one.status,
            one.detail.as_deref().unwrap_or_default(),
        ];
        table.row(
            [one.workspace.as_str(), &one.connection]
                .into_iter()
                .chain(texts),
        );
    }
    output::show(format, &table, &asked)?;
    judge(&asked)
}

/// A client needs the API's URL and its key.
fn client_config(file: Option<&Path>) -> Result<Config, Failure> {
    let config = super::client_config(file)?;
    let unset = [
        ("PATHBOUND_PUBLIC_URL", config.public_url.is_empty()),
        (
            "PATHBOUND_SERVICE_KEY",
            config.service_key.expose().is_empty(),
        ),
    ];
    match unset.iter().find(|(_, unset)| *unset) {
        Some((name, _)) => Err(Failure::Setting(format!(
            "{name} is not set: it says where the API is and who calls"
        ))),
        None => Ok(config),
    }
}

async fn connections(rest: &Rest, tenant: TenantId) -> Result<Vec<Value>, Failure> {
    let (mut all, mut query) = (Vec::new(), String::new());
    loop {
        let page = rest
            .get(tenant, &format!("/v1/connections?limit=200{query}"))
            .await?;
        all.extend(page["items"].as_array().into_iter().flatten().cloned());
        match page["next_cursor"].as_str() {
            Some(cursor) => query = format!("&cursor={cursor}"),
            None => break,
        }
    }
    if all.is_empty() {
        return Err(Failure::because(
            "the tenant has no connection: connect a workspace first",
        ));
    }
    Ok(all)
}

async fn ask(
    rest: &Rest,
    tenant: TenantId,
    connection: &Value,
    mode: Mode,
) -> Result<Asked, Failure> {
    let id = text(&connection["id"]);
    let answer = rest
        .post(
            Some(tenant),
            &format!("/v1/connections/{id}/syncs"),
            &json!({"mode": mode}),
        )
        .await?;
    // An equal run that is not finished does what was asked for.
    let run = if answer.status.is_success() {
        &answer.body
    } else {
        &answer.body["run"]
    };
    let active = run["id"].as_str().map(str::to_owned);
    Ok(Asked {
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

async fn wait(rest: &Rest, tenant: TenantId, asked: &mut Asked) -> Result<(), Failure> {
    let Some(run) = asked.run.clone() else {
        return Ok(());
    };
    loop {
        let state = rest
            .get(
                tenant,
                &format!("/v1/connections/{}/syncs/{run}", asked.connection),
            )
            .await?;
        asked.status = text(&state["status"]);
        if !matches!(asked.status.as_str(), "queued" | "running") {
            asked.detail = state["error"]["message"].as_str().map(str::to_owned);
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
}

fn judge(asked: &[Asked]) -> Result<(), Failure> {
    let good = asked
        .iter()
        .filter(|one| matches!(one.status.as_str(), "queued" | "running" | "succeeded"))
        .count();
    let partly = asked.iter().any(|one| one.status == "partial");
    match good {
        all if all == asked.len() => Ok(()),
        0 if !partly => Err(Failure::because("no connection was synced")),
        _ => Err(Failure::Partly(format!(
            "{good} of {} connections",
            asked.len()
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
        let asked = |statuses: &[&str]| -> Vec<Asked> {
            let one = |status: &&str| Asked {
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
