//! The table: a row per figure, a column per tree.

use std::fmt::Write as _;

use crate::figures::{Figure, Number};

/// Columns are named, and all have the same figures in the same order.
#[must_use]
pub fn of(columns: &[(String, Vec<Figure>)]) -> String {
    let mut table = String::new();
    let _ = write!(table, "{:58}", "");
    for (name, _) in columns {
        let _ = write!(table, " {name:>18}");
    }
    table.push('\n');
    let Some((_, rows)) = columns.first() else {
        return table;
    };
    for (n, row) in rows.iter().enumerate() {
        let _ = write!(table, "{:58}", row.name);
        for (_, figures) in columns {
            let _ = write!(table, " {:>18}", cell(figures[n].value));
        }
        table.push('\n');
    }
    table.push_str("lines and tokens: median / 90th percentile / largest\n");
    table
}

fn cell(value: Number) -> String {
    match value {
        Number::Count(count) => count.to_string(),
        Number::Rate(rate) => format!("{rate:.1}"),
        Number::Spread(spread) => format!("{} / {} / {}", spread.median, spread.p90, spread.max),
    }
}
