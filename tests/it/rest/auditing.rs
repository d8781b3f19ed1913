//! Who did what: one event for each action, and none for what was not done.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::synced;
use crate::support::{Caller, World, held};

const SCOPES: [&str; 5] = [
    "profiles:read",
    "conversations:read",
    "connections:read",
    "connections:write",
    "sources:write",
];

/// The whole trail, oldest first.
async fn trail(caller: &Caller) -> Vec<Value> {
    let mut events = caller.all("/v1/audit_events").await;
    events.reverse();
    events
}

/// The actions of a trail, oldest first, each with the kind of its actor.
fn actions(trail: &[Value]) -> Vec<(&str, &str)> {
    let events = trail.iter();
    events
        .map(|event| {
            let action = event["action"].as_str().unwrap();
            (action, event["actor"]["kind"].as_str().unwrap())
        })
        .collect()
}

/// A key with every scope: its id, and a caller that has it.
async fn admin(caller: &Caller) -> (Value, Caller) {
    let body = json!({"name": "Bob's key", "scopes": SCOPES});
    let key = [("Idempotency-Key", "admin")];
    let mut made = Value::Null;
    for _ in 0..2 {
        let answer = caller
            .call_with(Method::POST, "/v1/api_keys", Some(body.clone()), &key)
            .await;
        assert_eq!(answer.0, StatusCode::CREATED, "{}", answer.1);
        made = answer.1;
    }
    let admin = caller.with_key(made["key"].as_str().unwrap());
    (made["id"].clone(), admin)
}

/// The one event that an act has added, which does the same again and adds none.
struct Watch<'a> {
    caller: &'a Caller,
    known: usize,
}

