//! Companies: the source record, the profile folded from it, and the raw bytes.

use intercom_simulator::TruthLine;
use serde_json::Value;
use shared::{domain::records::CompanyFields, store::reads::StoredCompany};

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

    source_fields(&mut fields, &stored.fields, truth);
    profile(&mut fields, &stored.profile, truth);
    // Older versions show other shapes, so only the fields can be compared.
    if shape == Shape::Current {
        fields.raw(&stored.raw, line.object.get());
    }
    fields.difference()
}

fn source_fields(fields: &mut Fields, source: &Value, truth: &Value) {
    fields.text("name", source["name"].as_str(), &truth["name"]);
    fields.same(
        "domain",
        &source["domain"].as_str(),
        &domain(truth).as_deref(),
    );
    fields.text("plan", source["plan"].as_str(), &truth["plan"]["name"]);
    fields.text("industry", source["industry"].as_str(), &truth["industry"]);
    for name in ["size", "user_count", "session_count"] {
        fields.same(name, &source[name].as_i64(), &value::whole(&truth[name]));
    }
    let attributes = value::object(&truth["custom_attributes"]);
    fields.json("attributes", &source["attributes"], &attributes);
}

fn profile(fields: &mut Fields, profile: &CompanyFields, truth: &Value) {
    fields.text(
        "the profile's name",
        profile.name.as_deref(),
        &truth["name"],
    );
    fields.same("the profile's domain", &profile.domain, &domain(truth));
    fields.text(
        "the profile's plan",
        profile.plan.as_deref(),
        &truth["plan"]["name"],
    );
    fields.text(
        "the profile's industry",
        profile.industry.as_deref(),
        &truth["industry"],
    );
    let numbers = [
        ("the profile's size", &profile.size, "size"),
        (
            "the profile's user_count",
            &profile.user_count,
            "user_count",
        ),
        (
            "the profile's session_count",
            &profile.session_count,
            "session_count",
        ),
    ];
    for (name, stored, member) in numbers {
        fields.same(name, stored, &value::whole(&truth[member]));
    }
    let attributes = value::object(&truth["custom_attributes"]);
    fields.json(
        "the profile's attributes",
        &profile.attributes.parsed(),
        &attributes,
    );
}

/// The host of the company's website.
fn domain(truth: &Value) -> Option<String> {
    value::text(&truth["website"])
        .as_deref()
        .and_then(value::domain)
}
