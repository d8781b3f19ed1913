//! Import circles: files of `shared` that need each other, directly or in a ring.
//!
//! An arrow goes from a file to the file that defines what it names. What a module re-exports counts
//! for the file that defines it, so a `mod.rs` that only gathers names is in no circle.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::Source;

type Arrows = BTreeMap<usize, BTreeSet<usize>>;

/// Files that need each other.
#[derive(Debug, PartialEq, Eq)]
pub struct Circle {
    pub files: Vec<String>,
    /// Which file needs which, within the circle.
    pub arrows: Vec<(String, String)>,
}

/// Every circle among the files below `folder`.
#[must_use]
pub fn of(sources: &[Source], folder: &str) -> Vec<Circle> {
    let sources: Vec<&Source> = sources
        .iter()
        .filter(|source| source.path.starts_with(folder))
        .collect();
    let arrows = Modules::new(&sources).arrows();
    let mut circles = Vec::new();
    let mut seen = BTreeSet::new();
    for file in arrows.keys() {
        if seen.contains(file) {
            continue;
        }
        let from = reached(&arrows, *file);
        let circle: Vec<usize> = from
            .iter()
            .filter(|other| reached(&arrows, **other).contains(file))
            .copied()
            .collect();
        if circle.len() > 1 {
            seen.extend(circle.iter().copied());
            circles.push(Circle::new(&sources, &arrows, &circle));
        }
    }
    circles
}

impl Circle {
    fn new(sources: &[&Source], arrows: &Arrows, circle: &[usize]) -> Self {
        let path = |file: &usize| sources[*file].path.clone();
        let within = |file: &usize| {
            let next = arrows[file].iter().filter(|next| circle.contains(next));
            next.map(|next| (path(file), path(next)))
                .collect::<Vec<_>>()
        };
        Self {
            files: circle.iter().map(path).collect(),
            arrows: circle.iter().flat_map(within).collect(),
        }
    }
}

/// Files that a file needs, over any number of arrows.
fn reached(arrows: &Arrows, from: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(file) = open.pop() {
        for next in arrows.get(&file).into_iter().flatten() {
            if reached.insert(*next) {
                open.push(*next);
            }
        }
    }
    reached
}

struct Modules<'a> {
    sources: &'a [&'a Source],
    files: BTreeMap<Vec<String>, usize>,
}

/// What a path names.
enum Named {
    Module,
    ItemOf(usize),
}

impl<'a> Modules<'a> {
    fn new(sources: &'a [&'a Source]) -> Self {
        let files = sources
            .iter()
            .enumerate()
            .map(|(n, source)| (source.module(), n))
            .collect();
        Self { sources, files }
    }

    fn arrows(&self) -> Arrows {
        (0..self.sources.len())
            .map(|file| (file, self.needed(file)))
            .collect()
    }

    /// The files that define what a file names.
    fn needed(&self, file: usize) -> BTreeSet<usize> {
        let source = self.sources[file];
        let module = source.module();
        let mut needed = BTreeSet::new();
        let mut add = |path: &[String]| {
            if let Some(Named::ItemOf(other)) = self.resolve(path, 0)
                && other != file
            {
                needed.insert(other);
            }
        };
        for import in source.imports.iter().filter(|import| !import.is_export) {
            if let Some(path) = absolute(&import.path, &module) {
                add(&path);
            }
        }
        for path in paths(source) {
            if let Some(path) = self.in_crate(source, &module, &path) {
                add(&path);
            }
        }
        needed
    }

    /// A path as it stands in a file, from the crate's root. Its first word may be an import or a
    /// module below the file.
    fn in_crate(&self, source: &Source, module: &[String], path: &[String]) -> Option<Vec<String>> {
        if let Some(path) = absolute(path, module) {
            return Some(path);
        }
        let below: Vec<String> = module.iter().chain(path).cloned().collect();
        if self.files.contains_key(&below[..=module.len()]) {
            return Some(below);
        }
        let import = source
            .imports
            .iter()
            .find(|import| import.alias == path[0])?;
        let start = absolute(&import.path, module)?;
        Some(start.into_iter().chain(path[1..].iter().cloned()).collect())
    }

    fn resolve(&self, path: &[String], depth: usize) -> Option<Named> {
        let known = (0..=path.len())
            .rev()
            .find(|length| self.files.contains_key(&path[..*length]))?;
        let Some(name) = path.get(known) else {
            return Some(Named::Module);
        };
        let file = self.files[&path[..known]];
        let exported = self.export(file, &path[..known], name, &path[known + 1..], depth);
        Some(exported.unwrap_or(Named::ItemOf(file)))
    }

    /// What a module exports under a name, followed to where it is defined.
    fn export(
        &self,
        file: usize,
        module: &[String],
        name: &str,
        rest: &[String],
        depth: usize,
    ) -> Option<Named> {
        // Two modules may export all of each other.
        if depth > 8 {
            return None;
        }
        let imports = &self.sources[file].imports;
        let import = imports.iter().find(|import| import.alias == name)?;
        let start = absolute(&import.path, module).or_else(|| {
            let below: Vec<String> = module.iter().chain(&import.path).cloned().collect();
            self.files
                .contains_key(&below[..=module.len()])
                .then_some(below)
        })?;
        let path: Vec<String> = start.into_iter().chain(rest.iter().cloned()).collect();
        self.resolve(&path, depth + 1)
    }
}

