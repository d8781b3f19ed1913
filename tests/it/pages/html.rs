//! What every page has to be: tags that close, ids that are unique, references that lead somewhere.

use std::collections::BTreeSet;

use crate::support::HtmlAnswer;

/// Elements without an end.
const VOID: [&str; 4] = ["input", "link", "meta", "br"];

/// A start tag: its name, and its attributes in their order.
struct StartTag<'a> {
    name: &'a str,
    attributes: Vec<(&'a str, &'a str)>,
}

impl HtmlAnswer {
    /// Fails unless the page is well-formed, has one heading of the first level and brings nothing inline.
    pub(super) fn is_sound(&self) {
        let body = self.html.strip_prefix("<!DOCTYPE html>").expect("a page");
        let (mut open, mut ids, mut references) = (Vec::new(), BTreeSet::new(), Vec::new());
        let mut headings = 0;
        for piece in body.split('<').skip(1) {
            let (tag, text) = piece.split_once('>').expect("a tag ends");
            assert!(!text.contains('>'), "a stray character in {text}");
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop(), Some(name), "{tag} in {}", self.html);
                continue;
            }
            let StartTag { name, attributes } = read(tag);
            for (attribute, value) in attributes {
                assert!(
                    !attribute.starts_with("on") && attribute != "style",
                    "{tag}"
                );
                match attribute {
                    "id" => assert!(ids.insert(value), "the id {value} comes twice"),
                    "for" | "aria-describedby" | "aria-labelledby" => references.push(value),
                    "href" if value.starts_with('#') => references.push(&value[1..]),
                    "href" | "src" | "action" => assert!(
                        value.starts_with('/') && !value.starts_with("//")
                            || value.starts_with("https://"),
                        "{tag}"
                    ),
                    _ => {}
                }
            }
            headings += usize::from(name == "h1");
            if !VOID.contains(&name) {
                open.push(name);
            }
        }
        assert_eq!(open, Vec::<&str>::new());
        assert_eq!(headings, 1, "{}", self.html);
        for reference in references {
            assert!(ids.contains(reference), "nothing has the id {reference}");
        }
    }

    /// The paths of links below a folder, in the order of the page.
    pub(super) fn links_below(&self, folder: &str) -> Vec<String> {
        let starts = format!("href=\"{folder}/");
        let links = self.html.split(&starts).skip(1);
        links
            .map(|rest| rest.split(['"', '?', '#']).next().unwrap().to_owned())
            .collect()
    }

    /// Where a link of this text leads.
    pub(super) fn link_named(&self, text: &str) -> Option<String> {
        let (before, _) = self.html.split_once(&format!(">{text}</a>"))?;
        let (_, tag) = before.rsplit_once("<a ").unwrap();
        let (_, rest) = tag.split_once("href=\"").unwrap();
        Some(rest.split('"').next().unwrap().replace("&amp;", "&"))
    }
}

fn read(tag: &str) -> StartTag<'_> {
    let (name, mut left) = tag.split_once(' ').unwrap_or((tag, ""));
    assert!(
        name.bytes().all(|byte| byte.is_ascii_alphanumeric()),
        "{tag}"
    );
    let mut attributes = Vec::new();
    while !left.is_empty() {
        let end = left.find(['=', ' ']).unwrap_or(left.len());
        let attribute = &left[..end];
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
        assert!(
            attribute.bytes().all(is_word) && !attribute.is_empty(),
            "{tag}"
        );
        let value = match left[end..].strip_prefix("=\"") {
            Some(quoted) => {
                let (value, after) = quoted.split_once('"').expect("a value ends");
                left = after.trim_start();
                value
            }
            None => {
                left = left[end..].trim_start();
                ""
            }
        };
        attributes.push((attribute, value));
    }
    StartTag { name, attributes }
}
