//! Signatures that others make. They are checked here, and none is made.

use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};

/// The public half of a key that another server signs with.
#[derive(Clone, Copy, Debug)]
pub enum PublicKey<'a> {
    /// RSA of 2048 to 8192 bits, with PKCS#1 v1.5 and SHA-256. Both numbers are big-endian.
    Rsa {
        modulus: &'a [u8],
        exponent: &'a [u8],
    },
    /// ECDSA on P-256 with SHA-256: the point as it is, uncompressed.
    P256(&'a [u8]),
    /// Ed25519: 32 bytes.
    Ed25519(&'a [u8]),
}

impl PublicKey<'_> {
    /// Whether the signature of the message was made with the private half. A key that is none made no signature.
    #[must_use]
    pub fn has_signed(self, message: &[u8], signature: &[u8]) -> bool {
        let checked = match self {
            Self::Rsa { modulus, exponent } => {
                let key = RsaPublicKeyComponents {
                    n: modulus,
                    e: exponent,
                };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            Self::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            Self::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature),
        };
        checked.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use ring::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
    };

    use super::*;

    #[test]
    fn only_the_signature_of_the_message_by_the_key_is_good() {
        let random = SystemRandom::new();
        let ed = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let ed = Ed25519KeyPair::from_pkcs8(ed.as_ref()).unwrap();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let ec = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let ec = EcdsaKeyPair::from_pkcs8(algorithm, ec.as_ref(), &random).unwrap();
        let by_ed = ed.sign(b"m");
        let by_ec = ec.sign(&random, b"m").unwrap();
        let (ed, ec) = (ed.public_key().as_ref(), ec.public_key().as_ref());
        let (ed, ec) = (PublicKey::Ed25519(ed), PublicKey::P256(ec));
        assert!(ed.has_signed(b"m", by_ed.as_ref()));
        assert!(ec.has_signed(b"m", by_ec.as_ref()));
        for (key, signature) in [(ed, by_ec.as_ref()), (ec, by_ed.as_ref())] {
            assert!(!key.has_signed(b"m", signature));
        }
        assert!(!ed.has_signed(b"n", by_ed.as_ref()));
        assert!(!ec.has_signed(b"n", by_ec.as_ref()));
        let none = PublicKey::Rsa {
            modulus: &[],
            exponent: &[],
        };
        assert!(!none.has_signed(b"m", by_ec.as_ref()));
    }
}
