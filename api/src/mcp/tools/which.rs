//! Which contact or company a call is about: by id, or by what it is known by.

use shared::{
    domain::profile::{BlockReason, IdentityValue, website_host},
    profiles::{self, CompanyProfile, ContactProfile},
    store::ApiTx,
};
use uuid::Uuid;

use crate::mcp::{
    call::id,
    refusal::Refusal,
    untrusted::{CLOSING, OPENING, plain},
};

/// Profiles that are listed if several match.
const LISTED: usize = 10;
const MAX_NAME: usize = 120;

/// What a call names a contact or company by.
enum Named<'a> {
    Id(Uuid),
    Known(&'a str, IdentityValue),
}

/// The own id of the contact that the arguments name.
///
/// # Errors
/// If none or several are named, or if no contact or several are known by it.
pub(super) async fn contact(
    tx: &mut ApiTx,
    contact_id: Option<&str>,
    email: Option<&str>,
    phone: Option<&str>,
    external_id: Option<&str>,
) -> Result<Uuid, Refusal> {
    let named = one_of(&[
        ("contact_id", contact_id),
        ("email", email),
        ("phone", phone),
        ("external_id", external_id),
    ])?;
    match named {
        Named::Id(id) => tx.resolve_contact(id).await?.ok_or_else(|| {
            let fix = "Check `contact_id`, or name the contact by email, phone or external_id.";
            Refusal::unknown("contact with this id", fix)
        }),
        Named::Known(by, value) => {
            let ids = tx.contacts_known_by(&value).await?;
            let found = profiles::contacts_by_id(tx, &ids[..ids.len().min(LISTED)]).await?;
            let found: Vec<Match> = found.iter().map(Match::contact).collect();
            only(by, "contact", &found, ids.len())
        }
    }
}

/// The same of a company.
///
/// # Errors
/// As for contacts.
pub(super) async fn company(
    tx: &mut ApiTx,
    company_id: Option<&str>,
    domain: Option<&str>,
    external_id: Option<&str>,
) -> Result<Uuid, Refusal> {
    let named = one_of(&[
        ("company_id", company_id),
        ("domain", domain),
        ("external_id", external_id),
    ])?;
    match named {
        Named::Id(id) => tx.resolve_company(id).await?.ok_or_else(|| {
            let fix = "Check `company_id`, or name the company by domain or external_id.";
            Refusal::unknown("company with this id", fix)
        }),
        Named::Known(by, value) => {
            let ids = tx.companies_known_by(&value).await?;
            let found = profiles::companies_by_id(tx, &ids[..ids.len().min(LISTED)]).await?;
            let found: Vec<Match> = found.iter().map(Match::company).collect();
            only(by, "company", &found, ids.len())
        }
    }
}

fn one_of<'a>(arguments: &[(&'a str, Option<&str>)]) -> Result<Named<'a>, Refusal> {
    let names: Vec<&str> = arguments.iter().map(|(name, _)| *name).collect();
    let names = names.join(", ");
    let mut given = arguments
        .iter()
        .filter_map(|(name, value)| Some((*name, (*value)?)));
    let Some((name, text)) = given.next() else {
        return Err(Refusal(format!("Give one of the arguments {names}.")));
    };
    if given.next().is_some() {
        return Err(Refusal(format!("Give only one of the arguments {names}.")));
    }
    let value = match name {
        "email" => IdentityValue::email(text),
        "phone" => IdentityValue::phone(text),
        // A website has the domain too.
        "domain" => IdentityValue::domain(website_host(text).as_deref().unwrap_or(text)),
        "external_id" => IdentityValue::external_id(text),
        _ => return Ok(Named::Id(id(name, text)?)),
    };
    match value.blocked() {
        Some(reason) => Err(Refusal::argument(name, fix_of(reason))),
        None => Ok(Named::Known(name, value)),
    }
}

/// What to send in place of a value that names nobody.
const fn fix_of(reason: BlockReason) -> &'static str {
    match reason {
        BlockReason::Empty => "is empty: send a value, or leave it out and name another one",
        BlockReason::Placeholder => "is a placeholder, which names nobody: use another value",
        BlockReason::TooLong => "is longer than any such value: send at most 255 bytes",
        BlockReason::NoAddress => "is no email address: write it as name@host",
        BlockReason::RoleAddress => {
            "is a mailbox that many people share, so nobody is known by it: use a person's own address or an id"
        }
        BlockReason::NoCountry => "has no country: write it as +49 30 123456",
        BlockReason::NoNumber => "is no phone number: write it as +49 30 123456",
        BlockReason::NoDomain => "is no domain: write it as acme.com",
        BlockReason::PublicMail => {
            "belongs to a public mail service, so no company is known by it: use the company's own domain or an id"
        }
        BlockReason::Tenant => "is blocked for this tenant: use another value or an id",
    }
}

/// A profile that is known by a value.
struct Match {
    id: Uuid,
    name: Option<String>,
    is_deleted: bool,
}

impl Match {
    fn contact(profile: &ContactProfile) -> Self {
        let fields = &profile.fields;
        Self {
            id: profile.id,
            name: fields.name.clone().or_else(|| fields.email.clone()),
            is_deleted: profile.deleted_at.is_some(),
        }
    }

    fn company(profile: &CompanyProfile) -> Self {
        Self {
            id: profile.id,
            name: profile.fields.name.clone(),
            is_deleted: profile.deleted_at.is_some(),
        }
    }
}

/// The one that matches. One that is not deleted is believed before those that are.
fn only(by: &str, what: &str, found: &[Match], count: usize) -> Result<Uuid, Refusal> {
    let mut alive = found.iter().filter(|found| !found.is_deleted);
    match (found, alive.next(), alive.next()) {
        ([only], ..) | (_, Some(only), None) if count <= LISTED => Ok(only.id),
        ([], ..) => {
            let fix = format!("Check `{by}`. Only an equal {by} matches, and never a name.");
            Err(Refusal::unknown(&format!("{what} with this {by}"), &fix))
        }
        _ => {
            let mut text =
                format!("{count} are known by this {by}. Call again with one `{what}_id`:");
            for Match {
                id,
                name,
                is_deleted,
            } in found
            {
                let name = name.as_deref().map_or_else(
                    || "without a name".to_owned(),
                    |name| format!("{OPENING}{}{CLOSING}", plain(name, MAX_NAME)),
                );
                let deleted = if *is_deleted { ", deleted" } else { "" };
                text.push_str(&format!("\n- {id} {name}{deleted}"));
            }
            if count > found.len() {
                text.push_str(&format!("\nand {} more.", count - found.len()));
            }
            Err(Refusal(text))
        }
    }
}
