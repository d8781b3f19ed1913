//! `pathbound identity-rules`: which values join no records of a tenant.

use std::path::Path;

use serde_json::Value;

use super::{api_config, json_input};
use crate::{
    api_client::ApiClient,
    cli::IdentityRulesCommand,
    failure::Failure,
    names,
    output::{self, Format, Table},
};

const PATH: &str = "/v1/identity_rules";

/// Shows the rules, or replaces them and shows the new ones.
///
/// # Errors
/// If the file cannot be read, or the API cannot be reached or refuses.
pub async fn run(
    file: Option<&Path>,
    format: Format,
    command: IdentityRulesCommand,
) -> Result<(), Failure> {
    let config = api_config(file)?;
    let api = ApiClient::new(&config.public_url, &config.service_key)?;
    let rules = match command {
        IdentityRulesCommand::Show { tenant } => {
            let tenant = names::tenant_anywhere(&config, &tenant).await?;
            api.get(tenant, PATH).await?
        }
        IdentityRulesCommand::Set { tenant, rules } => {
            let rules = json_input::read(&rules)?;
            let tenant = names::tenant_anywhere(&config, &tenant).await?;
            api.put(tenant, PATH, &rules).await?.success()?
        }
    };
    output::show(format, &table(&rules), &rules)
}

/// A row for each blocked value.
fn table(rules: &Value) -> Table {
    let mut table = Table::new(&["object", "kind", "blocked value"]);
    for object in ["contacts", "companies"] {
        for value in rules[object]["blocked"].as_array().into_iter().flatten() {
            let text = |member: &str| value[member].as_str().unwrap_or_default();
            table.row([object, text("kind"), text("value")]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_value_has_a_row() {
        let rules = json!({
            "contacts": {"blocked": [{"kind": "email", "value": "desk@acme.example"}, {"kind": "phone", "value": "+4930123456"}]},
            "companies": {"blocked": [{"kind": "domain", "value": "acme.example"}]},
        });
        let text = table(&rules).render();
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines[1], ["contacts", "email", "desk@acme.example"]);
        assert_eq!(lines[2], ["contacts", "phone", "+4930123456"]);
        assert_eq!(lines[3], ["companies", "domain", "acme.example"]);
        assert_eq!(lines.len(), 4);
    }
}
