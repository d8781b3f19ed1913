//! A collector of traces, over real HTTP: one that takes spans, one that refuses them, and one that never answers.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value, trace::v1::Span,
};
use prost::Message as _;

use super::wait_for;

/// What a collector has been sent.
#[derive(Clone, Default)]
pub(crate) struct Received {
    pub(crate) spans: Vec<Span>,
    /// What each request said of its process.
    pub(crate) resources: Vec<BTreeMap<String, String>>,
    requests: usize,
}

impl Received {
    pub(crate) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Span> {
        self.spans.iter().filter(move |span| span.name == name)
    }

    fn take(&mut self, body: Bytes) {
        let request = ExportTraceServiceRequest::decode(body).expect("Protobuf of OTLP");
        for resource in request.resource_spans {
            let said = resource.resource.expect("a resource").attributes;
            let said = said.into_iter().map(|said| {
                let text = match said.value.and_then(|value| value.value) {
                    Some(any_value::Value::StringValue(text)) => text,
                    other => panic!("{} is {other:?}", said.key),
                };
                (said.key, text)
            });
            self.resources.push(said.collect());
            let scopes = resource.scope_spans.into_iter();
            self.spans.extend(scopes.flat_map(|scope| scope.spans));
        }
    }
}

#[derive(Clone, Copy)]
enum Manner {
    Takes,
    Refuses,
    Hangs,
}

/// A collector on a port of its own.
pub(crate) struct Collector {
    pub(crate) url: String,
    received: Arc<Mutex<Received>>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        Self::of(Manner::Takes).await
    }

    pub(crate) async fn refusing() -> Self {
        Self::of(Manner::Refuses).await
    }

    pub(crate) async fn hanging() -> Self {
        Self::of(Manner::Hangs).await
    }

    async fn of(manner: Manner) -> Self {
        let received = Arc::<Mutex<Received>>::default();
        let router = Router::new()
            .route("/v1/traces", post(answer))
            .with_state((manner, Arc::clone(&received)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, received }
    }

    pub(crate) fn received(&self) -> Received {
        self.received.lock().unwrap().clone()
    }

    /// Requests so far, taken or not.
    pub(crate) fn requests(&self) -> usize {
        self.received.lock().unwrap().requests
    }

    pub(crate) async fn until_asked(&self) {
        wait_for("the collector is called", async || {
            (self.requests() > 0)
                .then_some(())
                .ok_or_else(|| "no call".to_owned())
        })
        .await;
    }
}

async fn answer(
    State((manner, received)): State<(Manner, Arc<Mutex<Received>>)>,
    body: Bytes,
) -> StatusCode {
    received.lock().unwrap().requests += 1;
    match manner {
        Manner::Takes => {
            received.lock().unwrap().take(body);
            StatusCode::OK
        }
        Manner::Refuses => StatusCode::SERVICE_UNAVAILABLE,
        Manner::Hangs => std::future::pending().await,
    }
}
