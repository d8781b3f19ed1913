//! Sends spans to the collector, a batch at a time.

use std::time::Duration;

use opentelemetry_proto::{
    tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    transform::{
        common::tonic::ResourceAttributesWithSchema,
        trace::tonic::group_spans_by_resource_and_scope,
    },
};
use opentelemetry_sdk::{Resource, trace::SpanData};
use prost::Message as _;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

use crate::egress::Collector;

/// Spans that are sent at once at most.
const BATCH: usize = 512;

/// A batch is sent after this time even if it is not full.
const BATCH_WAIT: Duration = Duration::from_secs(1);

/// Counts spans by what has become of them.
pub(super) fn count(outcome: &'static str, spans: usize) {
    metrics::counter!("pathbound_trace_spans_total", "outcome" => outcome).increment(spans as u64);
}

/// Sends until `stop`, and then what still waits.
pub(super) async fn run(
    mut waiting: Receiver<SpanData>,
    collector: Collector,
    resource: Resource,
    stop: CancellationToken,
) {
    let resource = ResourceAttributesWithSchema::from(&resource);
    let mut fails = false;
    loop {
        let stops = stop.is_cancelled();
        let batch = next_batch(&mut waiting, &stop).await;
        if batch.is_empty() {
            if stops && waiting.is_empty() {
                return;
            }
            tokio::task::yield_now().await;
            continue;
        }
        let spans = batch.len();
        let sent = send(batch, &collector, &resource).await;
        let rejected = *sent.as_ref().unwrap_or(&spans);
        count("sent", spans - rejected);
        count("not_taken", rejected);
        // Said once when it begins and once when it ends. The metric has the number.
        match (fails, sent) {
            (false, Err(error)) => {
                tracing::warn!(error, "could not send spans, so they are dropped");
                fails = true;
            }
            (true, Ok(_)) => {
                tracing::info!("the collector takes spans again");
                fails = false;
            }
            _ => {}
        }
    }
}

async fn next_batch(waiting: &mut Receiver<SpanData>, stop: &CancellationToken) -> Vec<SpanData> {
    let mut batch = Vec::new();
    let full = async {
        while batch.len() < BATCH {
            let left = BATCH - batch.len();
            if waiting.recv_many(&mut batch, left).await == 0 {
                // All that give spans have ended.
                stop.cancelled().await;
                return;
            }
        }
    };
    // What waits comes first, so that a stop finds it in the batch.
    tokio::select! {
        biased;
        () = full => {}
        () = stop.cancelled() => {}
        () = tokio::time::sleep(BATCH_WAIT) => {}
    }
    batch
}

/// Sends a batch and returns how many of its spans the collector has refused.
async fn send(
    batch: Vec<SpanData>,
    collector: &Collector,
    resource: &ResourceAttributesWithSchema,
) -> Result<usize, String> {
    let spans = batch.len();
    let request = ExportTraceServiceRequest {
        resource_spans: group_spans_by_resource_and_scope(batch, resource),
    };
    let answer = collector.post(request.encode_to_vec()).await?;
    let answer = ExportTraceServiceResponse::decode(answer.as_slice());
    // An answer of another form still came with a status of success.
    let partial = answer.ok().and_then(|answer| answer.partial_success);
    let rejected = partial.map_or(0, |partial| partial.rejected_spans);
    Ok(usize::try_from(rejected).unwrap_or(0).min(spans))
}
