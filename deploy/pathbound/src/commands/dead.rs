//! `pathbound dead`: dead letters. Each verb is one call of the ops listener.

use std::path::Path;

use api::ops::{
    fleet_views::CausesView,
    views::{BulkStartedView, ChangedView, DeadLetterView, DeadLettersView},
};
use serde_json::{Value, json};
use shared::domain::TenantId;

use super::dead_bulk;
use crate::{
    cli::{DeadChangeArgs, DeadCommand, DeadFilterArgs},
    failure::Failure,
    names,
    ops_client::OpsClient,
    output::{self, Format, Table, counted},
};

/// Lists, shows, retries or drops dead letters.
///
/// # Errors
/// If the ops listener cannot be reached or refuses.
pub async fn run(file: Option<&Path>, format: Format, command: DeadCommand) -> Result<(), Failure> {
    let ops = OpsClient::of(&super::client_config(file)?)?;
    match command {
        DeadCommand::List { filter, limit } => list(&ops, format, &filter, limit).await,
        DeadCommand::Causes => {
            let causes: CausesView = ops.get("/ops/dead/causes").await?;
            output::show(format, &causes_table(&causes), &causes)
        }
        DeadCommand::Show { id } => {
            let found = ops.get(&format!("/ops/dead/{id}")).await;
            match found {
                Ok(letter) => output::show(format, &letter_table(&letter), &letter),
                Err(failure) => Err(names::with_a_letter(&ops, &id.to_string(), failure).await),
            }
        }
        DeadCommand::Retry(choice) => change(&ops, format, "retry", &choice).await,
        DeadCommand::Drop(choice) => change(&ops, format, "drop", &choice).await,
        DeadCommand::Bulk(command) => dead_bulk::run(&ops, format, command).await,
    }
}

async fn list(
    ops: &OpsClient,
    format: Format,
    filter: &DeadFilterArgs,
    limit: u32,
) -> Result<(), Failure> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("limit", &limit.to_string());
    for (name, value) in filter.fields(tenant_of(ops, filter).await?) {
        query.append_pair(name, &value);
    }
    let page: DeadLettersView = ops.get(&format!("/ops/dead?{}", query.finish())).await?;
    output::show(format, &list_table(&page), &page)?;
    eprintln!("{}", list_summary(&page));
    suggest_a_cause(ops, filter, page.count).await;
    Ok(())
}

async fn tenant_of(ops: &OpsClient, filter: &DeadFilterArgs) -> Result<Option<TenantId>, Failure> {
    match &filter.tenant {
        Some(tenant) => names::tenant(ops, tenant).await.map(Some),
        None => Ok(None),
    }
}

/// If nothing has the cause that was asked for, the nearest one that something has.
async fn suggest_a_cause(ops: &OpsClient, filter: &DeadFilterArgs, matched: i64) {
    if let (0, Some(text)) = (matched, &filter.cause)
        && let Some(cause) = names::cause_near(ops, text.trim_start_matches('=')).await
    {
        eprintln!("did you mean --cause '{cause}'?");
    }
}

fn list_table(page: &DeadLettersView) -> Table {
    let mut table = Table::new(&["id", "tenant", "stream", "attempts", "died at", "cause"]);
    for letter in &page.items {
        table.row([
            letter.id.to_string(),
            names::shown(letter.tenant_id, letter.tenant_name.as_deref()),
            letter.stream.clone(),
            letter.attempts.to_string(),
            output::time(letter.died_at),
            letter.cause.clone(),
        ]);
    }
    table
}

fn causes_table(causes: &CausesView) -> Table {
    let mut table = Table::new(&[
        "letters",
        "tenants",
        "first died at",
        "last died at",
        "cause",
    ]);
    for cause in &causes.items {
        table.row([
            cause.letters.to_string(),
            cause.tenants.to_string(),
            output::time(cause.first_died_at),
            output::time(cause.last_died_at),
            output::one_line(&cause.cause),
        ]);
    }
    table
}

fn list_summary(page: &DeadLettersView) -> String {
    let all = counted(page.count, "open dead letter");
    if page.next_cursor.is_some() && page.count > page.items.len() as i64 {
        format!("the oldest {} of {all}", page.items.len())
    } else {
        all
    }
}

