//! Words that programs write where they have no value.

/// In lower case. Each was seen as the id of thousands of records of some customer-data platform.
const PLACEHOLDERS: &[&str] = &[
    "(null)",
    "-1",
    "[]",
    "[object object]",
    "anonymous",
    "false",
    "guest",
    "n/a",
    "na",
    "nan",
    "nil",
    "none",
    "null",
    "true",
    "undefined",
    "unknown",
    "{}",
];

/// Whether a text stands for no value: a known word in any case, or nothing but zeros and separators.
pub(super) fn is_placeholder(text: &str) -> bool {
    text.chars().all(|c| matches!(c, '0' | '-' | '_' | '.'))
        || PLACEHOLDERS.contains(&text.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_zeros_stand_for_nothing() {
        for text in [
            "0",
            "-1",
            "0000-00",
            "---",
            "NULL",
            "Anonymous",
            "N/A",
            "00000000-0000-0000-0000-000000000000",
        ] {
            assert!(is_placeholder(text), "{text}");
        }
        for text in ["1", "-2", "0000-01", "nullius", "O", "٠"] {
            assert!(!is_placeholder(text), "{text}");
        }
    }
}
