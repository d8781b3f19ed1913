//! Companies (`Company` of the API reference). Fields are left out, not null, when unset.

use serde::Deserialize;

use super::{
    document::Document,
    object::Object,
    poison::read_object,
    scalar::{Seconds, Text, Whole},
};
use crate::domain::records::{Company, CompanyFields, Poison};

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
}

/// `{}` if the company has none.
#[derive(Deserialize)]
struct Plan {
    #[serde(default)]
    name: Text,
}

/// Reads one company, from a page of a scroll or from a response of its own.
pub fn read_company(raw: &str) -> Result<Company, Poison> {
    read_object("company", raw, |wire: WireCompany, sanitised| {
        Ok(Company {
            source_id: wire.id.key()?.ok_or("the company has no id")?,
            external_id: wire.company_id.some(),
            updated_at: wire.updated_at.0.ok_or("the company has no updated_at")?,
            fields: CompanyFields {
                name: wire.name.some(),
                domain: wire.website.some().as_deref().and_then(domain),
                plan: wire.plan.and_then(|Object(plan)| plan.name.some()),
                size: wire.size.0,
                industry: wire.industry.some(),
                user_count: wire.user_count.0,
                session_count: wire.session_count.0,
                attributes: wire.custom_attributes.unwrap_or_default().0,
            },
            sanitised,
            raw: raw.to_owned(),
        })
    })
}

/// The host of a website as people type it: `https://www.acme.com/x` and `acme.com` are `acme.com`.
fn domain(website: &str) -> Option<String> {
    let rest = website.trim();
    let rest = rest.split_once("://").map_or(rest, |(_, rest)| rest);
    let host = rest
        .split(['/', '?', '#'])
        .next()?
        .rsplit('@')
        .next()?
        .split(':')
        .next()?;
    let host = host.to_lowercase();
    let host = host.strip_prefix("www.").unwrap_or(&host);
    (host.contains('.') && host.len() <= 253).then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_company_is_read() {
        let Ok(company) = read_company(r#"{"id":"c1","updated_at":5,"plan":{}}"#) else {
            panic!()
        };
        assert_eq!(company.fields, CompanyFields::default());
    }

    #[test]
    fn a_domain_is_found_in_what_people_type() {
        for (website, expected) in [
            ("https://www.Acme.com/about?x=1", Some("acme.com")),
            ("acme.co.uk", Some("acme.co.uk")),
            ("http://user@acme.com:8080", Some("acme.com")),
            ("n/a", None),
            ("", None),
        ] {
            assert_eq!(domain(website).as_deref(), expected, "{website}");
        }
    }
}
