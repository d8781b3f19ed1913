//! How long answers are, and that a cut one goes on where it ended.

use intercom_simulator::{Kind, Mutation, WorkspaceSpec};
use serde_json::{Value, json};

use super::ALL;
use crate::support::{Agent, Caller, ToolAnswer, World};

/// Of the text and of the structured content: 2,000 and 20,000 tokens of three bytes.
const CONCISE: usize = 6_000;
const DETAILED: usize = 60_000;
/// Of both together.
const TOTAL: usize = 64 << 10;

fn assert_within(answer: &ToolAnswer, bytes: usize) {
    let structured = answer.structured.to_string().len();
    assert!(
        answer.text.len() <= bytes,
        "{} bytes of text",
        answer.text.len()
    );
    assert!(
        structured <= bytes,
        "{structured} bytes of structured content"
    );
    assert!(answer.text.len() + structured <= TOTAL);
}

/// The parts of a conversation, whole, with its first message.
fn bodies(pages: &[ToolAnswer]) -> Vec<(i64, String)> {
    let mut found: Vec<(i64, String)> = Vec::new();
    for part in pages
        .iter()
        .flat_map(|page| page.structured["parts"].as_array().unwrap())
    {
        let (place, body) = (
            part["part"].as_i64().unwrap(),
            part["untrusted_body"].as_str(),
        );
        let body = body.unwrap_or_default();
        match found.last_mut() {
            // A piece of the part before goes on with it.
            Some((last, text)) if *last == place => {
                assert!(part["piece"].as_i64().unwrap() > 1, "{part}");
                text.push_str(body);
            }
            _ => found.push((place, body.to_owned())),
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_giant_thread_is_cut_and_each_next_call_goes_on() {
    let world = World::new().await;
    let case = world
        .case(WorkspaceSpec {
            contacts: 5,
            companies: 1,
            conversations: 3,
            limit_per_window: 100_000,
            ..WorkspaceSpec::default()
        })
        .await;
    let giant = case.mutate(Mutation::add(Kind::Conversation, 1).ago(3_900))[0].clone();
    case.mutate(
        Mutation::grow(Kind::Conversation, 1)
            .ids([giant.clone()])
            .parts(300)
            .ago(3_800),
    );
    let own: Vec<_> = case
        .workspace
        .truth()
        .into_iter()
        .filter(|line| line.kind == Kind::Part && line.parent.as_deref() == Some(giant.as_str()))
        .collect();
    // Of all sizes: none, some words, and more than one answer holds, with what needs escaping in JSON.
    for (n, line) in own.iter().enumerate() {
        let mut object = line.value();
        object["body"] = match n % 50 {
            7 => "word \"quoted\" é\n".repeat(6_000).into(),
            n if n % 5 == 1 => "x".repeat(700).into(),
            _ => format!("message {n}").into(),
        };
        assert!(
            case.workspace
                .put_raw(Kind::Part, &line.id, object.to_string())
        );
    }
    let case = case.connect().await;
    let _fleet = world.fleet(1);
    case.until_complete().await;
    let caller = Caller::service(&world, &world.api().await, Some(case.tenant));
    let agent = Agent::new(&caller, ALL).await;
    let all = caller.all("/v1/conversations").await;
    let id = all.iter().find(|one| one["source_id"] == giant).unwrap()["id"].clone();
    let parts = caller
        .all(&format!("/v1/conversations/{}/parts", id.as_str().unwrap()))
        .await;
    assert!(parts.len() > 250, "{}", parts.len());
    let whole: Vec<(i64, String)> = (1..)
        .zip(&parts)
        .map(|(place, part)| (place, part["body"].as_str().unwrap_or_default().to_owned()))
        .collect();

    let pages = agent
        .pages(
            "get_conversation",
            json!({"number": giant, "detail": "detailed"}),
        )
        .await;
    assert!(pages.len() > 5, "{} pages", pages.len());
    for page in &pages {
        assert_within(page, DETAILED);
    }
    let read = bodies(&pages);
    assert_eq!(read.len(), whole.len());
    for (read, whole) in read.iter().zip(&whole) {
        assert_eq!(read.0, whole.0);
        assert_eq!(read.1, whole.1, "part {}", read.0);
    }

    let pages = agent
        .pages("get_conversation", json!({"number": giant}))
        .await;
    let mut seen = 0;
    for page in &pages {
        assert_within(page, CONCISE);
        let shown = page.structured["parts"].as_array().unwrap();
        assert!(!shown.is_empty());
        for part in shown {
            seen += 1;
            assert_eq!(part["part"], seen);
        }
        assert_eq!(page.structured["part_total"], parts.len());
        assert_eq!(page.structured["left"], parts.len() - seen as usize);
        let has_next = page.structured.get("next").is_some();
        assert_eq!(has_next, seen < parts.len() as i64);
        if has_next {
            let arguments = page.structured["next"]["arguments"].to_string();
            assert!(
                page.text.contains("tool: get_conversation"),
                "{}",
                page.text
            );
            let cursor = page.structured["next"]["arguments"]["cursor"]
                .as_str()
                .unwrap();
            assert!(page.text.contains(cursor), "{arguments}");
        }
    }
    assert_eq!(seen, parts.len() as i64);
    let shortened = pages
        .iter()
        .flat_map(|page| page.structured["parts"].as_array().unwrap())
        .filter(|part| {
            part["untrusted_body"]
                .as_str()
                .unwrap_or_default()
                .ends_with("more characters]")
        });
    assert!(shortened.count() > 50);
    // The other way round, each answer shows the same parts, and the first one what was said last.
    for (detail, bytes) in [("concise", CONCISE), ("detailed", DETAILED)] {
        let arguments = json!({"number": giant, "detail": detail, "order": "newest_first"});
        let pages = agent.pages("get_conversation", arguments).await;
        let mut left = parts.len();
        for page in &pages {
            assert_within(page, bytes);
            let shown = page.structured["parts"].as_array().unwrap();
            let ended = shown.iter().filter(|part| part["piece"] == part["pieces"]);
            left -= ended.count();
            assert_eq!(page.structured["left"], left, "{detail}");
            assert_eq!(page.structured["part_total"], parts.len());
        }
        assert_eq!(left, 0, "{detail}");
        let mut read = bodies(&pages);
        let places = read.iter().map(|(place, _)| *place);
        assert!(places.eq((1..=parts.len() as i64).rev()), "{detail}");
        if detail == "detailed" {
            read.reverse();
            assert_eq!(read, whole);
        }
    }
    // A cursor is of one conversation, one detail and one order.
    let cursor = &pages[0].structured["next"]["arguments"]["cursor"];
    let refused = agent
        .refusal(
            "get_conversation",
            json!({"number": giant, "detail": "detailed", "cursor": cursor}),
        )
        .await;
    assert!(refused.contains("The cursor does not belong"), "{refused}");
    let other_order = json!({"number": giant, "order": "newest_first", "cursor": cursor});
    let refused = agent.refusal("get_conversation", other_order).await;
    assert!(refused.contains("The cursor does not belong"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_profile_fits() {
    let world = World::new().await;
    let tenant = world.new_tenant().await;
    let caller = Caller::service(&world, &world.api().await, Some(tenant));
    let agent = Agent::new(&caller, ALL).await;
    let long = |n: usize| format!("{n} \"{}\"", "é\\".repeat(80));
    let texts = |count: usize| (0..count).map(long).collect::<Vec<_>>();
    let attributes: serde_json::Map<String, Value> = (0..80)
        .map(|n| {
            (
                format!("attribute {n:03} {}", "\"".repeat(20)),
                json!("\"\n".repeat(120)),
            )
        })
        .collect();
    let fields = |n: usize| {
        json!({"name": long(n), "external_id": "whole", "email": format!("{n}-{}@acme.example", "x".repeat(50)),
               "tags": texts(40), "attributes": attributes})
    };
    for (n, source) in ["crm", "email", "analytics"].into_iter().enumerate() {
        let record = json!({"source_id": "a", "source_updated_at": "2026-11-01T12:00:00Z", "fields": fields(n)});
        let taken = caller.send(source, "contact", &[record]).await;
        assert_eq!(taken["accepted"], 1, "{taken}");
        let company = json!({"source_id": "c", "source_updated_at": "2026-11-01T12:00:00Z",
                             "fields": {"name": long(n), "external_id": "whole", "tags": texts(40),
                                        "attributes": attributes}});
        let taken = caller.send(source, "company", &[company]).await;
        assert_eq!(taken["accepted"], 1, "{taken}");
    }
    for tool in ["get_contact", "get_company"] {
        let concise = agent.answer(tool, json!({"external_id": "whole"})).await;
        assert_within(&concise, CONCISE);
        assert_eq!(concise.structured["attribute_total"], 80);
        let mut names = Vec::new();
        for page in agent
            .pages(tool, json!({"external_id": "whole", "detail": "detailed"}))
            .await
        {
            assert_within(&page, DETAILED);
            let lines = page.structured["attributes"].as_array().unwrap();
            names.extend(lines.iter().map(|line| line["untrusted_name"].to_string()));
        }
        assert_eq!(names.len(), 80, "{tool}");
        assert!(names.is_sorted(), "{tool}");
    }
}
