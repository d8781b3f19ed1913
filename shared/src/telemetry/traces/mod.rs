//! Traces: the spans of a process, sent to a collector by OTLP over HTTP.
//!
//! They are off unless `otlp_endpoint` is set. A collector that is away, slow or refuses costs spans and nothing else: the
//! queue is bounded, no work waits for it, and what is dropped is counted.

mod queue;
mod sending;

use std::time::Duration;

use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracer, SdkTracerProvider},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{Metadata, level_filters::LevelFilter, subscriber::Subscriber};
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

use crate::{
    config::{Config, ProcessRole},
    egress::Collector,
};

/// The crates whose spans are sent. The spans of others hold what they please, and those of an HTTP client would trace the
/// sending itself.
const OURS: [&str; 4] = ["api", "scheduler", "shared", "worker"];

/// At its end a process sends what waits for so long at most.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// The traces of this process, if they are on.
#[derive(Debug)]
pub struct Traces(Option<Sending>);

#[derive(Debug)]
struct Sending {
    provider: SdkTracerProvider,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Traces {
    /// Starts the task that sends spans, if the configuration names a collector. It needs not be there.
    ///
    /// # Errors
    /// What is wrong with the way to the collector, as a sentence for an operator.
    pub fn start(config: &Config, role: ProcessRole) -> Result<Self, String> {
        let Some(endpoint) = &config.traces.endpoint else {
            return Ok(Self(None));
        };
        let collector = Collector::new(config, &format!("{endpoint}/v1/traces"))?;
        let resource = resource(role);
        let (queue, waiting) = queue::open();
        let ratio = Sampler::TraceIdRatioBased(config.traces.sample_ratio);
        let provider = SdkTracerProvider::builder()
            // A span goes with the ticket or request that it belongs to, so that no trace has holes.
            .with_sampler(Sampler::ParentBased(Box::new(ratio)))
            .with_resource(resource.clone())
            .with_span_processor(queue)
            .build();
        let stop = CancellationToken::new();
        let task = tokio::spawn(sending::run(waiting, collector, resource, stop.clone()));
        Ok(Self(Some(Sending {
            provider,
            stop,
            task,
        })))
    }

    /// No traces.
    pub(super) const fn off() -> Self {
        Self(None)
    }

    /// The layer that makes spans of traces out of ours. Events are left out, because the text of an error is for logs.
    pub(super) fn layer<S>(&self) -> Option<impl Layer<S> + use<S>>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let tracer: SdkTracer = self.0.as_ref()?.provider.tracer("pathbound");
        let spans = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false);
        Some(spans.with_filter(filter_fn(is_sent).with_max_level_hint(LevelFilter::DEBUG)))
    }

    /// Sends what waits, for two seconds at most.
    pub async fn close(self) {
        let Some(sending) = self.0 else { return };
        sending.stop.cancel();
        let abort = sending.task.abort_handle();
        if tokio::time::timeout(FLUSH_LIMIT, sending.task)
            .await
            .is_err()
        {
            abort.abort();
            tracing::warn!("left spans unsent, because the collector did not take them in time");
        }
    }
}

fn is_sent(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    let crate_of = target.split("::").next().unwrap_or(target);
    metadata.is_span() && *metadata.level() <= LevelFilter::DEBUG && OURS.contains(&crate_of)
}

/// What says of each span which process it comes from.
fn resource(role: ProcessRole) -> Resource {
    let instance = uuid::Uuid::now_v7().to_string();
    Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.namespace", "pathbound"),
            KeyValue::new("service.name", format!("pathbound-{}", role.as_str())),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", instance),
        ])
        .build()
}
