//! What processes send to a collector of traces: each ticket and each request whole, with ids only. And what a bad
//! collector costs: spans, and nothing else.

use std::collections::{BTreeSet, HashMap};

use intercom_simulator::WorkspaceSpec;
use opentelemetry_proto::tonic::{common::v1::any_value, trace::v1::Span};
use shared::domain::Stream;

use crate::{
    logs::secrets,
    operations::workspace,
    support::{Caller, Case, Collector, Process, Received, World, wait_for},
};

/// Starts a role that sends every span to a collector, and returns it with its ops address.
async fn traced(world: &World, role: &str, endpoint: &str) -> (Process, String) {
    let options = [
        ("PATHBOUND_OTLP_ENDPOINT", endpoint),
        ("PATHBOUND_OTLP_SAMPLE_RATIO", "1"),
    ];
    let (process, address) = world.listening_with(role, &options);
    Process::until_ready(&address).await;
    (process, address)
}

async fn small_case(world: &World) -> Case {
    let spec = WorkspaceSpec {
        conversations: 20,
        ..workspace(1)
    };
    world.case(spec).await
}

fn text(span: &Span, key: &str) -> String {
    let attribute = span.attributes.iter().find(|found| found.key == key);
    let value = attribute.and_then(|found| found.value.as_ref()?.value.as_ref());
    match value {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// A span and those that it stands in, up to the root.
fn way_up<'a>(spans: &HashMap<&[u8], &'a Span>, span: &'a Span) -> Vec<&'a Span> {
    let mut way = vec![span];
    let mut at = span;
    while !at.parent_span_id.is_empty() {
        let parent = spans.get(at.parent_span_id.as_slice());
        at = parent.unwrap_or_else(|| panic!("{} has a parent that was not sent", at.name));
        assert_eq!(at.trace_id, span.trace_id, "{}", span.name);
        way.push(at);
    }
    way
}

/// Every span below a ticket stands in its slice, which names the same ticket.
fn assert_tickets_are_whole(spans: &[Span]) -> BTreeSet<String> {
    let by_id: HashMap<&[u8], &Span> = spans
        .iter()
        .map(|span| (span.span_id.as_slice(), span))
        .collect();
    let mut streams = BTreeSet::new();
    let mut below = BTreeSet::new();
    for span in spans {
        let way = way_up(&by_id, span);
        let root = way[way.len() - 1];
        match span.name.as_str() {
            "ticket" => assert_eq!(way.len(), 1, "a ticket is a root"),
            "slice" => {
                assert_eq!(way.len(), 2, "a slice stands in its ticket");
                for key in ["tenant", "connection", "stream", "fence"] {
                    assert!(!text(span, key).is_empty(), "{key}");
                    assert_eq!(text(span, key), text(root, key), "{key}");
                }
                streams.insert(text(span, "stream"));
            }
            "intercom_call" => {
                assert_eq!(way[way.len() - 2].name, "slice");
                assert_eq!(root.name, "ticket");
            }
            name if name.starts_with("db.") && root.name == "ticket" => {
                below.insert(way[way.len() - 2].name.clone());
            }
            _ => {}
        }
    }
    assert_eq!(below, BTreeSet::from(["slice".to_owned()]));
    streams
}

fn assert_processes_name_themselves(received: &Received) {
    let mut instances = BTreeSet::new();
    for resource in &received.resources {
        assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
        instances.insert((
            resource["service.name"].clone(),
            resource["service.instance.id"].clone(),
        ));
    }
    let names: Vec<_> = instances.iter().map(|(name, _)| name.as_str()).collect();
    let roles = ["pathbound-api", "pathbound-scheduler", "pathbound-worker"];
    assert_eq!(names, roles);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_and_a_request_are_traced_whole_and_with_ids_only() {
    let collector = Collector::start().await;
    let world = World::with(&[]).await;
    let mut processes = Vec::new();
    for role in ["api", "scheduler", "worker"] {
        processes.push(traced(&world, role, &collector.url).await.0);
    }
    let case = small_case(&world).await.connect().await;
    case.until_walked().await;
    let base = format!("http://{}", processes[0].api_address());
    let caller = Caller::service(&world, &base, Some(case.tenant));
    caller.get("/v1/contacts").await;
    for process in &processes {
        process.terminate();
    }
    for process in &mut processes {
        assert!(process.ended().await.success());
    }

    let received = collector.received();
    assert_processes_name_themselves(&received);
    let streams = assert_tickets_are_whole(&received.spans);
    let all: BTreeSet<_> = Stream::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(streams, all);
    // The one call before the workspace is known is the connect's.
    let calls = received.named("intercom_call").count() as u64;
    assert_eq!(calls, case.all_calls() - case.calls("me"));

    let request = received
        .named("request")
        .find(|span| text(span, "route") == "/v1/contacts");
    let request = request.expect("the request is traced");
    assert_eq!(text(request, "tenant"), case.tenant.to_string());
    let statements = received
        .spans
        .iter()
        .filter(|span| span.name.starts_with("db.") && span.trace_id == request.trace_id);
    assert!(statements.count() > 0, "its transaction is in its trace");

    let ticks: BTreeSet<_> = received.named("tick").map(|span| &span.span_id).collect();
    let is_of_a_tick = |span: &&Span| ticks.contains(&span.parent_span_id);
    let statements = received.spans.iter().filter(is_of_a_tick);
    assert!(statements.count() > 0, "a tick has its transactions");
    assert!(
        received
            .named("tick")
            .all(|span| span.parent_span_id.is_empty())
    );

    assert!(received.spans.iter().all(|span| span.events.is_empty()));
    let secrets = secrets(&world, &case);
    assert!(secrets.len() > 50, "only {} texts", secrets.len());
    let sent = format!("{:?}", received.spans);
    let said: Vec<_> = secrets.iter().filter(|text| sent.contains(*text)).collect();
    assert!(said.is_empty(), "{said:?}");
}

async fn not_taken(address: &str) -> Result<(), String> {
    let metrics = reqwest::get(format!("http://{address}/metrics")).await;
    let text = metrics.expect("metrics").text().await.expect("text");
    let mut lines = text.lines().map(str::to_owned);
    let series = "pathbound_trace_spans_total{outcome=\"not_taken\"} ";
    let line = lines.find(|line| line.starts_with(series));
    let line = line.expect("it is exported from the start");
    (!line.ends_with(" 0")).then_some(()).ok_or(line)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_refuses_or_hangs_costs_spans_only() {
    let (refuses, hangs) = (Collector::refusing().await, Collector::hanging().await);
    let world = World::with(&[]).await;
    let (mut scheduler, _) = traced(&world, "scheduler", &hangs.url).await;
    let (mut worker, address) = traced(&world, "worker", &refuses.url).await;
    let case = small_case(&world).await.connect().await;
    case.until_walked().await;
    case.assert_exact().await;
    wait_for("refused spans are counted", async || {
        not_taken(&address).await
    })
    .await;
    assert!(refuses.requests() > 0);
    hangs.until_asked().await;
    for process in [&mut scheduler, &mut worker] {
        process.terminate();
        assert!(process.ended().await.success());
    }
    let lines = worker.written();
    let said = lines.matches("could not send spans").count();
    assert_eq!(said, 1, "{lines}");
}