impl Watch<'_> {
    async fn one(&mut self, action: &str) -> Value {
        let trail = trail(self.caller).await;
        assert_eq!(
            trail.len(),
            self.known + 1,
            "{action}: {:?}",
            actions(&trail[self.known..])
        );
        self.known += 1;
        let event = trail.last().unwrap().clone();
        assert_eq!(event["action"], action);
        event
    }

    async fn none(&self, what: &str) {
        let trail = trail(self.caller).await;
        let added = actions(&trail[self.known..]);
        assert!(added.is_empty(), "{what}: {added:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_action_is_one_event_and_a_repeat_is_none() {
    let (_world, case, service) = synced().await;
    let (tenant, connection) = (json!(case.tenant), json!(case.connection()));
    let first = trail(&service).await;
    assert_eq!(
        actions(&first),
        [
            ("tenant.created", "service_key"),
            ("connect.started", "service_key"),
            ("connection.made", "browser"),
        ]
    );
    assert_eq!(first[0]["object"], json!({"type": "tenant", "id": tenant}));
    assert_eq!(
        first[2]["object"],
        json!({"type": "connection", "id": connection})
    );
    let mut watch = Watch {
        caller: &service,
        known: first.len(),
    };

    let (key_id, admin) = admin(&service).await;
    let made = watch.one("api_key.created").await;
    assert_eq!(made["object"], json!({"type": "api_key", "id": key_id}));
    assert_eq!(
        made["details"],
        json!({"scopes": SCOPES, "expires_at": null})
    );
    assert_eq!(made["actor"], json!({"kind": "service_key"}));

    let repeat = [("Idempotency-Key", "again")];
    let by_admin = json!({"kind": "tenant_key", "id": key_id});
    let connect = "/v1/integrations/intercom/connect";
    for _ in 0..2 {
        let body = Some(json!({"region": "eu"}));
        let (status, _) = admin.call_with(Method::POST, connect, body, &repeat).await;
        assert_eq!(status, StatusCode::CREATED);
    }
    let started = watch.one("connect.started").await;
    assert_eq!(
        (&started["actor"], &started["details"]),
        (&by_admin, &json!({"region": "eu"}))
    );

    // A run that is open is named, and no second one is asked for.
    case.inject(held());
    let syncs = format!("/v1/connections/{}/syncs", case.connection());
    let body = json!({"mode": "full", "streams": ["contacts"]});
    let mut run = Value::Null;
    for _ in 0..2 {
        let body = Some(body.clone());
        let (status, answer) = admin.call_with(Method::POST, &syncs, body, &repeat).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
        run = answer["id"].clone();
    }
    let (status, _) = admin.call(Method::POST, &syncs, Some(body)).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let requested = watch.one("sync.requested").await;
    assert_eq!(
        requested["details"],
        json!({"run_id": run, "mode": "full", "streams": ["contacts"]})
    );
    assert_eq!(requested["object"]["id"], connection);

    for _ in 0..2 {
        let rules = json!({"contacts": {"default": ["email"]}});
        let set = admin.call(Method::PUT, "/v1/merge_rules", Some(rules));
        assert_eq!(set.await.0, StatusCode::OK);
    }
    let changed = watch.one("merge_rules.changed").await;
    assert_eq!(changed["object"], json!({"type": "tenant", "id": tenant}));

    let phone = json!({"kind": "phone", "value": "+49 30 123456"});
    let rules = json!({"contacts": {"blocked": [phone.clone(), phone]}});
    for (rules, details) in [
        (rules, json!({"blocked": 1, "unblocked": 0})),
        (json!({}), json!({"blocked": 0, "unblocked": 1})),
    ] {
        for _ in 0..2 {
            let rules = Some(rules.clone());
            let set = admin.call(Method::PUT, "/v1/identity_rules", rules);
            assert_eq!(set.await.0, StatusCode::OK);
        }
        let changed = watch.one("identity_rules.changed").await;
        assert_eq!(changed["object"], json!({"type": "tenant", "id": tenant}));
        assert_eq!(changed["details"], details);
    }

    let (contact, split) = part(&admin, &mut watch).await;
    end_split(&admin, &mut watch, &contact, &split).await;

    let sources = admin.get("/v1/sources").await;
    for _ in 0..2 {
        admin.remove_source("crm").await;
    }
    let removed = watch.one("source.removed").await;
    let crm = sources["items"].as_array().unwrap();
    let crm = crm.iter().find(|source| source["source"] == "crm").unwrap();
    assert_eq!(
        removed["object"],
        json!({"type": "source", "id": crm["connection_id"]})
    );
    assert_eq!(removed["details"], json!({"source": "crm"}));

    let end = format!("/v1/connections/{}", case.connection());
    for data in ["retain", "purge"] {
        let times = if data == "retain" { 2 } else { 1 };
        for _ in 0..times {
            let path = format!("{end}?data={data}");
            let ended = admin.call(Method::DELETE, &path, None).await;
            assert_eq!(ended.0, StatusCode::ACCEPTED);
        }
        let ended = watch.one("connection.ended").await;
        assert_eq!(ended["details"], json!({"data": data}));
    }

    let key = format!("/v1/api_keys/{}", key_id.as_str().unwrap());
    for _ in 0..2 {
        let revoked = service.call(Method::DELETE, &key, None).await;
        assert_eq!(revoked.0, StatusCode::NO_CONTENT);
    }
    let revoked = watch.one("api_key.revoked").await;
    assert_eq!(revoked["object"], json!({"type": "api_key", "id": key_id}));
    // The key is gone, and the trail still says that it acted.
    let all = trail(&service).await;
    let by_key = all.iter().filter(|event| event["actor"] == by_admin);
    assert_eq!(by_key.count(), 10);
    let text = json!(all).to_string();
    for secret in ["Bob", "ada@acme.example", "pb_", "+4930"] {
        assert!(!text.contains(secret), "{secret} is in the trail");
    }
}

/// Two sources send one person, and a split parts the two records. Returns the contact and the split.
async fn part(admin: &Caller, watch: &mut Watch<'_>) -> (Value, Value) {
    for source in ["crm", "email"] {
        let record = json!({
            "source_id": source, "source_updated_at": "2026-11-01T12:00:00Z", "fields": {"email": "ada@acme.example"},
        });
        admin.send(source, "contact", &[record]).await;
    }
    watch.none("records are no actions").await;
    let contacts = admin.all("/v1/contacts").await;
    let of_crm = |contact: &&Value| {
        let mut sources = contact["sources"].as_array().unwrap().iter();
        sources.any(|source| source["source"] == "crm")
    };
    let contact = contacts.iter().find(of_crm).unwrap().clone();
    let sources = contact["sources"].as_array().unwrap();
    let crm = sources.iter().find(|source| source["source"] == "crm");
    let crm = json!({"connection_id": crm.unwrap()["connection_id"], "source_id": "crm"});
    let body = json!({"sources": [crm]});
    let path = format!("/v1/contacts/{}/split", contact["id"].as_str().unwrap());
    let preview = format!("{path}?preview=true");
    let shown = admin.call(Method::POST, &preview, Some(body.clone())).await;
    assert_eq!(shown.0, StatusCode::OK, "{}", shown.1);
    watch.none("a preview").await;
    let repeat = [("Idempotency-Key", "split")];
    let mut split = Value::Null;
    for _ in 0..2 {
        let body = Some(body.clone());
        let (status, answer) = admin.call_with(Method::POST, &path, body, &repeat).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        split = answer["id"].clone();
    }
    let made = watch.one("split.made").await;
    assert_eq!(
        made["object"],
        json!({"type": "contact", "id": contact["id"]})
    );
    assert_eq!(made["details"], json!({"split_id": split, "records": 1}));
    (contact, split)
}

async fn end_split(admin: &Caller, watch: &mut Watch<'_>, contact: &Value, split: &Value) {
    let (contact, split) = (contact["id"].as_str().unwrap(), split.as_str().unwrap());
    let path = format!("/v1/contacts/{contact}/split/{split}");
    for expected in [StatusCode::OK, StatusCode::NOT_FOUND] {
        assert_eq!(admin.call(Method::DELETE, &path, None).await.0, expected);
    }
    let ended = watch.one("split.ended").await;
    assert_eq!(ended["details"], json!({"split_id": split}));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_done_has_no_event() {
    let world = World::new().await;
    let tenant = world.new_tenant().await;
    let service = Caller::service(&world, &world.api().await, Some(tenant));
    let watch = Watch {
        caller: &service,
        known: 1,
    };
    let body = json!({"name": "reader", "scopes": ["profiles:read"]});
    let key = [("Idempotency-Key", "k")];
    // The event is written, and what is in its transaction fails.
    world.refuse_answers().await;
    let (status, _) = service
        .call_with(Method::POST, "/v1/api_keys", Some(body), &key)
        .await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    watch.none("a transaction that was rolled back").await;
    world.accept_answers().await;

    let unknown = uuid::Uuid::now_v7();
    let no_scopes = json!({"name": "reader", "scopes": []});
    for (method, path, body, expected) in [
        (
            Method::POST,
            "/v1/api_keys".to_owned(),
            Some(no_scopes),
            400,
        ),
        (Method::DELETE, format!("/v1/api_keys/{unknown}"), None, 404),
        (
            Method::DELETE,
            format!("/v1/connections/{unknown}"),
            None,
            404,
        ),
        (Method::DELETE, "/v1/sources/crm".to_owned(), None, 202),
        (
            Method::PUT,
            "/v1/merge_rules".to_owned(),
            Some(json!({"contact": {}})),
            400,
        ),
        (
            Method::PUT,
            "/v1/identity_rules".to_owned(),
            Some(json!({"contacts": {"blocked": [{"kind": "phone", "value": "1234"}]}})),
            400,
        ),
    ] {
        let (status, answer) = service.call(method, &path, body).await;
        assert_eq!(status.as_u16(), expected, "{path}: {answer}");
    }
    watch.none("calls that did nothing").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_is_read_by_its_tenant_page_by_page_and_filtered() {
    let world = World::new().await;
    let base = world.api().await;
    let tenant = world.new_tenant().await;
    let service = Caller::service(&world, &base, Some(tenant));
    let stranger = service.acting_for(world.new_tenant().await);
    let mut ids = Vec::new();
    for scope in ["profiles:read", "connections:read", "sources:write"] {
        let body = json!({"name": scope, "scopes": [scope]});
        let (_, made) = service.call(Method::POST, "/v1/api_keys", Some(body)).await;
        ids.push(made);
    }
    let revoke = format!("/v1/api_keys/{}", ids[2]["id"].as_str().unwrap());
    assert!(
        service
            .call(Method::DELETE, &revoke, None)
            .await
            .0
            .is_success()
    );

    let whole = service.get("/v1/audit_events").await;
    let whole = whole["items"].as_array().unwrap();
    let order: Vec<&str> = whole
        .iter()
        .map(|event| event["action"].as_str().unwrap())
        .collect();
    let created = "api_key.created";
    assert_eq!(
        order,
        [
            "api_key.revoked",
            created,
            created,
            created,
            "tenant.created"
        ]
    );
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = service
            .get(&format!("/v1/audit_events?limit=2{cursor}"))
            .await;
        paged.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(&paged, whole);

    // Filters: by action, and by time with its first and without its last moment.
    let filtered = async |query: String| {
        let page = service.get(&format!("/v1/audit_events?{query}")).await;
        page["items"].as_array().unwrap().clone()
    };
    assert_eq!(filtered(format!("action={created}")).await, whole[1..4]);
    assert!(filtered("action=split.made".to_owned()).await.is_empty());
    let at = |n: usize| whole[n]["at"].as_str().unwrap().to_owned();
    assert_eq!(filtered(format!("since={}", at(2))).await, whole[..3]);
    assert_eq!(filtered(format!("until={}", at(2))).await, whole[3..]);
    let both = format!("action={created}&since={}&until={}&limit=1", at(3), at(1));
    assert_eq!(filtered(both).await, whole[2..3]);

    // What cannot be meant names its parameter, and a cursor belongs to its filters.
    for (query, field) in [
        ("action=api_key.stolen", "action"),
        ("since=yesterday", "since"),
        ("limit=201", "limit"),
        ("actor=me", "actor"),
    ] {
        let path = format!("/v1/audit_events?{query}");
        let (status, problem) = service.call(Method::GET, &path, None).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{problem}");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    let page = service.get("/v1/audit_events?limit=1").await;
    let cursor = page["next_cursor"].as_str().unwrap();
    let other = format!("/v1/audit_events?action={created}&cursor={cursor}");
    let (_, problem) = service.call(Method::GET, &other, None).await;
    assert_eq!(problem["code"], "invalid_cursor");

    // Another tenant has its own trail, and a key needs the scope.
    assert_eq!(
        actions(&trail(&stranger).await),
        [("tenant.created", "service_key")]
    );
    for (made, expected) in [(&ids[0], StatusCode::FORBIDDEN), (&ids[1], StatusCode::OK)] {
        let reader = service.with_key(made["key"].as_str().unwrap());
        let read = reader.call(Method::GET, "/v1/audit_events", None).await;
        assert_eq!(read.0, expected, "{}", read.1);
    }
}
