//! The tools for agents: at which hosts they answer, and whose sign-in they take beside keys.

use std::time::Duration;

use url::{Host, Url};

use super::values::{Reader, is_web_url};

/// A shorter time would let garbage make calls to the authorization server.
const SHORTEST_JWKS_INTERVAL: Duration = Duration::from_millis(100);

/// How `/mcp` is reached.
#[derive(Clone, Debug)]
pub struct McpConfig {
    /// Names of hosts beside that of the public URL, in lower case.
    pub hosts: Vec<String>,
    /// None if the tools take keys only.
    pub sign_in: Option<SignIn>,
}

/// The authorization server whose tokens the tools take.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// As its tokens name it in `iss`.
    pub issuer: String,
    /// Where it has its public keys. `None` if its metadata says it.
    pub jwks_url: Option<String>,
    /// The claim that holds the id of a token's tenant.
    pub tenant_claim: String,
    /// The shortest time between two reads of the keys.
    pub jwks_interval: Duration,
}

impl McpConfig {
    pub(super) fn read(read: &mut Reader<'_>, development: bool) -> Self {
        Self {
            hosts: read.hosts("mcp_hosts"),
            sign_in: SignIn::read(read, development),
        }
    }
}

impl SignIn {
    fn read(read: &mut Reader<'_>, development: bool) -> Option<Self> {
        // An issuer is compared as text, so a slash at its end stays.
        let jwks_url = read.text("mcp_jwks_url");
        let sign_in = Self {
            issuer: read.text("mcp_issuer"),
            jwks_url: (!jwks_url.is_empty()).then_some(jwks_url),
            tenant_claim: read.required_text("mcp_tenant_claim", true),
            jwks_interval: read.duration("mcp_jwks_interval", SHORTEST_JWKS_INTERVAL),
        };
        if sign_in.issuer.is_empty() {
            if sign_in.jwks_url.is_some() {
                read.fault("mcp_issuer", "is not set, but mcp_jwks_url is");
            }
            return None;
        }
        for (key, url) in [
            ("mcp_issuer", Some(&sign_in.issuer)),
            ("mcp_jwks_url", sign_in.jwks_url.as_ref()),
        ] {
            if let Some(url) = url
                && !is_web_url(url, development)
            {
                let what = "use an https URL (development also takes loopback http)";
                read.fault(key, &format!("is {url:?}: {what}"));
            }
        }
        Some(sign_in)
    }
}

impl Reader<'_> {
    /// Names of hosts, comma separated, without ports.
    fn hosts(&mut self, key: &str) -> Vec<String> {
        let text = self.text(key);
        let hosts = text.split(',').map(str::trim);
        let hosts: Vec<String> = hosts
            .filter(|host| !host.is_empty())
            .map(str::to_lowercase)
            .collect();
        for host in &hosts {
            let url = Url::parse(&format!("http://{host}/"));
            let is_name = url.is_ok_and(|url| url.host() == Some(Host::Domain(host)));
            if !is_name || host.contains('*') {
                let what = "use names such as api.prod.svc.cluster.local, without a scheme, a port or a wildcard";
                self.fault(key, &format!("has {host:?}: {what}"));
            }
        }
        hosts
    }
}
