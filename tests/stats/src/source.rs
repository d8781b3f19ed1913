//! One Rust file: its lines, tokens, comments and the lines that only tests compile.

use std::{ops::RangeInclusive, str::FromStr};

use proc_macro2::{Spacing, TokenStream, TokenTree};
use syn::{Attribute, Item, spanned::Spanned, visit::Visit};

use crate::comments::{self, Comment};

#[derive(Debug)]
pub struct Source {
    /// Path below the root of the tree.
    pub path: String,
    pub lines: Vec<String>,
    pub tokens: Vec<Token>,
    pub comments: Vec<Comment>,
    pub functions: Vec<Function>,
    pub types: Vec<Token>,
    /// Every import, as a path and the name by which the file knows it.
    pub imports: Vec<Import>,
    /// Lines of items with `#[cfg(test)]`, and of imports.
    pub test_lines: Vec<RangeInclusive<usize>>,
    pub import_lines: Vec<RangeInclusive<usize>>,
    /// Paths, without extension, of the modules that only tests compile.
    pub test_modules: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Token {
    pub text: String,
    pub line: usize,
    pub is_word: bool,
    /// It follows another without a space and makes one operator with it, as in `::`.
    pub continues: bool,
}

#[derive(Clone, Debug)]
pub struct Function {
    pub name: String,
    /// From its first line to its closing brace, without attributes and documentation.
    pub lines: RangeInclusive<usize>,
    pub tokens: usize,
}

#[derive(Clone, Debug)]
pub struct Import {
    pub path: Vec<String>,
    /// `*` for all that a module exports.
    pub alias: String,
    pub is_export: bool,
}

impl Source {
    /// Parses a file.
    ///
    /// # Errors
    /// The text is not Rust.
    pub fn parse(path: &str, text: &str) -> syn::Result<Self> {
        let mut source = Self {
            path: path.to_owned(),
            lines: text.lines().map(str::to_owned).collect(),
            tokens: Vec::new(),
            comments: comments::of_rust(text),
            functions: Vec::new(),
            types: Vec::new(),
            imports: Vec::new(),
            test_lines: Vec::new(),
            import_lines: Vec::new(),
            test_modules: Vec::new(),
        };
        let stream = TokenStream::from_str(text)
            .map_err(|error| syn::Error::new(error.span(), "the text is not Rust"))?;
        flatten(stream, &mut source.tokens);
        let mut items = Items {
            source: &mut source,
        };
        items.visit_file(&syn::parse_file(text)?);
        Ok(source)
    }

    /// Whether only tests compile a line.
    #[must_use]
    pub fn is_test(&self, line: usize) -> bool {
        self.test_lines.iter().any(|lines| lines.contains(&line))
    }

    /// Whether a line has code: anything but comments and blanks.
    #[must_use]
    pub fn is_code(&self, line: usize) -> bool {
        let text = self.lines[line - 1].trim();
        !text.is_empty() && !text.starts_with("//")
    }

    /// Number of lines without those of tests.
    #[must_use]
    pub fn length(&self) -> usize {
        (1..=self.lines.len())
            .filter(|line| !self.is_test(*line))
            .count()
    }

    /// Functions that are no tests.
    pub fn product_functions(&self) -> impl Iterator<Item = &Function> {
        self.functions
            .iter()
            .filter(|function| !self.is_test(*function.lines.start()))
    }

    /// `shared::sync::walk` for `shared/src/sync/walk.rs`: the path within its crate.
    #[must_use]
    pub fn module(&self) -> Vec<String> {
        let below = self
            .path
            .split_once("/src/")
            .map_or(self.path.as_str(), |(_, below)| below);
        let below = below.trim_end_matches(".rs");
        let mut module: Vec<String> = below.split('/').map(str::to_owned).collect();
        if module
            .last()
            .is_some_and(|last| ["lib", "main", "mod"].contains(&last.as_str()))
        {
            module.pop();
        }
        module
    }
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    let mut joint = false;
    for tree in stream {
        let line = tree.span().start().line;
        let continues = std::mem::take(&mut joint);
        let mut push = |text: String, line: usize, is_word: bool, continues: bool| {
            tokens.push(Token {
                text,
                line,
                is_word,
                continues,
            });
        };
        match tree {
            TokenTree::Group(group) => {
                push("(".to_owned(), line, false, false);
                let end = group.span_close().end().line;
                flatten(group.stream(), tokens);
                tokens.push(Token {
                    text: ")".to_owned(),
                    line: end,
                    is_word: false,
                    continues: false,
                });
            }
            TokenTree::Ident(word) => push(word.to_string(), line, true, false),
            TokenTree::Punct(mark) => {
                joint = mark.spacing() == Spacing::Joint && mark.as_char() != '\'';
                push(mark.as_char().to_string(), line, false, continues);
            }
            TokenTree::Literal(literal) => push(literal.to_string(), line, false, false),
        }
    }
}

struct Items<'a> {
    source: &'a mut Source,
}

