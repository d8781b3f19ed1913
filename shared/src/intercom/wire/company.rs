//! Companies (`Company` of the API reference). Fields are left out, not null, when unset.

use serde::Deserialize;
use serde_json::Number;

use super::{
    document::Document,
    extra_list::ExtraList,
    lenient::Lenient,
    object::Object,
    poison::{read_extras, read_object},
    scalar::{Seconds, Text, Whole},
};
use crate::domain::{
    profile::website_host,
    records::{Company, CompanyFields, Poison},
};

#[derive(Deserialize)]
struct WireCompany {
    id: Text,
    /// The customer's own id, not Intercom's.
    #[serde(default)]
    company_id: Text,
    #[serde(default)]
    name: Text,
    #[serde(default)]
    website: Text,
    #[serde(default)]
    plan: Option<Object<Plan>>,
    #[serde(default)]
    size: Whole,
    #[serde(default)]
    industry: Text,
    #[serde(default)]
    user_count: Whole,
    #[serde(default)]
    session_count: Whole,
    #[serde(default)]
    custom_attributes: Option<Document>,
    updated_at: Seconds,
    #[serde(default)]
    created_at: Lenient<Seconds>,
}

/// What a company can do without. Each of these is empty if it cannot be read.
#[derive(Default, Deserialize)]
#[serde(default)]
struct CompanyExtras {
    last_request_at: Lenient<Seconds>,
    monthly_spend: Lenient<Option<Number>>,
    tags: Lenient<ExtraList>,
    segments: Lenient<ExtraList>,
}

/// `{}` if the company has none.
#[derive(Deserialize)]
struct Plan {
    #[serde(default)]
    name: Text,
}

/// Reads one company, from a page of a scroll or from a response of its own. Fields that only profiles show are checked
/// and not kept.
pub fn read_company(raw: &str) -> Result<Company, Poison> {
    read_object("company", raw, |wire: WireCompany, sanitised| {
        Ok(Company {
            source_id: wire.id.key()?.ok_or("the company has no id")?,
            external_id: wire.company_id.some(),
            domains: wire
                .website
                .some()
                .as_deref()
                .and_then(website_host)
                .into_iter()
                .collect(),
            updated_at: wire.updated_at.0.ok_or("the company has no updated_at")?,
            created_at: wire.created_at.0.0,
            sanitised,
            raw: raw.to_owned(),
        })
    })
}

/// Reads what a profile shows of a company.
pub fn read_company_fields(raw: &str) -> Result<CompanyFields, Poison> {
    read_object("company", raw, |wire: WireCompany, _| {
        let extras: CompanyExtras = read_extras(raw);
        let website = wire.website.some();
        Ok(CompanyFields {
            name: wire.name.some(),
            domain: website.as_deref().and_then(website_host),
            plan: wire.plan.and_then(|Object(plan)| plan.name.some()),
            size: wire.size.0,
            industry: wire.industry.some(),
            user_count: wire.user_count.0,
            session_count: wire.session_count.0,
            attributes: wire.custom_attributes.unwrap_or_default().0,
            website,
            last_request_at: extras.last_request_at.0.0,
            monthly_spend: extras.monthly_spend.0,
            tags: extras.tags.0.ids(),
            segments: extras.segments.0.ids(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(raw: &str) -> CompanyFields {
        read_company_fields(raw).unwrap_or_else(|poison| panic!("{poison:?}"))
    }

    fn created_at(raw: &str) -> Option<i64> {
        let company = read_company(raw).unwrap_or_else(|poison| panic!("{poison:?}"));
        company.created_at.map(|time| time.timestamp())
    }

    #[test]
    fn a_bare_company_is_read() {
        let fields = shown(r#"{"id":"c1","updated_at":5,"plan":{}}"#);
        assert_eq!(fields, CompanyFields::default());
    }

    #[test]
    fn a_company_shows_its_website_spend_tags_and_segments() {
        let raw = r#"{"id":"c1","updated_at":5,"created_at":3,"last_request_at":4,"website":"https://www.Acme.com/x",
            "monthly_spend":12.5,"tags":{"type":"tag.list","tags":[{"type":"tag","id":"1","name":"vip"}]},
            "segments":{"type":"segment.list","segments":[{"id":"s1"},{"id":"s2"}]}}"#;
        let fields = shown(raw);
        assert_eq!(fields.website.as_deref(), Some("https://www.Acme.com/x"));
        assert_eq!(fields.domain.as_deref(), Some("acme.com"));
        assert_eq!(fields.monthly_spend.unwrap().to_string(), "12.5");
        assert_eq!(
            (fields.tags, fields.segments),
            (vec!["1".to_owned()], vec!["s1".to_owned(), "s2".to_owned()])
        );
        assert_eq!(fields.last_request_at.unwrap().timestamp(), 4);
        assert_eq!(created_at(raw), Some(3));
    }

    #[test]
    fn what_cannot_be_read_beside_the_fields_is_empty_and_no_poison() {
        for extra in [
            r#""created_at":"x","last_request_at":[],"monthly_spend":"much""#,
            r#""tags":{"tags":7},"segments":[]"#,
            r#""monthly_spend":1,"monthly_spend":2"#,
        ] {
            let raw = format!(r#"{{"id":"c1","updated_at":5,{extra}}}"#);
            assert_eq!(shown(&raw), CompanyFields::default(), "{extra}");
            assert_eq!(created_at(&raw), None, "{extra}");
        }
    }
}
