//! Names as people type them: finds the one that is meant, or says which ones are near.

use api::ops::{
    fleet_views::{CausesView, JobsView, TenantRowView, TenantsView},
    views::DeadLetterView,
};
use shared::{config::Config, domain::TenantId};

use crate::{failure::Failure, ops_client::OpsClient, output::one_line};

/// Of 1 for equal texts. Less is no typing error but another name.
const NEAR: f64 = 0.6;
/// Fewer letters of an id name too many.
const SHORTEST_PREFIX: usize = 4;
/// How many pages of 200 tenants are looked through for a name.
const PAGES: usize = 5;

/// The tenant that a text names: by its id, by its whole name, or by the beginning of its id.
///
/// # Errors
/// If no tenant is named so, or several are. The failure says which are near. If the ops listener cannot be reached or
/// refuses.
pub(crate) async fn tenant(ops: &OpsClient, text: &str) -> Result<TenantId, Failure> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let mut rows = page(ops, &[("q", text)]).await?.items;
    match one_named(&rows, text) {
        Named::One(id) => return Ok(id),
        Named::Several(names) => return Err(several(text, &names)),
        Named::None => {}
    }
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES {
        let after = cursor.as_deref().map(|cursor| ("cursor", cursor));
        let query: Vec<_> = [("sort", "name")].into_iter().chain(after).collect();
        let next = page(ops, &query).await?;
        rows.extend(next.items);
        cursor = next.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    match one_named(&rows, text) {
        Named::One(id) => Ok(id),
        Named::Several(names) => Err(several(text, &names)),
        Named::None => Err(Failure::because(format!(
            "no tenant has the name or id `{}`{}",
            one_line(text),
            suggestion(nearest_tenant(&rows, text))
        ))),
    }
}

/// The same for a command of another server, which an id is enough for. A name is looked up on the ops listener.
///
/// # Errors
/// As [`tenant`], and if the text is no id and no operator key is configured.
pub(crate) async fn tenant_anywhere(config: &Config, text: &str) -> Result<TenantId, Failure> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let ops = OpsClient::of(config).map_err(|failure| match failure {
        Failure::Setting(what) => Failure::Setting(format!(
            "`{}` is no id, and to look a name up: {what}",
            one_line(text)
        )),
        other => other,
    })?;
    tenant(&ops, text).await
}

async fn page(ops: &OpsClient, query: &[(&str, &str)]) -> Result<TenantsView, Failure> {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("limit", "200")
        .extend_pairs(query)
        .finish();
    ops.get(&format!("/ops/tenants?{query}")).await
}

enum Named {
    None,
    One(TenantId),
    Several(Vec<String>),
}

fn one_named(rows: &[TenantRowView], text: &str) -> Named {
    let is_prefix = |row: &TenantRowView| {
        text.len() >= SHORTEST_PREFIX && row.id.to_string().starts_with(&text.to_lowercase())
    };
    let is_name = |row: &TenantRowView| row.name.to_lowercase() == text.to_lowercase();
    let mut found: Vec<&TenantRowView> = rows
        .iter()
        .filter(|row| is_name(row) || is_prefix(row))
        .collect();
    found.sort_by_key(|row| row.id.0);
    found.dedup_by_key(|row| row.id.0);
    match found.as_slice() {
        [] => Named::None,
        [row] => Named::One(row.id),
        several => Named::Several(several.iter().map(|row| described(row)).collect()),
    }
}

fn described(row: &TenantRowView) -> String {
    shown(row.id, Some(&row.name))
}

/// A tenant in a list, with its name if that is known.
pub(crate) fn shown(id: TenantId, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{} ({id})", one_line(name)),
        None => id.to_string(),
    }
}

fn several(text: &str, names: &[String]) -> Failure {
    Failure::because(format!(
        "several tenants are named by `{}`, so give the id of one: {}",
        one_line(text),
        names.join(", ")
    ))
}

/// The tenant with the most similar name. A name that begins with the text is near in any case.
fn nearest_tenant(rows: &[TenantRowView], text: &str) -> Option<String> {
    let begins = rows
        .iter()
        .find(|row| !text.is_empty() && row.name.to_lowercase().starts_with(&text.to_lowercase()));
    let similar = || {
        let names = rows.iter().map(|row| row.name.as_str());
        let name = nearest(text, names)?;
        rows.iter().find(|row| row.name == name)
    };
    begins.or_else(similar).map(described)
}

/// The failure to show a ticket, with the live ticket that is spelled most like it.
pub(crate) async fn with_a_ticket(ops: &OpsClient, ticket: &str, failure: Failure) -> Failure {
    let mut live = Vec::new();
    for state in ["leased", "ready", "parked"] {
        let path = format!("/ops/jobs?limit=200&state={state}");
        let page = ops.get::<JobsView>(&path).await;
        live.extend(page.into_iter().flat_map(|page| page.items));
    }
    let found = nearest(ticket, live.iter().map(|job| job.id.as_str()));
    with_suggestion(failure, found.map(str::to_owned))
}

/// The failure to show a dead letter, with the open one whose id is spelled most like it.
pub(crate) async fn with_a_letter(ops: &OpsClient, id: &str, failure: Failure) -> Failure {
    let open = ops.get::<api::ops::views::DeadLettersView>("/ops/dead?limit=200");
    let open: Vec<DeadLetterView> = open.await.map(|page| page.items).unwrap_or_default();
    let ids: Vec<String> = open.iter().map(|letter| letter.id.to_string()).collect();
    let found = nearest(id, ids.iter().map(String::as_str));
    with_suggestion(failure, found.map(str::to_owned))
}

/// The cause of open dead letters that is spelled most like a text that none contains.
pub(crate) async fn cause_near(ops: &OpsClient, text: &str) -> Option<String> {
    let causes: CausesView = ops.get("/ops/dead/causes").await.ok()?;
    let found = nearest(text, causes.items.iter().map(|cause| cause.cause.as_str()))?;
    Some(one_line(found))
}

fn with_suggestion(failure: Failure, found: Option<String>) -> Failure {
    match (failure, found) {
        (Failure::Failed { what, cause }, Some(found)) => Failure::Failed {
            what: format!("{what}{}", suggestion(Some(found))),
            cause,
        },
        (failure, _) => failure,
    }
}

fn suggestion(found: Option<String>) -> String {
    found.map_or_else(String::new, |found| format!(", did you mean {found}?"))
}

/// The one that is spelled most like a text, if one is near.
fn nearest<'n>(text: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let text = text.to_lowercase();
    names
        .map(|name| {
            let similarity = strsim::normalized_damerau_levenshtein(&name.to_lowercase(), &text);
            (similarity, name)
        })
        .filter(|(similarity, _)| *similarity >= NEAR)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_a_typing_error_away_and_not_another_name() {
        let names = ["Acme", "Globex", "status 503"];
        let found = |text| nearest(text, names.iter().copied());
        assert_eq!(found("acmee"), Some("Acme"));
        assert_eq!(found("gloebx"), Some("Globex"));
        assert_eq!(found("status 504"), Some("status 503"));
        assert_eq!(found("initech"), None);
    }
}
