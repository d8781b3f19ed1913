//! Codes that only a holder of a key can make: HMAC-SHA256 under a key that is derived from an encryption key.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;

use crate::domain::Secret;

/// What keeps this use of an encryption key apart from sealing.
const PURPOSE: &[u8] = b"pathbound.v1 codes";

/// The key for codes that belongs to an encryption key.
pub(super) struct CodeKey(hmac::Key);

impl CodeKey {
    pub(super) fn derived_from(encryption_key: &[u8]) -> Self {
        let master = hmac::Key::new(hmac::HMAC_SHA256, encryption_key);
        let derived = hmac::sign(&master, PURPOSE);
        Self(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()))
    }

    /// The code for some bytes, as 43 URL-safe characters.
    pub(super) fn code(&self, bytes: &[u8]) -> Secret {
        Secret::new(URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, bytes)))
    }

    /// Whether this key has made the code for these bytes. The time does not depend on the code's content.
    pub(super) fn has_made(&self, code: &str, bytes: &[u8]) -> bool {
        let tag = URL_SAFE_NO_PAD.decode(code);
        tag.is_ok_and(|tag| hmac::verify(&self.0, bytes, &tag).is_ok())
    }
}
