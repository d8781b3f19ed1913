//! The words of a query.

use std::ops::Range;

use super::{
    document::quote,
    scope::{WordScope, filter_word},
    words::{Chunk, Piece, chunks, spaced_numbers},
};

/// Words of a query that count. A thousand characters without a space have as many pairs.
const MAX_WORDS: usize = 32;
/// Characters that a word needs so that longer ones that begin with it are meant too.
const BEGINNING: usize = 3;
/// The same of the last word, which its reader may still be typing.
const LAST_BEGINNING: usize = 1;

/// What is looked for. Any text is a query. Without words it finds everything that its filters let through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchQuery {
    terms: Vec<Term>,
    filters: Vec<String>,
}

/// A part of a query that an object has or has not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Term {
    /// All of them.
    phrases: Vec<Vec<QueryWord>>,
    /// Or one of these.
    others: Vec<QueryWord>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct QueryWord {
    word: String,
    /// Whether longer words that begin with it are meant too.
    is_beginning: bool,
}

impl SearchQuery {
    /// Reads a text. What is between quotation marks is a phrase.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut terms = Vec::new();
        let mut left = MAX_WORDS;
        let mut parts = text.split(['"', '“', '”', '„']).enumerate().peekable();
        while let Some((number, part)) = parts.next() {
            // The text behind a mark without a partner is no phrase.
            let is_quoted = number % 2 == 1 && parts.peek().is_some();
            let chunks = chunks(part);
            if is_quoted {
                let words = chunks.iter().flat_map(|chunk| pieces(chunk, usize::MAX));
                let phrase: Vec<QueryWord> = words.take(left).collect();
                left -= phrase.len();
                terms.extend((!phrase.is_empty()).then(|| Term {
                    phrases: vec![phrase],
                    others: Vec::new(),
                }));
                continue;
            }
            let is_last = parts.peek().is_none();
            for range in terms_of(&chunks) {
                let ends_query = is_last && range.end == chunks.len();
                let term = Term::read(&chunks[range], ends_query, &mut left);
                terms.extend((!term.phrases.is_empty()).then_some(term));
            }
        }
        Self {
            terms,
            filters: Vec::new(),
        }
    }

    /// Only objects that have this quality.
    pub fn filter(&mut self, name: &str, value: &str) {
        self.filters.push(filter_word(name, value));
    }

    #[must_use]
    pub const fn has_words(&self) -> bool {
        !self.terms.is_empty()
    }

    #[must_use]
    pub const fn has_several_terms(&self) -> bool {
        self.terms.len() > 1
    }

    /// What finds the objects of a scope, as Postgres reads a `tsquery`: those with all terms, or those with any.
    #[must_use]
    pub fn literal(&self, scope: &WordScope, any: bool) -> String {
        let prefix = scope.prefix();
        let mut parts = Vec::new();
        if self.has_words() {
            parts.push(format!("({})", self.words_literal(&prefix, any)));
        }
        let filters = self.filters.iter();
        parts.extend(filters.map(|word| quoted(&prefix, word, false)));
        if parts.is_empty() {
            parts.push(quoted(&prefix, ":", false));
        }
        parts.join("&")
    }

    /// What ranks them: the words alone. Empty if the query has none.
    #[must_use]
    pub fn rank_literal(&self, scope: &WordScope, any: bool) -> String {
        self.words_literal(&scope.prefix(), any)
    }

    fn words_literal(&self, prefix: &str, any: bool) -> String {
        let terms: Vec<String> = self.terms.iter().map(|term| term.literal(prefix)).collect();
        terms.join(if any { "|" } else { "&" })
    }

    /// Words that a text may show, and whether longer ones are meant too.
    pub(super) fn shown_words(&self) -> impl Iterator<Item = (&str, bool)> {
        let words = self
            .terms
            .iter()
            .flat_map(|term| term.phrases.iter().flatten().chain(&term.others));
        words.map(|word| (word.word.as_str(), word.is_beginning))
    }
}

/// Chunks that make a term together: a number that is written with spaces is one.
fn terms_of(chunks: &[Chunk]) -> Vec<Range<usize>> {
    let mut terms = Vec::new();
    let mut at = 0;
    for (number, _) in spaced_numbers(chunks) {
        terms.extend((at..number.start).map(|index| index..index + 1));
        at = number.end;
        terms.push(number);
    }
    terms.extend((at..chunks.len()).map(|index| index..index + 1));
    terms
}

