//! Which source is believed before which, per tenant, object and field.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::source::Source;

/// Fields of a contact whose order of sources may differ from the default. The others are unions, newest times or
/// restrictions, for which no order is needed.
const CONTACT_FIELDS: &[&str] = &[
    "attributes",
    "browser",
    "companies",
    "email",
    "location",
    "name",
    "owner",
    "phone",
    "role",
    "signed_up_at",
];

/// The same of a company.
const COMPANY_FIELDS: &[&str] = &[
    "attributes",
    "domain",
    "industry",
    "monthly_spend",
    "name",
    "plan",
    "session_count",
    "size",
    "user_count",
    "website",
];

/// The precedence of sources, as `GET` and `PUT /v1/merge_rules` have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RulesText")]
pub struct MergeRules {
    pub contacts: ObjectRules,
    pub companies: ObjectRules,
}

/// The rules of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ObjectRules {
    default: SourceOrder,
    /// By field, those that differ from the default.
    fields: BTreeMap<String, SourceOrder>,
}

/// All sources, the one that is believed first in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct SourceOrder([Source; 4]);

/// Why rules cannot be taken. Nothing is changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeRulesError {
    #[error(
        "{place} names the unknown source {source_name:?}: use crm, email, analytics or intercom"
    )]
    UnknownSource { place: String, source_name: String },
    #[error("{place} names the source {source_name:?} twice: name each source once")]
    Repeated { place: String, source_name: String },
    #[error("{place} is no field with an order of its own: use one of {}", known.join(", "))]
    UnknownField {
        place: String,
        known: &'static [&'static str],
    },
}

impl Default for SourceOrder {
    fn default() -> Self {
        Self(Source::ALL)
    }
}

impl SourceOrder {
    /// How many sources are believed before this one.
    #[must_use]
    pub fn rank(&self, source: Source) -> usize {
        // Every source is in the order.
        self.0.iter().take_while(|other| **other != source).count()
    }

    /// The named sources in front, and those that are not named behind them in the default order.
    fn read(place: &str, names: Vec<String>) -> Result<Self, MergeRulesError> {
        let mut order: Vec<Source> = Vec::with_capacity(Source::ALL.len());
        for name in names {
            let place = place.to_owned();
            match Source::named(&name) {
                None => {
                    return Err(MergeRulesError::UnknownSource {
                        place,
                        source_name: name,
                    });
                }
                Some(source) if order.contains(&source) => {
                    return Err(MergeRulesError::Repeated {
                        place,
                        source_name: name,
                    });
                }
                Some(source) => order.push(source),
            }
        }
        let mut complete = Self::default();
        let unnamed = Source::ALL
            .into_iter()
            .filter(|source| !order.contains(source));
        let all = order.iter().copied().chain(unnamed);
        complete
            .0
            .iter_mut()
            .zip(all)
            .for_each(|(place, source)| *place = source);
        Ok(complete)
    }
}

impl ObjectRules {
    /// The order of a field.
    #[must_use]
    pub fn order(&self, field: &str) -> &SourceOrder {
        self.fields.get(field).unwrap_or(&self.default)
    }

    fn read(
        object: &str,
        known: &'static [&'static str],
        text: ObjectText,
    ) -> Result<Self, MergeRulesError> {
        let mut fields = BTreeMap::new();
        for (field, names) in text.fields {
            let place = format!("{object}.fields.{field}");
            if !known.contains(&field.as_str()) {
                return Err(MergeRulesError::UnknownField { place, known });
            }
            fields.insert(field, SourceOrder::read(&place, names)?);
        }
        Ok(Self {
            default: SourceOrder::read(&format!("{object}.default"), text.default)?,
            fields,
        })
    }
}

/// The rules as they are written, before their names are looked up.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesText {
    #[serde(default)]
    contacts: ObjectText,
    #[serde(default)]
    companies: ObjectText,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ObjectText {
    #[serde(default)]
    default: Vec<String>,
    #[serde(default)]
    fields: BTreeMap<String, Vec<String>>,
}

impl TryFrom<RulesText> for MergeRules {
    type Error = MergeRulesError;

    fn try_from(text: RulesText) -> Result<Self, MergeRulesError> {
        Ok(Self {
            contacts: ObjectRules::read("contacts", CONTACT_FIELDS, text.contacts)?,
            companies: ObjectRules::read("companies", COMPANY_FIELDS, text.companies)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<MergeRules, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn sources_that_are_left_out_come_last() {
        let rules =
            read(r#"{"contacts":{"default":["intercom"],"fields":{"name":["email","crm"]}}}"#)
                .unwrap();
        let order = |field| Source::ALL.map(|source| rules.contacts.order(field).rank(source));
        // The ranks of crm, email, analytics and intercom.
        assert_eq!(order("email"), [1, 2, 3, 0]);
        assert_eq!(order("name"), [1, 0, 2, 3]);
        assert_eq!(rules.companies, ObjectRules::default());
        let text = serde_json::to_string(&rules).unwrap();
        assert_eq!(
            text,
            concat!(
                r#"{"contacts":{"default":["intercom","crm","email","analytics"],"#,
                r#""fields":{"name":["email","crm","analytics","intercom"]}},"#,
                r#""companies":{"default":["crm","email","analytics","intercom"],"fields":{}}}"#
            )
        );
        assert_eq!(read(&text), Ok(rules));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_its_name() {
        for (json, expected) in [
            (
                r#"{"contacts":{"default":["crm","salesforce"]}}"#,
                "contacts.default names the unknown source \"salesforce\": use crm, email, analytics or intercom",
            ),
            (
                r#"{"companies":{"fields":{"plan":["crm","crm"]}}}"#,
                "companies.fields.plan names the source \"crm\" twice: name each source once",
            ),
            (
                r#"{"contacts":{"fields":{"tags":["crm"]}}}"#,
                "contacts.fields.tags is no field with an order of its own: use one of attributes, browser, companies, \
                 email, location, name, owner, phone, role, signed_up_at",
            ),
            (r#"{"contact":{}}"#, "unknown field `contact`"),
            (
                r#"{"contacts":{"defaults":[]}}"#,
                "unknown field `defaults`",
            ),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
