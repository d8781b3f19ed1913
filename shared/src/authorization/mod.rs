//! The authorization server of others at which agents sign in that take no key: its public keys, and what a token of it
//! allows.
//!
//! | file | what |
//! |---|---|
//! | `token.rs` | which tokens are good, and what they say |
//! | `key_cache.rs` | the keys as they were read last, and when they are read again |
//! | `key_set.rs` | which of a server's keys can be used |
//! | `metadata.rs` | where the server says that its keys are |
//! | `fetch.rs` | how both are read |
//! | `provider.rs` | signatures, which `vault` checks |
//!
//! Nothing of a token is logged or stored.

mod fetch;
mod key_cache;
mod key_set;
mod metadata;
mod provider;
mod token;

use std::sync::Arc;

use key_cache::KeyCache;
pub use token::{Grant, TokenError, TokenFault};

use crate::{
    config::{Config, SignIn},
    egress,
};

/// An authorization server. Clones share its keys.
#[derive(Clone, Debug)]
pub struct AuthorizationServer {
    sign_in: SignIn,
    /// What a token must be issued for.
    resource: String,
    keys: Arc<KeyCache>,
}

impl AuthorizationServer {
    /// The configured server. None if the tools take keys only. Nothing is sent before the first token comes.
    ///
    /// # Errors
    /// If no client can be made that could call it.
    pub fn of(config: &Config) -> Result<Option<Self>, NoClient> {
        let Some(sign_in) = config.mcp.sign_in.clone() else {
            return Ok(None);
        };
        provider::install();
        let http = egress::client(config).map_err(NoClient)?;
        let keys = KeyCache::new(http, &sign_in);
        Ok(Some(Self {
            sign_in,
            resource: config.mcp_url(),
            keys: Arc::new(keys),
        }))
    }

    /// The server's name for itself, which is also where clients look for its endpoints.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.sign_in.issuer
    }
}

/// There is no HTTP client for the authorization server.
#[derive(Debug, thiserror::Error)]
#[error("the authorization server cannot be called: {0}")]
pub struct NoClient(String);
