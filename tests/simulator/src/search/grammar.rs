//! The request of a search, read strictly: what Intercom would refuse is refused here.

use chrono_tz::Tz;
use serde_json::{Value, json};

use super::day;
use super::fields::{self, Field, Type};
use super::filter::{Node, Operator};
use crate::errors::ApiError;

/// What one kind of object allows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) fields: &'static [Field],
    pub(crate) dates: Dates,
    pub(crate) per_page: u64,
    /// An unknown sort order is refused, not ignored (from 2.16 on).
    pub(crate) strict_order: bool,
}

/// How moments are compared.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Dates {
    /// Compares calendar days of the workspace, by `=`, `<` and `>` only.
    Days(Tz),
    /// To the second.
    Seconds {
        /// `<` and `>` include the bound.
        inclusive: bool,
        /// `IN` and `NIN` work too.
        lists: bool,
        /// Values that look like milliseconds match nothing.
        no_millis: bool,
    },
}

/// A search that was understood.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) node: Node,
    /// Place and whether descending.
    pub(crate) sort: Option<(String, bool)>,
    pub(crate) per_page: u64,
    pub(crate) starting_after: Option<String>,
    /// Names the query among others.
    pub(crate) key: String,
}

const MAX_DEPTH: usize = 2;
const MAX_FILTERS: usize = 15;
const MAX_PER_PAGE: u64 = 150;
/// The year 5138 in seconds, 1973 in milliseconds.
const MILLIS_FROM: i64 = 100_000_000_000;

/// Reads a request body.
///
/// # Errors
/// 400 with the code that fits.
pub(crate) fn parse(body: &[u8], rules: &Rules) -> Result<Request, ApiError> {
    let request: Value = serde_json::from_slice(body)
        .map_err(|_| ApiError::new(400, "bad_request", "The request body is not valid JSON"))?;
    let query = request
        .get("query")
        .filter(|query| query.is_object())
        .ok_or_else(|| ApiError::new(400, "parameter_not_found", "query is missing"))?;
    let page = request.get("pagination").unwrap_or(&Value::Null);
    Ok(Request {
        node: node(query, rules, 1)?,
        sort: sort(request.get("sort"), rules)?,
        per_page: per_page(&page["per_page"], rules.per_page)?,
        starting_after: match &page["starting_after"] {
            Value::Null => None,
            Value::String(cursor) => Some(cursor.clone()),
            _ => return Err(ApiError::parameter("starting_after must be a string")),
        },
        key: format!("{query}{:?}", rules.dates),
    })
}

fn per_page(value: &Value, default: u64) -> Result<u64, ApiError> {
    if value.is_null() {
        return Ok(default);
    }
    match value.as_u64() {
        Some(number) if number > 0 => Ok(number.min(MAX_PER_PAGE)),
        _ => Err(ApiError::parameter("per_page must be a positive integer")),
    }
}

fn sort(sort: Option<&Value>, rules: &Rules) -> Result<Option<(String, bool)>, ApiError> {
    let Some(sort) = sort.filter(|sort| !sort.is_null()) else {
        return Ok(None);
    };
    let Some(field) = sort["field"].as_str() else {
        return Err(ApiError::parameter("sort.field must be a string"));
    };
    let known = fields::find(rules.fields, field)
        .filter(|(kind, _)| matches!(kind, Type::Date | Type::Integer) || field == "id");
    let Some((_, place)) = known else {
        return Err(invalid_field(field));
    };
    let descending = match &sort["order"] {
        Value::Null => true,
        order => match order.as_str() {
            Some("ascending") => false,
            Some("descending") => true,
            _ if !rules.strict_order => true,
            _ => {
                let order = order.as_str().map_or_else(|| order.to_string(), Into::into);
                return Err(ApiError::new(
                    400,
                    "invalid_sort_order",
                    format!("Invalid sort order '{order}'. Must be one of: ascending, descending"),
                ));
            }
        },
    };
    Ok(Some((place, descending)))
}

fn node(query: &Value, rules: &Rules, depth: usize) -> Result<Node, ApiError> {
    let operator = query["operator"].as_str().unwrap_or_default();
    if !matches!(operator, "AND" | "OR") {
        return filter(query, rules);
    }
    if depth > MAX_DEPTH {
        return Err(ApiError::parameter(
            "the query is nested too deeply: at most 2 levels",
        ));
    }
    let Some(children) = query["value"].as_array().filter(|list| !list.is_empty()) else {
        return Err(ApiError::parameter("a group needs a list of filters"));
    };
    if children.len() > MAX_FILTERS {
        return Err(ApiError::parameter("a group has at most 15 filters"));
    }
    let nodes = children
        .iter()
        .map(|child| node(child, rules, depth + 1))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(if operator == "AND" {
        Node::All(nodes)
    } else {
        Node::Any(nodes)
    })
}

