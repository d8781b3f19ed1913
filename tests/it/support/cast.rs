//! A recording of a terminal: an asciicast (version 2), its last screen, and a still picture of that.

use std::{fmt::Write as _, num::NonZeroU16, time::Duration};

use serde_json::{Value, json};
use vt100::{Color, Parser, Screen};

/// What a terminal was sent, with the time since its start.
pub(crate) type Recording = Vec<(Duration, Vec<u8>)>;

/// Pixels of a letter, and of a line.
const LETTER: f64 = 8.4;
const LINE: f64 = 18.0;

/// The recording as a file.
pub(crate) fn asciicast(recording: &Recording, rows: u16, columns: u16, title: &str) -> String {
    let header = json!({"version": 2, "width": columns, "height": rows, "title": title, "env": {"TERM": "xterm-256color"}});
    let mut text = format!("{header}\n");
    // A letter may be cut by the end of a reading.
    let mut rest = Vec::new();
    for (at, bytes) in recording {
        rest.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&rest) {
            Ok(whole) => whole.len(),
            Err(cut) => cut.valid_up_to(),
        };
        let written: Vec<u8> = rest.drain(..whole).collect();
        let seconds = (at.as_secs_f64() * 1e3).round() / 1e3;
        let event = json!([seconds, "o", String::from_utf8(written).unwrap()]);
        writeln!(text, "{event}").unwrap();
    }
    text
}

/// The screen at the end of a file.
pub(crate) fn last_screen(cast: &str) -> Parser {
    let mut lines = cast.lines();
    let header: Value = serde_json::from_str(lines.next().unwrap_or_default()).unwrap_or_default();
    let size = |of: &str| {
        let size = header[of]
            .as_u64()
            .and_then(|size| u16::try_from(size).ok());
        size.and_then(NonZeroU16::new).unwrap_or(NonZeroU16::MIN)
    };
    let mut screen = Parser::new(size("height"), size("width"), 0);
    for line in lines {
        let event: Value = serde_json::from_str(line).unwrap();
        screen.process(event[2].as_str().unwrap().as_bytes());
    }
    screen
}

/// The lines of a screen down to the last one with letters. A line that goes on in the next one stays a line.
pub(crate) fn rows_of(screen: &Screen) -> Vec<String> {
    let (_, columns) = screen.size();
    let rows = screen.rows(0, columns.get());
    let mut rows: Vec<String> = rows.map(|row| row.trim_end().to_owned()).collect();
    while rows.last().is_some_and(String::is_empty) {
        rows.pop();
    }
    rows
}

/// What is on a screen, without what differs between two runs: numbers, ids, and the parts of links.
pub(crate) fn normalised(screen: &Screen) -> String {
    let word = |word: &str| {
        if let Some(link) = word.strip_prefix("http://") {
            return format!(
                "http://{}",
                link.rsplit('/')
                    .next()
                    .filter(|_| link.contains('/'))
                    .unwrap_or_default()
            );
        }
        if word.len() == 36 && word.matches('-').count() == 4 {
            return "ID".to_owned();
        }
        let mut letters: Vec<char> = word
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        letters.dedup_by(|a, b| *a == '0' && *b == '0');
        letters.into_iter().collect()
    };
    let line = |line: &str| {
        line.split_whitespace()
            .map(word)
            .collect::<Vec<String>>()
            .join(" ")
    };
    let rows = rows_of(screen);
    let rows: Vec<String> = rows.iter().map(|row| line(row)).collect();
    rows.join("\n")
}

/// A picture of a screen, for a light page and a dark one.
pub(crate) fn svg(screen: &Screen, title: &str) -> String {
    let (rows, columns) = screen.size();
    let used = rows_of(screen).len();
    let width = f64::from(columns.get()) * LETTER + 32.0;
    let height = used as f64 * LINE + 32.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-label=\"{title}\">\n<style>\nrect {{ fill: #fbfbfa; stroke: #d8d8d4 }}\ntext {{ font: 14px ui-monospace, Menlo, Consolas, monospace; white-space: pre; fill: #24292f }}\n.bold {{ font-weight: 700 }}\n.dim {{ opacity: .65 }}\n.c2 {{ fill: #1a7f37 }}\n@media (prefers-color-scheme: dark) {{ rect {{ fill: #15181c; stroke: #343a41 }} text {{ fill: #d6dbe0 }} .c2 {{ fill: #56d364 }} }}\n</style>\n<rect width=\"{width:.0}\" height=\"{height:.0}\" rx=\"8\"/>\n"
    );
    for row in 0..rows.get().min(u16::try_from(used).unwrap_or(u16::MAX)) {
        let mut runs: Vec<(String, String)> = Vec::new();
        for column in 0..columns.get() {
            let Some(cell) = screen.cell(row, column) else {
                continue;
            };
            let mut classes = Vec::new();
            if cell.bold() {
                classes.push("bold".to_owned());
            }
            if cell.dim() {
                classes.push("dim".to_owned());
            }
            if let Color::Idx(colour) = cell.fgcolor() {
                classes.push(format!("c{colour}"));
            }
            let classes = classes.join(" ");
            let letter = if cell.has_contents() {
                cell.contents()
            } else {
                " "
            };
            match runs.last_mut() {
                Some((before, text)) if *before == classes => text.push_str(letter),
                _ => runs.push((classes, letter.to_owned())),
            }
        }
        let y = 16.0 + LINE * (f64::from(row) + 0.75);
        write!(
            svg,
            "<text x=\"16\" y=\"{y:.1}\" textLength=\"{:.1}\" lengthAdjust=\"spacingAndGlyphs\">",
            f64::from(columns.get()) * LETTER
        )
        .unwrap();
        for (classes, text) in runs {
            let text = text.replace('&', "&amp;").replace('<', "&lt;");
            if classes.is_empty() {
                svg.push_str(&text);
            } else {
                write!(svg, "<tspan class=\"{classes}\">{text}</tspan>").unwrap();
            }
        }
        svg.push_str("</text>\n");
    }
    svg + "</svg>\n"
}
