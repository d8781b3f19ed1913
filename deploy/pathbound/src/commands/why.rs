//! `pathbound why`: in one sentence, why a tenant is where it is, and below it every reason there is.

use std::path::Path;

use serde_json::Value;
use shared::domain::TenantId;

use crate::{
    failure::Failure,
    ops::Ops,
    output::{self, Format, Table},
};

/// # Errors
/// When the ops listener cannot be reached or refuses.
pub async fn run(file: Option<&Path>, format: Format, tenant: TenantId) -> Result<(), Failure> {
    let answer = Ops::of(&super::client_config(file)?)?
        .get(&format!("/ops/tenants/{tenant}/why"))
        .await?;
    if format == Format::Table {
        output::text(&format!("{}\n", text(&answer["sentence"])))?;
    }
    let mut table = Table::new(&[
        "connection",
        "stream",
        "code",
        "what",
        "next step",
        "looked at again",
    ]);
    for connection in answer["connections"].as_array().into_iter().flatten() {
        for told in ["reasons", "notes"] {
            for reason in connection[told].as_array().into_iter().flatten() {
                let cells = ["stream", "code", "message", "action", "until"]
                    .map(|name| text(&reason[name]));
                table.row([text(&connection["id"])].into_iter().chain(cells));
            }
        }
    }
    if format == Format::Table && table.is_empty() {
        return Ok(());
    }
    output::show(format, &table, &answer)
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        value => value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned),
    }
}