fn filter(filter: &Value, rules: &Rules) -> Result<Node, ApiError> {
    let Some(name) = filter["field"].as_str() else {
        return Err(ApiError::new(
            400,
            "parameter_not_found",
            "field is missing",
        ));
    };
    let (kind, place) = fields::find(rules.fields, name).ok_or_else(|| invalid_field(name))?;
    let operator = filter["operator"]
        .as_str()
        .and_then(Operator::parse)
        .ok_or_else(|| ApiError::parameter("operator is missing or unknown"))?;
    let Some(value) = filter.get("value") else {
        return Err(ApiError::new(
            400,
            "parameter_not_found",
            "value is missing",
        ));
    };
    let many = matches!(operator, Operator::In | Operator::NotIn);
    if !allowed(kind, operator, rules.dates) {
        return Err(ApiError::parameter(format!(
            "operator {} is not supported for {name}",
            filter["operator"]
        )));
    }
    let values = match (many, value) {
        (true, Value::Array(list)) if !list.is_empty() => list.clone(),
        (true, _) => return Err(mismatch(name, "a list")),
        (false, Value::Array(_) | Value::Object(_)) => return Err(mismatch(name, "one value")),
        (false, value) => vec![value.clone()],
    };
    let values = values
        .into_iter()
        .map(|value| typed(name, kind, value))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(if kind == Type::Date {
        dates(&place, operator, &values, rules.dates)
    } else {
        Node::Test {
            place,
            operator,
            values,
        }
    })
}

fn allowed(kind: Type, operator: Operator, dates: Dates) -> bool {
    let order = matches!(
        operator,
        Operator::Less | Operator::More | Operator::AtMost | Operator::AtLeast
    );
    let text = matches!(
        operator,
        Operator::Contains | Operator::ContainsNot | Operator::StartsWith | Operator::EndsWith
    );
    match kind {
        Type::Any => true,
        Type::Text => !order,
        Type::Integer => !text,
        Type::Boolean => !order && !text,
        Type::Tag => matches!(operator, Operator::Is | Operator::IsNot),
        Type::Date => match dates {
            Dates::Days(_) => {
                matches!(operator, Operator::Is | Operator::Less | Operator::More)
            }
            Dates::Seconds { lists, .. } => {
                !text && (lists || !matches!(operator, Operator::In | Operator::NotIn))
            }
        },
    }
}

/// Checks a value against its field's type. Numbers may come as text.
fn typed(name: &str, kind: Type, value: Value) -> Result<Value, ApiError> {
    let number = || {
        value
            .as_i64()
            .or_else(|| value.as_str().and_then(|text| text.parse().ok()))
    };
    match kind {
        _ if value.is_null() && kind != Type::Date => Ok(value),
        Type::Date | Type::Integer => number()
            .map(Value::from)
            .ok_or_else(|| mismatch(name, "an integer")),
        Type::Boolean => match (&value, value.as_str()) {
            (Value::Bool(_), _) => Ok(value),
            (_, Some("true")) => Ok(json!(true)),
            (_, Some("false")) => Ok(json!(false)),
            _ => Err(mismatch(name, "a boolean")),
        },
        Type::Text | Type::Tag if !value.is_string() => Err(mismatch(name, "a string")),
        Type::Text | Type::Tag | Type::Any => Ok(value),
    }
}

fn dates(place: &str, operator: Operator, values: &[Value], rule: Dates) -> Node {
    let moments: Vec<i64> = values.iter().filter_map(Value::as_i64).collect();
    let within = |from: i64, until: i64, inside: bool| Node::Dates {
        place: place.to_owned(),
        from,
        until,
        inside,
    };
    let one = |at: i64| match rule {
        Dates::Days(tz) => match (day::bounds(tz, at), operator) {
            (Some((_, next)), Operator::More) => within(next, i64::MAX, true),
            (Some((start, _)), Operator::Less) => within(i64::MIN, start, true),
            (Some((start, next)), _) => within(start, next, true),
            (None, _) => Node::Never,
        },
        Dates::Seconds { no_millis, .. } if no_millis && at >= MILLIS_FROM => Node::Never,
        Dates::Seconds { inclusive, .. } => {
            let (before, after) = if inclusive {
                (at + 1, at)
            } else {
                (at, at + 1)
            };
            match operator {
                Operator::More => within(after, i64::MAX, true),
                Operator::Less => within(i64::MIN, before, true),
                Operator::AtLeast => within(at, i64::MAX, true),
                Operator::AtMost => within(i64::MIN, at + 1, true),
                Operator::IsNot | Operator::NotIn => within(at, at + 1, false),
                _ => within(at, at + 1, true),
            }
        }
    };
    let mut nodes: Vec<Node> = moments.into_iter().map(one).collect();
    match (nodes.len(), operator) {
        (1, _) => nodes.pop().unwrap_or(Node::Never),
        (_, Operator::NotIn) => Node::All(nodes),
        _ => Node::Any(nodes),
    }
}

fn invalid_field(name: &str) -> ApiError {
    ApiError::new(
        400,
        "invalid_field",
        format!("{name} is not a field that can be searched"),
    )
}

fn mismatch(name: &str, wanted: &str) -> ApiError {
    ApiError::new(400, "type_mismatch", format!("{name} must be {wanted}"))
}
