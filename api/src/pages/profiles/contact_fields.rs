//! The fields of a contact, in the order of the page.

use std::collections::BTreeMap;

use serde_json::{Value, value::RawValue};
use shared::{
    domain::{
        JsonText,
        profile::{Consent, ContactProfileFields},
        records::{Browser, Device, Platform},
    },
    profiles::{CompanyProfile, ContactProfile},
};

use super::{
    fields::{FieldRow, FieldValue, Origins},
    naming::company_name,
};
use crate::pages::text::time;

/// The rows of a contact. `companies` are those that are shown, in their order.
pub(super) fn rows(
    contact: &ContactProfile,
    companies: &[CompanyProfile],
    origins: &Origins<'_>,
) -> Vec<FieldRow> {
    let ContactProfileFields {
        email: _,
        name,
        role,
        phone: _,
        owner,
        location,
        last_seen_at,
        last_replied_at,
        last_contacted_at,
        signed_up_at,
        browser,
        devices,
        attributes: _,
        external_ids,
        emails,
        phones,
        tags,
        segments,
        consent,
        companies: _,
        provenance: _,
    } = &contact.fields;
    vec![
        origins.one("Name", "name", name.clone()),
        origins.list("Email", "emails", emails),
        origins.list("Phone", "phones", phones),
        origins.one("Role", "role", role.clone()),
        origins.one("Owner", "owner", owner.clone()),
        origins.list("External ids", "external_ids", external_ids),
        companies_row(contact, companies, origins),
        origins.one("Location", "location", location_text(location)),
        origins.one("Signed up", "signed_up_at", signed_up_at.map(time)),
        origins.one("Last seen", "last_seen_at", last_seen_at.map(time)),
        origins.one("Last replied", "last_replied_at", last_replied_at.map(time)),
        origins.one(
            "Last contacted",
            "last_contacted_at",
            last_contacted_at.map(time),
        ),
        origins.one("Browser", "browser", browser.as_ref().map(browser_text)),
        devices_row(devices, origins),
        origins.list("Tags", "tags", tags),
        origins.list("Segments", "segments", segments),
        consent_row(*consent, origins),
    ]
}

/// Companies with links to their pages. The records of a company tell which source names it.
fn companies_row(
    contact: &ContactProfile,
    companies: &[CompanyProfile],
    origins: &Origins<'_>,
) -> FieldRow {
    let value = |company: &CompanyProfile| {
        let mut records = company.sources.iter();
        let origin = records.find_map(|record| {
            origins.of(&format!(
                "companies.{}/{}",
                record.connection_id, record.source_id
            ))
        });
        FieldValue {
            href: Some(format!("/companies/{}", company.id)),
            origin,
            ..FieldValue::new(&company_name(&company.fields))
        }
    };
    FieldRow {
        left_out: contact.company_ids.len().saturating_sub(companies.len()),
        ..FieldRow::new("Companies", companies.iter().map(value).collect())
    }
}

/// City, region and country, and what else is said. `None` if nothing is.
fn location_text(location: &JsonText) -> Option<String> {
    let members: BTreeMap<String, &RawValue> =
        serde_json::from_str(location.get()).unwrap_or_default();
    let text = |name: &str| {
        let value: Option<Value> = members
            .get(name)
            .and_then(|value| serde_json::from_str(value.get()).ok());
        value.and_then(|value| value.as_str().map(str::to_owned))
    };
    const FIRST: [&str; 3] = ["city", "region", "country"];
    let mut pieces: Vec<String> = FIRST.into_iter().filter_map(text).collect();
    for name in members.keys() {
        let is_shown = FIRST.contains(&name.as_str()) || name == "type";
        if let Some(text) = text(name).filter(|text| !is_shown && !text.is_empty()) {
            pieces.push(format!("{}: {text}", name.replace('_', " ")));
        }
    }
    pieces.retain(|piece| !piece.trim().is_empty());
    (!pieces.is_empty()).then(|| pieces.join(", "))
}

fn browser_text(browser: &Browser) -> String {
    let Browser {
        name,
        version,
        language,
        os,
    } = browser;
    let language = language
        .as_ref()
        .map(|language| format!("language {language}"));
    joined([
        name.as_ref(),
        version.as_ref(),
        os.as_ref(),
        language.as_ref(),
    ])
}

fn devices_row(devices: &[Device], origins: &Origins<'_>) -> FieldRow {
    let value = |device: &Device| {
        let (platform, path) = match device.platform {
            Platform::Android => ("Android", "android"),
            Platform::Ios => ("iOS", "ios"),
        };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let path = format!(
            "devices.{path}/{}/{}",
            text(&device.app_name),
            text(&device.device)
        );
        let seen = device
            .last_seen_at
            .map(|at| format!("last seen at {}", time(at)));
        let platform = platform.to_owned();
        let details = joined([
            Some(&platform),
            device.os_version.as_ref(),
            device.device.as_ref(),
            device.app_name.as_ref(),
            device.app_version.as_ref(),
            seen.as_ref(),
        ]);
        FieldValue {
            origin: origins.of(&path),
            ..FieldValue::new(&details)
        }
    };
    FieldRow::new("Devices", devices.iter().map(value).collect())
}

fn joined<const N: usize>(pieces: [Option<&String>; N]) -> String {
    let pieces: Vec<&str> = pieces.into_iter().flatten().map(String::as_str).collect();
    pieces.join(", ")
}

/// Whether the contact may be written to, and each restriction that a source states or denies.
fn consent_row(consent: Consent, origins: &Origins<'_>) -> FieldRow {
    let Consent {
        unsubscribed,
        marked_as_spam,
        hard_bounced,
        unsubscribed_from_sms,
        may_email,
    } = consent;
    let flags = [
        ("Unsubscribed", "unsubscribed", unsubscribed),
        ("Marked as spam", "marked_as_spam", marked_as_spam),
        ("Mail bounced", "hard_bounced", hard_bounced),
        (
            "Unsubscribed from SMS",
            "unsubscribed_from_sms",
            unsubscribed_from_sms,
        ),
    ];
    let word = |holds: bool| if holds { "yes" } else { "no" };
    let mut values = vec![FieldValue {
        origin: origins.of("consent.may_email"),
        ..FieldValue::new(&format!("May be emailed: {}", word(may_email)))
    }];
    for (label, name, holds) in flags {
        let path = format!("consent.{name}");
        if holds || origins.has(&path) {
            values.push(FieldValue {
                origin: origins.of(&path),
                ..FieldValue::new(&format!("{label}: {}", word(holds)))
            });
        }
    }
    FieldRow::new("Consent", values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_begins_with_the_city() {
        let read = |json: &str| location_text(&serde_json::from_str(json).unwrap());
        let whole = r#"{"type": "location", "country": "Germany", "country_code": "DE", "city": "Berlin", "region": ""}"#;
        assert_eq!(
            read(whole).as_deref(),
            Some("Berlin, Germany, country code: DE")
        );
        for empty in ["{}", r#"{"type": "location", "city": null}"#, "[]"] {
            assert_eq!(read(empty), None, "{empty}");
        }
    }
}
