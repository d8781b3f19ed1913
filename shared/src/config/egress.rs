//! How this process reaches Redis and Intercom: certificates, authorities and a proxy.

use std::path::PathBuf;

use url::Url;

use super::{
    redis_url::{RedisTarget, RedisUrl},
    values::Reader,
};
use crate::domain::Secret;

/// The way out to Intercom. Our own servers and loopback addresses are never reached through the proxy.
#[derive(Clone, Debug, Default)]
pub struct Egress {
    /// The proxy's URL, which may hold a password.
    pub proxy: Option<Secret>,
    /// Hosts that are reached without the proxy, as `NO_PROXY` lists them. Empty if the proxy is our own option.
    pub no_proxy: String,
    /// Authorities in PEM, beside those of the system.
    pub ca_file: Option<PathBuf>,
}

/// The certificates for TLS to Redis, all in PEM.
#[derive(Clone, Debug, Default)]
pub struct RedisTls {
    /// Authorities in place of those of the system.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate, for a server that asks for one, and its key.
    pub client: Option<(PathBuf, PathBuf)>,
}

impl Reader<'_> {
    /// `proxy`, else the proxy of the environment if the role calls Intercom.
    pub(super) fn egress(&mut self, calls_intercom: bool) -> Egress {
        let ca_file = self.pem_file("ca_file", "CERTIFICATE");
        let own = self.text("proxy");
        if !own.is_empty() {
            if proxy_url(&own).is_none() {
                self.fault("proxy", "is no proxy: use a URL such as http://proxy:3128");
            }
            return Egress {
                proxy: proxy_url(&own),
                no_proxy: String::new(),
                ca_file,
            };
        }
        let standard = self.layers.proxies().filter(|_| calls_intercom);
        let Some((name, url, no_proxy)) = standard else {
            return Egress {
                ca_file,
                ..Egress::default()
            };
        };
        let proxy = proxy_url(url);
        if proxy.is_none() {
            self.faults.push(format!(
                "{name} is no proxy that can be used: use a URL such as http://proxy:3128, or set PATHBOUND_PROXY"
            ));
        }
        Egress {
            proxy,
            no_proxy: no_proxy.to_owned(),
            ca_file,
        }
    }

    /// The URL of Redis, and the files for its TLS.
    pub(super) fn redis(&mut self, cluster: bool, required: bool) -> (String, RedisTls) {
        let text = self.text("redis_url");
        if text.is_empty() {
            if required {
                self.fault("redis_url", "is not set");
            }
            return (text, RedisTls::default());
        }
        let url = match RedisUrl::parse(&text) {
            Ok(url) => url,
            Err(error) => {
                self.fault("redis_url", &error.to_string());
                return (text, RedisTls::default());
            }
        };
        if cluster && (url.db != 0 || !matches!(url.target, RedisTarget::Server(_))) {
            let what = "must name one node and no database, because redis_cluster is true";
            self.fault("redis_url", what);
        }
        let tls = self.redis_tls(url.tls);
        (text, tls)
    }

    /// The files for TLS to Redis. `tls` says whether the URL asks for TLS.
    fn redis_tls(&mut self, tls: bool) -> RedisTls {
        let ca_file = self.pem_file("redis_ca_file", "CERTIFICATE");
        let certificate = self.pem_file("redis_cert_file", "CERTIFICATE");
        let key = self.pem_file("redis_key_file", "PRIVATE KEY");
        // A file that has no effect would pass for encryption.
        for (option, file) in [
            ("redis_ca_file", &ca_file),
            ("redis_cert_file", &certificate),
            ("redis_key_file", &key),
        ] {
            if file.is_some() && !tls {
                self.fault(
                    option,
                    "is set, but redis_url has no TLS: begin it with rediss://",
                );
            }
        }
        match (&certificate, &key) {
            (Some(_), None) => self.fault("redis_key_file", "is not set, but redis_cert_file is"),
            (None, Some(_)) => self.fault("redis_cert_file", "is not set, but redis_key_file is"),
            _ => {}
        }
        RedisTls {
            ca_file,
            client: certificate.zip(key),
        }
    }

    /// A file in PEM with at least one block whose name ends like `block`. Read at start, so that a wrong path is
    /// known before the first connection.
    fn pem_file(&mut self, key: &str, block: &str) -> Option<PathBuf> {
        let path = self.text(key);
        if path.is_empty() {
            return None;
        }
        match std::fs::read_to_string(&path) {
            Ok(text) if text.contains(&format!("{block}-----")) => {}
            Ok(_) => self.fault(key, &format!("names {path}, which has no {block} in PEM")),
            Err(error) => {
                self.fault(
                    key,
                    &format!("names {path}, which could not be read: {error}"),
                );
            }
        }
        Some(path.into())
    }
}

/// A proxy without a scheme speaks HTTP, as every other program reads it.
fn proxy_url(text: &str) -> Option<Secret> {
    let text = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let url = Url::parse(&text).ok()?;
    let is_proxy = matches!(url.scheme(), "http" | "https") && url.has_host();
    is_proxy.then(|| Secret::new(text))
}
