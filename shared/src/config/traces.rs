//! Where spans are sent, and how many.

use url::Url;

use super::values::Reader;

/// How this process is traced.
#[derive(Clone, Debug)]
pub struct TracesConfig {
    /// The collector's URL without a trailing slash. None if there are no traces.
    pub endpoint: Option<String>,
    /// The share of tickets and requests that are traced, above 0 and up to 1.
    pub sample_ratio: f64,
}

impl TracesConfig {
    pub(super) fn read(read: &mut Reader<'_>) -> Self {
        let endpoint = read.text("otlp_endpoint");
        if !endpoint.is_empty() && !is_collector(&endpoint) {
            // Not repeated, because it may hold a password.
            read.fault(
                "otlp_endpoint",
                "is no URL of a collector: use one such as http://otel-collector:4318, without a user, a password or a query",
            );
        }
        Self {
            endpoint: (!endpoint.is_empty()).then(|| endpoint.trim_end_matches('/').to_owned()),
            sample_ratio: read.share("otlp_sample_ratio"),
        }
    }
}

/// Plain HTTP is allowed, because collectors often run beside the fleet without TLS, and spans hold ids only.
fn is_collector(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    let is_bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    matches!(url.scheme(), "http" | "https") && url.host().is_some() && is_bare
}
