//! The page: how calls work, each call by its group, the shapes, and the problems.

use htmlize::escape_text;
use serde_json::Value;

use super::{call::Call, html, shape};
use crate::codes::Code;

/// What holds for every call.
const BASICS: &str = include_str!("basics.html");

/// The page of a description.
pub(super) fn render(document: &Value) -> String {
    let about = document["info"]["description"].as_str().unwrap_or_default();
    let groups = groups(document);
    let body = format!(
        "<h1>The Pathbound API</h1>\n{}{}{BASICS}{}{}{}",
        html::paragraphs(about),
        contents(&groups),
        groups.iter().map(Group::render).collect::<String>(),
        shapes(&document["components"]["schemas"]),
        problems(),
    );
    html::frame("The Pathbound API", &body)
}

/// The calls about one kind of thing.
struct Group<'a> {
    name: &'a str,
    description: &'a str,
    calls: Vec<Call<'a>>,
}

fn groups(document: &Value) -> Vec<Group<'_>> {
    let tags = document["tags"].as_array().map_or(&[][..], |tags| tags);
    let groups = tags.iter().filter_map(|tag| {
        let name = tag["name"].as_str()?;
        Some(Group {
            name,
            description: tag["description"].as_str()?,
            calls: calls(document, name),
        })
    });
    groups.collect()
}

fn calls<'a>(document: &'a Value, group: &str) -> Vec<Call<'a>> {
    let schemas = &document["components"]["schemas"];
    let paths = document["paths"].as_object();
    let calls = paths.into_iter().flatten().flat_map(|(path, methods)| {
        let methods = methods.as_object();
        methods
            .into_iter()
            .flatten()
            .map(move |(method, operation)| Call {
                method,
                path,
                operation,
                schemas,
            })
    });
    calls
        .filter(|call| call.operation["tags"][0] == group)
        .collect()
}

fn contents(groups: &[Group<'_>]) -> String {
    let mut html = "<nav aria-label=\"Calls\">\n".to_owned();
    for group in groups {
        html += &format!("<strong>{}</strong>\n<ul>\n", escape_text(group.name));
        for call in &group.calls {
            html += &format!(
                "<li><a href=\"#{}\">{}</a> <span class=\"dim\"><code>{}</code></span></li>\n",
                call.id(),
                escape_text(call.summary()),
                escape_text(call.route())
            );
        }
        html += "</ul>\n";
    }
    html + "</nav>\n"
}

impl Group<'_> {
    fn render(&self) -> String {
        format!(
            "<h2>{}</h2>\n<p>{}</p>\n{}",
            escape_text(self.name),
            html::inline(self.description),
            self.calls.iter().map(Call::render).collect::<String>()
        )
    }
}

fn shapes(schemas: &Value) -> String {
    let mut html = "<h2>Shapes</h2>\n".to_owned();
    for (name, schema) in schemas.as_object().into_iter().flatten() {
        let description = schema["description"].as_str().unwrap_or_default();
        html += &format!(
            "<section id=\"{name}\">\n<h3>{name}</h3>\n{}{}</section>\n",
            html::paragraphs(description),
            shape::members(schema)
        );
    }
    html
}

fn problems() -> String {
    let mut html = "<h2 id=\"problems\">Problems</h2>\n<dl>\n".to_owned();
    for code in Code::ALL {
        html += &format!(
            "<dt><a href=\"{}\"><code>{code}</code></a> <span class=\"dim\">{}</span></dt>\n<dd>{}</dd>\n",
            code.page(),
            code.status().as_u16(),
            html::inline(code.happened())
        );
    }
    html + "</dl>\n"
}
