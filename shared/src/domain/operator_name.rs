//! What an operator calls itself.

use std::{fmt, str::FromStr};

/// The length of the longest name, in characters.
const LONGEST: usize = 80;

/// The name that an operator gave, at a sign-in or with a call. The key proves an operator and no name, so it is a claim: it
/// says whom to ask, and allows nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorName(String);

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a name of 1 to {LONGEST} characters on one line, such as \"ada\" or \"Ada Lovelace\""
)]
pub struct BadOperatorName;

impl OperatorName {
    /// The name as it was given, without white space around it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OperatorName {
    type Err = BadOperatorName;

    fn from_str(text: &str) -> Result<Self, BadOperatorName> {
        let name = text.trim();
        // It is shown on terminals too, so it must not steer one, nor turn the line that it stands in.
        let is_good = (1..=LONGEST).contains(&name.chars().count())
            && !name.chars().any(|c| c.is_control() || is_invisible(c));
        if is_good {
            Ok(Self(name.to_owned()))
        } else {
            Err(BadOperatorName)
        }
    }
}

impl fmt::Display for OperatorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Signs of writing direction, of zero width, and breaks of lines.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_short_visible_line() {
        for (given, name) in [
            ("ada", "ada"),
            (" Ada Lovelace ", "Ada Lovelace"),
            ("Zoë 山田", "Zoë 山田"),
        ] {
            assert_eq!(given.parse::<OperatorName>().unwrap().as_str(), name);
        }
        assert!("x".repeat(LONGEST).parse::<OperatorName>().is_ok());
        let too_long = "é".repeat(LONGEST + 1);
        for given in [
            "",
            "  ",
            "a\nb",
            "a\u{1b}[31m",
            "a\u{202e}b",
            "\u{200b}",
            "a\u{0}",
            &too_long,
        ] {
            assert_eq!(
                given.parse::<OperatorName>(),
                Err(BadOperatorName),
                "{given:?}"
            );
        }
    }
}
