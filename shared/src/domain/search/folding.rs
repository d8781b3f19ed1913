//! The one spelling in which words are compared.

use unicode_normalization::UnicodeNormalization as _;

/// Text without case, accents and typographic forms, so that `Łódź` is `lodz` and `STRASSE` is `straße`.
pub(super) fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let mut plain = String::with_capacity(text.len());
    for char in text.chars().flat_map(char::to_lowercase).nfkd() {
        match unmarked(char) {
            Some(letters) => plain.push_str(letters),
            None if is_accent(char) => {}
            None => plain.push(char),
        }
    }
    // Composed again, because the letters of some scripts are several characters otherwise (Hangul, kana).
    plain.nfkc().flat_map(char::to_lowercase).collect()
}

/// Letters that readers write without their mark, and that Unicode does not take apart.
const fn unmarked(char: char) -> Option<&'static str> {
    Some(match char {
        'ß' => "ss",
        'ı' => "i",
        'ł' => "l",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'þ' => "th",
        'æ' => "ae",
        'œ' => "oe",
        'ς' => "σ",
        '’' | 'ʼ' => "'",
        _ => return None,
    })
}

/// Accents of Latin, Greek and Cyrillic letters, and the vowel points of Hebrew and Arabic. Marks of other scripts tell
/// words apart.
const fn is_accent(char: char) -> bool {
    matches!(char,
        '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5c7}' | '\u{64b}'..='\u{65f}' | '\u{1ab0}'..='\u{1aff}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{200d}')
}

#[cfg(test)]
mod tests {
    use super::folded;

    #[test]
    fn spellings_of_one_word_are_equal() {
        for (one, other) in [
            ("STRASSE", "straße"),
            ("Łódź", "lodz"),
            ("Æther", "aether"),
            ("ΣΊΣΥΦΟΣ", "σισυφος"),
            ("İstanbul", "istanbul"),
            ("ﬁle", "FILE"),
            ("Ｉｎｖｏｉｃｅ", "invoice"),
            ("don’t", "don't"),
            ("e\u{301}te\u{301}", "ÉTÉ"),
        ] {
            assert_eq!(folded(one), folded(other), "{one}");
        }
    }

    #[test]
    fn letters_of_other_scripts_stay_whole() {
        assert_eq!(folded("한국어"), "한국어");
        assert_eq!(folded("ガ"), "ガ");
        assert_ne!(folded("हिन्दी"), folded("हनद"));
    }
}
