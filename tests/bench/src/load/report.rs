//! `target/load/report.json`, and a page with charts of the same figures.

use std::{fmt::Write as _, path::Path};

use serde_json::json;

use super::{Outcome, Sizes, watch::Sample};
use crate::report::{Failure, machine, p99, percentile};

const FOLDER: &str = "target/load";
/// Calls that a workspace allows in a window of ten seconds.
const LIMIT_PER_WINDOW: f64 = 1_667.0;
const WINDOW_SECONDS: f64 = 10.0;
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 160.0;
/// Readable beside each other in both themes.
const COLOURS: [&str; 6] = [
    "#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377",
];

/// Writes both, prints the figures, and returns whether nothing was lost and nothing failed.
pub(super) fn write(sizes: Sizes, outcome: &Outcome) -> Result<bool, Failure> {
    let last = outcome.samples.last().ok_or("nothing was seen")?;
    let (lost, doubled) = (outcome.missing + outcome.different, outcome.extra);
    let ages = |of: fn(&Sample) -> f64| percentile(outcome.samples.iter().map(of), 50);
    let seconds = last.seconds;
    let allowed = f64::from(sizes.tenants) * LIMIT_PER_WINDOW * seconds / WINDOW_SECONDS;
    let times = || outcome.answers.times.iter().copied();
    let cpu: serde_json::Map<_, _> = last
        .cpu_percent
        .keys()
        .map(|role| {
            let of_role = |sample: &Sample| sample.cpu_percent.get(role).copied();
            let used: Vec<f64> = outcome.samples.iter().filter_map(of_role).collect();
            let mean = used.iter().sum::<f64>() / used.len().max(1) as f64;
            ((*role).to_owned(), json!(rounded(mean)))
        })
        .collect();
    let figures = json!({
        "tenants": sizes.tenants,
        "seconds": rounded(seconds),
        "interval_seconds": sizes.interval_seconds,
        "freshness_p50_seconds": rounded(ages(|sample| sample.freshness_p50_seconds)),
        "freshness_p99_seconds": rounded(ages(|sample| sample.freshness_p99_seconds)),
        "freshness_p99_seconds_worst": rounded(outcome.samples.iter().map(|sample| sample.freshness_p99_seconds).fold(0.0, f64::max)),
        "lost": lost,
        "doubled": doubled,
        "calls": outcome.calls,
        "calls_per_second": rounded(outcome.calls as f64 / seconds),
        "limit_used_ratio": outcome.calls as f64 / allowed,
        "throttled": outcome.throttled,
        "outside_read_list": outcome.outside_read_list,
        "records": outcome.records,
        "changed": outcome.changed,
        "first_syncs_seconds": rounded(outcome.first_seconds),
        "settled_seconds": rounded(outcome.settled_seconds),
        "workers": sizes.workers,
        "readers": sizes.readers,
        "reads": outcome.answers.times.len(),
        "reads_failed": outcome.answers.failures.len(),
        "read_p50_ms": rounded(percentile(times(), 50)),
        "read_p99_ms": rounded(p99(times())),
        "cpu_percent": cpu,
        "peak_mib_of_one_process": last.peak_mib,
        "machine": machine(),
        "examples": outcome.examples,
        "failures": outcome.answers.failures.iter().take(10).collect::<Vec<_>>(),
    });
    std::fs::create_dir_all(FOLDER)?;
    let folder = Path::new(FOLDER);
    let text = serde_json::to_string_pretty(&figures)?;
    std::fs::write(folder.join("report.json"), &text)?;
    std::fs::write(folder.join("index.html"), page(&text, &outcome.samples))?;
    println!("{text}");
    Ok(
        lost + doubled == 0
            && outcome.answers.failures.is_empty()
            && outcome.outside_read_list == 0,
    )
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn page(figures: &str, samples: &[Sample]) -> String {
    let line = |name: &str, of: &dyn Fn(&Sample) -> f64| {
        let points = samples.iter().map(|sample| (sample.seconds, of(sample)));
        (name.to_owned(), points.collect::<Vec<_>>())
    };
    let roles = samples.last().map(|sample| sample.cpu_percent.keys());
    let cpu = roles.into_iter().flatten().map(|role| {
        line(role, &|sample| {
            sample.cpu_percent.get(role).copied().unwrap_or_default()
        })
    });
    let charts = [
        chart(
            "Freshness, in seconds",
            &[
                line("half of the tenants", &|sample| {
                    sample.freshness_p50_seconds
                }),
                line("99 of 100 tenants", &|sample| sample.freshness_p99_seconds),
            ],
        ),
        chart(
            "Calls to Intercom each second",
            &[line("calls", &|sample| sample.calls_per_second)],
        ),
        chart("Percent of one core", &cpu.collect::<Vec<_>>()),
    ]
    .concat();
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Load test</title>\
         <style>body{{font-family:system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}}\
         svg{{width:100%;height:auto}}text{{font-size:11px;fill:currentColor}}</style>\
         <h1>Load test</h1>{charts}<h2>Figures</h2><pre>{figures}</pre></html>\n"
    )
}

type Line = (String, Vec<(f64, f64)>);

fn chart(title: &str, lines: &[Line]) -> String {
    let points = || lines.iter().flat_map(|(_, points)| points);
    let longest = points().map(|(at, _)| *at).fold(1.0, f64::max);
    let highest = points().map(|(_, value)| *value).fold(0.001, f64::max);
    let mut svg = format!(
        "<h2>{title}</h2><svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{title}, at most {highest:.1}\">\
         <text x=\"0\" y=\"10\">{highest:.1}</text><text x=\"0\" y=\"{}\">0</text>\
         <text x=\"{}\" y=\"{}\">{longest:.0} s</text>",
        WIDTH + 50.0,
        HEIGHT + 40.0,
        HEIGHT + 12.0,
        WIDTH + 10.0,
        HEIGHT + 24.0,
    );
    for (number, (name, points)) in lines.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let path: Vec<String> = points
            .iter()
            .map(|(at, value)| {
                let x = 40.0 + at / longest * WIDTH;
                let y = 12.0 + HEIGHT - value / highest * HEIGHT;
                format!("{x:.1},{y:.1}")
            })
            .collect();
        let _ = write!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{}\"/>\
             <rect x=\"{x}\" y=\"{y}\" width=\"10\" height=\"3\" fill=\"{colour}\"/><text x=\"{}\" y=\"{}\">{name}</text>",
            path.join(" "),
            40.0 + number as f64 * 130.0 + 14.0,
            HEIGHT + 36.0,
            x = 40.0 + number as f64 * 130.0,
            y = HEIGHT + 31.0,
        );
    }
    svg + "</svg>"
}