impl Items<'_> {
    fn function(&mut self, name: String, start: usize, end: usize) {
        // Tokens stand in the order of their lines.
        let all = &self.source.tokens;
        let first = all.partition_point(|token| token.line < start);
        let last = all.partition_point(|token| token.line <= end);
        let tokens = all[first..last]
            .iter()
            .filter(|token| !token.continues)
            .count();
        let lines = start..=end;
        self.source.functions.push(Function {
            name,
            lines,
            tokens,
        });
    }

    fn type_named(&mut self, name: &syn::Ident) {
        let line = name.span().start().line;
        let token = Token {
            text: name.to_string(),
            line,
            is_word: true,
            continues: false,
        };
        self.source.types.push(token);
    }

    fn test_module(&mut self, name: &syn::Ident) {
        let folder = self.source.path.trim_end_matches(".rs");
        let stem = folder.rsplit('/').next().unwrap_or_default();
        let folder = match stem {
            "lib" | "main" | "mod" => folder.rsplit_once('/').map_or("", |(folder, _)| folder),
            _ => folder,
        };
        let module = format!("{folder}/{name}");
        self.source.test_modules.push(module);
    }

    fn import(&mut self, tree: &syn::UseTree, mut path: Vec<String>, is_export: bool) {
        match tree {
            syn::UseTree::Path(step) => {
                path.push(step.ident.to_string());
                self.import(&step.tree, path, is_export);
            }
            syn::UseTree::Group(group) => {
                group
                    .items
                    .iter()
                    .for_each(|tree| self.import(tree, path.clone(), is_export));
            }
            syn::UseTree::Name(name) if name.ident == "self" => {
                let alias = path.last().cloned().unwrap_or_default();
                self.source.imports.push(Import {
                    path,
                    alias,
                    is_export,
                });
            }
            syn::UseTree::Name(name) => {
                path.push(name.ident.to_string());
                let alias = name.ident.to_string();
                self.source.imports.push(Import {
                    path,
                    alias,
                    is_export,
                });
            }
            syn::UseTree::Rename(rename) => {
                if rename.ident != "self" {
                    path.push(rename.ident.to_string());
                }
                let alias = rename.rename.to_string();
                self.source.imports.push(Import {
                    path,
                    alias,
                    is_export,
                });
            }
            syn::UseTree::Glob(_) => {
                self.source.imports.push(Import {
                    path,
                    alias: "*".to_owned(),
                    is_export,
                });
            }
        }
    }
}

impl<'ast> Visit<'ast> for Items<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let lines = lines_of(item);
        if attributes(item).iter().any(is_test_only) {
            self.source.test_lines.push(lines);
            match item {
                Item::Mod(module) if module.content.is_none() => self.test_module(&module.ident),
                _ => {}
            }
        } else if let Item::Use(import) = item {
            self.source.import_lines.push(lines);
            let is_export = !matches!(import.vis, syn::Visibility::Inherited);
            self.import(&import.tree, Vec::new(), is_export);
        }
        match item {
            Item::Struct(item) => self.type_named(&item.ident),
            Item::Enum(item) => self.type_named(&item.ident),
            Item::Trait(item) => self.type_named(&item.ident),
            Item::Type(item) => self.type_named(&item.ident),
            _ => {}
        }
        syn::visit::visit_item(self, item);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        let start = item.sig.span().start().line;
        self.function(
            item.sig.ident.to_string(),
            start,
            lines_of(&item.block).into_inner().1,
        );
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if item.attrs.iter().any(is_test_only) {
            self.source.test_lines.push(lines_of(item));
        }
        let start = item.sig.span().start().line;
        self.function(
            item.sig.ident.to_string(),
            start,
            lines_of(&item.block).into_inner().1,
        );
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            let start = item.sig.span().start().line;
            self.function(
                item.sig.ident.to_string(),
                start,
                lines_of(block).into_inner().1,
            );
        }
        syn::visit::visit_trait_item_fn(self, item);
    }
}

fn lines_of(item: &impl Spanned) -> RangeInclusive<usize> {
    item.span().start().line..=item.span().end().line
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// `#[cfg(test)]`, alone or as one of several conditions that must all hold.
fn is_test_only(attribute: &Attribute) -> bool {
    let syn::Meta::List(list) = &attribute.meta else {
        return false;
    };
    let tokens = list.tokens.to_string();
    attribute.path().is_ident("cfg")
        && (tokens == "test" || tokens.starts_with("all") && tokens.contains("test"))
}
