//! Companies: the source record, the fields read from it, and the raw bytes.

use intercom_simulator::TruthLine;
use serde_json::Value;
use shared::{domain::records::CompanyFields, intercom::wire, store::reads::StoredCompany};

use super::{fields::Fields, truth::Shape, value};

/// The first difference of a live company from the truth.
pub(super) fn differs(
    stored: &StoredCompany,
    line: &TruthLine,
    truth: &Value,
    shape: Shape,
) -> Option<String> {
    let mut fields = Fields::default();
    fields.same("deleted_at", &stored.deleted_at, &None);
    fields.time(
        "source_updated_at",
        Some(stored.source_updated_at),
        &truth["updated_at"],
    );
    // Intercom's `company_id` is the customer's own id.
    fields.text(
        "external_id",
        stored.external_id.as_deref(),
        &truth["company_id"],
    );

    match wire::read_company_fields(&String::from_utf8_lossy(&stored.raw)) {
        Ok(shown) => derived(&mut fields, &shown, truth),
        Err(poison) => fields.wrong(|| format!("raw cannot be read: {}", poison.reason)),
    }
    // Older versions show other shapes, so only the fields can be compared.
    if shape == Shape::Current {
        fields.raw(&stored.raw, line.object.get());
    }
    fields.difference()
}

/// The fields that profiles are folded from.
fn derived(fields: &mut Fields, stored: &CompanyFields, truth: &Value) {
    fields.text("name", stored.name.as_deref(), &truth["name"]);
    fields.same("domain", &stored.domain, &domain(truth));
    fields.text("plan", stored.plan.as_deref(), &truth["plan"]["name"]);
    fields.text("industry", stored.industry.as_deref(), &truth["industry"]);
    let numbers = [
        ("size", &stored.size, "size"),
        ("user_count", &stored.user_count, "user_count"),
        ("session_count", &stored.session_count, "session_count"),
    ];
    for (name, number, member) in numbers {
        fields.same(name, number, &value::whole(&truth[member]));
    }
    let attributes = value::object(&truth["custom_attributes"]);
    fields.json("attributes", &stored.attributes.parsed(), &attributes);
}

/// The host of the company's website.
fn domain(truth: &Value) -> Option<String> {
    value::text(&truth["website"])
        .as_deref()
        .and_then(value::domain)
}