/// A path that begins with `crate`, `self` or `super`, from the crate's root.
fn absolute(path: &[String], module: &[String]) -> Option<Vec<String>> {
    let ups = path.iter().take_while(|step| *step == "super").count();
    let (start, skip) = match path.first()?.as_str() {
        "crate" => (&[][..], 1),
        "self" => (module, 1),
        "super" => (&module[..module.len().checked_sub(ups)?], ups),
        _ => return None,
    };
    Some(start.iter().chain(&path[skip..]).cloned().collect())
}

/// Every `a::b::c` of a file outside of its imports and tests, and every single word that an export
/// of the file brought in.
fn paths(source: &Source) -> Vec<Vec<String>> {
    let exports: BTreeSet<&str> = source
        .imports
        .iter()
        .filter(|import| import.is_export)
        .map(|import| import.alias.as_str())
        .collect();
    let is_import = |line: usize| {
        source
            .import_lines
            .iter()
            .any(|lines| lines.contains(&line))
    };
    let mut paths: Vec<Vec<String>> = Vec::new();
    let mut colons = 0;
    let mut open = false;
    for token in &source.tokens {
        if source.is_test(token.line) || is_import(token.line) {
            open = false;
        } else if token.is_word && open && colons == 2 {
            if let Some(path) = paths.last_mut() {
                path.push(token.text.clone());
            }
        } else if token.is_word {
            paths.push(vec![token.text.clone()]);
            open = true;
        } else if token.text != ":" {
            open = false;
        }
        colons = if token.text == ":" { colons + 1 } else { 0 };
    }
    paths.retain(|path| path.len() > 1 || exports.contains(path[0].as_str()));
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circles(files: &[(&str, &str)]) -> Vec<Circle> {
        let parse = |(path, text): &(&str, &str)| {
            Source::parse(&format!("shared/src/{path}"), text).expect("Rust")
        };
        of(&files.iter().map(parse).collect::<Vec<_>>(), "shared/src/")
    }

    #[test]
    fn two_files_that_name_each_other_are_a_circle() {
        let found = circles(&[
            ("lib.rs", "mod a;\nmod b;"),
            ("a.rs", "use crate::b::B;\npub struct A;"),
            ("b.rs", "use super::a;\npub struct B(a::A);"),
        ]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].files, ["shared/src/a.rs", "shared/src/b.rs"]);
        assert_eq!(found[0].arrows.len(), 2);
    }

    #[test]
    fn a_module_that_gathers_names_is_in_none() {
        let found = circles(&[
            ("lib.rs", "mod m;"),
            (
                "m/mod.rs",
                "mod a;\nmod b;\npub use a::A;\npub use self::b::B;",
            ),
            ("m/a.rs", "pub struct A;"),
            ("m/b.rs", "use super::A;\npub struct B(A);"),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }
}
