//! `pathbound why`: a summary of a tenant's state, then every reason with its next step.

use std::path::Path;

use api::ops::views::{StageView, WhyView};

use crate::{
    failure::Failure,
    names,
    ops_client::OpsClient,
    output::{self, Format, Table},
};

/// Prints the summary, where the tenant's streams stand, and a table of reasons and notes.
///
/// # Errors
/// If the ops listener cannot be reached or refuses.
pub async fn run(file: Option<&Path>, format: Format, tenant: &str) -> Result<(), Failure> {
    let ops = OpsClient::of(&super::client_config(file)?)?;
    let tenant = names::tenant(&ops, tenant).await?;
    let answer: WhyView = ops.get(&format!("/ops/tenants/{tenant}/why")).await?;
    if format == Format::Json {
        return output::line(&answer);
    }
    output::text(&format!("{}\n", answer.sentence))?;
    let stages = answer.stages.as_deref().map(stages);
    match &stages {
        Some(stages) if stages.is_empty() => {}
        Some(stages) => output::text(&stages.render())?,
        None => {
            output::text("Redis does not answer, so it is not known where its streams stand.\n")?;
        }
    }
    let table = table(&answer);
    if table.is_empty() {
        return Ok(());
    }
    output::text("\n")?;
    output::show(format, &table, &answer)
}

/// Where the streams of a tenant stand. Each is at one stage, so that the counts add up.
pub(super) fn stages(stages: &[StageView]) -> Table {
    let mut table = Table::new(&["streams", "stage", "what"]);
    for stage in stages {
        table.row([
            stage.count.to_string(),
            stage.stage.clone(),
            stage.sentence.clone(),
        ]);
    }
    table
}

fn table(answer: &WhyView) -> Table {
    let mut table = Table::new(&[
        "connection",
        "stream",
        "code",
        "what",
        "next step",
        "next check",
    ]);
    for connection in &answer.connections {
        for reason in connection.sync.reasons.iter().chain(&connection.sync.notes) {
            table.row([
                connection.id.to_string(),
                output::or_dash(reason.stream.map(|stream| stream.to_string())),
                reason.code.clone(),
                reason.message.clone(),
                reason.action.clone(),
                output::or_dash(reason.until.map(output::time)),
            ]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_reason_and_note_has_a_row() {
        let reason = json!({"code": "retrying", "stream": "contacts", "message": "Syncing failed once.",
                            "action": "Nothing to do.", "until": "2026-01-02T03:04:05Z"});
        let note = json!({"code": "absent", "message": "It is gone.", "action": "Nothing to do."});
        let answer = json!({
            "tenant_id": uuid::Uuid::from_u128(1), "sentence": "", "paused": [],
            "connections": [{
                "id": uuid::Uuid::from_u128(2), "workspace_id": "w", "state": "active", "complete": false,
                "proven_at": null, "sentence": "", "reasons": [reason], "notes": [note], "streams": [],
                "threads": {"pending": 0, "complete": 0, "truncated": 0, "gone": 0, "blocked": 0},
            }],
        });
        let answer: WhyView = serde_json::from_value(answer).unwrap();
        insta::assert_snapshot!(table(&answer).render(), @r"
        connection                            stream    code      what                  next step       next check
        00000000-0000-0000-0000-000000000002  contacts  retrying  Syncing failed once.  Nothing to do.  2026-01-02T03:04:05Z
        00000000-0000-0000-0000-000000000002  -         absent    It is gone.           Nothing to do.  -
        ");
    }
}
