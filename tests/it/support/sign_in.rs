//! An authorization server over HTTP, and keys that sign tokens.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    http::{StatusCode, Uri},
    routing::get,
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
        RsaKeyPair, RsaPublicKeyComponents,
    },
};
use serde_json::{Value, json};
use shared::domain::TenantId;

use super::World;

/// A key of 2,048 bits in PKCS#8, which `ring` cannot make. It was made for these tests and signs nothing else.
const RSA_KEY: &str = include_str!("rsa_key.txt");

/// What the server says of its keys.
type Answer = (StatusCode, String);

/// What it says of itself, by path.
type Descriptions = Arc<Mutex<HashMap<String, String>>>;

/// An authorization server that gives its public keys to everybody.
#[derive(Clone)]
pub(crate) struct SignInServer {
    base: String,
    answer: Arc<Mutex<Answer>>,
    reads: Arc<AtomicUsize>,
    descriptions: Descriptions,
}

/// A key that signs tokens, and its id.
pub(crate) struct TokenKey {
    id: String,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl SignInServer {
    /// A server with these keys, until the runtime ends.
    pub(crate) async fn start(keys: &[&TokenKey]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            base: format!("http://{}", listener.local_addr().unwrap()),
            answer: Arc::new(Mutex::new((StatusCode::OK, String::new()))),
            reads: Arc::default(),
            descriptions: Arc::default(),
        };
        server.has_keys(keys);
        let (answer, reads) = (Arc::clone(&server.answer), Arc::clone(&server.reads));
        let keys = get(async move || {
            reads.fetch_add(1, Ordering::SeqCst);
            answer.lock().unwrap().clone()
        });
        let descriptions = Arc::clone(&server.descriptions);
        let described = async move |uri: Uri| {
            let found = descriptions.lock().unwrap().get(uri.path()).cloned();
            found.ok_or(StatusCode::NOT_FOUND)
        };
        let router = Router::new().route("/jwks.json", keys).fallback(described);
        tokio::spawn(async { axum::serve(listener, router).await });
        server
    }

    /// From now on it has these keys.
    pub(crate) fn has_keys(&self, keys: &[&TokenKey]) {
        let keys: Vec<Value> = keys.iter().map(|key| key.public()).collect();
        self.answers(StatusCode::OK, &json!({"keys": keys}).to_string());
    }

    /// From now on it answers so.
    pub(crate) fn answers(&self, status: StatusCode, body: &str) {
        *self.answer.lock().unwrap() = (status, body.to_owned());
    }

    /// From now on its metadata is at this path, and names this issuer and this address of keys.
    pub(crate) fn describes_itself(&self, path: &str, issuer: &str, jwks_url: &str) {
        let metadata = json!({"issuer": issuer, "jwks_uri": jwks_url}).to_string();
        self.descriptions
            .lock()
            .unwrap()
            .insert(path.to_owned(), metadata);
    }

    /// Its address, without a slash at the end.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) fn jwks_url(&self) -> String {
        format!("{}/jwks.json", self.base)
    }

    /// How often its keys were read.
    pub(crate) fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    /// What it calls itself in its tokens.
    pub(crate) fn issuer(&self) -> String {
        format!("{}/", self.base)
    }

    /// The same world, whose tools take this server's tokens, with these variables on top.
    pub(crate) fn of(&self, world: &World, variables: &[(&str, &str)]) -> World {
        let (issuer, keys) = (self.issuer(), self.jwks_url());
        let own = [("MCP_ISSUER", issuer.as_str()), ("MCP_JWKS_URL", &keys)];
        world.otherwise(&[&own, variables].concat())
    }

    /// What a good token says that lets a person read all of a tenant at this address.
    pub(crate) fn claims(&self, base: &str, tenant: TenantId) -> Value {
        let now = chrono::Utc::now().timestamp();
        json!({
            "iss": self.issuer(),
            "aud": format!("{base}/mcp"),
            "sub": "person-1",
            "iat": now,
            "exp": now + 600,
            "pathbound_tenant": tenant,
            "scope": "profiles:read conversations:read",
        })
    }
}

impl TokenKey {
    pub(crate) fn rsa(id: &str) -> Self {
        let der = STANDARD.decode(RSA_KEY.replace('\n', "")).unwrap();
        Self::of(id, Pair::Rsa(RsaKeyPair::from_pkcs8(&der).unwrap()))
    }

    pub(crate) fn ec(id: &str) -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let der = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, der.as_ref(), &random);
        Self::of(id, Pair::Ec(pair.unwrap()))
    }

    pub(crate) fn ed(id: &str) -> Self {
        let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(der.as_ref());
        Self::of(id, Pair::Ed(pair.unwrap()))
    }

    fn of(id: &str, pair: Pair) -> Self {
        Self {
            id: id.to_owned(),
            pair,
        }
    }

    /// The header of a good token.
    pub(crate) fn header(&self) -> Value {
        let algorithm = match self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::Ec(_) => "ES256",
            Pair::Ed(_) => "EdDSA",
        };
        json!({"alg": algorithm, "typ": "at+jwt", "kid": self.id})
    }

    /// A token that says this.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.token_with(&self.header(), claims)
    }

    /// A token with this header, whatever it says.
    pub(crate) fn token_with(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encoded(header), encoded(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .unwrap();
                signature
            }
            Pair::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// The public half, as its server gives it.
    pub(crate) fn public(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut key = match &self.pair {
            Pair::Rsa(pair) => {
                let key = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({"kty": "RSA", "n": text(&key.n), "e": text(&key.e)})
            }
            Pair::Ec(pair) => {
                // The first byte says that the point is uncompressed.
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "x": text(x), "y": text(y)})
            }
            Pair::Ed(pair) => {
                let key = pair.public_key().as_ref();
                json!({"kty": "OKP", "crv": "Ed25519", "x": text(key)})
            }
        };
        key["kid"] = json!(self.id);
        key["use"] = json!("sig");
        key["alg"] = self.header()["alg"].clone();
        key
    }
}

/// A part of a token.
pub(crate) fn encoded(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}

/// A token that is signed with a shared secret.
pub(crate) fn with_secret(secret: &[u8], header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", encoded(header), encoded(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let signature = hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
}
