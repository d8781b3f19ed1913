//! Random tokens, digests, and comparison in constant time.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    digest as ring_digest,
    rand::{SecureRandom, SystemRandom},
};

use subtle::ConstantTimeEq;

use crate::domain::Secret;

/// A new token of 256 random bits, as 43 URL-safe characters.
///
/// # Errors
/// When the system's random source fails. There is no fallback.
pub fn random_token() -> Result<Secret, NoRandomness> {
    let mut bytes = [0_u8; 32];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| NoRandomness)?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
}

/// A token that only the holder of all `secrets` can derive, as 43 URL-safe characters. One of them must be a random
/// token.
#[must_use]
pub fn derived_token(secrets: &[&str]) -> Secret {
    // No secret contains a line end, so different lists never join to one text.
    let digest = sha256(secrets.join("\n").as_bytes());
    Secret::new(URL_SAFE_NO_PAD.encode(digest))
}

/// SHA-256. It is enough for the digest of a 256-bit random token, and too weak for passwords.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0_u8; 32];
    out.copy_from_slice(ring_digest::digest(&ring_digest::SHA256, bytes).as_ref());
    out
}

/// Whether two digests are equal. The time does not depend on the bytes, only on the lengths.
#[must_use]
pub fn constant_time_eq(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

#[derive(Debug, thiserror::Error)]
#[error("the system has no random bytes: check its random source")]
pub struct NoRandomness;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_and_never_equal() {
        let (a, b) = (random_token().unwrap(), random_token().unwrap());
        assert_eq!(a.expose().len(), 43);
        assert_ne!(a.expose(), b.expose());
    }

    #[test]
    fn digests_compare_by_every_byte() {
        let (a, mut b) = (sha256(b"a"), sha256(b"a"));
        assert!(constant_time_eq(&a, &b));
        b[31] ^= 1;
        assert!(!constant_time_eq(&a, &b));
        assert!(!constant_time_eq(&a, &b[..31]));
    }
}
