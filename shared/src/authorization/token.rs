//! Which tokens are good, and what a good one says (RFC 9068, with what servers do in practice).

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, errors::ErrorKind};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{AuthorizationServer, key_cache::NoKeys, key_set::ALGORITHMS};
use crate::{domain::TenantId, vault};

/// A longer text is no token.
const MAX_TOKEN_BYTES: usize = 16 << 10;

/// A longer subject is none.
const MAX_SUBJECT_BYTES: usize = 255;

/// Seconds by which the clocks of two servers may differ.
const LEEWAY: u64 = 30;

type Claims = Map<String, Value>;

/// What a token allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The tenant that it names, which may not exist here.
    pub tenant: TenantId,
    /// Stands for the subject within the tenant. It is derived, so that nothing of the token is kept.
    pub holder: Uuid,
    /// As the server names them. Some mean nothing here.
    pub scopes: Vec<String>,
}

/// Why a token is not good. The text follows "the token".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    #[error("cannot be read")]
    Unreadable,
    #[error("is of another type than at+jwt or JWT")]
    Type,
    #[error("is not signed with RS256, ES256 or EdDSA")]
    Algorithm,
    #[error("names no key of the authorization server")]
    UnknownKey,
    #[error("names no key, and the authorization server has not exactly one that fits")]
    UnnamedKey,
    #[error("has a wrong signature")]
    Signature,
    #[error("has expired")]
    Expired,
    #[error("is not valid yet")]
    NotYetValid,
    #[error("was issued by another server")]
    Issuer,
    #[error("was issued for another resource")]
    Audience,
    #[error("names no subject")]
    Subject,
    #[error("names no tenant")]
    Tenant,
}

/// A token was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token {0}")]
    Refused(#[from] TokenFault),
    #[error("the authorization server's keys could not be read yet")]
    NoKeys,
}

impl From<NoKeys> for TokenError {
    fn from(NoKeys: NoKeys) -> Self {
        Self::NoKeys
    }
}

impl AuthorizationServer {
    /// What a token allows, if it is good.
    ///
    /// # Errors
    /// If it is not, or if the server's keys are not known.
    pub async fn check(&self, token: &str) -> Result<Grant, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenFault::Unreadable.into());
        }
        // Read before the signature is checked, to find the key and for nothing else.
        let header = decode_header(token).map_err(|error| match error.kind() {
            // `none` and other names that the library does not know.
            ErrorKind::Json(_) => TokenFault::Algorithm,
            _ => TokenFault::Unreadable,
        })?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(TokenFault::Algorithm.into());
        }
        // Without a type it is no less than a `JWT`. What tells it from other tokens is that it was issued for us.
        if !header.typ.as_deref().is_none_or(is_access_token) {
            return Err(TokenFault::Type.into());
        }
        let claims = self
            .signed(token, header.alg, header.kid.as_deref())
            .await?;
        Ok(self.grant(&claims)?)
    }

    /// What the token says, if a key of the server has signed it.
    async fn signed(
        &self,
        token: &str,
        algorithm: Algorithm,
        key_id: Option<&str>,
    ) -> Result<Claims, TokenError> {
        let unknown = match key_id {
            Some(_) => TokenFault::UnknownKey,
            None => TokenFault::UnnamedKey,
        };
        let key = self.keys.find(key_id, algorithm).await?.ok_or(unknown)?;
        match self.decoded(token, algorithm, &key) {
            // A server that names no keys may have another one by now.
            Err(TokenFault::Signature) if key_id.is_none() => {
                let key = self.keys.find_anew(None, algorithm).await?;
                Ok(self.decoded(token, algorithm, &key.ok_or(unknown)?)?)
            }
            decoded => Ok(decoded?),
        }
    }

    fn decoded(
        &self,
        token: &str,
        algorithm: Algorithm,
        key: &DecodingKey,
    ) -> Result<Claims, TokenFault> {
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_issuer(&[&self.sign_in.issuer]);
        validation.set_audience(&[&self.resource]);
        let decoded = decode::<Claims>(token, key, &validation);
        Ok(decoded.map_err(|error| fault(error.kind()))?.claims)
    }

    fn grant(&self, claims: &Claims) -> Result<Grant, TokenFault> {
        // The library would also take a list that holds the issuer.
        if text(claims, "iss") != Some(&self.sign_in.issuer) {
            return Err(TokenFault::Issuer);
        }
        let subject = text(claims, "sub");
        let subject = subject.filter(|subject| (1..=MAX_SUBJECT_BYTES).contains(&subject.len()));
        let subject = subject.ok_or(TokenFault::Subject)?;
        let tenant = text(claims, &self.sign_in.tenant_claim);
        let tenant = tenant.and_then(|tenant| tenant.parse::<TenantId>().ok());
        let tenant = tenant.ok_or(TokenFault::Tenant)?;
        Ok(Grant {
            tenant,
            holder: holder(tenant, subject),
            scopes: scopes(claims),
        })
    }
}

fn is_access_token(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    ["at+jwt", "application/at+jwt", "jwt"].contains(&kind.as_str())
}

fn fault(kind: &ErrorKind) -> TokenFault {
    match kind {
        ErrorKind::InvalidSignature => TokenFault::Signature,
        ErrorKind::InvalidAlgorithm => TokenFault::Algorithm,
        ErrorKind::ExpiredSignature => TokenFault::Expired,
        ErrorKind::ImmatureSignature => TokenFault::NotYetValid,
        ErrorKind::InvalidIssuer => TokenFault::Issuer,
        ErrorKind::InvalidAudience => TokenFault::Audience,
        ErrorKind::MissingRequiredClaim(claim) | ErrorKind::InvalidClaimFormat(claim) => {
            match claim.as_str() {
                "iss" => TokenFault::Issuer,
                "aud" => TokenFault::Audience,
                "exp" => TokenFault::Expired,
                "nbf" => TokenFault::NotYetValid,
                _ => TokenFault::Unreadable,
            }
        }
        _ => TokenFault::Unreadable,
    }
}

fn text<'a>(claims: &'a Claims, name: &str) -> Option<&'a str> {
    claims.get(name)?.as_str()
}

/// `scope` is a text in the standard, and `scp` or a list with some servers.
fn scopes(claims: &Claims) -> Vec<String> {
    match claims.get("scope").or_else(|| claims.get("scp")) {
        Some(Value::String(scopes)) => scopes.split_whitespace().map(str::to_owned).collect(),
        Some(Value::Array(scopes)) => {
            let scopes = scopes.iter().filter_map(Value::as_str);
            scopes.map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

fn holder(tenant: TenantId, subject: &str) -> Uuid {
    let digest = vault::sha256(format!("{tenant} {subject}").as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}
