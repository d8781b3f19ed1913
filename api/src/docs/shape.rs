//! Types and members, as a reader needs them.

use htmlize::escape_text;
use serde_json::{Map, Value};

use super::html::inline;

/// A schema's name if it is only named, with a link to it. Else its type in words.
pub(super) fn kind(schema: &Value) -> String {
    if let Some(name) = referred(schema) {
        return format!("<a href=\"#{name}\">{name}</a>");
    }
    if let Some(choices) = ["oneOf", "anyOf", "allOf"]
        .iter()
        .find_map(|word| schema[*word].as_array())
    {
        return choices.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        kind => vec![kind.as_str().unwrap_or("anything")],
    };
    let named = kinds.into_iter().map(|kind| match kind {
        "array" => format!("list of {}", kind_of(&schema["items"])),
        "object" if schema["additionalProperties"].is_object() => {
            format!("members of {}", kind_of(&schema["additionalProperties"]))
        }
        kind => escape_text(kind).into_owned(),
    });
    named.collect::<Vec<_>>().join(" or ") + &bounds(schema)
}

fn kind_of(schema: &Value) -> String {
    kind(schema)
}

/// The name in `#/components/schemas/Name`.
pub(super) fn referred(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.rsplit('/').next()
}

/// Format, limits and default.
fn bounds(schema: &Value) -> String {
    let mut words = Vec::new();
    if let Some(format) = schema["format"].as_str() {
        words.push(match format {
            "date-time" => "time".to_owned(),
            "int32" | "int64" | "double" | "float" => String::new(),
            format => format.to_owned(),
        });
    }
    for (member, before) in [
        ("minimum", "from"),
        ("maximum", "up to"),
        ("minLength", "at least"),
        ("maxLength", "at most"),
        ("default", "default"),
    ] {
        let value = &schema[member];
        if !value.is_null() {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            let unit = if member.ends_with("Length") {
                " characters"
            } else {
                ""
            };
            words.push(format!("{before} {value}{unit}"));
        }
    }
    words.retain(|word| !word.is_empty());
    if words.is_empty() {
        return String::new();
    }
    format!(", {}", escape_text(words.join(", ")))
}

/// The words that a value may have.
fn choices(schema: &Value) -> Option<String> {
    let words = schema["enum"].as_array()?.iter().filter_map(Value::as_str);
    let words: Vec<String> = words
        .map(|word| format!("<code>{}</code>", escape_text(word)))
        .collect();
    Some(words.join(", "))
}

/// One line of a list: a name, its type, whether it is there, and its meaning.
pub(super) fn entry(name: &str, schema: &Value, presence: &str, description: &str) -> String {
    let name = escape_text(name);
    let mut html = format!(
        "<dt><code>{name}</code> <span class=\"dim\">{}{presence}</span></dt>\n",
        kind(schema)
    );
    if let Some(words) = choices(schema).or_else(|| choices(&schema["items"])) {
        html += &format!("<dd>{words}</dd>\n");
    }
    if !description.is_empty() {
        html += &format!("<dd>{}</dd>\n", inline(description));
    }
    html
}

/// The members of an object, or the words of a closed set.
pub(super) fn members(schema: &Value) -> String {
    if let Some(words) = choices(schema) {
        return format!("<p>{words}</p>\n");
    }
    let Some(properties) = schema["properties"].as_object() else {
        return String::new();
    };
    let required: Vec<&str> = schema["required"]
        .as_array()
        .map_or(&[][..], |names| names)
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let entries = in_order(properties, &required).map(|(name, schema)| {
        let presence = if required.contains(&name) {
            ""
        } else {
            ", may be absent"
        };
        entry(
            name,
            schema,
            presence,
            schema["description"].as_str().unwrap_or_default(),
        )
    });
    format!("<dl>\n{}</dl>\n", entries.collect::<String>())
}

/// What is always there, in the order of the code, and then the rest.
fn in_order<'a>(
    properties: &'a Map<String, Value>,
    required: &[&'a str],
) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let first: Vec<_> = required
        .iter()
        .filter_map(|name| Some((*name, properties.get(*name)?)))
        .collect();
    let rest: Vec<_> = properties
        .iter()
        .map(|(name, schema)| (name.as_str(), schema))
        .filter(|(name, _)| !required.contains(name))
        .collect();
    first.into_iter().chain(rest)
}
