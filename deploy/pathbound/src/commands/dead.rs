//! `pathbound dead`: work that was given up. Each verb is one call of the ops listener.

use std::path::Path;

use serde_json::{Value, json};

use crate::{
    cli::{DeadChoice, DeadCommand, DeadFilter},
    failure::Failure,
    ops::Ops,
    output::{self, Format, Table},
};

/// Looks at dead letters, retries or drops them.
///
/// # Errors
/// When the ops listener cannot be reached or refuses.
pub async fn run(file: Option<&Path>, format: Format, command: DeadCommand) -> Result<(), Failure> {
    let ops = Ops::of(&super::client_config(file)?)?;
    match command {
        DeadCommand::List { filter, limit } => list(&ops, format, &filter, limit).await,
        DeadCommand::Show { id } => show(format, &ops.get(&format!("/ops/dead/{id}")).await?),
        DeadCommand::Retry(choice) => change(&ops, format, "retry", "retried", &choice).await,
        DeadCommand::Drop(choice) => change(&ops, format, "drop", "dropped", &choice).await,
    }
}

async fn list(ops: &Ops, format: Format, filter: &DeadFilter, limit: u32) -> Result<(), Failure> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("limit", &limit.to_string());
    for (name, value) in filter.fields() {
        query.append_pair(name, &value);
    }
    let page = ops.get(&format!("/ops/dead?{}", query.finish())).await?;
    let mut table = Table::new(&["id", "tenant", "stream", "attempts", "died at", "cause"]);
    for letter in page["items"].as_array().into_iter().flatten() {
        table.row(
            ["id", "tenant_id", "stream", "attempts", "died_at", "cause"]
                .map(|name| text(&letter[name])),
        );
    }
    output::show(format, &table, &page)?;
    eprintln!("{} in all", page["count"]);
    Ok(())
}

fn show(format: Format, letter: &Value) -> Result<(), Failure> {
    let mut table = Table::new(&["field", "value"]);
    for (name, value) in letter.as_object().into_iter().flatten() {
        table.row([name.clone(), text(value)]);
    }
    output::show(format, &table, letter)
}

/// One letter by its id, or all that a filter means. What is destroyed by filter has to be confirmed.
async fn change(
    ops: &Ops,
    format: Format,
    verb: &str,
    done: &str,
    choice: &DeadChoice,
) -> Result<(), Failure> {
    let answer = match choice.id {
        Some(id) if choice.dry_run => {
            ops.get(&format!("/ops/dead/{id}")).await?;
            json!({"count": 1, done: 0, "dry_run": true})
        }
        Some(id) => {
            ops.post(&format!("/ops/dead/{id}/{verb}"), &json!({}))
                .await?
        }
        None => {
            let dry_run = choice.dry_run || (verb == "drop" && !choice.yes);
            let mut body: Value = choice
                .filter
                .fields()
                .into_iter()
                .map(|(name, value)| (name.to_owned(), json!(value)))
                .collect();
            body["dry_run"] = json!(dry_run);
            let answer = ops.post(&format!("/ops/dead/{verb}"), &body).await?;
            if dry_run && !choice.dry_run {
                eprintln!("nothing was dropped: add --yes to drop {}", answer["count"]);
            }
            answer
        }
    };
    let mut table = Table::new(&["what", "count"]);
    for name in ["count", done] {
        if let Some(count) = answer[name].as_i64() {
            table.row([name.to_owned(), count.to_string()]);
        }
    }
    output::show(format, &table, &answer)
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
