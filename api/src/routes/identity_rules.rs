//! Which values are no identities of the tenant's people and companies.

use std::collections::BTreeSet;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::domain::{
    audit_event::{AuditAction, NewAuditEvent},
    profile::{BlockedValues, IdentityValue},
};
use utoipa::ToSchema;

use super::NoQuery;
use crate::{
    Api,
    caller::{CallerActor, CallerTenant},
    error::{ApiError, FieldError},
    extract::{JsonBody, Params},
    openapi::words,
};

/// The values that join nobody, per object.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IdentityRules)]
pub(crate) struct IdentityRulesView {
    contacts: ObjectRulesView,
    companies: ObjectRulesView,
}

/// The values that join no records of one object.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ObjectIdentityRules)]
struct ObjectRulesView {
    /// Each value once, by kind and text. What is blocked for every tenant need not be here: addresses of functions such as
    /// `info@`, public mail domains such as `gmail.com`, and placeholders such as `null`.
    #[schema(max_items = 1000)]
    blocked: Vec<BlockedValueView>,
}

/// A value that joins nobody.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BlockedValue)]
struct BlockedValueView {
    #[schema(value_type = words::IdentityKind)]
    kind: &'static str,
    /// The value in the spelling in which values are compared.
    value: String,
}

/// New rules. What is left out is as without any rules.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = NewIdentityRules)]
pub(crate) struct RulesBody {
    contacts: ContactRulesBody,
    companies: CompanyRulesBody,
}

/// New rules of contacts.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = NewContactIdentityRules)]
struct ContactRulesBody {
    /// Values that join no contacts.
    #[schema(max_items = 1000)]
    blocked: Vec<ContactValueBody>,
}

/// New rules of companies.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = NewCompanyIdentityRules)]
struct CompanyRulesBody {
    /// Values that join no companies.
    #[schema(max_items = 1000)]
    blocked: Vec<CompanyValueBody>,
}

/// A value that is to join no contacts.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewBlockedContactValue)]
struct ContactValueBody {
    kind: ContactValueKind,
    /// In any spelling. A phone number has its country, as in `+49 30 123456`.
    #[schema(min_length = 1, max_length = 255)]
    value: String,
}

/// A value that is to join no companies.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewBlockedCompanyValue)]
struct CompanyValueBody {
    kind: CompanyValueKind,
    /// In any spelling.
    #[schema(min_length = 1, max_length = 255)]
    value: String,
}

/// What a value is that may join contacts.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ContactValueKind {
    ExternalId,
    Email,
    Phone,
}

/// What a value is that may join companies.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum CompanyValueKind {
    ExternalId,
    Domain,
}

/// Show the identity rules
///
/// Which values join nobody, beside those that join nobody for any tenant.
#[utoipa::path(
    get,
    path = "/v1/identity_rules",
    operation_id = "get_identity_rules",
    tag = "Sources",
    responses((status = 200, description = "The rules.", body = IdentityRulesView)),
)]
pub(crate) async fn show(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    _: Params<NoQuery>,
) -> Result<Json<IdentityRulesView>, ApiError> {
    let mut tx = api.store.begin(tenant).await?;
    Ok(Json(tx.blocked_values().await?.into()))
}

/// Set the identity rules
///
/// Replaces all rules of the tenant. `{}` removes them. A blocked value joins nobody: neither what is stored nor what comes
/// later. It does not keep records apart that another value joins. Contacts and companies that a value has joined are
/// parted at once when it is blocked, and those that it joins are one again when it is left out. Every id keeps answering,
/// a split stays, and the feed and `updated_since` show what has changed. A change of very many values may take some
/// seconds, for which what writes records of the tenant waits.
#[utoipa::path(
    put,
    path = "/v1/identity_rules",
    operation_id = "set_identity_rules",
    tag = "Sources",
    request_body = RulesBody,
    responses((status = 200, description = "The rules as they are now.", body = IdentityRulesView)),
)]
pub(crate) async fn set(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    CallerActor(actor): CallerActor,
    _: Params<NoQuery>,
    JsonBody(body): JsonBody<RulesBody>,
) -> Result<Json<IdentityRulesView>, ApiError> {
    let values = body.read()?;
    let mut tx = api.store.begin(tenant).await?;
    let change = tx.set_blocked_values(&values).await?;
    if !change.is_none() {
        let event = NewAuditEvent::new(actor, AuditAction::IdentityRulesChanged, tenant.0);
        let details = json!({"blocked": change.blocked, "unblocked": change.unblocked});
        tx.add_audit_event(event.with(details)).await?;
    }
    tx.commit().await?;
    let (blocked, unblocked) = (change.blocked, change.unblocked);
    tracing::info!(%tenant, blocked, unblocked, "identity rules set");
    Ok(Json(values.into()))
}

