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
    match stable(&international) {
        Some(number) => (number, None),
        None => (text.to_owned(), Some(BlockReason::NoNumber)),
    }
}

/// What the number is read as in the end. A reading drops one prefix that is only dialled within a country, and an odd
/// number may have several.
fn stable(text: &str) -> Option<String> {
    let mut number = text.to_owned();
    for _ in 0..MAX_BYTES {
        let read = e164(&number)?;
        if read == number {
            return Some(number);
        }
        number = read;
    }
    None
}

/// Only the form is judged. Whether a number is assigned changes faster than any list of ranges.
fn e164(text: &str) -> Option<String> {
    // Our own way to write an extension, which the parser does not know.
    let (text, extension) = match text.split_once(";ext=") {
        Some((text, extension)) if extension.bytes().all(|digit| digit.is_ascii_digit()) => {
            (text, Some(extension.to_owned()))
        }
        Some(_) => return None,
        None => (text, None),
    };
    let number = phonenumber::parse(None, text).ok()?;
    let (country, national) = (number.code().value(), number.national().to_string());
    if country == 0 || national.bytes().all(|digit| digit == b'0') {
        return None;
    }
    Some(
        match extension.or_else(|| number.extension().map(ToString::to_string)) {
            Some(extension) => format!("+{country}{national};ext={extension}"),
            None => format!("+{country}{national}"),
        },
    )
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};

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
        assert_eq!(normalise(&desk), (desk, None));
    }

    #[test]
    fn what_was_read_is_read_as_itself() {
        let mut rng = StdRng::seed_from_u64(7);
        let mut numbers = 0;
        for _ in 0..3_000 {
            let digits = rng.random_range(4..=17);
            let zeros = "0".repeat(rng.random_range(0..=2));
            let country = rng.random_range(1..=999);
            let digits: String = (0..digits)
                .map(|_| rng.random_range(b'0'..=b'9') as char)
                .collect();
            let (number, blocked) = normalise(&format!("+{country} {zeros}{digits}"));
            if blocked.is_none() {
                numbers += 1;
                assert_eq!(normalise(&number), (number.clone(), None));
            }
        }
        assert!(numbers > 800, "{numbers} are numbers");
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
