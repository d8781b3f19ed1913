//! Whether a search finds what the lists show.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use shared::domain::TenantId;

use crate::{api_client::ApiClient, failure::Failure};

/// Between two looks at how far the tenant is indexed.
const POLL_INTERVAL: Duration = Duration::from_millis(300);
/// What each kind of object is called in a search and as a list.
const KINDS: [(&str, &str); 3] = [
    ("contact", "/v1/contacts"),
    ("company", "/v1/companies"),
    ("conversation", "/v1/conversations"),
];

/// Waits until everything that is stored is searched, and compares what a search without words finds with each list.
///
/// # Errors
/// If they differ, or if the tenant is not indexed in time.
pub(super) async fn check(
    rest: &ApiClient,
    tenant: TenantId,
    deadline: Instant,
) -> Result<(), Failure> {
    while find(rest, tenant, json!({"q": "", "limit": 1})).await?["caught_up"] != true {
        if Instant::now() >= deadline {
            return Err(Failure::because("the tenant was not indexed in time"));
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    for (kind, list) in KINDS {
        let listed = ids(&rest.all(tenant, list).await?);
        let found = found(rest, tenant, kind).await?;
        if found != listed {
            let differing = found.symmetric_difference(&listed).count();
            return Err(Failure::because(format!(
                "a search finds other objects than {list} has, {differing} of {}",
                listed.len()
            )));
        }
    }
    Ok(())
}

/// Everything of a kind that a search without words finds.
async fn found(
    rest: &ApiClient,
    tenant: TenantId,
    kind: &str,
) -> Result<BTreeSet<String>, Failure> {
    let mut items = Vec::new();
    let mut body = json!({"q": "", "types": [kind], "limit": 200});
    loop {
        let page = find(rest, tenant, body.clone()).await?;
        items.extend(page["items"].as_array().into_iter().flatten().cloned());
        if page["next_cursor"].is_null() {
            return Ok(ids(&items));
        }
        body["cursor"] = page["next_cursor"].clone();
    }
}

async fn find(rest: &ApiClient, tenant: TenantId, body: Value) -> Result<Value, Failure> {
    rest.post(Some(tenant), "/v1/search", &body)
        .await?
        .success()
}

fn ids(items: &[Value]) -> BTreeSet<String> {
    let ids = items.iter().filter_map(|item| item["id"].as_str());
    ids.map(str::to_owned).collect()
}
