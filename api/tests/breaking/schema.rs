//! Two schemas, as a request must fit them or as an answer does.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Comparison, list, members};

/// Deeper ones refer to themselves.
const DEEPEST: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// What was accepted must be accepted.
    Request,
    /// What was given must be given.
    Answer,
}

pub(crate) fn compare<'a>(
    comparison: &mut Comparison<'a>,
    place: &str,
    direction: Direction,
    old: &'a Value,
    new: &'a Value,
) {
    if place.matches('.').count() > DEEPEST {
        return;
    }
    let (old, new) = (
        Shape::of(old, comparison.old),
        Shape::of(new, comparison.new),
    );
    types(comparison, place, direction, &old, &new);
    words(comparison, place, direction, old.schema, new.schema);
    bounds(comparison, place, direction, old.schema, new.schema);
    properties(comparison, place, direction, old.schema, new.schema);
    let (items, kept) = (&old.schema["items"], &new.schema["items"]);
    if items.is_object() && kept.is_object() {
        compare(comparison, &format!("{place}.[]"), direction, items, kept);
    }
    let (values, kept) = (
        &old.schema["additionalProperties"],
        &new.schema["additionalProperties"],
    );
    if values.is_object() && kept.is_object() {
        compare(comparison, &format!("{place}.*"), direction, values, kept);
    }
}

/// A schema without references, and the types that it allows.
struct Shape<'a> {
    schema: &'a Value,
    /// Empty if any is allowed.
    types: BTreeSet<&'a str>,
    format: Option<&'a str>,
}

impl<'a> Shape<'a> {
    /// A choice between null and one schema is that schema, with null among its types.
    fn of(schema: &'a Value, document: &'a Value) -> Self {
        let schema = resolved(schema, document);
        let choices = ["oneOf", "anyOf"]
            .iter()
            .find_map(|word| schema[*word].as_array());
        let is_null = |choice: &&Value| choice["type"] == "null";
        let inner = choices.and_then(|choices| choices.iter().find(|choice| !is_null(choice)));
        let nullable = choices.is_some_and(|choices| choices.iter().any(|choice| is_null(&choice)));
        let schema = inner.map_or(schema, |inner| resolved(inner, document));
        let mut types: BTreeSet<&str> = match &schema["type"] {
            Value::String(kind) => [kind.as_str()].into(),
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => BTreeSet::new(),
        };
        if nullable {
            types.insert("null");
        }
        Self {
            schema,
            types,
            format: schema["format"].as_str(),
        }
    }
}

fn resolved<'a>(schema: &'a Value, document: &'a Value) -> &'a Value {
    let name = schema["$ref"]
        .as_str()
        .and_then(|path| path.rsplit('/').next());
    name.map_or(schema, |name| &document["components"]["schemas"][name])
}

fn types(
    comparison: &mut Comparison<'_>,
    place: &str,
    direction: Direction,
    old: &Shape<'_>,
    new: &Shape<'_>,
) {
    let shown = |types: &BTreeSet<&str>| {
        if types.is_empty() {
            return "anything".to_owned();
        }
        types.iter().copied().collect::<Vec<_>>().join(" or ")
    };
    // Every integer is a number.
    let covers = |wide: &BTreeSet<&str>, narrow: &BTreeSet<&str>| {
        wide.is_empty()
            || !narrow.is_empty()
                && narrow.iter().all(|kind| {
                    wide.contains(kind) || *kind == "integer" && wide.contains("number")
                })
    };
    let fits = match direction {
        Direction::Request => covers(&new.types, &old.types),
        Direction::Answer => covers(&old.types, &new.types),
    };
    if !fits {
        let what = format!("{} became {}", shown(&old.types), shown(&new.types));
        comparison.note(place, &what);
    }
    let (narrow, wide) = match direction {
        Direction::Request => (new.format, old.format),
        Direction::Answer => (old.format, new.format),
    };
    // A format is a promise of answers and a demand on requests. `int32` and the like only say how many bits there are.
    if let Some(narrow) = narrow.filter(|format| !format.starts_with("int"))
        && Some(narrow) != wide
    {
        let (old, new) = (old.format.unwrap_or("none"), new.format.unwrap_or("none"));
        comparison.note(place, &format!("the format {old} became {new}"));
    }
}

