//! `pathbound merge-rules`: which source a tenant believes before which.

use std::path::Path;

use serde_json::Value;

use super::{api_config, json_input};
use crate::{
    api_client::ApiClient,
    cli::MergeRulesCommand,
    failure::Failure,
    names,
    output::{self, Format, Table},
};

const PATH: &str = "/v1/merge_rules";

/// Shows the rules, or replaces them and shows the new ones.
///
/// # Errors
/// If the file cannot be read, or the API cannot be reached or refuses.
pub async fn run(
    file: Option<&Path>,
    format: Format,
    command: MergeRulesCommand,
) -> Result<(), Failure> {
    let config = api_config(file)?;
    let api = ApiClient::new(&config.public_url, &config.service_key)?;
    let rules = match command {
        MergeRulesCommand::Show { tenant } => {
            let tenant = names::tenant_anywhere(&config, &tenant).await?;
            api.get(tenant, PATH).await?
        }
        MergeRulesCommand::Set { tenant, rules } => {
            let rules = json_input::read(&rules)?;
            let tenant = names::tenant_anywhere(&config, &tenant).await?;
            api.put(tenant, PATH, &rules).await?.success()?
        }
    };
    output::show(format, &table(&rules), &rules)
}

/// A row for each order.
fn table(rules: &Value) -> Table {
    let mut table = Table::new(&["object", "field", "believed first"]);
    let order = |order: &Value| {
        let names = order.as_array().into_iter().flatten();
        let names: Vec<&str> = names.filter_map(Value::as_str).collect();
        names.join(", ")
    };
    for object in ["contacts", "companies"] {
        let of = &rules[object];
        table.row([object, "(default)", &order(&of["default"])]);
        for (field, own) in of["fields"].as_object().into_iter().flatten() {
            table.row([object, field.as_str(), &order(own)]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_order_has_a_row() {
        let rules = json!({
            "contacts": {"default": ["crm", "intercom"], "fields": {"name": ["email", "crm"]}},
            "companies": {"default": ["crm"], "fields": {}},
        });
        let text = table(&rules).render();
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines[1], ["contacts", "(default)", "crm,", "intercom"]);
        assert_eq!(lines[2], ["contacts", "name", "email,", "crm"]);
        assert_eq!(lines[3], ["companies", "(default)", "crm"]);
        assert_eq!(lines.len(), 4);
    }
}
