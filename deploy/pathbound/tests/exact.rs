//! A comparison is only useful if it finds faults. The test makes one real copy. Then it damages the truth
//! one line at a time, and the comparison must report that fault and no other.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Instant;

use intercom_simulator::{Kind, TruthLine, WorkspaceSpec};
use pathbound::{
    demo::{
        progress::DemoProgress,
        scenarios::{DemoTenant, Scenario},
        sync_tenants,
        world::World,
    },
    exact::{Report, compare, without_conversations},
};
use serde_json::{Value, json, value::RawValue};
use shared::domain::{ConnectionId, TenantId};

/// A copy, and where it is.
struct Copy {
    world: World,
    tenant: TenantId,
    connection: ConnectionId,
    truth: Vec<TruthLine>,
}

impl Copy {
    async fn make() -> Self {
        let demo_tenant = DemoTenant {
            name: "Acme".to_owned(),
            scenario: Scenario::Ordinary,
            spec: WorkspaceSpec {
                contacts: 60,
                companies: 30,
                conversations: 20,
                conversations_over_500: 1,
                contacts_over_10_companies: 0.1,
                contacts_over_10_tags: 0.1,
                merged_contacts: 1,
                deleted_contacts: 1,
                deleted_conversations: 1,
                limit_per_window: 1_667,
                ..WorkspaceSpec::default()
            },
        };
        let (demo_tenants, started) = ([demo_tenant], Instant::now());
        let world = World::start(&demo_tenants).await.unwrap();
        let outcome = sync_tenants(
            &world,
            &demo_tenants,
            &DemoProgress::new(started, 1),
            started,
        )
        .await
        .unwrap()
        .remove(0);
        assert!(outcome.as_expected, "{outcome:#?}");
        let truth = world.workspaces[0].1.clone();
        Self {
            tenant: outcome.tenant.unwrap(),
            connection: outcome.connection.unwrap(),
            truth,
            world,
        }
    }

    async fn against(&self, truth: &[TruthLine]) -> Report {
        compare(&self.world.store, self.tenant, self.connection, truth)
            .await
            .unwrap()
    }

    /// The first line that `fits`.
    fn line(&self, kind: Kind, fits: impl Fn(&TruthLine, &Value) -> bool) -> usize {
        let found = self.truth.iter().position(|line| {
            line.kind == kind && !line.deleted && !line.hidden && fits(line, &line.value())
        });
        found.unwrap_or_else(|| panic!("no {kind:?} fits"))
    }

    fn any(&self, kind: Kind) -> usize {
        self.line(kind, |_, _| true)
    }

    /// Changes one line of the truth and compares.
    async fn damaged(&self, line: usize, change: impl FnOnce(&mut TruthLine)) -> Report {
        let mut truth = self.truth.clone();
        change(&mut truth[line]);
        self.against(&truth).await
    }
}

fn set(line: &mut TruthLine, change: impl FnOnce(&mut Value)) {
    let mut value = line.value();
    change(&mut value);
    line.object = RawValue::from_string(value.to_string()).unwrap();
}