fn words(
    comparison: &mut Comparison<'_>,
    place: &str,
    direction: Direction,
    old: &Value,
    new: &Value,
) {
    // An answer may have new words, as it may have new members.
    if direction == Direction::Answer || new["enum"].is_null() {
        return;
    }
    if old["enum"].is_null() {
        comparison.note(place, "only some words are accepted now");
        return;
    }
    for word in list(&old["enum"]) {
        if !list(&new["enum"]).contains(word) {
            comparison.note(place, &format!("{word} is no longer accepted"));
        }
    }
}

/// Limits of requests. Those of answers are no promise that a program relies on.
fn bounds(
    comparison: &mut Comparison<'_>,
    place: &str,
    direction: Direction,
    old: &Value,
    new: &Value,
) {
    if direction == Direction::Answer {
        return;
    }
    for (limit, is_upper) in [
        ("maximum", true),
        ("maxLength", true),
        ("maxItems", true),
        ("minimum", false),
        ("minLength", false),
        ("minItems", false),
    ] {
        let Some(now) = new[limit].as_f64() else {
            continue;
        };
        let narrower = match old[limit].as_f64() {
            None => true,
            Some(before) => {
                if is_upper {
                    now < before
                } else {
                    now > before
                }
            }
        };
        if narrower {
            comparison.note(place, &format!("{limit} is {now} now"));
        }
    }
    let is_wider = match (old["pattern"].as_str(), new["pattern"].as_str()) {
        (_, None) => true,
        (Some(old), Some(new)) => old == new || adds_an_alternative(old, new),
        (None, Some(_)) => false,
    };
    if !is_wider {
        comparison.note(place, &format!("it must match {} now", new["pattern"]));
    }
}

/// Whether a pattern is an older one in which a word has become a group of words with that one among them, so that it
/// matches all that the older one does.
fn adds_an_alternative(old: &str, new: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'|' | b'_' | b'-');
    new.match_indices('(').any(|(open, _)| {
        let (before, group) = (&new[..open], &new[open + 1..]);
        let Some((group, after)) = group.split_once(')') else {
            return false;
        };
        // Behind a word it would count for its last letter alone.
        let is_repeated = after.starts_with(['*', '+', '?', '{']);
        !is_repeated
            && group.bytes().all(is_plain)
            && group
                .split('|')
                .any(|word| format!("{before}{word}{after}") == old)
    })
}

fn properties<'a>(
    comparison: &mut Comparison<'a>,
    place: &str,
    direction: Direction,
    old: &'a Value,
    new: &'a Value,
) {
    let is_required = |schema: &Value, name: &str| {
        list(&schema["required"])
            .iter()
            .any(|required| required == name)
    };
    for (name, schema) in members(&old["properties"]) {
        let place = format!("{place}.{name}");
        let kept = &new["properties"][name];
        if kept.is_null() {
            comparison.note(&place, "the field is gone");
            continue;
        }
        match (is_required(old, name), is_required(new, name)) {
            (false, true) if direction == Direction::Request => {
                comparison.note(&place, "the field is now required");
            }
            (true, false) if direction == Direction::Answer => {
                comparison.note(&place, "the field may now be absent");
            }
            _ => {}
        }
        compare(comparison, &place, direction, schema, kept);
    }
    for (name, _) in members(&new["properties"]) {
        let is_new = old["properties"][name].is_null();
        if direction == Direction::Request && is_new && is_required(new, name) {
            comparison.note(&format!("{place}.{name}"), "the new field is required");
        }
    }
    let is_closed = |schema: &Value| schema["additionalProperties"] == false;
    if direction == Direction::Request && is_closed(new) && !is_closed(old) {
        comparison.note(place, "unknown fields are no longer accepted");
    }
}
