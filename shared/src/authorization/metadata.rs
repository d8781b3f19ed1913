//! Where an authorization server says that its keys are: in its metadata (RFC 8414), or in that of OpenID Connect.

use reqwest::Client;
use serde::Deserialize;
use url::Url;

use super::fetch::get;

/// What is read of the metadata.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

/// Where the keys of this issuer are. The first address that has metadata of it counts.
///
/// # Errors
/// What is wrong with the metadata.
pub(super) async fn jwks_url(http: &Client, issuer: &str) -> Result<String, &'static str> {
    let mut fault = "its issuer is no address";
    for url in addresses(issuer) {
        match read(http, &url, issuer).await {
            Ok(url) => return Ok(url),
            Err(why) => fault = why,
        }
    }
    Err(fault)
}

async fn read(http: &Client, url: &str, issuer: &str) -> Result<String, &'static str> {
    let body = get(http, url).await?;
    let metadata: Metadata =
        serde_json::from_slice(&body).map_err(|_| "its metadata names no keys")?;
    // Whoever answers for another issuer could name keys of its own.
    if metadata.issuer != issuer {
        return Err("its metadata is that of another issuer");
    }
    Ok(metadata.jwks_uri)
}

/// Where servers have their metadata, in the order in which clients of the tools look. The path of an issuer comes behind
/// that of RFC 8414, and before that of OpenID Connect.
fn addresses(issuer: &str) -> Vec<String> {
    let Ok(url) = Url::parse(issuer) else {
        return Vec::new();
    };
    let origin = url.origin().ascii_serialization();
    let path = url.path().trim_end_matches('/');
    let mut all = vec![
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
        format!("{origin}/.well-known/openid-configuration{path}"),
    ];
    if !path.is_empty() {
        all.push(format!("{origin}{path}/.well-known/openid-configuration"));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_looked_for_where_servers_have_it() {
        let root = "https://login.example.com";
        let at_root = [
            "https://login.example.com/.well-known/oauth-authorization-server",
            "https://login.example.com/.well-known/openid-configuration",
        ];
        assert_eq!(addresses(root), at_root);
        assert_eq!(addresses(&format!("{root}/")), at_root);
        assert_eq!(
            addresses("https://login.example.com:8443/realms/acme/"),
            [
                "https://login.example.com:8443/.well-known/oauth-authorization-server/realms/acme",
                "https://login.example.com:8443/.well-known/openid-configuration/realms/acme",
                "https://login.example.com:8443/realms/acme/.well-known/openid-configuration",
            ]
        );
        assert!(addresses("login").is_empty());
    }
}
