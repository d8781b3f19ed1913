//! Reads error responses: whether Intercom itself refuses, with which code, and the contact that a merged one became
//! part of.

use serde::Deserialize;

use super::object::Object;
use crate::intercom::id::is_id;

/// In bytes. Longer than any code of Intercom's. A code is stored and shown, so it needs a limit.
const MAX_CODE_BYTES: usize = 64;

/// The `type` of Intercom's own error responses.
const ERROR_LIST: &str = "error.list";

#[derive(Deserialize)]
struct WireErrors {
    r#type: String,
    errors: Vec<Object<Item>>,
}

#[derive(Deserialize)]
struct Item {
    code: Option<String>,
}

/// The code of the first error of Intercom's error list. `None` if the body is no such list, or if the code is not one
/// plain word. A proxy or a firewall answers with a page of its own, which says nothing about the workspace.
#[must_use]
pub fn error_code(body: &[u8]) -> Option<String> {
    let Object(list) = serde_json::from_slice::<Object<WireErrors>>(body).ok()?;
    if list.r#type != ERROR_LIST {
        return None;
    }
    let Object(error) = list.errors.into_iter().next()?;
    error.code.filter(|code| is_word(code))
}

/// The code of a refused token exchange. OAuth has an error form of its own, which Intercom's token endpoint may use.
#[must_use]
pub fn exchange_error_code(body: &[u8]) -> Option<String> {
    let oauth = || {
        let Object(error) = serde_json::from_slice::<Object<WireOauthError>>(body).ok()?;
        Some(error.error).filter(|code| is_word(code))
    };
    error_code(body).or_else(oauth)
}

/// The error form of RFC 6749.
#[derive(Deserialize)]
struct WireOauthError {
    error: String,
}

fn is_word(code: &str) -> bool {
    (1..=MAX_CODE_BYTES).contains(&code.len())
        && code
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
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
        assert_eq!(code(r#""token_revoked""#).as_deref(), Some("token_revoked"));
        for odd in [
            "null",
            "17",
            r#""""#,
            r#""a\u0000b""#,
            r#""<script>""#,
            &format!("{:?}", "x".repeat(65)),
        ] {
            assert_eq!(code(odd), None, "{odd}");
        }
    }

    #[test]
    fn only_an_error_list_is_intercoms() {
        for body in [
            "",
            "<html>",
            "[]",
            "{}",
            r#"{"error":"forbidden"}"#,
            r#"{"errors":[{"code":"forbidden"}]}"#,
            r#"{"type":"error","errors":[{"code":"forbidden"}]}"#,
            r#"{"type":"error.list","errors":[]}"#,
            r#"{"type":"error.list","errors":{"code":"forbidden"}}"#,
            r#"{"type":"error.list","errors":[["token_revoked"]]}"#,
            r#"{"type":"error.list","errors":[null]}"#,
            r#"<!doctype html>{"type":"error.list","errors":[{"code":"forbidden"}]}"#,
        ] {
            assert_eq!(error_code(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn a_code_may_be_refused_in_oauths_own_form() {
        let code = exchange_error_code(br#"{"error":"invalid_grant","error_description":"used"}"#);
        assert_eq!(code.as_deref(), Some("invalid_grant"));
        for body in ["<html>", r#"{"error":{"code":1}}"#, r#"{"error":""}"#] {
            assert_eq!(exchange_error_code(body.as_bytes()), None, "{body}");
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
