//! Lengths of files and functions, and the comments inside functions.

use std::collections::BTreeSet;

use crate::{Place, source::Source};

/// Median, 90th percentile and largest of a set of sizes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    pub median: usize,
    pub p90: usize,
    pub max: usize,
}

impl Spread {
    #[must_use]
    pub fn of(sizes: impl IntoIterator<Item = usize>) -> Self {
        let mut sizes: Vec<usize> = sizes.into_iter().collect();
        sizes.sort_unstable();
        let Some(last) = sizes.len().checked_sub(1) else {
            return Self::default();
        };
        Self {
            median: sizes[last / 2],
            p90: sizes[last * 9 / 10],
            max: sizes[last],
        }
    }
}

#[must_use]
pub fn file_lines(sources: &[Source]) -> Spread {
    Spread::of(sources.iter().map(Source::length))
}

#[must_use]
pub fn function_lines(sources: &[Source]) -> Spread {
    let functions = sources.iter().flat_map(Source::product_functions);
    Spread::of(functions.map(|function| function.lines.clone().count()))
}

#[must_use]
pub fn function_tokens(sources: &[Source]) -> Spread {
    Spread::of(
        sources
            .iter()
            .flat_map(Source::product_functions)
            .map(|function| function.tokens),
    )
}

/// Documentation lines per 100 lines of code and documentation.
#[must_use]
pub fn doc_density(sources: &[Source]) -> f64 {
    let (mut docs, mut code) = (0, 0);
    for source in sources {
        docs += source
            .comments
            .iter()
            .filter(|c| c.is_doc && !source.is_test(c.line))
            .count();
        code += code_lines(source);
    }
    per_hundred(docs, docs + code)
}

/// Comment lines inside functions per 100 code lines inside functions.
#[must_use]
pub fn comments_inside(sources: &[Source]) -> f64 {
    let counts = sources.iter().map(comments_and_code);
    let (comments, code) = counts.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
    per_hundred(comments, code)
}

/// Files with fewer comments inside functions than three per 100 code lines, the largest first.
#[must_use]
pub fn uncommented(sources: &[Source]) -> Vec<Place> {
    let mut found = Vec::new();
    for source in sources {
        let (comments, code) = comments_and_code(source);
        if comments * 100 < code * 3 {
            let remark = format!("{comments} comments in {code} lines of functions");
            found.push((code, Place::new(source, 1, remark)));
        }
    }
    found.sort_by_key(|(code, _)| std::cmp::Reverse(*code));
    found.into_iter().map(|(_, place)| place).collect()
}

/// Lines of comments and of code inside the functions of a file.
fn comments_and_code(source: &Source) -> (usize, usize) {
    // A function inside a function counts once.
    let lines: BTreeSet<usize> = source
        .product_functions()
        .flat_map(|function| function.lines.clone())
        .collect();
    let comments = source
        .comments
        .iter()
        .filter(|c| !c.is_doc && lines.contains(&c.line));
    let comments = comments.count();
    let code = lines.into_iter().filter(|line| source.is_code(*line));
    (comments, code.count())
}

/// Files over 300 lines and functions over 38, the longest first.
#[must_use]
pub fn long(sources: &[Source]) -> Vec<Place> {
    let mut found = Vec::new();
    for source in sources {
        let length = source.length();
        if length > 300 {
            found.push((
                length,
                Place::new(source, 1, format!("file of {length} lines")),
            ));
        }
        for function in source.product_functions() {
            let length = function.lines.clone().count();
            if length > 38 {
                let remark = format!("fn {} has {length} lines", function.name);
                found.push((length, Place::new(source, *function.lines.start(), remark)));
            }
        }
    }
    found.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
    found.into_iter().map(|(_, place)| place).collect()
}

impl Place {
    pub(crate) fn new(source: &Source, line: usize, remark: String) -> Self {
        Self {
            path: source.path.clone(),
            line,
            remark,
        }
    }
}

fn code_lines(source: &Source) -> usize {
    (1..=source.lines.len())
        .filter(|line| !source.is_test(*line) && source.is_code(*line))
        .count()
}

fn per_hundred(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 * 100.0 / whole as f64
    }
}
