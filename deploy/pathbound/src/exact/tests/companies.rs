//! Companies, column by column.

use super::*;

#[test]
fn each_column_of_a_company() {
    let object = json!({
        "id": "k", "company_id": "7", "name": "Acme", "website": "https://www.acme.example/", "plan": {"name": "Pro"},
        "size": 5, "industry": "Rail", "user_count": 6, "session_count": 8, "custom_attributes": {"a": 1.5}, "updated_at": 100
    });
    let stored = StoredCompany {
        source_id: "k".to_owned(),
        external_id: Some("7".to_owned()),
        fields: json!({
            "name": "Acme", "domain": "acme.example", "plan": "Pro", "size": 5, "industry": "Rail", "user_count": 6,
            "session_count": 8, "attributes": {"a": 1.5}
        }),
        source_updated_at: at(100),
        deleted_at: None,
        sanitised: false,
        raw: object.to_string().into_bytes(),
        profile: CompanyFields {
            name: Some("Acme".to_owned()),
            domain: Some("acme.example".to_owned()),
            plan: Some("Pro".to_owned()),
            size: Some(5),
            industry: Some("Rail".to_owned()),
            user_count: Some(6),
            session_count: Some(8),
            attributes: document(&json!({"a": 1.5})),
        },
    };
    let truth = [line(Kind::Company, "k", None, &object)];
    each_is_noticed(
        &truth,
        &stored,
        |check, stored| check.company(stored),
        &[
            |c| c.external_id = None,
            |c| c.source_updated_at = at(99),
            |c| c.deleted_at = Some(at(1)),
            |c| c.raw = b"{}".to_vec(),
            |c| c.fields["name"] = json!("acme"),
            |c| c.fields["domain"] = json!("www.acme.example"),
            |c| c.fields["plan"] = json!(null),
            |c| c.fields["size"] = json!(4),
            |c| c.fields["industry"] = json!(null),
            |c| c.fields["user_count"] = json!(0),
            |c| c.fields["session_count"] = json!(null),
            |c| c.fields["attributes"] = json!({"a": 1}),
            |c| c.profile.name = None,
            |c| c.profile.domain = None,
            |c| c.profile.plan = None,
            |c| c.profile.size = None,
            |c| c.profile.industry = None,
            |c| c.profile.user_count = None,
            |c| c.profile.session_count = None,
            |c| c.profile.attributes = document(&json!({})),
        ],
    );
}
