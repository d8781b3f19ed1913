//! One call on the page.

use htmlize::escape_text;
use serde_json::{Value, json};

use super::{
    html::{inline, paragraphs},
    shape,
};
use crate::codes::PAGES;

/// One call, as the description has it.
pub(super) struct Call<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) operation: &'a Value,
    pub(super) schemas: &'a Value,
}

impl<'a> Call<'a> {
    pub(super) fn id(&self) -> &'a str {
        self.text("operationId")
    }

    pub(super) fn summary(&self) -> &'a str {
        self.text("summary")
    }

    fn text(&self, member: &str) -> &'a str {
        self.operation[member].as_str().unwrap_or_default()
    }

    pub(super) fn route(&self) -> String {
        format!("{} {}", self.method.to_uppercase(), self.path)
    }

    pub(super) fn render(&self) -> String {
        let (id, summary) = (self.id(), escape_text(self.summary()));
        let route = escape_text(self.route()).into_owned();
        let mut html = format!(
            "<section id=\"{id}\">\n<h3>{summary}</h3>\n<p class=\"route\"><code>{route}</code></p>\n"
        );
        html += &paragraphs(self.text("description"));
        html += &format!("<p>Needs {}.</p>\n", self.keys());
        html += &self.parameters();
        html += &self.body();
        html += &self.answers();
        html += &format!(
            "<pre><code>{}</code></pre>\n</section>\n",
            escape_text(self.curl())
        );
        html
    }

    fn keys(&self) -> String {
        let keys = self.operation["security"]
            .as_array()
            .map_or(&[][..], |keys| keys);
        let scope = keys.iter().find_map(|key| key["tenant_key"][0].as_str());
        scope.map_or_else(
            || "the service key".to_owned(),
            |scope| format!("a tenant key with the scope <code>{scope}</code>, or the service key"),
        )
    }

    fn parameters(&self) -> String {
        let parameters = self.operation["parameters"]
            .as_array()
            .map_or(&[][..], |all| all);
        // The first part of the page says what they do, the same for every call.
        let shared = ["Pathbound-Tenant", "Idempotency-Key", "If-None-Match"];
        let entries: String = parameters
            .iter()
            .filter(|parameter| !shared.iter().any(|name| parameter["name"] == *name))
            .map(|parameter| {
                let presence = if parameter["in"] == "path" {
                    ", in the path"
                } else {
                    ""
                };
                let text = |member: &str| parameter[member].as_str().unwrap_or_default();
                shape::entry(
                    text("name"),
                    &parameter["schema"],
                    presence,
                    text("description"),
                )
            })
            .collect();
        if entries.is_empty() {
            return String::new();
        }
        format!("<h4>Parameters</h4>\n<dl>\n{entries}</dl>\n")
    }

    fn body(&self) -> String {
        let body = &self.operation["requestBody"];
        let schema = &body["content"]["application/json"]["schema"];
        if schema.is_null() {
            return String::new();
        }
        let description = paragraphs(body["description"].as_str().unwrap_or_default());
        let members = shape::members(self.resolved(schema));
        format!("<h4>Body</h4>\n{description}{members}")
    }

    fn resolved<'b>(&'b self, schema: &'b Value) -> &'b Value {
        shape::referred(schema).map_or(schema, |name| &self.schemas[name])
    }

    fn answers(&self) -> String {
        let mut html = "<h4>Answers</h4>\n<dl>\n".to_owned();
        let responses = self.operation["responses"].as_object();
        let successes = responses
            .into_iter()
            .flatten()
            .filter(|(status, _)| status.starts_with('2'));
        for (status, response) in successes {
            let schema = &response["content"]["application/json"]["schema"];
            let kind = if schema.is_null() {
                String::new()
            } else {
                shape::kind(schema)
            };
            let description = inline(response["description"].as_str().unwrap_or_default());
            html += &format!(
                "<dt><code>{status}</code> <span class=\"dim\">{kind}</span></dt>\n<dd>{description}</dd>\n"
            );
        }
        let codes = self.operation["x-problems"]
            .as_array()
            .map_or(&[][..], |all| all);
        let codes = codes.iter().filter_map(Value::as_str);
        let codes: Vec<String> = codes
            .map(|code| format!("<a href=\"{PAGES}/{code}\">{code}</a>"))
            .collect();
        html + &format!("<dt>problems</dt>\n<dd>{}</dd>\n</dl>\n", codes.join(", "))
    }

    /// A command that makes the call.
    fn curl(&self) -> String {
        let mut lines = vec!["curl -H \"Authorization: Bearer $KEY\"".to_owned()];
        if self.operation["security"][1].is_null() && self.path != "/v1/tenants" {
            lines.push("-H \"Pathbound-Tenant: $TENANT\"".to_owned());
        }
        if !matches!(self.method, "get" | "post") {
            lines.push(format!("-X {}", self.method.to_uppercase()));
        }
        let body = &self.operation["requestBody"]["content"]["application/json"];
        if body.is_object() {
            let example = match &body["example"] {
                Value::Null => self.example(&body["schema"]),
                example => example.clone(),
            };
            lines.push("-H 'Content-Type: application/json'".to_owned());
            lines.push(format!("-d '{example}'"));
        }
        let path = self.path.replace("{id}", "$ID").replace("{run}", "$RUN");
        lines.push(format!("\"$URL{path}\""));
        lines.join(" \\\n  ")
    }

    /// The required members of a body, with their examples.
    fn example(&self, schema: &Value) -> Value {
        let schema = self.resolved(schema);
        let required = schema["required"].as_array().map_or(&[][..], |names| names);
        let members = required.iter().filter_map(Value::as_str);
        let members = members.map(|name| (name, schema["properties"][name]["example"].clone()));
        json!(members.collect::<std::collections::BTreeMap<_, _>>())
    }
}
