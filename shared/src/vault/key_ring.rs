//! The ring of encryption keys. The first key seals, and all of them open.

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom, SystemRandom},
};
use zeroize::Zeroizing;

use super::{SealContext, mac::CodeKey};
use crate::domain::Secret;

/// The first byte of every blob: the layout `version | kid length | kid | nonce | ciphertext and tag`.
const VERSION: u8 = 1;

/// Keys by id. The first one seals. A blob names the key that opens it, so a key is never guessed.
pub struct KeyRing {
    keys: Vec<RingKey>,
    random: SystemRandom,
}

/// One key of the ring, and the key for codes that is derived from it.
struct RingKey {
    kid: String,
    sealing: LessSafeKey,
    code: CodeKey,
}

impl KeyRing {
    /// Reads `kid:base64(32 bytes)`, comma separated, first is primary (`PATHBOUND_ENCRYPTION_KEYS`).
    ///
    /// # Errors
    /// When there is no key, an id is unusable or repeated, or a key is not 32 bytes of base64.
    /// The error never holds key material.
    pub fn parse(text: &str) -> Result<Self, KeyRingError> {
        let mut keys: Vec<RingKey> = Vec::new();
        for entry in text
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
        {
            let Some((kid, encoded)) = entry.split_once(':') else {
                return Err(KeyRingError::Shape);
            };
            if kid.is_empty()
                || kid.len() > 64
                || !kid
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            {
                return Err(KeyRingError::Kid);
            }
            // The second key would never be used, and rows that it sealed could not be opened.
            if keys.iter().any(|known| known.kid == kid) {
                return Err(KeyRingError::Repeated(kid.to_owned()));
            }
            // Decoded key material is wiped when it is dropped, also if the key is refused below.
            let bytes = Zeroizing::new(
                STANDARD
                    .decode(encoded)
                    .map_err(|_| KeyRingError::Key(kid.to_owned()))?,
            );
            let key = UnboundKey::new(&AES_256_GCM, &bytes)
                .map_err(|_| KeyRingError::Key(kid.to_owned()))?;
            keys.push(RingKey {
                kid: kid.to_owned(),
                sealing: LessSafeKey::new(key),
                code: CodeKey::derived_from(&bytes),
            });
        }
        if keys.is_empty() {
            return Err(KeyRingError::Empty);
        }
        Ok(Self {
            keys,
            random: SystemRandom::new(),
        })
    }

    /// The id of the key that seals.
    #[must_use]
    pub fn primary(&self) -> &str {
        &self.keys[0].kid
    }

    /// The ids of all keys, the one that seals first.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.kid.as_str())
    }

    /// Seals with the primary key and a random nonce. The caller cannot choose the nonce.
    ///
    /// # Errors
    /// When the system has no random bytes, or the text is too long for one message.
    pub fn seal(&self, context: &SealContext, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let RingKey { kid, sealing, .. } = &self.keys[0];
        // Two messages with one nonce would reveal their difference. 96 random bits suffice for
        // some billion messages of one key.
        let mut nonce = [0_u8; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| SealError)?;

        let mut header = vec![VERSION, kid.len() as u8];
        header.extend_from_slice(kid.as_bytes());
        let mut sealed = plain.to_vec();
        sealing
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(bound_to(context, &header)),
                &mut sealed,
            )
            .map_err(|_| SealError)?;

        let mut blob = header;
        blob.extend_from_slice(&nonce);
        blob.extend_from_slice(&sealed);
        Ok(blob)
    }

    /// Opens a blob that was sealed for the same context, with the key that it names.
    ///
    /// # Errors
    /// When the blob is damaged, was sealed for another context, or names a key that is not in the ring.
    pub fn open(
        &self,
        context: &SealContext,
        blob: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (&[version, kid_length], rest) =
            blob.split_first_chunk::<2>().ok_or(OpenError::Damaged)?;
        let kid_length = usize::from(kid_length);
        // Lengths are checked first, because a blob comes from a table or a client and may be
        // anything.
        if version != VERSION || rest.len() < kid_length + NONCE_LEN {
            return Err(OpenError::Damaged);
        }
        let (kid, rest) = rest.split_at(kid_length);
        let (nonce, sealed) = rest.split_at(NONCE_LEN);
        let key = self
            .keys
            .iter()
            .find(|known| known.kid.as_bytes() == kid)
            .ok_or_else(|| OpenError::UnknownKey(String::from_utf8_lossy(kid).into_owned()))?;

        // The header was sealed along as well. A blob that names another key does not open.
        let header = &blob[..2 + kid_length];
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| OpenError::Damaged)?;
        let mut buffer = Zeroizing::new(sealed.to_vec());
        let length = key
            .sealing
            .open_in_place(nonce, Aad::from(bound_to(context, header)), &mut buffer)
            .map_err(|_| OpenError::Damaged)?
            .len();
        buffer.truncate(length);
        Ok(buffer)
    }

    /// A code for the context that only a holder of the primary key can make: 43 URL-safe characters. Every process has the
    /// same ring, so all of them accept it, also while keys are rotated.
    #[must_use]
    pub fn code(&self, context: &SealContext) -> Secret {
        self.keys[0].code.code(context.as_bytes())
    }

    /// Whether any key of the ring has made the code for this context.
    #[must_use]
    pub fn has_made(&self, code: &str, context: &SealContext) -> bool {
        let mut keys = self.keys.iter();
        keys.any(|key| key.code.has_made(code, context.as_bytes()))
    }
}

