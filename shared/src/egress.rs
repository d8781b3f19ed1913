//! The HTTP client for calls to servers of others, with the way out that the configuration names: a proxy, and further
//! authorities.

use std::time::Duration;

use reqwest::{Certificate, Client, ClientBuilder, NoProxy, Proxy, Response, redirect::Policy};

use crate::{
    config::{Config, Egress, Profile},
    tls::use_ring,
};

/// Addresses of this machine, in the form of `NO_PROXY`. A proxy cannot reach them, and it must not see their calls.
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

/// A collector that takes longer is slow, and its batch is dropped.
const COLLECTOR_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of a collector's answer, which is a few words.
const LONGEST_ANSWER: usize = 65_536;

/// Whether a client can be made that could call them.
///
/// # Errors
/// What is wrong and what to do, as a sentence for an operator.
pub fn check(config: &Config) -> Result<(), String> {
    client(config).map(|_| ())
}

/// # Errors
/// The same as [`check`].
pub(crate) fn client(config: &Config) -> Result<Client, String> {
    use_ring();
    let timeout = config.intercom.request_timeout;
    let builder = Client::builder()
        .user_agent(concat!("pathbound/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(timeout.min(Duration::from_secs(5)))
        // A redirect could carry the token to another host.
        .redirect(Policy::none())
        .https_only(config.profile == Profile::Production)
        .tcp_nodelay(true);
    let builder = through_proxy(builder, &config.intercom.egress)?;
    // A server that is replaced in development may be plain http on this machine, and needs no authority.
    let is_tls = |url: &String| url.starts_with("https");
    let sign_in = config.mcp.sign_in.as_ref();
    let needs_tls = config.intercom.api_url.as_ref().is_none_or(is_tls)
        || sign_in
            .is_some_and(|sign_in| is_tls(sign_in.jwks_url.as_ref().unwrap_or(&sign_in.issuer)));
    let builder = with_authorities(builder, &config.intercom.egress, needs_tls)?;
    builder
        .build()
        .map_err(|error| format!("could not make a client for calls to other servers: {error}"))
}

/// Why a body was not read to its end.
pub(crate) enum BodyFault {
    BreaksOff(reqwest::Error),
    TooLong,
}

/// The body of an answer, if it has at most `limit` bytes.
///
/// # Errors
/// If it has more, or breaks off.
pub(crate) async fn body_within(mut answer: Response, limit: usize) -> Result<Vec<u8>, BodyFault> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(BodyFault::BreaksOff)? {
        if body.len() + chunk.len() > limit {
            return Err(BodyFault::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The collector of traces. It is called directly, because it is a server of the fleet's own.
#[derive(Debug)]
pub(crate) struct Collector {
    client: Client,
    url: String,
}

impl Collector {
    /// # Errors
    /// What is wrong and what to do, as a sentence for an operator.
    pub(crate) fn new(config: &Config, url: &str) -> Result<Self, String> {
        use_ring();
        let builder = Client::builder()
            .user_agent(concat!("pathbound/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(COLLECTOR_TIMEOUT)
            .timeout(COLLECTOR_TIMEOUT)
            .redirect(Policy::none())
            .no_proxy();
        let needs_tls = url.starts_with("https");
        let builder = with_authorities(builder, &config.intercom.egress, needs_tls)?;
        let client = builder
            .build()
            .map_err(|error| format!("could not make a client for the collector: {error}"))?;
        let url = url.to_owned();
        Ok(Self { client, url })
    }

    /// Posts a message in Protobuf and returns the answer.
    ///
    /// # Errors
    /// Why the collector did not take it.
    pub(crate) async fn post(&self, body: Vec<u8>) -> Result<Vec<u8>, String> {
        let request = self.client.post(&self.url).body(body);
        let request = request.header("content-type", "application/x-protobuf");
        let failed = |error: reqwest::Error| error.without_url().to_string();
        let answer = request.send().await.map_err(failed)?;
        if !answer.status().is_success() {
            return Err(format!("the collector answered {}", answer.status()));
        }
        body_within(answer, LONGEST_ANSWER)
            .await
            .map_err(|fault| match fault {
                BodyFault::BreaksOff(error) => failed(error),
                BodyFault::TooLong => "the collector's answer is too long".to_owned(),
            })
    }
}

fn through_proxy(builder: ClientBuilder, egress: &Egress) -> Result<ClientBuilder, String> {
    // Without this, the library would read the environment by rules of its own.
    let builder = builder.no_proxy();
    let Some(url) = &egress.proxy else {
        return Ok(builder);
    };
    // The error is left out, because it may quote the URL with its password.
    let proxy =
        Proxy::all(url.expose()).map_err(|_| "the proxy's url cannot be used".to_owned())?;
    let direct = NoProxy::from_string(&format!("{LOOPBACK},{}", egress.no_proxy));
    Ok(builder.proxy(proxy.no_proxy(direct)))
}

fn with_authorities(
    builder: ClientBuilder,
    egress: &Egress,
    needs_tls: bool,
) -> Result<ClientBuilder, String> {
    let further = match &egress.ca_file {
        None => Vec::new(),
        Some(path) => {
            let pem = std::fs::read(path)
                .map_err(|error| format!("could not read ca_file {}: {error}", path.display()))?;
            Certificate::from_pem_bundle(&pem)
                .map_err(|_| format!("ca_file {} holds no certificates", path.display()))?
        }
    };
    let has_system_store = !rustls_native_certs::load_native_certs().certs.is_empty();
    if has_system_store {
        return Ok(builder.tls_certs_merge(further));
    }
    if further.is_empty() && needs_tls {
        return Err(
            "this machine has no certificate authorities, so no call to another server could be trusted: install ca-certificates, or name a file with PATHBOUND_CA_FILE"
                .to_owned(),
        );
    }
    // The library fails without a store of the system, unless it is told to use these alone.
    Ok(builder.tls_certs_only(further))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        sync::mpsc::{Receiver, channel},
    };

    use super::*;
    use crate::config::{Environment, ProcessRole};

    fn config(pairs: &[(&str, &str)]) -> Config {
        let own = [
            ("PATHBOUND_PROFILE", "development"),
            ("PATHBOUND_DATABASE_URL", "postgres://u@db/x"),
            ("PATHBOUND_REDIS_URL", "redis://r"),
            ("PATHBOUND_REQUEST_TIMEOUT", "2s"),
        ];
        let environment: Environment = own
            .iter()
            .chain(pairs)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Config::load(None, &environment, ProcessRole::Worker).unwrap()
    }

    /// A proxy on a free port, and the first line that it was sent. It answers 200 to a request of its own.
    fn proxy() -> (String, Receiver<String>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://canary:secret@{}", listener.local_addr().unwrap());
        let (seen, sees) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, mut head) = (stream.unwrap(), [0; 512]);
                // A client that has given up sends nothing.
                let length = stream.read(&mut head).unwrap_or_default();
                let line = String::from_utf8_lossy(&head[..length])
                    .lines()
                    .next()
                    .map(str::to_owned);
                let _ = stream.write_all(b"HTTP/1.1 502 no\r\ncontent-length: 0\r\n\r\n");
                if let Some(line) = line {
                    let _ = seen.send(line);
                }
            }
        });
        (url, sees)
    }

    async fn call(config: &Config, url: &str) {
        let _ = client(config).unwrap().get(url).send().await;
    }

    /// What the proxy sees first. The client gives up a call that a busy machine delays, so it calls again.
    async fn first_seen(sees: &Receiver<String>, config: &Config, url: &str) -> String {
        for _ in 0..20 {
            call(config, url).await;
            if let Ok(line) = sees.recv_timeout(Duration::from_secs(1)) {
                return line;
            }
        }
        panic!("the proxy sees no call")
    }

    #[tokio::test]
    async fn only_calls_to_other_machines_go_through_the_proxy() {
        let (url, sees) = proxy();
        let own = config(&[
            ("PATHBOUND_PROXY", &url),
            ("NO_PROXY", "api.intercom.invalid"),
        ]);
        // Loopback addresses first, so that what the proxy sees first is the other call.
        for direct in [
            "http://127.0.0.1:1/",
            "http://localhost:1/",
            "http://[::1]:1/",
        ] {
            call(&own, direct).await;
        }
        assert_eq!(
            first_seen(&sees, &own, "https://api.intercom.invalid/me").await,
            "CONNECT api.intercom.invalid:443 HTTP/1.1"
        );

        let (url, sees) = proxy();
        let standard = config(&[("HTTPS_PROXY", &url), ("NO_PROXY", "api.intercom.invalid")]);
        call(&standard, "https://api.intercom.invalid/me").await;
        assert_eq!(
            first_seen(&sees, &standard, "https://api.eu.intercom.invalid/me").await,
            "CONNECT api.eu.intercom.invalid:443 HTTP/1.1"
        );
    }
}
