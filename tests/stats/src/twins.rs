//! Runs of six or more lines that stand in the product twice.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::{Place, source::Source};

const RUN: usize = 6;

/// One line of code, stripped. Lines without a letter or digit, such as `}`, are left out before.
struct Line<'a> {
    file: usize,
    number: usize,
    text: &'a str,
}

/// Pairs of runs, each as long as it can be, the longest first.
#[must_use]
pub fn of(sources: &[Source]) -> Vec<Place> {
    let lines: Vec<Line<'_>> = sources.iter().enumerate().flat_map(lines_of).collect();
    let mut found = Vec::new();
    let mut covered = HashSet::new();
    for (first, second) in pairs(&lines) {
        if !covered.contains(&(first, second)) {
            let length = length(&lines, first, second);
            covered.extend((0..length).map(|n| (first + n, second + n)));
            found.push((length, place(sources, &lines, first, second, length)));
        }
    }
    found.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
    found.into_iter().map(|(_, place)| place).collect()
}

fn lines_of((file, source): (usize, &Source)) -> Vec<Line<'_>> {
    let is_import = |line: usize| {
        source
            .import_lines
            .iter()
            .any(|lines| lines.contains(&line))
    };
    source
        .lines
        .iter()
        .enumerate()
        .map(|(n, text)| Line {
            file,
            number: n + 1,
            text: text.trim(),
        })
        .filter(|line| line.text.contains(char::is_alphanumeric))
        .filter(|line| source.is_code(line.number))
        .filter(|line| !source.is_test(line.number) && !is_import(line.number))
        .collect()
}

/// Every two places where the same six lines begin, in order.
fn pairs(lines: &[Line<'_>]) -> Vec<(usize, usize)> {
    let mut windows: HashMap<Vec<&str>, Vec<usize>> = HashMap::new();
    for (at, window) in lines.windows(RUN).enumerate() {
        if window[0].file == window[RUN - 1].file {
            windows
                .entry(window.iter().map(|line| line.text).collect())
                .or_default()
                .push(at);
        }
    }
    // A third copy is a twin of the first one only.
    let mut pairs = BTreeMap::new();
    for places in windows.into_values() {
        for (first, second) in places.iter().skip(1).map(|second| (places[0], *second)) {
            if second - first >= RUN {
                pairs.insert((first, second), ());
            }
        }
    }
    pairs.into_keys().collect()
}

fn length(lines: &[Line<'_>], first: usize, second: usize) -> usize {
    let (one, other) = (lines[first].file, lines[second].file);
    (0..)
        .take_while(|n| {
            let (a, b) = (&lines[first + n], lines.get(second + n));
            a.file == one && b.is_some_and(|b| b.file == other && a.text == b.text)
        })
        .count()
}

fn place(
    sources: &[Source],
    lines: &[Line<'_>],
    first: usize,
    second: usize,
    length: usize,
) -> Place {
    let other = &lines[second];
    let remark = format!(
        "{length} lines as at {}:{}: {}",
        sources[other.file].path, other.number, lines[first].text
    );
    Place::new(&sources[lines[first].file], lines[first].number, remark)
}
