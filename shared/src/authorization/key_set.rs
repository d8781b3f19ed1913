//! The keys of an authorization server (RFC 7517), as far as they can be used here.

use std::{fmt, slice};

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;

/// The algorithms that are taken. A shared secret is none, because whoever checks with it could sign with it.
pub(super) const ALGORITHMS: [Algorithm; 3] =
    [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

/// Keys that sign tokens.
pub(super) struct KeySet(Vec<SigningKey>);

struct SigningKey {
    /// A server with one key may leave it out.
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

#[derive(Deserialize)]
struct Document {
    /// Each is read alone, so that one of a new kind costs no other.
    keys: Vec<Value>,
}

impl KeySet {
    /// The keys of a document. Those that are of another kind, or for another use, are left out.
    ///
    /// # Errors
    /// What is wrong with the document, if it has no key that can be used.
    pub(super) fn read(document: &[u8]) -> Result<Self, &'static str> {
        let document: Document =
            serde_json::from_slice(document).map_err(|_| "the answer is no set of keys")?;
        let keys = document.keys.into_iter();
        let keys: Vec<SigningKey> = keys.filter_map(SigningKey::read).collect();
        if keys.is_empty() {
            return Err("the set has no key that signs with RS256, ES256 or EdDSA");
        }
        Ok(Self(keys))
    }

    /// The key with this id, if it signs with this algorithm. Without an id, the one key that does: of several keys none
    /// is guessed.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        let keys: slice::Iter<'_, SigningKey> = self.0.iter();
        let mut fitting = keys
            .filter(|key| key.algorithm == algorithm && (id.is_none() || key.id.as_deref() == id));
        let found = fitting.next()?;
        let is_only_one = fitting.next().is_none();
        (id.is_some() || is_only_one).then_some(&found.key)
    }
}

impl SigningKey {
    fn read(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Algorithm::RS256,
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
                Algorithm::ES256
            }
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                Algorithm::EdDSA
            }
            _ => return None,
        };
        let common = &jwk.common;
        let is_of_another_algorithm = common
            .key_algorithm
            .is_some_and(|named| named != KeyAlgorithm::from(algorithm));
        let is_for_another_use = common
            .public_key_use
            .as_ref()
            .is_some_and(|named| *named != PublicKeyUse::Signature);
        let has_other_operations = common
            .key_operations
            .as_ref()
            .is_some_and(|named| !named.contains(&KeyOperations::Verify));
        if is_of_another_algorithm || is_for_another_use || has_other_operations {
            return None;
        }
        Some(Self {
            id: common.key_id.clone(),
            algorithm,
            key: DecodingKey::from_jwk(&jwk).ok()?,
        })
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.0.iter().map(|key| key.id.as_deref());
        f.debug_list()
            .entries(ids.map(Option::unwrap_or_default))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What can be used of keys in one document, as ids with their algorithms.
    fn usable(keys: &Value) -> String {
        match KeySet::read(json!({"keys": keys}).to_string().as_bytes()) {
            Ok(set) => {
                let keys = set.0.iter();
                let id = |key: &SigningKey| key.id.clone().unwrap_or_default();
                keys.map(|key| format!("{}:{:?} ", id(key), key.algorithm))
                    .collect()
            }
            Err(fault) => fault.to_owned(),
        }
    }

    #[test]
    fn a_key_is_used_for_what_it_is_for() {
        let rsa = json!({"kty": "RSA", "kid": "r", "n": "AQAB", "e": "AQAB"});
        let ec = json!({"kty": "EC", "crv": "P-256", "kid": "e", "x": "AQAB", "y": "AQAB"});
        let ed = json!({"kty": "OKP", "crv": "Ed25519", "kid": "d", "x": "AQAB"});
        let with = |key: &Value, more: Value| {
            let mut key = key.clone();
            key.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            key
        };
        assert_eq!(usable(&json!([rsa, ec, ed])), "r:RS256 e:ES256 d:EdDSA ");
        let good = with(
            &rsa,
            json!({"use": "sig", "alg": "RS256", "key_ops": ["verify"]}),
        );
        assert_eq!(usable(&json!([good])), "r:RS256 ");
        let none = "the set has no key that signs with RS256, ES256 or EdDSA";
        for other in [
            with(&rsa, json!({"use": "enc"})),
            with(&rsa, json!({"alg": "RS512"})),
            with(&rsa, json!({"alg": "HS256"})),
            with(&rsa, json!({"key_ops": ["encrypt"]})),
            with(&rsa, json!({"n": 7})),
            with(&ec, json!({"crv": "P-384"})),
            with(&ec, json!({"alg": "ES384"})),
            json!({"kty": "oct", "kid": "h", "k": "AQAB", "alg": "HS256"}),
            json!({"kty": "new", "kid": "n"}),
            json!(7),
        ] {
            assert_eq!(usable(&json!([other])), none, "{other}");
            // It costs its neighbours nothing.
            assert_eq!(usable(&json!([other, ed])), "d:EdDSA ", "{other}");
        }
    }

    #[test]
    fn a_key_is_found_by_its_id_and_algorithm() {
        let set = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"d","x":"AQAB"}]}"#;
        let set = KeySet::read(set).unwrap();
        assert!(set.find(Some("d"), Algorithm::EdDSA).is_some());
        assert!(set.find(Some("d"), Algorithm::ES256).is_none());
        assert!(set.find(Some("e"), Algorithm::EdDSA).is_none());
        assert_eq!(format!("{set:?}"), r#"["d"]"#);
        for text in ["", "[]", "{}", r#"{"keys":7}"#] {
            assert!(KeySet::read(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_token_without_an_id_is_for_the_one_key_that_fits() {
        let key = |kind: &str, id: Option<&str>| {
            let mut key = match kind {
                "d" => json!({"kty": "OKP", "crv": "Ed25519", "x": "AQAB"}),
                _ => json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"}),
            };
            if let Some(id) = id {
                key["kid"] = json!(id);
            }
            key
        };
        let finds = |keys: &[Value], algorithm: Algorithm| {
            let set = KeySet::read(json!({"keys": keys}).to_string().as_bytes()).unwrap();
            set.find(None, algorithm).is_some()
        };
        let (named, unnamed) = (key("d", Some("1")), key("d", None));
        let of_another_kind = key("r", Some("2"));
        for (keys, is_found) in [
            (vec![named.clone()], true),
            (vec![unnamed.clone()], true),
            (vec![named.clone(), of_another_kind.clone()], true),
            (vec![named.clone(), unnamed], false),
            (vec![named, key("d", Some("3"))], false),
            (vec![of_another_kind], false),
        ] {
            assert_eq!(finds(&keys, Algorithm::EdDSA), is_found, "{keys:?}");
        }
        let unnamed = json!({"keys": [key("d", None)]}).to_string();
        let unnamed = KeySet::read(unnamed.as_bytes()).unwrap();
        assert!(unnamed.find(Some("1"), Algorithm::EdDSA).is_none());
    }
}
