//! Text, numbers and times as people read them.

use chrono::{DateTime, TimeDelta, Utc};

use crate::mcp::is_invisible;

/// A text of Intercom or of a customer, on one line, without what cannot be seen or turns the direction of others. The
/// frame escapes it.
pub(crate) fn shown(text: &str, limit: usize) -> String {
    let mut visible = text
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !c.is_control() && !is_invisible(*c));
    let mut short: String = visible.by_ref().take(limit).collect();
    if visible.next().is_some() {
        short.push('…');
    }
    short
}

/// The same on the lines that it has, and whole.
pub(super) fn lines(text: &str) -> String {
    let visible = text
        .chars()
        .map(|c| match c {
            '\n' | '\u{2028}' | '\u{2029}' => '\n',
            _ if c.is_whitespace() => ' ',
            _ => c,
        })
        .filter(|c| *c == '\n' || !c.is_control() && !is_invisible(*c));
    visible.collect::<String>().trim().to_owned()
}

/// `1234567` → `1,234,567`.
pub(crate) fn number(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut grouped = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if number < 0 {
        grouped.insert(0, '-');
    }
    grouped
}

/// `1 contact`, `2 contacts`.
pub(crate) fn counted(count: i64, one: &str, many: &str) -> String {
    let noun = if count == 1 { one } else { many };
    format!("{} {noun}", number(count))
}

/// `30 November 2026, 12:05 UTC`.
pub(crate) fn time(at: DateTime<Utc>) -> String {
    at.format("%-d %B %Y, %H:%M UTC").to_string()
}

/// How long ago it was, in words that stay right for a while.
pub(super) fn ago(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let past = now - at;
    if past < TimeDelta::minutes(1) {
        return "less than a minute ago".to_owned();
    }
    format!("{} ago", span(past.num_seconds()))
}

/// A number of seconds as its largest unit, rounded up.
pub(crate) fn span(seconds: i64) -> String {
    let units = [
        (86_400, "day", "days"),
        (3_600, "hour", "hours"),
        (60, "minute", "minutes"),
    ];
    // Two of a unit at least, so that an hour and a half is ninety minutes.
    let (unit, one, many) = units
        .into_iter()
        .find(|(unit, ..)| seconds >= 2 * unit)
        .unwrap_or((60, "minute", "minutes"));
    // Rounded up without a sum, because Intercom may send any number.
    let count = seconds.div_euclid(unit) + i64::from(seconds.rem_euclid(unit) > 0);
    counted(count.max(1), one, many)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_spans_read_well() {
        let numbers = [0, 999, 1_000, 1_234_567, -1_000].map(number);
        assert_eq!(numbers, ["0", "999", "1,000", "1,234,567", "-1,000"]);
        assert_eq!(
            [i64::MIN, i64::MAX].map(span),
            ["1 minute", "106,751,991,167,301 days"]
        );
        let spans = [
            0, 1, 60, 61, 119, 120, 5_400, 7_200, 7_201, 172_800, 864_000,
        ]
        .map(span);
        assert_eq!(
            spans,
            [
                "1 minute",
                "1 minute",
                "1 minute",
                "2 minutes",
                "2 minutes",
                "2 minutes",
                "90 minutes",
                "2 hours",
                "3 hours",
                "2 days",
                "10 days"
            ]
        );
        let now = DateTime::from_timestamp(1_764_504_300, 0).unwrap();
        assert_eq!(time(now), "30 November 2025, 12:05 UTC");
        assert_eq!(ago(now, now), "less than a minute ago");
        assert_eq!(ago(now - TimeDelta::minutes(5), now), "5 minutes ago");
        // A clock of another machine may be ahead.
        assert_eq!(
            ago(now + TimeDelta::minutes(5), now),
            "less than a minute ago"
        );
    }

    #[test]
    fn a_text_keeps_nothing_that_cannot_be_seen() {
        assert_eq!(shown("Acme\u{202e}\u{0}\r\n\tInc", 40), "Acme   Inc");
        assert_eq!(shown(&"é".repeat(100_000), 3), "ééé…");
        assert_eq!(shown("<b>", 3), "<b>");
        assert_eq!(
            lines(" \u{202e}a\r\n\u{0}\tb\u{2028}c\u{200b}\n"),
            "a \n b\nc"
        );
        assert_eq!(lines(&"é\n".repeat(50_000)).chars().count(), 99_999);
    }
}
