//! Signatures of tokens. The library asks its process's provider for them, and ours asks `vault`, so that all
//! cryptography of a process is ring's.

use std::sync::Once;

use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind, EncodingKey,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{ErrorKind, Result, new_error},
    signature::{self, Verifier},
};

use crate::vault::PublicKey;

static OURS: CryptoProvider = CryptoProvider {
    signer_factory: no_signer,
    verifier_factory: verifier,
    // Made for keys that sign.
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes ours the provider of this process.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // Fails only if another one was installed before. The library has none of its own here.
        let _ = OURS.install_default();
    });
}

/// A key, and the algorithm that a token names.
struct KeyVerifier {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl KeyVerifier {
    fn public_key(&self) -> Option<PublicKey<'_>> {
        match (self.algorithm, self.key.kind()) {
            (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
                Some(PublicKey::Rsa {
                    modulus: n,
                    exponent: e,
                })
            }
            (Algorithm::ES256, DecodingKeyKind::SecretOrDer(point)) => Some(PublicKey::P256(point)),
            (Algorithm::EdDSA, DecodingKeyKind::SecretOrDer(key)) => Some(PublicKey::Ed25519(key)),
            _ => None,
        }
    }
}

impl Verifier<Vec<u8>> for KeyVerifier {
    fn verify(
        &self,
        message: &[u8],
        signature: &Vec<u8>,
    ) -> std::result::Result<(), signature::Error> {
        let key = self.public_key();
        let is_good = key.is_some_and(|key| key.has_signed(message, signature));
        is_good.then_some(()).ok_or_else(signature::Error::new)
    }
}

impl JwtVerifier for KeyVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    // A key of another kind would be read as one of this kind.
    if key.family() != algorithm.family() {
        return Err(new_error(ErrorKind::InvalidAlgorithm));
    }
    Ok(Box::new(KeyVerifier {
        algorithm: *algorithm,
        key: key.clone(),
    }))
}

fn no_signer(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    Err(new_error(ErrorKind::UnsupportedAlgorithm))
}