impl Term {
    fn read(chunks: &[Chunk], ends_query: bool, left: &mut usize) -> Self {
        let mut term = Self::default();
        for (index, chunk) in chunks.iter().enumerate() {
            let is_end = ends_query && index + 1 == chunks.len();
            let beginning = if is_end { LAST_BEGINNING } else { BEGINNING };
            let phrase: Vec<QueryWord> = pieces(chunk, beginning).take(*left).collect();
            *left -= phrase.len();
            term.phrases.extend((!phrase.is_empty()).then_some(phrase));
            let others = chunk.whole.iter().chain(&chunk.joined);
            term.others.extend(others.map(|word| QueryWord {
                word: word.clone(),
                is_beginning: true,
            }));
        }
        for (_, number) in spaced_numbers(chunks) {
            term.others.push(QueryWord {
                word: number,
                is_beginning: true,
            });
        }
        term
    }

    fn literal(&self, prefix: &str) -> String {
        let phrases = self.phrases.iter().map(|phrase| {
            let words = phrase.iter().map(|word| word.literal(prefix));
            words.collect::<Vec<_>>().join("<->")
        });
        let mut all = format!("({})", phrases.collect::<Vec<_>>().join("&"));
        for other in &self.others {
            all.push('|');
            all.push_str(&other.literal(prefix));
        }
        format!("({all})")
    }
}

impl QueryWord {
    fn literal(&self, prefix: &str) -> String {
        quoted(prefix, &self.word, self.is_beginning)
    }
}

/// The words of a chunk, in their order. The last one may be the beginning of a longer one, if it has as many characters.
fn pieces(chunk: &Chunk, beginning: usize) -> impl Iterator<Item = QueryWord> {
    let last = chunk.pieces.len() - 1;
    let pieces = chunk.pieces.iter().enumerate();
    pieces.flat_map(move |(index, piece)| match piece {
        Piece::Word(word) => vec![QueryWord {
            is_beginning: index == last && word.chars().count() >= beginning,
            word: word.clone(),
        }],
        Piece::Unspaced(run) => {
            let mut pairs: Vec<QueryWord> = run
                .windows(2)
                .map(|pair| QueryWord {
                    word: pair.iter().collect(),
                    is_beginning: false,
                })
                .collect();
            if let [char] = run[..] {
                pairs.push(QueryWord {
                    word: char.to_string(),
                    is_beginning: true,
                });
            }
            pairs
        }
    })
}

fn quoted(prefix: &str, word: &str, is_beginning: bool) -> String {
    let mut literal = format!("'{prefix}");
    quote(word, &mut literal);
    literal.push_str(if is_beginning { "':*" } else { "'" });
    literal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        TenantId,
        search::{Band, SearchKind},
    };

    fn literal(text: &str) -> String {
        let scope = WordScope::new(TenantId::new(), SearchKind::Contact, Band::of_number(67));
        let query = SearchQuery::read(text);
        query.literal(&scope, false).replace(&scope.prefix(), "")
    }

    #[test]
    fn queries_have_their_words() {
        for (text, expected) in [
            ("", "':'"),
            ("?!", "':'"),
            ("to be refunded", "((('to'))&(('be'))&(('refunded':*)))"),
            ("r", "((('r':*)))"),
            ("\"Refund please\"", "((('refund'<->'please')))"),
            ("say \"hi", "((('say':*))&(('hi':*)))"),
            ("inv-26", "((('inv'<->'26':*)|'inv-26':*))"),
            ("到账", "((('到账')))"),
            ("到", "((('到':*)))"),
            ("+49 30 1234", "((('49'&'30'&'1234':*)|'49301234':*))"),
            ("don't", "((('don'<->'t':*)|'don''t':*))"),
        ] {
            assert_eq!(literal(text), expected, "{text}");
        }
    }

    #[test]
    fn a_long_query_has_bounded_words() {
        let literal = literal(&"退款".repeat(500));
        assert_eq!(literal.matches("<->").count(), MAX_WORDS - 1);
        assert!(self::literal(&"word ".repeat(200)).matches('&').count() < MAX_WORDS);
    }

    #[test]
    fn filters_hold_beside_any_word() {
        let scope = WordScope::new(TenantId::new(), SearchKind::Contact, Band::of_number(67));
        let mut query = SearchQuery::read("a b");
        query.filter("tag", "VIP");
        let literal = query.literal(&scope, true).replace(&scope.prefix(), "");
        assert_eq!(literal, "((('a'))|(('b':*)))&':tag:vip'");
    }
}
