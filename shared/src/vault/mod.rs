//! Sealing of secrets, so that a database dump does not show them, and codes that prove who made them. The only place that
//! names `ring`.
//!
//! The cipher is AES-256-GCM with a random 96-bit nonce. Every sealed blob names the key that sealed it,
//! and is bound to a context. A blob that is copied to another row, column or tenant does not open.

mod key_ring;
mod mac;
mod random;
mod signature;

pub use key_ring::{KeyRing, KeyRingError, OpenError, SealError};
pub use random::{constant_time_eq, derived_token, random_token, sha256};
pub use signature::PublicKey;

use uuid::Uuid;

use crate::domain::{ConnectionId, TenantId};

/// The purpose and owner of a blob. The cipher takes it as additional data, so a blob only opens in its own
/// context.
///
/// Two contexts never have the same bytes, because every variable part is written with its length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealContext(Vec<u8>);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl SealContext {
    /// A connection's access token.
    #[must_use]
    pub fn access_token(tenant: TenantId, connection: ConnectionId) -> Self {
        Self::of(&["access_token", &tenant.to_string(), &connection.to_string()])
    }

    /// The stored response to a repeated POST.
    #[must_use]
    pub fn response(tenant: TenantId, route: &str) -> Self {
        Self::of(&["answer", &tenant.to_string(), route])
    }

    /// A list cursor. It is valid only for the tenant and the filter it was made for.
    #[must_use]
    pub fn cursor(tenant: TenantId, filter: &str) -> Self {
        Self::of(&["cursor", &tenant.to_string(), filter])
    }

    /// The forms of one browser session.
    #[must_use]
    pub fn forms(tenant: TenantId, session: Uuid) -> Self {
        Self::of(&["forms", &tenant.to_string(), &session.to_string()])
    }

    /// A browser session of an operator, which another operator key ends.
    #[must_use]
    pub fn operator_session(key_sha256: &[u8; 32], session: Uuid, ends_at: i64) -> Self {
        let (key, session) = (hex(key_sha256), session.to_string());
        Self::of(&["operator_session", &key, &session, &ends_at.to_string()])
    }

    /// The forms of a browser session of an operator.
    #[must_use]
    pub fn operator_forms(key_sha256: &[u8; 32], session: Uuid) -> Self {
        Self::of(&["operator_forms", &hex(key_sha256), &session.to_string()])
    }

    /// The name that an operator gave at the start of a browser session.
    #[must_use]
    pub fn operator_name(session: Uuid, name: &str) -> Self {
        Self::of(&["operator_name", &session.to_string(), name])
    }

    fn of(parts: &[&str]) -> Self {
        let mut bytes = b"pathbound.v1".to_vec();
        for part in parts {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        Self(bytes)
    }

    fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
