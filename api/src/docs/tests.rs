//! The pages name what the description has, and nothing of it becomes markup.

use std::collections::BTreeSet;

use super::*;

/// The values of an attribute, such as `href`.
fn values<'a>(page: &'a str, attribute: &str) -> Vec<&'a str> {
    let begin = format!(" {attribute}=\"");
    let pieces = page.split(begin.as_str()).skip(1);
    pieces.map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn every_link_of_the_page_leads_somewhere() {
    let page = page::render(&openapi::document());
    let ids = values(&page, "id");
    let anchors: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(ids.len(), anchors.len(), "an id is there twice");
    let (mut inner, mut problems) = (0, BTreeSet::new());
    for link in values(&page, "href") {
        if let Some(anchor) = link.strip_prefix('#') {
            assert!(anchors.contains(anchor), "{link}");
            inner += 1;
        } else if let Some(code) = link.strip_prefix("/docs/problems/") {
            problems.insert(Code::named(code).expect(link));
        } else {
            assert_eq!(link, "/openapi.json");
        }
    }
    assert!(inner > 50, "{inner}");
    assert_eq!(problems.len(), Code::ALL.len());
}

#[test]
fn the_page_shows_every_call_and_every_shape() {
    let document = openapi::document();
    let page = page::render(&document);
    let mut calls = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            assert_eq!(
                page.matches(&format!("<section id=\"{id}\">")).count(),
                1,
                "{id}"
            );
            let route = format!("{} {path}", method.to_uppercase());
            assert!(page.contains(&route), "{route}");
            calls += 1;
        }
    }
    assert_eq!(page.matches("<pre><code>curl ").count(), calls);
    // The words of a parameter, also of one that is a list.
    for words in [
        "<code>provenance</code>, <code>deleted</code>",
        "<code>retain</code>, <code>purge</code>",
    ] {
        assert!(page.contains(words), "{words}");
    }
    for name in document["components"]["schemas"]
        .as_object()
        .unwrap()
        .keys()
    {
        assert!(page.contains(&format!("<section id=\"{name}\">")), "{name}");
    }
}

#[test]
fn a_page_loads_and_runs_nothing() {
    let pages = Code::ALL.iter().map(|code| problem_page::render(*code));
    for page in pages.chain([page::render(&openapi::document())]) {
        for sign in [
            "<script", "<link", "<img", "<iframe", " src=", " style=", "url(", "@import",
            "http://", "https://",
        ] {
            assert!(!page.contains(sign), "{sign}");
        }
        assert!(page.contains("prefers-color-scheme:dark") && page.contains("width=device-width"));
    }
}

#[test]
fn texts_are_escaped_and_marks_become_tags() {
    assert_eq!(
        html::inline("a <b> & `c<d>` **e**"),
        "a &lt;b&gt; &amp; <code>c&lt;d&gt;</code> <strong>e</strong>"
    );
    assert_eq!(html::paragraphs("a\n\nb"), "<p>a</p>\n<p>b</p>\n");
}
