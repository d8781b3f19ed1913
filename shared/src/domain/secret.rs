//! A secret text. It cannot be printed, logged or serialised, and it is wiped when dropped.

use std::fmt;

use zeroize::Zeroizing;

/// A secret text. `expose` is the only access to its content, so every use can be found by that name.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The content, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        let shown = format!("{:?}", Some(Secret::new("dG9rOmFiYw==")));
        assert_eq!(shown, "Some([redacted])");
    }
}
