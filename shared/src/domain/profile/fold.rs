//! Profiles from records. A profile is a pure function of the set of its records and of the rules, so a record that goes
//! takes with it exactly what it brought.
//!
//! Of each field, the first value that is not empty wins: by the order of sources, then the newest record, then by key.
//! No two records are equal in all of that, so the order in which they are given has no part in it.

mod documents;
mod ranked;

use self::ranked::Ranked;
use super::{
    identity_value::IdentityValue,
    merge_rules::MergeRules,
    profile_fields::{CompanyProfileFields, Consent, ContactProfileFields},
    profile_record::{CompanyRecord, ContactRecord},
    provenance::Provenance,
    source::RecordKey,
};
use crate::domain::records::{CompanyFields, ConsentFields, ContactFields, Device, Platform};

/// Folds the records of one contact, and names the origin of each value.
///
/// Records that their source has deleted count only if all of them are deleted, but for their restrictions.
#[must_use]
pub fn fold_contact(records: &[ContactRecord], rules: &MergeRules) -> ContactProfileFields {
    let provenance = Some(Provenance::default());
    contact(Ranked::new(records, &rules.contacts, provenance))
}

/// The same without provenance, in about half the time.
#[must_use]
pub fn fold_contact_values(records: &[ContactRecord], rules: &MergeRules) -> ContactProfileFields {
    contact(Ranked::new(records, &rules.contacts, None))
}

fn contact(mut ranked: Ranked<'_, ContactFields>) -> ContactProfileFields {
    let emails = ranked.union(
        "emails",
        "email",
        |record| of_list(record.fields.email.as_ref(), &record.fields.emails),
        |email| IdentityValue::email(email).text().to_owned(),
        Clone::clone,
    );
    let phones = ranked.union(
        "phones",
        "phone",
        |record| of_list(record.fields.phone.as_ref(), &record.fields.phones),
        |phone| IdentityValue::phone(phone).text().to_owned(),
        Clone::clone,
    );
    let companies = ranked.union(
        "companies",
        "companies",
        |record| record.companies.clone(),
        Clone::clone,
        |RecordKey {
             connection,
             source_id,
         }| format!("{connection}/{source_id}"),
    );
    ContactProfileFields {
        email: ranked.first("email", |record| {
            of_list(record.fields.email.as_ref(), &record.fields.emails)
                .into_iter()
                .next()
        }),
        name: ranked.text("name", |record| record.fields.name.as_ref()),
        role: ranked.text("role", |record| record.fields.role.as_ref()),
        phone: ranked.first("phone", |record| {
            of_list(record.fields.phone.as_ref(), &record.fields.phones)
                .into_iter()
                .next()
        }),
        owner: ranked.text("owner", |record| record.fields.owner.as_ref()),
        location: ranked.location("location", |record| &record.fields.location),
        last_seen_at: ranked.newest("last_seen_at", |record| record.fields.last_seen_at),
        last_replied_at: ranked.newest("last_replied_at", |record| record.fields.last_replied_at),
        last_contacted_at: ranked.newest("last_contacted_at", |record| {
            record.fields.last_contacted_at
        }),
        signed_up_at: ranked.first("signed_up_at", |record| record.fields.signed_up_at),
        browser: ranked.first("browser", |record| record.fields.browser.clone()),
        devices: devices(&mut ranked),
        attributes: ranked.attributes("attributes", |record| &record.fields.attributes),
        external_ids: ranked.external_ids(),
        tags: ranked.texts("tags", |record| &record.fields.tags),
        segments: ranked.texts("segments", |record| &record.fields.segments),
        consent: consent(&mut ranked),
        emails,
        phones,
        companies,
        provenance: ranked.into_provenance(),
    }
}

/// Folds the records of one company, and names the origin of each value.
///
/// Records that their source has deleted count only if all of them are deleted.
#[must_use]
pub fn fold_company(records: &[CompanyRecord], rules: &MergeRules) -> CompanyProfileFields {
    let provenance = Some(Provenance::default());
    company(Ranked::new(records, &rules.companies, provenance))
}

/// The same without provenance.
#[must_use]
pub fn fold_company_values(records: &[CompanyRecord], rules: &MergeRules) -> CompanyProfileFields {
    company(Ranked::new(records, &rules.companies, None))
}

fn company(mut ranked: Ranked<'_, CompanyFields>) -> CompanyProfileFields {
    CompanyProfileFields {
        name: ranked.text("name", |record| record.fields.name.as_ref()),
        domain: ranked.text("domain", |record| record.fields.domain.as_ref()),
        website: ranked.text("website", |record| record.fields.website.as_ref()),
        plan: ranked.text("plan", |record| record.fields.plan.as_ref()),
        size: ranked.first("size", |record| record.fields.size),
        industry: ranked.text("industry", |record| record.fields.industry.as_ref()),
        user_count: ranked.first("user_count", |record| record.fields.user_count),
        session_count: ranked.first("session_count", |record| record.fields.session_count),
        last_request_at: ranked.newest("last_request_at", |record| record.fields.last_request_at),
        monthly_spend: ranked.first("monthly_spend", |record| {
            record.fields.monthly_spend.clone()
        }),
        attributes: ranked.attributes("attributes", |record| &record.fields.attributes),
        tags: ranked.texts("tags", |record| &record.fields.tags),
        segments: ranked.texts("segments", |record| &record.fields.segments),
        external_ids: ranked.external_ids(),
        provenance: ranked.into_provenance(),
    }
}

/// A record's own value and its further ones, empty ones left out.
fn of_list(first: Option<&String>, others: &[String]) -> Vec<String> {
    let all = first.into_iter().chain(others);
    all.filter(|text| !text.trim().is_empty())
        .cloned()
        .collect()
}

/// Each device once: what the record that saw it last says of it.
fn devices(ranked: &mut Ranked<'_, ContactFields>) -> Vec<Device> {
    let name = |device: &Device| {
        let platform = match device.platform {
            Platform::Android => "android",
            Platform::Ios => "ios",
        };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        format!(
            "{platform}/{}/{}",
            text(&device.app_name),
            text(&device.device)
        )
    };
    let seen = |device: &Device| device.last_seen_at;
    ranked.newest_of_each("devices", |record| &record.fields.devices, name, seen)
}

fn consent(ranked: &mut Ranked<'_, ContactFields>) -> Consent {
    let mut holds = |name: &str, restricts: bool, flag: fn(&ConsentFields) -> Option<bool>| {
        ranked.any("consent", name, restricts, |record| {
            flag(&record.fields.consent)
        })
    };
    let unsubscribed = holds("unsubscribed", true, |consent| consent.unsubscribed);
    let marked_as_spam = holds("marked_as_spam", true, |consent| consent.marked_as_spam);
    let hard_bounced = holds("hard_bounced", true, |consent| consent.hard_bounced);
    let is_forbidden = holds("may_email", false, |consent| consent.may_email);
    Consent {
        unsubscribed,
        marked_as_spam,
        hard_bounced,
        unsubscribed_from_sms: holds("unsubscribed_from_sms", true, |consent| {
            consent.unsubscribed_from_sms
        }),
        may_email: !(unsubscribed || marked_as_spam || hard_bounced || is_forbidden),
    }
}

#[cfg(test)]
mod tests;
