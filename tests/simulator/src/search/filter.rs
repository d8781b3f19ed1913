//! Compiled filters, and whether an object passes them.

use std::cell::OnceCell;

use serde_json::Value;

use crate::store::Head;

/// A compiled query.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    /// A time inside (or outside) `from..until`. A missing time is outside.
    Dates {
        place: String,
        from: i64,
        until: i64,
        inside: bool,
    },
    Test {
        place: String,
        operator: Operator,
        values: Vec<Value>,
    },
    Never,
}

/// How values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Is,
    IsNot,
    In,
    NotIn,
    Less,
    More,
    AtMost,
    AtLeast,
    Contains,
    ContainsNot,
    StartsWith,
    EndsWith,
}

impl Operator {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "=" => Self::Is,
            "!=" => Self::IsNot,
            "IN" => Self::In,
            "NIN" => Self::NotIn,
            "<" => Self::Less,
            ">" => Self::More,
            "<=" => Self::AtMost,
            ">=" => Self::AtLeast,
            "~" => Self::Contains,
            "!~" => Self::ContainsNot,
            "^" => Self::StartsWith,
            "$" => Self::EndsWith,
            _ => return None,
        })
    }
}

/// An object under test. Its JSON is parsed only for fields that the store does not know.
pub(crate) struct Subject<'s> {
    pub(crate) head: &'s Head,
    /// Values that are not (all) in the object's JSON.
    pub(crate) lists: &'s dyn Fn(&str) -> Option<Vec<String>>,
    parsed: OnceCell<Value>,
}

impl<'s> Subject<'s> {
    pub(crate) fn new(head: &'s Head, lists: &'s dyn Fn(&str) -> Option<Vec<String>>) -> Self {
        Self {
            head,
            lists,
            parsed: OnceCell::new(),
        }
    }

    /// A moment or number of the object.
    pub(crate) fn number(&self, place: &str) -> Option<i64> {
        match place {
            "updated_at" => Some(self.head.updated_at),
            "created_at" => Some(self.head.created_at),
            _ => self.values(place).first().and_then(Value::as_i64),
        }
    }

    /// All values under a path. A list on the path gives several.
    fn values(&self, place: &str) -> Vec<Value> {
        if place == "id" {
            return vec![Value::from(&*self.head.id.0)];
        }
        if let Some(list) = (self.lists)(place) {
            return list.into_iter().map(Value::from).collect();
        }
        let object = self
            .parsed
            .get_or_init(|| serde_json::from_slice(&self.head.body).unwrap_or(Value::Null));
        let mut found = Vec::new();
        match place.strip_prefix("custom_attributes.") {
            Some(name) => found.extend(object["custom_attributes"].get(name).cloned()),
            None => walk(object, place, &mut found),
        }
        found.retain(|value| !value.is_null());
        found
    }
}

fn walk(value: &Value, place: &str, found: &mut Vec<Value>) {
    if let Value::Array(items) = value {
        for item in items {
            walk(item, place, found);
        }
        return;
    }
    let (key, rest) = place.split_once('.').unwrap_or((place, ""));
    match value.get(key) {
        Some(value) if rest.is_empty() => found.push(value.clone()),
        Some(value) => walk(value, rest, found),
        None => {}
    }
}

impl Node {
    pub(crate) fn matches(&self, subject: &Subject<'_>) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.matches(subject)),
            Self::Any(nodes) => nodes.iter().any(|node| node.matches(subject)),
            Self::Never => false,
            Self::Dates {
                place,
                from,
                until,
                inside,
            } => {
                let within = subject
                    .number(place)
                    .is_some_and(|at| (*from..*until).contains(&at));
                within == *inside
            }
            Self::Test {
                place,
                operator,
                values,
            } => test(&subject.values(place), *operator, values),
        }
    }

    /// The part of an index by `place` in which all matches lie.
    pub(crate) fn bounds(&self, place: &str) -> (i64, i64) {
        match self {
            Self::All(nodes) => nodes
                .iter()
                .map(|node| node.bounds(place))
                .fold((i64::MIN, i64::MAX), |(from, until), (low, high)| {
                    (from.max(low), until.min(high))
                }),
            Self::Dates {
                place: own,
                from,
                until,
                inside: true,
            } if own == place => (*from, *until),
            Self::Never => (0, 0),
            _ => (i64::MIN, i64::MAX),
        }
    }

    /// Whether [`Node::bounds`] says all there is to say.
    pub(crate) fn is_only_bounds(&self, place: &str) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.is_only_bounds(place)),
            Self::Dates {
                place: own,
                inside: true,
                ..
            } => own == place,
            Self::Never => true,
            _ => false,
        }
    }

    /// Whether a date is asked for anywhere.
    pub(crate) fn has_dates(&self) -> bool {
        match self {
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().any(Self::has_dates),
            Self::Dates { .. } => true,
            Self::Test { .. } | Self::Never => false,
        }
    }
}

fn test(found: &[Value], operator: Operator, wanted: &[Value]) -> bool {
    let equal = |want: &Value| {
        if want.is_null() {
            return found.is_empty();
        }
        found.iter().any(|value| text(value) == text(want))
    };
    let texts = |compare: &dyn Fn(&str, &str) -> bool| {
        wanted.iter().any(|want| {
            let want = text(want).to_lowercase();
            found
                .iter()
                .any(|value| compare(&text(value).to_lowercase(), &want))
        })
    };
    let numbers = |compare: &dyn Fn(f64, f64) -> bool| {
        wanted.iter().filter_map(number).any(|want| {
            found
                .iter()
                .filter_map(number)
                .any(|value| compare(value, want))
        })
    };
    match operator {
        Operator::Is | Operator::In => wanted.iter().any(equal),
        Operator::IsNot | Operator::NotIn => !wanted.iter().any(equal),
        Operator::Contains => texts(&|value, want| value.contains(want)),
        Operator::ContainsNot => !texts(&|value, want| value.contains(want)),
        Operator::StartsWith => texts(&|value, want| value.starts_with(want)),
        Operator::EndsWith => texts(&|value, want| value.ends_with(want)),
        Operator::Less => numbers(&|value, want| value < want),
        Operator::More => numbers(&|value, want| value > want),
        Operator::AtMost => numbers(&|value, want| value <= want),
        Operator::AtLeast => numbers(&|value, want| value >= want),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_f64(),
    }
}