fn letter_table(letter: &DeadLetterView) -> Table {
    let next_attempt_at = letter.next_attempt_at.map(output::time);
    let mut table = Table::new(&["field", "value"]);
    for (field, value) in [
        ("id", letter.id.to_string()),
        (
            "tenant",
            names::shown(letter.tenant_id, letter.tenant_name.as_deref()),
        ),
        ("connection_id", letter.connection_id.to_string()),
        ("stream", letter.stream.clone()),
        ("cause", letter.cause.clone()),
        ("attempts", letter.attempts.to_string()),
        ("died_at", output::time(letter.died_at)),
        ("next_attempt_at", output::or_dash(next_attempt_at)),
    ] {
        table.row([field, value.as_str()]);
    }
    table
}

/// Changes one letter, or all that match the filter.
async fn change(
    ops: &OpsClient,
    format: Format,
    verb: &str,
    choice: &DeadChangeArgs,
) -> Result<(), Failure> {
    let changed = match choice.id {
        Some(id) if choice.dry_run => {
            // The look tells an id that does not exist, as the change itself would.
            ops.get::<DeadLetterView>(&format!("/ops/dead/{id}"))
                .await?;
            ChangedView {
                count: Some(1),
                dry_run: Some(true),
                retried: (verb == "retry").then_some(0),
                dropped: (verb == "drop").then_some(0),
            }
        }
        Some(id) => {
            ops.post(&format!("/ops/dead/{id}/{verb}"), &json!({}))
                .await?
        }
        None => match change_all(ops, verb, choice).await? {
            Asked::Counted(counted) => counted,
            Asked::Started(started) => {
                return dead_bulk::follow(ops, format, started.action, choice.no_wait).await;
            }
        },
    };
    output::show(format, &changed_table(&changed), &changed)
}

/// What the answer to a retry or drop by filter is.
enum Asked {
    Counted(ChangedView),
    Started(Box<BulkStartedView>),
}

async fn change_all(
    ops: &OpsClient,
    verb: &str,
    choice: &DeadChangeArgs,
) -> Result<Asked, Failure> {
    // A drop cannot be undone, so a drop by filter only counts until it is confirmed.
    let is_unconfirmed = verb == "drop" && !choice.yes && !choice.dry_run;
    let only_counts = choice.dry_run || is_unconfirmed;
    let tenant = tenant_of(ops, &choice.filter).await?;
    let mut body: Value = choice
        .filter
        .fields(tenant)
        .into_iter()
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect();
    body["dry_run"] = json!(only_counts);
    let path = format!("/ops/dead/{verb}");
    if !only_counts {
        let started: BulkStartedView = ops.post(&path, &body).await?;
        suggest_a_cause(ops, &choice.filter, started.count).await;
        return Ok(Asked::Started(Box::new(started)));
    }
    let counted_letters: ChangedView = ops.post(&path, &body).await?;
    suggest_a_cause(
        ops,
        &choice.filter,
        counted_letters.count.unwrap_or_default(),
    )
    .await;
    if is_unconfirmed {
        let letters = counted(counted_letters.count.unwrap_or_default(), "dead letter");
        eprintln!("nothing was dropped, add --yes to drop {letters}");
    }
    Ok(Asked::Counted(counted_letters))
}

fn changed_table(changed: &ChangedView) -> Table {
    let mut table = Table::new(&["dead letters", "count"]);
    for (name, count) in [
        ("matched", changed.count),
        ("retried", changed.retried),
        ("dropped", changed.dropped),
    ] {
        if let Some(count) = count {
            table.row([name.to_owned(), count.to_string()]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use shared::domain::{ConnectionId, TenantId};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn every_table_reads_well() {
        let letter = DeadLetterView {
            id: Uuid::from_u128(1),
            tenant_id: TenantId(Uuid::from_u128(2)),
            tenant_name: None,
            connection_id: ConnectionId(Uuid::from_u128(3)),
            stream: "contacts".to_owned(),
            cause: "status 503".to_owned(),
            attempts: 10,
            died_at: DateTime::UNIX_EPOCH,
            next_attempt_at: None,
        };
        let page = |count| DeadLettersView {
            count,
            items: vec![letter.clone()],
            next_cursor: (count > 1).then_some(letter.id),
        };
        let changed = ChangedView {
            count: Some(2),
            retried: Some(0),
            dry_run: Some(true),
            dropped: None,
        };
        insta::assert_snapshot!(
            [
                list_table(&page(1)).render(),
                list_summary(&page(1)),
                list_summary(&page(7)),
                letter_table(&letter).render(),
                changed_table(&changed).render(),
            ]
            .join("\n")
        );
    }
}
