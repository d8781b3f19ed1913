//! Where a sign-in may lead: to a page of ours, and nowhere else.

/// The page that a link leads to if nothing else is said.
pub(crate) const DEFAULT: &str = "/integrations";
/// The pages, by the first piece of their paths.
const PAGES: [&str; 4] = ["integrations", "contacts", "companies", "conversations"];
const MAX_LENGTH: usize = 500;

/// Whether a text is the path of a page, and maybe a query.
///
/// The few characters that a path may have leave no way to name a host: no second slash in a row, no backslash, no
/// percent sign, no dot. In a query they would be harmless.
pub(crate) fn is_page(text: &str) -> bool {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let Some(path) = path.strip_prefix('/') else {
        return false;
    };
    let mut pieces = path.split('/');
    text.len() <= MAX_LENGTH
        && pieces
            .clone()
            .next()
            .is_some_and(|first| PAGES.contains(&first))
        && pieces.all(|piece| !piece.is_empty() && piece.bytes().all(is_word))
        && query
            .bytes()
            .all(|b| is_word(b) || b".~=&%+,:".contains(&b))
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_ours_is_one() {
        for text in [
            DEFAULT,
            "/integrations/intercom",
            "/integrations?intercom=connected",
            "/integrations?a=%2F%2Fevil.example",
            "/contacts",
            "/contacts?q=ada%20lovelace",
            "/contacts/0197f0a0-0000-7000-8000-000000000000",
            "/companies/0197f0a0-0000-7000-8000-000000000000",
            "/conversations/0197f0a0-0000-7000-8000-000000000000",
        ] {
            assert!(is_page(text), "{text}");
        }
    }

    #[test]
    fn nothing_leads_to_another_host_or_path() {
        let long = format!("/integrations/{}", "a".repeat(MAX_LENGTH));
        for text in [
            "",
            "/",
            "integrations",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/integrations//evil.example",
            "/integrations/",
            "/integrations\\evil",
            "/integrations/../v1/sessions",
            "/integrations/%2e%2e/v1",
            "/%2fevil.example",
            "/integrations%2f..%2fx",
            "/integrations@evil.example",
            "/integrationsx",
            "/Integrations",
            "/v1/tenants",
            "/sign-out",
            "https://evil.example/integrations",
            "javascript:alert(1)",
            "/integrations\r\nSet-Cookie: a=b",
            "/integrations\n",
            "/integrations?a=b\r\n",
            "/integrations#top",
            "/integrations?a=<script>",
            "/integrations?next=//evil.example",
            "/contacts//evil.example",
            "/contacts/../sign-out",
            "/contacts/%2e%2e/sign-out",
            "/contacts/@evil.example",
            "/contacts\\evil.example",
            "/companies/.evil.example",
            "/companiesx/a",
            "//contacts/a",
            "https://contacts/a",
            "/integrations/é",
            " /integrations",
            "\t//evil.example",
            &long,
        ] {
            assert!(!is_page(text), "{text:?}");
        }
    }
}
