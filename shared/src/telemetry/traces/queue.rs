//! The queue between the work and the collector. It is bounded, and what finds it full is dropped and counted.

use std::time::Duration;

use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanProcessor},
};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::sending::count;

/// Spans that wait at most, which is about two megabytes.
const LONGEST_QUEUE: usize = 4_096;

/// What a span may say: ids, and words of ours. A field that is added to a span is not sent until it stands here.
const ATTRIBUTES: [&str; 10] = [
    "attempt",
    "class",
    "connection",
    "endpoint",
    "fence",
    "route",
    "status",
    "stream",
    "tenant",
    "workspace.id",
];

/// Opens the queue: the end that takes spans, and the end that gives them.
pub(super) fn open() -> (SpanQueue, Receiver<SpanData>) {
    let (sender, receiver) = channel(LONGEST_QUEUE);
    (SpanQueue(sender), receiver)
}

/// Takes each span at its end, and never waits.
#[derive(Debug)]
pub(super) struct SpanQueue(Sender<SpanData>);

impl SpanProcessor for SpanQueue {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, mut span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        span.attributes.retain(may_be_sent);
        if self.0.try_send(span).is_err() {
            count("queue_full", 1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    /// The task that sends ends by itself.
    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// A caller may choose the id of its request, so only one that is a UUID is an id and no text.
fn may_be_sent(attribute: &KeyValue) -> bool {
    match attribute.key.as_str() {
        "id" => uuid::Uuid::try_parse(&attribute.value.as_str()).is_ok(),
        key => ATTRIBUTES.contains(&key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_drops_spans_and_counts_them() {
        use opentelemetry::trace::{Tracer as _, TracerProvider as _};
        use opentelemetry_sdk::trace::SdkTracerProvider;
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let (queue, waiting) = open();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(queue)
            .build();
        let tracer = provider.tracer("tests");
        metrics::with_local_recorder(&recorder, || {
            (0..LONGEST_QUEUE + 3).for_each(|_| drop(tracer.start("span")));
        });
        assert_eq!(waiting.len(), LONGEST_QUEUE);
        let counted = "pathbound_trace_spans_total{outcome=\"queue_full\"} 3";
        assert!(recorder.handle().render().contains(counted));
    }

    #[test]
    fn a_span_says_ids_and_words_of_ours_only() {
        let sent = |key, value: &str| may_be_sent(&KeyValue::new(key, value.to_owned()));
        assert!(sent("tenant", "0190a3c2-7b1e-7000-8000-000000000001"));
        assert!(sent("id", "0190a3c2-7b1e-7000-8000-000000000001"));
        assert!(!sent("id", "ada@example.com"));
        assert!(!sent("email", "ada@example.com"));
    }
}
