//! Reads error responses: the error code, and the contact that a merged one became part of.

use serde::Deserialize;

use super::object::Object;
use crate::intercom::id::is_id;

/// In bytes. Longer than any code of Intercom's. A code is stored and shown, so it needs a limit.
const MAX_CODE_BYTES: usize = 64;

#[derive(Deserialize)]
struct WireErrors {
    errors: Vec<Object<Item>>,
}

#[derive(Deserialize)]
struct Item {
    code: Option<String>,
}

/// The code of the first error. Empty if there is none, or if it is not one plain word.
#[must_use]
pub fn error_code(body: &[u8]) -> String {
    serde_json::from_slice::<Object<WireErrors>>(body)
        .ok()
        .and_then(|Object(list)| list.errors.into_iter().next())
        .and_then(|Object(error)| error.code)
        .filter(|code| code.len() <= MAX_CODE_BYTES)
        .filter(|code| {
            code.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
        })
        .unwrap_or_default()
}

/// The id in `</contacts/{id}>; rel="canonical"`, if it is one of Intercom's.
#[must_use]
pub fn survivor(link: &str) -> Option<String> {
    let target = link.split_once('<')?.1.split_once('>')?.0;
    let id = target.rsplit('/').next()?;
    is_id(id).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_word_or_nothing() {
        let code = |code: &str| {
            error_code(
                format!(r#"{{"type":"error.list","errors":[{{"code":{code}}}]}}"#).as_bytes(),
            )
        };
        assert_eq!(code(r#""token_revoked""#), "token_revoked");
        for odd in [
            "null",
            "17",
            r#""a\u0000b""#,
            r#""<script>""#,
            &format!("{:?}", "x".repeat(65)),
        ] {
            assert_eq!(code(odd), "", "{odd}");
        }
        for body in [
            "",
            "<html>",
            "[]",
            r#"{"errors":[]}"#,
            r#"{"errors":[["token_revoked"]]}"#,
            r#"{"errors":[null]}"#,
        ] {
            assert_eq!(error_code(body.as_bytes()), "", "{body}");
        }
    }

    #[test]
    fn a_survivor_is_an_id() {
        assert_eq!(
            survivor("</contacts/6762f0dd>; rel=\"canonical\"").as_deref(),
            Some("6762f0dd")
        );
        for link in [
            "",
            "<>",
            "</contacts/>",
            "</contacts/a%2fb>",
            "</contacts/../me?x>",
        ] {
            assert_eq!(survivor(link), None, "{link}");
        }
    }
}
