//! Printing: data goes to stdout, as an aligned table for people or as JSON for programs.

use std::io::{self, Write};

use chrono::{DateTime, SecondsFormat, Utc};
use clap::ValueEnum;
use serde::Serialize;

use crate::failure::Failure;

/// How data is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[default]
    Table,
    Json,
}

/// Columns and rows. Numbers stand to the right.
#[derive(Clone, Debug, Default)]
pub struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    #[must_use]
    pub fn new(header: &[&'static str]) -> Self {
        Self {
            header: header.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row. It has as many cells as the header.
    pub fn row<T: ToString>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows
            .push(cells.into_iter().map(|cell| cell.to_string()).collect());
    }

    /// Whether there is nothing but the header.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as text, with a line break at its end.
    #[must_use]
    pub fn render(&self) -> String {
        let header: Vec<String> = self.header.iter().map(|name| (*name).to_owned()).collect();
        let column = |n: usize| self.rows.iter().filter_map(move |row| row.get(n));
        let columns: Vec<(usize, bool)> = (0..header.len())
            .map(|n| {
                let width = column(n)
                    .chain([&header[n]])
                    .map(|cell| cell.chars().count())
                    .max()
                    .unwrap_or(0);
                let number = |cell: &String| cell.parse::<f64>().is_ok();
                (width, column(n).next().is_some() && column(n).all(number))
            })
            .collect();
        let mut text = String::new();
        for row in [&header].into_iter().chain(&self.rows) {
            let cells = row.iter().zip(&columns).map(|(cell, (width, number))| {
                if *number {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:<width$}")
                }
            });
            text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

/// A time as it stands in a table: RFC 3339 in UTC, to the second.
#[must_use]
pub fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A cell that may be empty.
#[must_use]
pub fn or_dash(cell: Option<String>) -> String {
    cell.unwrap_or_else(|| "-".to_owned())
}

/// `1 connection`, `2 connections`. For nouns whose plural has an `s`.
#[must_use]
pub fn counted(count: i64, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

/// A text of a customer as a terminal may have it: on one line, without what controls a terminal or turns the direction.
#[must_use]
pub fn one_line(text: &str) -> String {
    let is_harmless = |c: &char| {
        !c.is_control()
            && !matches!(*c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().filter(is_harmless).collect()
}

/// Prints a table, or the same as JSON.
///
/// # Errors
/// When stdout cannot be written to.
pub fn show(format: Format, table: &Table, json: &impl Serialize) -> Result<(), Failure> {
    match format {
        Format::Table => text(&table.render()),
        Format::Json => line(json),
    }
}

/// Prints one line of JSON.
///
/// # Errors
/// When stdout cannot be written to.
pub fn line(json: &impl Serialize) -> Result<(), Failure> {
    let line = serde_json::to_string(json)
        .map_err(|error| Failure::failed("could not write JSON", error))?;
    text(&format!("{line}\n"))
}

/// Prints text as it is.
///
/// # Errors
/// When stdout cannot be written to.
pub fn text(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        // A reader such as `head` closes the pipe when it has read enough, which is no failure.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::failed("could not write to stdout", error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_control_the_terminal() {
        assert_eq!(one_line("Ac\u{1b}[2Jme\u{202e}\n Käse"), "Ac[2Jme Käse");
    }

    #[test]
    fn a_table_is_aligned_and_numbers_stand_to_the_right() {
        let mut table = Table::new(&["name", "calls"]);
        table.row(["Käse", "7"]);
        table.row(["b", "1024"]);
        assert_eq!(table.render(), "name  calls\nKäse      7\nb      1024\n");
    }
}
