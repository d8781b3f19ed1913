//! The last hour in charts. They are drawn here, so that they need no script and no style of their own.

use maud::{Markup, html};

use super::{foreign, time};
use crate::{
    ops::fleet_views::{MinuteView, RatePartView},
    pages::{counted, number},
};

/// The size of a chart in its own units. The page stretches it.
const HEIGHT: u64 = 100;
/// The distance from one minute to the next.
const STEP: usize = 10;

/// One chart: what it counts, in words, and how it is read from a minute.
struct Chart {
    title: &'static str,
    /// One and many of what it counts.
    nouns: (&'static str, &'static str),
    class: &'static str,
    count: fn(&MinuteView) -> u64,
}

const CHARTS: [Chart; 3] = [
    Chart {
        title: "Slices finished",
        nouns: ("slice", "slices"),
        class: "chart",
        count: |minute| minute.slices,
    },
    Chart {
        title: "Failures",
        nouns: ("failure", "failures"),
        class: "chart bad",
        count: |minute| minute.failures,
    },
    Chart {
        title: "Intercom calls",
        nouns: ("call", "calls"),
        class: "chart",
        count: |minute| minute.calls,
    },
];

/// The charts, with a table of the same numbers.
pub(super) fn render(minutes: &[MinuteView]) -> Markup {
    html! {
        h2 { "The last hour" }
        div class="charts" { @for chart in &CHARTS { (figure(chart, minutes)) } }
        details {
            summary { "The same as a table" }
            table {
                caption { "Minutes in which something happened, the last one first" }
                thead { tr {
                    th scope="col" { "Minute" } @for chart in &CHARTS { th scope="col" { (chart.title) } }
                } }
                tbody {
                    @if minutes.iter().all(is_quiet) { tr { td colspan="4" { "Nothing happened." } } }
                    @for minute in minutes.iter().rev().filter(|minute| !is_quiet(minute)) {
                        tr {
                            th scope="row" { (time(minute.at)) }
                            @for chart in &CHARTS { td { (number((chart.count)(minute) as i64)) } }
                        }
                    }
                }
            }
        }
    }
}

/// The use of rate budgets, and which of them have no call left.
pub(super) fn rate(rate: &RatePartView) -> Markup {
    html! {
        h2 { "Rate budgets" }
        dl {
            @for window in &rate.windows {
                dt { "Until " (time(window.ends_at)) }
                dd {
                    (number(window.calls as i64)) " of " (number(window.allowed as i64)) " allowed calls"
                    @if let Some(percent) = (window.calls * 100).checked_div(window.allowed) { " (" (percent) " %)" }
                    ", " (counted(window.budgets as i64, "workspace", "workspaces"))
                }
            }
            dt { "At their limit" }
            dd {
                @if rate.at_limit.is_empty() { "None." }
                @for budget in &rate.at_limit {
                    a href=(format!("/ops/tenants?{}", query(&budget.budget))) { code { (foreign(&budget.budget)) } }
                    " with " (number(budget.calls as i64)) " of " (number(budget.allowed as i64)) ". "
                }
                @let more = rate.at_limit_count - rate.at_limit.len() as u64;
                @if more > 0 { "And " (number(more as i64)) " more." }
            }
        }
    }
}

/// Finds the tenant of a workspace.
fn query(workspace: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .append_pair("q", workspace)
        .finish()
}

fn is_quiet(minute: &MinuteView) -> bool {
    CHARTS.iter().all(|chart| (chart.count)(minute) == 0)
}

fn figure(chart: &Chart, minutes: &[MinuteView]) -> Markup {
    let counts: Vec<u64> = minutes.iter().map(chart.count).collect();
    let highest = counts.iter().copied().max().unwrap_or(0);
    let summary = summary(chart, &counts, highest);
    html! {
        figure {
            figcaption { strong { (chart.title) } " a minute" p class="dim" { (summary) } }
            svg class=(chart.class) viewBox=(format!("0 0 {} {HEIGHT}", counts.len().max(1) * STEP)) preserveAspectRatio="none"
                role="img" aria-label=(format!("{} a minute: {summary}", chart.title)) {
                @for (index, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                    @let height = bar(*count, highest);
                    rect x=(index * STEP) y=(HEIGHT - height) width=(STEP - 2) height=(height) {}
                }
            }
        }
    }
}

/// The height of a bar. The smallest one is seen too.
fn bar(count: u64, highest: u64) -> u64 {
    (count.saturating_mul(HEIGHT) / highest.max(1)).max(2)
}

fn summary(chart: &Chart, counts: &[u64], highest: u64) -> String {
    let total: u64 = counts.iter().sum();
    let (one, many) = chart.nouns;
    match total {
        0 => format!("No {one} within an hour."),
        1 => format!("1 {one} within an hour."),
        _ => format!(
            "{} {many} within an hour, {} in the busiest minute.",
            number(total as i64),
            number(highest as i64)
        ),
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn a_chart_has_a_bar_for_each_minute_that_counts() {
        let minute = |n: i64, slices, failures, calls| MinuteView {
            at: DateTime::from_timestamp(n * 60, 0).unwrap_or_default(),
            slices,
            failures,
            calls,
        };
        let minutes = [
            minute(0, 1_000, 0, 20_000),
            minute(1, 0, 0, 0),
            minute(2, 1, 1, 5),
        ];
        insta::assert_snapshot!(render(&minutes).into_string().replace("><", ">\n<"));
        let nothing = render(&[minute(0, 0, 0, 0)]).into_string();
        assert!(nothing.contains("No slice within an hour."), "{nothing}");
        assert!(nothing.contains("Nothing happened."), "{nothing}");
    }
}
