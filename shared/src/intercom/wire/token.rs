//! Reads the response of the token exchange.

use serde::Deserialize;

use super::object::Object;
use crate::domain::Secret;

/// In bytes. Far longer than any token.
const MAX_TOKEN_BYTES: usize = 4096;

/// Both names have the same value today. Either is accepted.
#[derive(Deserialize)]
struct WireToken {
    access_token: Option<String>,
    token: Option<String>,
}

/// The token in the response. `None` if there is none that fits into a header.
#[must_use]
pub fn read_token(body: &[u8]) -> Option<Secret> {
    let Object(wire) = serde_json::from_slice::<Object<WireToken>>(body).ok()?;
    let token = wire.access_token.or(wire.token)?;
    let fits = (1..=MAX_TOKEN_BYTES).contains(&token.len())
        && token.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| Secret::new(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_token_that_a_header_can_carry_is_one() {
        for body in [r#"{"access_token":"dG9r"}"#, r#"{"token":"dG9r","x":1}"#] {
            assert_eq!(
                read_token(body.as_bytes()).unwrap().expose(),
                "dG9r",
                "{body}"
            );
        }
        for body in [
            "",
            "{}",
            r#"["dG9r"]"#,
            r#"{"token":""}"#,
            r#"{"token":"a\nb"}"#,
            r#"{"token":{"a":1}}"#,
        ] {
            assert!(read_token(body.as_bytes()).is_none(), "{body}");
        }
    }
}
