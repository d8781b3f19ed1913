//! Phone numbers as identities.

use super::{block_reason::BlockReason, placeholder::is_placeholder};

/// Longer texts hold more than a number. The parser is not asked, because it looks for a number anywhere in a text.
const MAX_BYTES: usize = 40;

/// The number as E.164 writes it, and why it is no identity. An extension stays, because a whole company may share the
/// number before it.
pub(super) fn normalise(raw: &str) -> (String, Option<BlockReason>) {
    let text = raw.trim();
    if is_placeholder(text) {
        return (text.to_owned(), Some(BlockReason::Placeholder));
    }
    if text.len() > MAX_BYTES {
        return (text.to_owned(), Some(BlockReason::NoNumber));
    }
    // `00` is dialled in most countries where `+` is written.
    let international = match text.strip_prefix("00") {
        Some(number) => format!("+{number}"),
        None => text.to_owned(),
    };
    if !international.starts_with('+') {
        return (text.to_owned(), Some(BlockReason::NoCountry));
    }
    match e164(&international) {
        Some(number) => (number, None),
        None => (text.to_owned(), Some(BlockReason::NoNumber)),
    }
}

/// Only the form is judged. Whether a number is assigned changes faster than any list of ranges.
fn e164(text: &str) -> Option<String> {
    let number = phonenumber::parse(None, text).ok()?;
    let national = number.national().to_string();
    let is_some = national.bytes().any(|digit| digit != b'0');
    let extension = number
        .extension()
        .map(|extension| format!(";ext={extension}"))
        .unwrap_or_default();
    (is_some && number.code().value() > 0)
        .then(|| format!("+{}{national}{extension}", number.code().value()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_has_one_spelling() {
        for raw in [
            "+49 30 123456",
            "0049 30 123456",
            "+49 (30) 123-456",
            "+49 (0)30 123456",
            " +4930123456 ",
        ] {
            assert_eq!(normalise(raw), ("+4930123456".to_owned(), None), "{raw}");
        }
        let of_the_simulator = normalise("+35310000042");
        assert_eq!(of_the_simulator, ("+35310000042".to_owned(), None));
    }

    #[test]
    fn an_extension_is_part_of_the_number() {
        let (desk, blocked) = normalise("+49 30 123456 ext. 7");
        assert_eq!((desk.as_str(), blocked), ("+4930123456;ext=7", None));
        assert_eq!(normalise(&desk).0, desk);
    }

    #[test]
    fn what_is_no_number_of_one_country_is_blocked() {
        for (raw, reason) in [
            ("030 123456", BlockReason::NoCountry),
            ("5551234", BlockReason::NoCountry),
            ("+", BlockReason::NoNumber),
            ("+49", BlockReason::NoNumber),
            ("+0000000000", BlockReason::NoNumber),
            ("+1 000 000 0000", BlockReason::NoNumber),
            ("+call me", BlockReason::NoNumber),
            ("0000000", BlockReason::Placeholder),
            ("anonymous", BlockReason::Placeholder),
        ] {
            assert_eq!(normalise(raw).1, Some(reason), "{raw}");
        }
        let long = format!("+49{}", "1".repeat(MAX_BYTES));
        assert_eq!(normalise(&long).1, Some(BlockReason::NoNumber));
    }
}
