//! Email addresses as identities.

use unicode_normalization::UnicodeNormalization;

use super::{block_reason::BlockReason, placeholder::is_placeholder};

/// Mailboxes of functions, mostly from RFC 2142 and from what companies print on their pages. Many people read and
/// write such a mailbox, so it joins strangers. Sorted.
const ROLES: &[&str] = &[
    "abuse",
    "accounting",
    "accounts",
    "admin",
    "administrator",
    "billing",
    "careers",
    "contact",
    "customerservice",
    "do-not-reply",
    "donotreply",
    "enquiries",
    "feedback",
    "hello",
    "help",
    "helpdesk",
    "hostmaster",
    "hr",
    "info",
    "inquiries",
    "invoices",
    "it",
    "jobs",
    "kontakt",
    "mail",
    "mailer-daemon",
    "marketing",
    "media",
    "newsletter",
    "no-reply",
    "nobody",
    "noc",
    "noreply",
    "notifications",
    "office",
    "orders",
    "postmaster",
    "press",
    "privacy",
    "reception",
    "root",
    "sales",
    "security",
    "service",
    "support",
    "team",
    "test",
    "usenet",
    "webmaster",
];

/// The address in one spelling, and why it is no identity. Dots and plus tags are kept, because only some providers
/// ignore them.
pub(super) fn normalise(raw: &str) -> (String, Option<BlockReason>) {
    // An address is ASCII as a rule, and such a text is in its only form.
    if raw.is_ascii() {
        let text = raw.trim().to_ascii_lowercase();
        let blocked = blocked(&text);
        return (text, blocked);
    }
    // Some lower-case letters have another compatible form than their upper-case ones.
    let text: String = raw.nfkc().collect::<String>().to_lowercase();
    let text: String = text.nfkc().collect();
    let text = text.trim();
    (text.to_owned(), blocked(text))
}

fn blocked(address: &str) -> Option<BlockReason> {
    if is_placeholder(address) {
        return Some(BlockReason::Placeholder);
    }
    let is_text = !address.contains(|c: char| c.is_whitespace() || c.is_control());
    let parts = address.rsplit_once('@').filter(|(mailbox, domain)| {
        is_text && !mailbox.is_empty() && !mailbox.contains('@') && is_domain(domain)
    });
    let Some((mailbox, _)) = parts else {
        return Some(BlockReason::NoAddress);
    };
    let name = mailbox.split('+').next().unwrap_or_default();
    if is_placeholder(name) {
        Some(BlockReason::Placeholder)
    } else if ROLES.binary_search(&name).is_ok() {
        Some(BlockReason::RoleAddress)
    } else {
        None
    }
}

/// Two labels at least: mail that crosses networks has no other domains.
fn is_domain(domain: &str) -> bool {
    domain.contains('.') && domain.split('.').all(|label| !label.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roles_are_sorted() {
        assert!(ROLES.is_sorted());
    }

    #[test]
    fn an_address_has_one_spelling() {
        for (raw, expected) in [
            ("Jane.Doe+x@ACME.example", "jane.doe+x@acme.example"),
            ("\u{3000}ｊａｎｅ＠acme.example \n", "jane@acme.example"),
            ("STRASSE@acme.example", "strasse@acme.example"),
            ("zoe\u{308}@acme.example", "zoë@acme.example"),
        ] {
            assert_eq!(normalise(raw), (expected.to_owned(), None), "{raw}");
        }
    }

    #[test]
    fn what_names_no_person_is_blocked() {
        for (raw, reason) in [
            ("info@acme.example", BlockReason::RoleAddress),
            ("Support+eu@acme.example", BlockReason::RoleAddress),
            ("No-Reply@acme.example", BlockReason::RoleAddress),
            ("null@acme.example", BlockReason::Placeholder),
            ("N/A", BlockReason::Placeholder),
            ("jane", BlockReason::NoAddress),
            ("@acme.example", BlockReason::NoAddress),
            ("jane@", BlockReason::NoAddress),
            ("jane@localhost", BlockReason::NoAddress),
            ("jane@acme..example", BlockReason::NoAddress),
            ("jane doe@acme.example", BlockReason::NoAddress),
            ("a@b@acme.example", BlockReason::NoAddress),
        ] {
            assert_eq!(normalise(raw).1, Some(reason), "{raw}");
        }
    }
}
