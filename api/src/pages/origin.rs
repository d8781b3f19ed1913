//! Where a form was sent from. Browsers say so in a header that no page can set.

use axum::http::{HeaderMap, HeaderName, header};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// As much of a header as a page repeats.
const SHOWN: usize = 200;

/// A form that another site has sent, or that came to another address than the configured one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WrongOrigin {
    pub(super) header: &'static str,
    pub(super) expected: String,
    pub(super) got: String,
}

/// Compares the origin of a form with that of the public URL. Without either header no browser of today has sent it.
pub(super) fn check(public_url: &str, headers: &HeaderMap) -> Result<(), WrongOrigin> {
    if let Some(origin) = headers.get(header::ORIGIN) {
        let expected = of_url(public_url);
        if origin.as_bytes() == expected.as_bytes() {
            return Ok(());
        }
        return Err(WrongOrigin {
            header: "Origin",
            expected,
            got: shown(origin.as_bytes()),
        });
    }
    match headers.get(FETCH_SITE) {
        Some(site) if site != "same-origin" && site != "none" => Err(WrongOrigin {
            header: "Sec-Fetch-Site",
            expected: "same-origin".to_owned(),
            got: shown(site.as_bytes()),
        }),
        _ => Ok(()),
    }
}

/// The origin of a URL, as browsers write it.
pub(crate) fn of_url(url: &str) -> String {
    url.parse::<url::Url>().map_or_else(
        |_| "null".to_owned(),
        |url| url.origin().ascii_serialization(),
    )
}

fn shown(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    text.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn checked(name: Option<HeaderName>, value: &'static str) -> Result<(), WrongOrigin> {
        let mut headers = HeaderMap::new();
        if let Some(name) = name {
            headers.insert(name, HeaderValue::from_static(value));
        }
        check("https://sync.example.com:443/base", &headers)
    }

    #[test]
    fn only_the_public_origin_passes_and_a_refusal_names_both() {
        assert_eq!(checked(None, ""), Ok(()));
        assert_eq!(
            checked(Some(header::ORIGIN), "https://sync.example.com"),
            Ok(())
        );
        for site in ["same-origin", "none"] {
            assert_eq!(checked(Some(FETCH_SITE), site), Ok(()));
        }
        for (name, value, expected) in [
            (
                header::ORIGIN,
                "https://evil.example",
                "https://sync.example.com",
            ),
            (
                header::ORIGIN,
                "https://sync.example.com.evil.example",
                "https://sync.example.com",
            ),
            (
                header::ORIGIN,
                "http://sync.example.com",
                "https://sync.example.com",
            ),
            (header::ORIGIN, "null", "https://sync.example.com"),
            (FETCH_SITE, "cross-site", "same-origin"),
            (FETCH_SITE, "same-site", "same-origin"),
        ] {
            let refused = checked(Some(name), value).unwrap_err();
            assert_eq!(
                (refused.expected.as_str(), refused.got.as_str()),
                (expected, value)
            );
        }
    }
}
