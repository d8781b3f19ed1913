//! Domains of companies as identities.

use std::{collections::HashSet, sync::LazyLock};

use super::block_reason::BlockReason;

/// Domains at which anybody gets a mailbox, one a line.
static PUBLIC_MAIL: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    include_str!("public_mail_domains.txt")
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .collect()
});

/// The part of a host name that its owner has registered, and why it is no identity. `mail.acme.co.uk` is
/// `acme.co.uk`. A host below a public suffix of a provider, such as `acme.github.io`, is a domain of its own.
pub(super) fn normalise(raw: &str) -> (String, Option<BlockReason>) {
    let host = raw.trim().to_lowercase();
    // One spelling for names outside ASCII, which browsers and registries write in two ways.
    let Ok(url::Host::Domain(host)) = url::Host::parse(&host) else {
        return (host, Some(BlockReason::NoDomain));
    };
    let Some(domain) = psl::domain_str(&host) else {
        return (host, Some(BlockReason::NoDomain));
    };
    let blocked = PUBLIC_MAIL
        .contains(domain)
        .then_some(BlockReason::PublicMail);
    (domain.to_owned(), blocked)
}

/// The host of a website as people type it: `https://www.acme.com/x` and `acme.com` are `acme.com`.
#[must_use]
pub fn website_host(website: &str) -> Option<String> {
    let rest = website.trim();
    let rest = rest.split_once("://").map_or(rest, |(_, rest)| rest);
    let host = rest
        .split(['/', '?', '#'])
        .next()?
        .rsplit('@')
        .next()?
        .split(':')
        .next()?;
    let host = host.to_lowercase();
    let host = host.strip_prefix("www.").unwrap_or(&host);
    (host.contains('.') && host.len() <= 253).then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_what_is_registered() {
        for (raw, expected) in [
            ("www.Acme.com", "acme.com"),
            (" eu.mail.acme.co.uk. ", "acme.co.uk"),
            ("acme.github.io", "acme.github.io"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(normalise(raw), (expected.to_owned(), None), "{raw}");
        }
    }

    #[test]
    fn what_no_company_has_registered_is_blocked() {
        for (raw, reason) in [
            ("gmail.com", BlockReason::PublicMail),
            ("mail.Yahoo.co.uk", BlockReason::PublicMail),
            ("co.uk", BlockReason::NoDomain),
            ("localhost", BlockReason::NoDomain),
            ("10.0.0.1", BlockReason::NoDomain),
            ("acme .com", BlockReason::NoDomain),
            ("", BlockReason::NoDomain),
        ] {
            assert_eq!(normalise(raw).1, Some(reason), "{raw}");
        }
    }

    #[test]
    fn every_public_mail_domain_is_one() {
        assert!(PUBLIC_MAIL.len() > 150);
        for domain in PUBLIC_MAIL.iter() {
            assert_eq!(normalise(domain).0, *domain);
        }
    }

    #[test]
    fn a_host_is_found_in_what_people_type() {
        for (website, expected) in [
            ("https://www.Acme.com/about?x=1", Some("acme.com")),
            ("acme.co.uk", Some("acme.co.uk")),
            ("http://user@acme.com:8080", Some("acme.com")),
            ("n/a", None),
            ("", None),
        ] {
            assert_eq!(website_host(website).as_deref(), expected, "{website}");
        }
    }
}
