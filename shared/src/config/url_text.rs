//! What the URLs of Postgres and Redis have in common. Both are read by hand, because a URL library cannot read several
//! hosts. Neither fault quotes a part of a URL, so there is only one way to fail.

use percent_encoding::percent_decode_str;

/// The text of one host: its name without brackets, and what follows the colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HostText<'a> {
    pub name: &'a str,
    pub port: Option<&'a str>,
}

/// Splits `name`, `name:port`, `[::1]` or `[::1]:port`. `None` if a bracket has no end, or no colon follows it.
pub(super) fn host(text: &str) -> Option<HostText<'_>> {
    // An IPv6 address has colons of its own, so it stands in brackets.
    let Some(bracketed) = text.strip_prefix('[') else {
        let (name, port) = match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        };
        return Some(HostText { name, port });
    };
    let (name, rest) = bracketed.split_once(']')?;
    let port = match rest {
        "" => None,
        rest => Some(rest.strip_prefix(':')?),
    };
    Some(HostText { name, port })
}

/// A port that can be connected to.
pub(super) fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}

/// A part of a URL without its percent signs. `None` if it is not UTF-8.
pub(super) fn decoded(text: &str) -> Option<String> {
    let decoded = percent_decode_str(text).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_split() {
        let split = |text| host(text).map(|HostText { name, port }| (name, port));
        assert_eq!(split("a"), Some(("a", None)));
        assert_eq!(split("a:1"), Some(("a", Some("1"))));
        assert_eq!(split("[::1]"), Some(("::1", None)));
        assert_eq!(split("[::1]:"), Some(("::1", Some(""))));
        assert_eq!(split("[::1"), None);
        assert_eq!(split("[::1]2"), None);
        assert_eq!((port("1"), port("0"), port("")), (Some(1), None, None));
    }
}
