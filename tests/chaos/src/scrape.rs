//! The fleet's own counters, read from its ops listeners while it lives.

use std::{collections::BTreeMap, time::Duration};

use crate::Failure;

/// Counters of one process, by name and labels as Prometheus writes them.
pub(crate) type Counters = BTreeMap<String, f64>;

/// Reads the counters of one process.
pub(crate) async fn read(http: &reqwest::Client, ops: &str) -> Result<Counters, Failure> {
    let answer = http
        .get(format!("{ops}/metrics"))
        .timeout(Duration::from_millis(800))
        .send()
        .await?;
    let text = answer.error_for_status()?.text().await?;
    let line = |line: &str| {
        let (name, value) = line.rsplit_once(' ')?;
        let kept = [
            "fenced_writes_total",
            "orphans_recovered_total",
            "slices_finished_total",
            "tickets_refused_total",
        ];
        kept.iter()
            .any(|kept| name.contains(kept))
            .then_some((name.to_owned(), value.parse().ok()?))
    };
    Ok(text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(line)
        .collect())
}

/// The sum over all lines of a counter that also name `label` (empty: all).
pub(crate) fn sum(counters: &Counters, name: &str, label: &str) -> f64 {
    let lines = counters
        .iter()
        .filter(|(line, _)| line.starts_with(name) && line.contains(label));
    lines.map(|(_, value)| value).sum()
}

/// Writes and slices that were refused because another worker had taken over: what a zombie shows.
pub(crate) fn refused(counters: &Counters) -> f64 {
    sum(counters, "pathbound_fenced_writes_total", "")
        + sum(
            counters,
            "pathbound_slices_finished_total",
            "outcome=\"stale\"",
        )
}