#[track_caller]
fn finds(what: &str, report: &Report, missing: u64, extra: u64, different: u64) {
    assert_eq!(
        (report.missing, report.extra, report.different),
        (missing, extra, different),
        "{what}: {report}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_damage_is_noticed() {
    let copy = Copy::make().await;
    let report = copy.against(&copy.truth).await;
    finds("the truth itself", &report, 0, 0, 0);
    let expected = copy
        .truth
        .iter()
        .filter(|line| !line.deleted && !line.hidden)
        .count() as u64;
    assert!(
        report.records >= expected,
        "{report}: the truth has {expected} lines, first messages not counted"
    );

    changed_fields(&copy).await;
    lost_and_found_lines(&copy).await;
    deletions(&copy).await;

    let report = copy.against(&without_conversations(&copy.truth)).await;
    assert!(
        report.extra > 20 && report.missing == 0 && report.different == 0,
        "{report}"
    );
    copy.world.stop().await;
}

/// Each field that a column comes from, changed alone, is one difference, and it is named.
async fn changed_fields(copy: &Copy) {
    let contact: [(&str, &str, Value); 13] = [
        ("role", "/role", json!("lead")),
        ("email", "/email", json!("someone@else.example")),
        ("name", "/name", json!("Someone Else")),
        ("phone", "/phone", json!("+1")),
        ("external_id", "/external_id", json!("other")),
        ("owner", "/owner_id", json!("424242")),
        ("attributes", "/custom_attributes/seats", json!(-1)),
        ("location", "/location/city", json!("Atlantis")),
        ("last_seen_at", "/last_seen_at", json!(1)),
        ("last_replied_at", "/last_replied_at", json!(1)),
        ("last_contacted_at", "/last_contacted_at", json!(1)),
        ("source_updated_at", "/updated_at", json!(1)),
        ("raw", "/browser", json!("lynx")),
    ];
    let user = copy.line(Kind::Contact, |_, object| object["role"] == "user");
    for (field, pointer, value) in contact {
        one_difference(copy, user, field, pointer, value).await;
    }
    let many = copy.line(Kind::Contact, |_, object| {
        object["companies"]["total_count"].as_u64() > Some(10)
    });
    one_difference(copy, many, "raw", "/companies/data/9/id", json!("other")).await;

    let company: [(&str, &str, Value); 11] = [
        ("external_id", "/company_id", json!("other")),
        ("name", "/name", json!("Other")),
        ("domain", "/website", json!("https://other.example")),
        ("plan", "/plan", json!({"name": "Other"})),
        ("size", "/size", json!(-1)),
        ("industry", "/industry", json!("Other")),
        ("user_count", "/user_count", json!(-1)),
        ("session_count", "/session_count", json!(-1)),
        ("attributes", "/custom_attributes", json!({"a": 1})),
        ("source_updated_at", "/updated_at", json!(1)),
        ("raw", "/monthly_spend", json!(-1)),
    ];
    for (field, pointer, value) in company {
        one_difference(copy, copy.any(Kind::Company), field, pointer, value).await;
    }

    let conversation: [(&str, &str, Value); 11] = [
        ("title", "/title", json!("Other")),
        ("state", "/state", json!("other")),
        ("priority", "/priority", json!("other")),
        ("admin_assignee_id", "/admin_assignee_id", json!(424_242)),
        ("team_assignee_id", "/team_assignee_id", json!(424_242)),
        ("tags", "/tags/tags", json!([{"id": "1", "name": "other"}])),
        ("contacts", "/contacts/contacts", json!([{"id": "other"}])),
        (
            "thread's expected",
            "/statistics/count_conversation_parts",
            json!(9_999),
        ),
        ("source_created_at", "/created_at", json!(1)),
        ("raw", "/read", json!("other")),
        ("body", "/source/body", json!("other")),
    ];
    let talk = copy.line(Kind::Conversation, |_, object| {
        object["source"]["body"].is_string() && object["statistics"].is_object()
    });
    for (field, pointer, value) in conversation {
        let report = change(copy, talk, pointer, value).await;
        // The first message is a record of its own and has its conversation's times.
        let both = matches!(field, "source_created_at" | "body");
        finds(field, &report, 0, 0, if both { 2 } else { 1 });
        let named = report
            .examples
            .iter()
            .any(|example| example.contains(field));
        assert!(
            named || field == "body" && report.examples.len() == 2,
            "{field}: {report}"
        );
    }

    let part: [(&str, &str, Value); 9] = [
        ("kind", "/part_type", json!("other")),
        ("internal", "/part_type", json!("note")),
        ("author_kind", "/author/type", json!("other")),
        ("author_source_id", "/author/id", json!("other")),
        ("author_name", "/author/name", json!("Other")),
        ("body", "/body", json!("other")),
        ("redacted", "/redacted", json!(true)),
        ("source_created_at", "/created_at", json!(1)),
        ("raw", "/notified_at", json!(1)),
    ];
    let comment = copy.line(Kind::Part, |_, object| object["part_type"] == "comment");
    for (field, pointer, value) in part {
        one_difference(copy, comment, field, pointer, value).await;
    }
    for kind in [Kind::Admin, Kind::Team, Kind::Tag, Kind::Segment] {
        one_difference(copy, copy.any(kind), "name", "/name", json!("Other")).await;
    }
}

async fn one_difference(copy: &Copy, line: usize, field: &str, pointer: &str, value: Value) {
    let report = change(copy, line, pointer, value).await;
    finds(&format!("{field} ({pointer})"), &report, 0, 0, 1);
    assert!(report.examples[0].contains(field), "{field}: {report}");
}

async fn change(copy: &Copy, line: usize, pointer: &str, value: Value) -> Report {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    copy.damaged(line, |line| {
        set(line, |object| match object.pointer_mut(parent).unwrap() {
            Value::Object(map) => drop(map.insert(name.to_owned(), value)),
            other => *other.pointer_mut(&format!("/{name}")).unwrap() = value,
        });
    })
    .await
}

/// A line that the truth loses is an extra row, one that it gains is a missing row.
async fn lost_and_found_lines(copy: &Copy) {
    for kind in [
        Kind::Contact,
        Kind::Company,
        Kind::Link,
        Kind::Conversation,
        Kind::Part,
        Kind::Admin,
        Kind::Tag,
    ] {
        let line = copy.any(kind);
        // A thread that holds more or fewer parts than there are is wrong too.
        let thread = u64::from(kind == Kind::Part);

        let mut truth = copy.truth.clone();
        truth.remove(line);
        finds(
            &format!("{kind:?} lost"),
            &copy.against(&truth).await,
            0,
            1,
            thread,
        );

        let mut truth = copy.truth.clone();
        let mut gained = truth[line].clone();
        gained.id = "4242424242".to_owned();
        if kind == Kind::Link {
            gained.company = Some("4242424242".to_owned());
        } else {
            set(&mut gained, |object| {
                object["id"] = json!("4242424242");
                object["source"] = json!({});
            });
        }
        truth.push(gained);
        finds(
            &format!("{kind:?} gained"),
            &copy.against(&truth).await,
            1,
            0,
            thread,
        );
    }
    let silent = copy.line(Kind::Conversation, |_, object| {
        object["source"]["body"].is_string()
    });
    let report = copy
        .damaged(silent, |line| {
            set(line, |object| object["source"] = json!({}));
        })
        .await;
    // The row that is left has no truth, and the conversation's raw bytes are not those.
    finds("a first message lost", &report, 0, 1, 1);
}

/// What is gone in the truth has to be marked as gone here.
async fn deletions(copy: &Copy) {
    for kind in [Kind::Contact, Kind::Company, Kind::Conversation] {
        let report = copy
            .damaged(copy.any(kind), |line| line.deleted = true)
            .await;
        finds(&format!("{kind:?} deleted"), &report, 0, 0, 1);
    }
    let report = copy
        .damaged(copy.any(Kind::Contact), |line| {
            line.deleted = true;
            line.merged_into = Some("another".to_owned());
        })
        .await;
    finds("a merge", &report, 0, 0, 1);
    assert!(report.examples[0].contains("merged_into"), "{report}");

    // What was gone before we came, or is shown no more, is not expected at all.
    let part = copy.any(Kind::Part);
    finds(
        "a hidden part",
        &copy.damaged(part, |line| line.hidden = true).await,
        0,
        0,
        0,
    );
    let link = copy.any(Kind::Link);
    finds(
        "a deleted link",
        &copy.damaged(link, |line| line.deleted = true).await,
        0,
        0,
        0,
    );
}
