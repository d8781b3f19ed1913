//! The end of the demo on a terminal: a box with the result, links, and three things to try. It fits into 80 columns.

use std::fmt::Write as _;

use console::{measure_text_width, style};

use super::{
    links::Links,
    scenarios::Scenario,
    summary::{Summary, program},
    tenant_run::TenantOutcome,
};
use crate::output::counted;

/// Between the borders and one space on each side.
const WIDTH: usize = 76;

/// Turns colours off if `NO_COLOR` is set to anything (<https://no-color.org>).
pub(super) fn heed_no_color() {
    if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        console::set_colors_enabled(false);
        console::set_colors_enabled_stderr(false);
    }
}

/// The box.
pub(super) fn text(outcomes: &[TenantOutcome], summary: &Summary, links: &Links) -> String {
    boxed(&lines(outcomes, summary, links, &program()))
}

fn lines(
    outcomes: &[TenantOutcome],
    summary: &Summary,
    links: &Links,
    program: &str,
) -> Vec<String> {
    let revoked = outcomes
        .iter()
        .find(|outcome| outcome.demo_tenant.scenario == Scenario::Revoked)
        .or(outcomes.first())
        .and_then(|outcome| outcome.tenant)
        .map_or_else(String::new, |tenant| tenant.to_string());
    let first_row = summary.first_row_seconds.unwrap_or_default();
    let tenants = counted(
        i64::try_from(summary.tenants).unwrap_or(i64::MAX),
        "workspace",
    );
    let strong = |text: &str| style(text).bold().to_string();
    vec![
        style("Every record is exact").green().bold().to_string(),
        format!(
            "{} records of {tenants} in {:.1} s, the first after {first_row:.1} s.",
            summary.records, summary.seconds
        ),
        format!(
            "{} calls to Intercom, {:.1} % above the fewest that can be.",
            summary.calls,
            (summary.ratio - 1.0) * 100.0
        ),
        String::new(),
        strong("Open, signed in, while the demo runs"),
        format!("customers  {}", links.integrations),
        format!("operators  {}", links.ops),
        format!("commands   {}", links.commands),
        String::new(),
        strong("Three things to try in another terminal"),
        "1. Kill a worker in the middle of its work. No record is lost:".to_owned(),
        format!("   {program} demo chaos kill-worker"),
        "2. Watch the fleet, and break something else meanwhile:".to_owned(),
        format!("   eval \"$({program} demo env)\"; {program} top"),
        "3. Ask there why the tenant with the revoked token stands still:".to_owned(),
        format!("   {program} why {revoked}"),
        String::new(),
        style("Ctrl-C ends the demo and removes everything.")
            .dim()
            .to_string(),
    ]
}

/// Lines in a border. A line that is too long has no border at its right, so that it can be copied whole.
fn boxed(lines: &[String]) -> String {
    let rule = "─".repeat(WIDTH + 2);
    let mut text = format!("\n\n╭{rule}╮\n");
    for line in lines {
        let space = WIDTH.checked_sub(measure_text_width(line));
        // Writing to a string does not fail.
        let _ = match space {
            Some(space) => writeln!(text, "│ {line}{} │", " ".repeat(space)),
            None => writeln!(text, "│ {line}"),
        };
    }
    text + &format!("╰{rule}╯\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_box_reads_well_and_fits_into_80_columns() {
        console::set_colors_enabled(false);
        let summary = Summary {
            exact: true,
            tenants: 25,
            records: 30_353,
            missing: 0,
            extra: 0,
            different: 0,
            seconds: 8.41,
            first_row_seconds: Some(1.1),
            calls: 1_995,
            calls_floor: 1_962,
            throttled: 0,
            outside_read_list: 0,
            ratio: 1.017,
            states_as_expected: true,
            problems: Vec::new(),
        };
        let link = |page| format!("http://127.0.0.1:65535/qlxM3mZH_KpO7w1vTvin/{page}");
        let links = Links {
            integrations: link("integrations"),
            ops: link("ops"),
            commands: link("commands"),
        };
        let text = boxed(&lines(&[], &summary, &links, "target/release/pathbound"));
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        insta::assert_snapshot!(text);
    }
}