/// The context and the blob's own header. Neither can be exchanged.
fn bound_to(context: &SealContext, header: &[u8]) -> Vec<u8> {
    let mut bound = context.as_bytes().to_vec();
    bound.extend_from_slice(header);
    bound
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.keys.iter().map(|key| &key.kid))
            .finish()
    }
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyRingError {
    #[error("no encryption key is given: set one as kid:base64(32 bytes)")]
    Empty,
    #[error("an encryption key has no id: write kid:base64(32 bytes)")]
    Shape,
    #[error("a key id must be 1 to 64 letters, digits, '-' or '_'")]
    Kid,
    #[error("key id {0:?} is given twice")]
    Repeated(String),
    #[error("key {0:?} is not base64 of 32 bytes")]
    Key(String),
}

#[derive(Debug, thiserror::Error)]
#[error("could not seal: the system has no random bytes, or the text is too long")]
pub struct SealError;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OpenError {
    #[error("the sealed blob is damaged or belongs to another context")]
    Damaged,
    #[error(
        "the blob was sealed with key {0:?}, which is not in the ring: add it to the encryption keys"
    )]
    UnknownKey(String),
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{ConnectionId, TenantId};

    fn ring(kids: &[&str]) -> KeyRing {
        let entries: Vec<String> = kids
            .iter()
            .map(|kid| format!("{kid}:{}", STANDARD.encode([kid.len() as u8; 32])))
            .collect();
        KeyRing::parse(&entries.join(",")).unwrap()
    }

    #[test]
    fn a_blob_opens_only_in_its_own_context() {
        let (ring, tenant, connection) = (ring(&["k1"]), TenantId::new(), ConnectionId::new());
        let context = SealContext::access_token(tenant, connection);
        let blob = ring.seal(&context, b"token").unwrap();
        assert_eq!(ring.open(&context, &blob).unwrap().as_slice(), b"token");
        for elsewhere in [
            SealContext::access_token(TenantId::new(), connection),
            SealContext::access_token(tenant, ConnectionId::new()),
            SealContext::cursor(tenant, ""),
        ] {
            assert_eq!(ring.open(&elsewhere, &blob), Err(OpenError::Damaged));
        }
    }

    #[test]
    fn no_bit_can_be_flipped() {
        let ring = ring(&["k1"]);
        let context = SealContext::cursor(TenantId::new(), "contacts");
        let blob = ring.seal(&context, b"position").unwrap();
        for bit in 0..blob.len() * 8 {
            let mut bad = blob.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(ring.open(&context, &bad).is_err(), "bit {bit}");
        }
        for length in 0..blob.len() {
            assert!(
                ring.open(&context, &blob[..length]).is_err(),
                "length {length}"
            );
        }
    }

    #[test]
    fn an_older_key_still_opens_and_a_removed_one_is_named() {
        let context = SealContext::cursor(TenantId::new(), "contacts");
        let blob = ring(&["old"]).seal(&context, b"x").unwrap();
        assert!(ring(&["newer", "old"]).open(&context, &blob).is_ok());
        assert_eq!(
            ring(&["newer"]).open(&context, &blob),
            Err(OpenError::UnknownKey("old".to_owned()))
        );
    }

    #[test]
    fn a_code_is_good_for_its_context_and_for_rings_with_its_key() {
        let (tenant, session) = (TenantId::new(), Uuid::now_v7());
        let context = SealContext::forms(tenant, session);
        let code = ring(&["old"]).code(&context);
        assert_eq!(code.expose().len(), 43);
        for kids in [&["old"][..], &["newer", "old"]] {
            assert!(ring(kids).has_made(code.expose(), &context), "{kids:?}");
        }
        assert!(!ring(&["newer"]).has_made(code.expose(), &context));
        for other in [
            SealContext::forms(tenant, Uuid::now_v7()),
            SealContext::forms(TenantId::new(), session),
        ] {
            assert!(!ring(&["old"]).has_made(code.expose(), &other));
        }
    }

    #[test]
    fn what_is_no_code_is_refused() {
        let ring = ring(&["k1"]);
        let context = SealContext::forms(TenantId::new(), Uuid::now_v7());
        let code = ring.code(&context).expose().to_owned();
        let cut = &code[..code.len() - 1];
        let longer = format!("{code}AAAA");
        for text in ["", "=", cut, &longer, "é", &"A".repeat(43)] {
            assert!(!ring.has_made(text, &context), "{text:?}");
        }
    }

    #[test]
    fn unusable_rings_are_refused_without_showing_keys() {
        for (text, expected) in [
            ("", KeyRingError::Empty),
            ("nokid", KeyRingError::Shape),
            (":AAAA", KeyRingError::Kid),
            ("k1:AAAA", KeyRingError::Key("k1".to_owned())),
            ("k1:not base64!", KeyRingError::Key("k1".to_owned())),
        ] {
            assert_eq!(KeyRing::parse(text).unwrap_err(), expected);
        }
    }
}
