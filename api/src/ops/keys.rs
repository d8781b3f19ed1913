//! The keys of the ops listener, and what each of them may do.

use std::sync::Arc;

use shared::{
    config::Config,
    domain::Secret,
    vault::{constant_time_eq, sha256},
};

/// What a key of the ops listener may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpsRole {
    /// Reads and acts.
    Operator,
    /// Reads everything and changes nothing.
    Viewer,
}

impl OpsRole {
    const ALL: [Self; 2] = [Self::Operator, Self::Viewer];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Viewer => "viewer",
        }
    }
}

/// Digests of the configured keys. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct OpsKeys(Arc<[Option<[u8; 32]>; 2]>);

impl OpsKeys {
    pub(super) fn of(config: &Config) -> Self {
        let digest = |key: &Option<Secret>| key.as_ref().map(|key| sha256(key.expose().as_bytes()));
        Self(Arc::new([
            digest(&config.operator_key),
            digest(&config.viewer_key),
        ]))
    }

    /// The digest of a role's key. `None` if it is not configured.
    pub(super) fn digest(&self, role: OpsRole) -> Option<&[u8; 32]> {
        let [operator, viewer] = &*self.0;
        match role {
            OpsRole::Operator => operator.as_ref(),
            OpsRole::Viewer => viewer.as_ref(),
        }
    }

    /// Every role that has a key, with the digest of it.
    pub(super) fn configured(&self) -> impl Iterator<Item = (OpsRole, &[u8; 32])> {
        OpsRole::ALL
            .into_iter()
            .filter_map(|role| Some((role, self.digest(role)?)))
    }

    /// Whose key a text is. The time does not depend on how much of it is right.
    pub(super) fn role_of(&self, text: &str) -> Option<OpsRole> {
        let digest = sha256(text.as_bytes());
        // Each key is compared, so that the time does not tell which one it was either.
        let found = self
            .configured()
            .map(|(role, key)| constant_time_eq(&digest, key).then_some(role));
        found.fold(None, Option::or)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_role_and_no_other_text_has_one() {
        let keys = |operator: Option<&str>, viewer: Option<&str>| {
            let digest = |key: Option<&str>| key.map(|key| sha256(key.as_bytes()));
            OpsKeys(Arc::new([digest(operator), digest(viewer)]))
        };
        let both = keys(Some("operators"), Some("viewers"));
        assert_eq!(both.role_of("operators"), Some(OpsRole::Operator));
        assert_eq!(both.role_of("viewers"), Some(OpsRole::Viewer));
        assert_eq!((both.role_of(""), both.role_of("viewer")), (None, None));
        let viewers = keys(None, Some("viewers"));
        assert_eq!(viewers.role_of("viewers"), Some(OpsRole::Viewer));
        assert_eq!(
            (viewers.role_of(""), viewers.role_of("operators")),
            (None, None)
        );
    }
}
