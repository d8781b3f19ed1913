//! Names: words that were retired, and types that several files define.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Place,
    source::{Source, Token},
};

/// Where a retired word may not stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within {
    AnyName,
    TypeName,
    FunctionName,
}

/// Words that no identifier of the product uses any more, as whole parts of a name: `owed` is in
/// `owed_purges` and `OwedPurges`, not in `borrowed`.
pub const RETIRED: &[(&str, Within)] = &[
    ("appetite", Within::AnyName),
    ("armed", Within::AnyName),
    ("begun", Within::TypeName),
    ("bite", Within::AnyName),
    ("books", Within::AnyName),
    ("exchanger", Within::AnyName),
    ("look", Within::AnyName),
    ("most", Within::AnyName),
    ("needs", Within::TypeName),
    ("nobody", Within::AnyName),
    ("owe", Within::AnyName),
    ("owed", Within::AnyName),
    ("owes", Within::AnyName),
    ("place", Within::TypeName),
    ("rest", Within::FunctionName),
    ("rhythm", Within::AnyName),
    ("room", Within::AnyName),
    ("settled", Within::TypeName),
    ("somebody", Within::AnyName),
    ("sweep", Within::AnyName),
    ("tally", Within::AnyName),
    ("told", Within::AnyName),
    ("want", Within::AnyName),
    ("wanted", Within::AnyName),
    ("wants", Within::AnyName),
    ("whoever", Within::AnyName),
    ("wish", Within::AnyName),
    ("wished", Within::AnyName),
    ("witness", Within::AnyName),
    ("woken", Within::AnyName),
];

/// Every use of a retired word in an identifier. The remark is the word and the identifier.
#[must_use]
pub fn retired(sources: &[Source]) -> Vec<Place> {
    let mut found = Vec::new();
    for source in sources {
        for (n, token) in source.tokens.iter().enumerate() {
            if !token.is_word || source.is_test(token.line) {
                continue;
            }
            let after_fn = n > 0 && source.tokens[n - 1].text == "fn";
            for word in retired_words(&token.text, after_fn) {
                let remark = format!("{word} in {}", token.text);
                found.push(Place::new(source, token.line, remark));
            }
        }
    }
    found
}

fn retired_words(name: &str, is_function: bool) -> Vec<&'static str> {
    let is_type = name.starts_with(char::is_uppercase) && name.contains(char::is_lowercase);
    let parts = parts(name);
    let applies = |within| match within {
        Within::AnyName => true,
        Within::TypeName => is_type,
        Within::FunctionName => is_function,
    };
    RETIRED
        .iter()
        .filter(|(word, within)| applies(*within) && parts.contains(*word))
        .map(|(word, _)| *word)
        .collect()
}

/// The words of a name in snake, camel or upper case.
fn parts(name: &str) -> BTreeSet<String> {
    let mut parts = vec![String::new()];
    let mut was_lower = false;
    for letter in name.chars() {
        if letter == '_' || (letter.is_uppercase() && was_lower) {
            parts.push(String::new());
        }
        was_lower = letter.is_lowercase() || letter.is_numeric();
        if letter != '_' {
            let last = parts.len() - 1;
            parts[last].extend(letter.to_lowercase());
        }
    }
    parts.into_iter().collect()
}

/// Type names that more than one file defines, with every definition.
#[must_use]
pub fn types_defined_twice(sources: &[Source]) -> BTreeMap<String, Vec<Place>> {
    let mut types: BTreeMap<String, Vec<Place>> = BTreeMap::new();
    for source in sources {
        let defined = source
            .types
            .iter()
            .filter(|token: &&Token| !source.is_test(token.line));
        for token in defined {
            let place = Place::new(source, token.line, token.text.clone());
            types.entry(token.text.clone()).or_default().push(place);
        }
    }
    types.retain(|_, places| places.iter().any(|place| place.path != places[0].path));
    types
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_retired_as_a_whole_part() {
        assert_eq!(retired_words("owed_purges", false), ["owed"]);
        assert_eq!(retired_words("NothingOwed", false), ["owed"]);
        assert_eq!(retired_words("MOST", false), ["most"]);
        assert!(retired_words("borrowed", false).is_empty());
        assert_eq!(retired_words("rest", true), ["rest"]);
        assert!(retired_words("rest", false).is_empty());
    }
}