impl RulesBody {
    fn read(self) -> Result<BlockedValues, ApiError> {
        let mut faults = Vec::new();
        let contacts = self
            .contacts
            .blocked
            .into_iter()
            .map(ContactValueBody::read);
        let companies = self
            .companies
            .blocked
            .into_iter()
            .map(CompanyValueBody::read);
        let values = BlockedValues {
            contacts: blockable("contacts", contacts, &mut faults),
            companies: blockable("companies", companies, &mut faults),
        };
        if faults.is_empty() {
            Ok(values)
        } else {
            Err(ApiError::invalid_all(faults))
        }
    }
}

impl ContactValueBody {
    fn read(self) -> IdentityValue {
        match self.kind {
            ContactValueKind::ExternalId => IdentityValue::external_id(&self.value),
            ContactValueKind::Email => IdentityValue::email(&self.value),
            ContactValueKind::Phone => IdentityValue::phone(&self.value),
        }
    }
}

impl CompanyValueBody {
    fn read(self) -> IdentityValue {
        match self.kind {
            CompanyValueKind::ExternalId => IdentityValue::external_id(&self.value),
            CompanyValueKind::Domain => IdentityValue::domain(&self.value),
        }
    }
}

/// The values of an object that may be blocked. Each of the others is a fault.
fn blockable(
    object: &str,
    values: impl ExactSizeIterator<Item = IdentityValue>,
    faults: &mut Vec<FieldError>,
) -> BTreeSet<IdentityValue> {
    let limit = BlockedValues::LIMIT;
    if values.len() > limit {
        faults.push(FieldError {
            field: format!("{object}.blocked"),
            detail: format!("must have at most {limit} values"),
        });
        return BTreeSet::new();
    }
    let mut blocked = BTreeSet::new();
    for (n, value) in values.enumerate() {
        match value.to_be_blocked() {
            Ok(value) => drop(blocked.insert(value)),
            Err(error) => faults.push(FieldError {
                field: format!("{object}.blocked[{n}].value"),
                detail: error.to_string(),
            }),
        }
    }
    blocked
}

impl From<BlockedValues> for IdentityRulesView {
    fn from(values: BlockedValues) -> Self {
        let view = |values: BTreeSet<IdentityValue>| ObjectRulesView {
            blocked: values
                .into_iter()
                .map(|value| BlockedValueView {
                    kind: value.kind().as_str(),
                    value: value.text().to_owned(),
                })
                .collect(),
        };
        Self {
            contacts: view(values.contacts),
            companies: view(values.companies),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `GET` shows can be sent back as it is, so its words are those of a body.
    #[test]
    fn every_value_of_an_answer_may_be_sent_back() {
        let values = BlockedValues {
            contacts: [
                IdentityValue::external_id("u1"),
                IdentityValue::email("desk@acme.example"),
                IdentityValue::phone("+49 30 123456"),
            ]
            .into(),
            companies: [
                IdentityValue::external_id("u1"),
                IdentityValue::domain("acme.example"),
            ]
            .into(),
        };
        let view = json!(IdentityRulesView::from(values.clone()));
        let body: RulesBody = serde_json::from_value(view).unwrap();
        assert_eq!(body.read().unwrap(), values);
    }

    #[test]
    fn every_fault_is_named_by_its_place() {
        let blocked = |value: &str, count: usize| {
            let value = json!({"kind": "external_id", "value": value});
            vec![value; count]
        };
        let body = json!({
            "contacts": {"blocked": blocked("u1", BlockedValues::LIMIT + 1)},
            "companies": {"blocked": [blocked("u1", 1)[0], {"kind": "domain", "value": "localhost"}]},
        });
        let body: RulesBody = serde_json::from_value(body).unwrap();
        let mut faults = Vec::new();
        let contacts = body
            .contacts
            .blocked
            .into_iter()
            .map(ContactValueBody::read);
        blockable("contacts", contacts, &mut faults);
        let companies = body
            .companies
            .blocked
            .into_iter()
            .map(CompanyValueBody::read);
        blockable("companies", companies, &mut faults);
        let told: Vec<(&str, &str)> = faults
            .iter()
            .map(|fault| (fault.field.as_str(), fault.detail.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("contacts.blocked", "must have at most 1000 values"),
                (
                    "companies.blocked[1].value",
                    "must be a registered domain, such as acme.example"
                ),
            ]
        );
    }
}
