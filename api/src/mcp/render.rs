//! An answer as text: the same facts as its structured content, in the order of its type, for clients that pass on only
//! the text.
//!
//! A line is `field: value`. An item of a list is one line, with what needs lines of its own below it. The text is made from
//! the structured content itself, so the two cannot differ.

use std::fmt::{self, Write};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::Number;

use super::untrusted::{CLOSING, OPENING};

const UNTRUSTED: &str = "untrusted_";

/// Written as JSON, so that a call can be copied.
const ARGUMENTS: &str = "arguments";

/// A JSON value whose members keep their order.
enum Node {
    Nothing,
    Flag(bool),
    Number(Number),
    Text(String),
    List(Vec<Self>),
    Members(Vec<(String, Self)>),
}

/// The text of a JSON document.
///
/// # Errors
/// If the document is no JSON.
pub(super) fn text(json: &str) -> Result<String, serde_json::Error> {
    let mut out = String::with_capacity(json.len());
    match serde_json::from_str(json)? {
        Node::Members(members) => write_members(&mut out, &members, 0),
        other => out.push_str(&scalar("", &other).unwrap_or_default()),
    }
    Ok(out.trim_end().to_owned())
}

fn write_members(out: &mut String, members: &[(String, Node)], depth: usize) {
    for (name, value) in members {
        write_member(out, name, value, depth);
    }
}

fn write_member(out: &mut String, name: &str, value: &Node, depth: usize) {
    let indent = "  ".repeat(depth);
    let label = name.strip_prefix(UNTRUSTED).unwrap_or(name);
    if let Some(text) = scalar(name, value) {
        // Writing to a string never fails.
        let _ = writeln!(out, "{indent}{label}: {text}");
        return;
    }
    match value {
        Node::Members(members) => {
            let _ = writeln!(out, "{indent}{label}:");
            write_members(out, members, depth + 1);
        }
        Node::List(items) => {
            let _ = writeln!(out, "{indent}{label}:");
            for item in items {
                write_item(out, item, depth);
            }
        }
        Node::Nothing | Node::Flag(_) | Node::Number(_) | Node::Text(_) => {}
    }
}

/// One item of a list: what fits in a line, then the others.
fn write_item(out: &mut String, item: &Node, depth: usize) {
    let Node::Members(members) = item else {
        let _ = writeln!(
            out,
            "{}- {}",
            "  ".repeat(depth),
            scalar("", item).unwrap_or_default()
        );
        return;
    };
    let mut line = Vec::new();
    let mut below = Vec::new();
    for (name, value) in members {
        match scalar(name, value) {
            Some(text) if !text.contains('\n') => {
                let label = name.strip_prefix(UNTRUSTED).unwrap_or(name);
                line.push(format!("{label}: {text}"));
            }
            _ => below.push((name, value)),
        }
    }
    let _ = writeln!(out, "{}- {}", "  ".repeat(depth), line.join("; "));
    for (name, value) in below {
        write_member(out, name, value, depth + 1);
    }
}

/// A value without lines of its own. `None` for members and for lists of them.
fn scalar(name: &str, value: &Node) -> Option<String> {
    match value {
        Node::Nothing => None,
        Node::Flag(flag) => Some(flag.to_string()),
        Node::Number(number) => Some(number.to_string()),
        Node::Text(text) if name.starts_with(UNTRUSTED) => {
            Some(format!("{OPENING}{text}{CLOSING}"))
        }
        Node::Text(text) => Some(text.clone()),
        Node::List(items) => {
            let items: Option<Vec<String>> = items.iter().map(|item| scalar(name, item)).collect();
            items.map(|items| items.join(", "))
        }
        Node::Members(_) if name == ARGUMENTS => Some(json(value)),
        Node::Members(_) => None,
    }
}

fn json(value: &Node) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    match value {
        Node::Nothing => "null".to_owned(),
        Node::Flag(flag) => flag.to_string(),
        Node::Number(number) => number.to_string(),
        Node::Text(text) => quoted(text),
        Node::List(items) => {
            let items: Vec<String> = items.iter().map(json).collect();
            format!("[{}]", items.join(","))
        }
        Node::Members(members) => {
            let members = members.iter();
            let members: Vec<String> = members
                .map(|(name, value)| format!("{}:{}", quoted(name), json(value)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Nothing)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Node, E> {
        Ok(Node::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node, E> {
        Ok(Node::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node, E> {
        Ok(Node::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Node, E> {
        Ok(Number::from_f64(number).map_or(Node::Nothing, Node::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(member) = members.next_entry()? {
            list.push(member);
        }
        Ok(Node::Members(list))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_reads_in_the_order_of_its_members() {
        let answer = r#"{"total": 2, "untrusted_name": "Jane", "untrusted_emails": ["a@x", "b@x"], "none": null,
            "parts": [{"part": 1, "internal": false, "untrusted_body": "one\ntwo", "author": {"kind": "user"}},
                      {"part": 2, "tags": ["vip", "new"]}],
            "next": {"tool": "t", "arguments": {"cursor": "a\"b", "n": [1, true, null]}},
            "spend": 1.5}"#;
        insta::assert_snapshot!(text(answer).unwrap(), @r#"
        total: 2
        name: ⟦Jane⟧
        emails: ⟦a@x⟧, ⟦b@x⟧
        parts:
        - part: 1; internal: false
          body: ⟦one
        two⟧
          author:
            kind: user
        - part: 2; tags: vip, new
        next:
          tool: t
          arguments: {"cursor":"a\"b","n":[1,true,null]}
        spend: 1.5
        "#);
    }
}
