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
        source_updated_at: at(100),
        deleted_at: None,
        sanitised: false,
        raw: object.to_string().into_bytes(),
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
            |c| set(&mut c.raw, "name", &json!("acme")),
            |c| set(&mut c.raw, "website", &json!("acme.test")),
            |c| set(&mut c.raw, "plan", &json!({})),
            |c| set(&mut c.raw, "size", &json!(4)),
            |c| set(&mut c.raw, "industry", &json!(null)),
            |c| set(&mut c.raw, "user_count", &json!(0)),
            |c| set(&mut c.raw, "session_count", &json!(null)),
            |c| set(&mut c.raw, "custom_attributes", &json!({"a": 1})),
        ],
    );
}
