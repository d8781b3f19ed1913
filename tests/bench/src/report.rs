//! Figures: a table for people, JSON for comparison over time.

use std::path::Path;

use serde::Serialize;

/// The seed of every generated workspace here.
pub(crate) const SEED: u64 = 20_261_123;

/// Whatever stops a measurement.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// One measured figure.
#[derive(Debug, Serialize)]
struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    /// The same work by the baseline, in this run.
    baseline: Option<f64>,
    /// `value / baseline`.
    ratio: Option<f64>,
    machine: String,
    seed: u64,
}

/// The figures of one run.
#[derive(Debug)]
pub(crate) struct Report {
    prefix: String,
    machine: String,
    figures: Vec<Figure>,
}

impl Report {
    pub(crate) fn new(prefix: String) -> Self {
        Self {
            prefix,
            machine: machine(),
            figures: Vec::new(),
        }
    }

    /// Whether figures of this group are asked for.
    pub(crate) fn wants(&self, group: &str) -> bool {
        group.starts_with(&self.prefix) || self.prefix.starts_with(group.trim_end_matches('.'))
    }

    pub(crate) fn add(
        &mut self,
        name: &str,
        value: f64,
        unit: &'static str,
        baseline: Option<f64>,
    ) {
        let ratio = baseline
            .filter(|baseline| *baseline > 0.0)
            .map(|baseline| value / baseline);
        let shown = ratio.map_or_else(String::new, |ratio| {
            format!(
                "  baseline {:>10.3}  ratio {ratio:.3}",
                baseline.unwrap_or(0.0)
            )
        });
        println!("{name:<46} {value:>12.3} {unit:<8}{shown}");
        self.figures.push(Figure {
            name: name.to_owned(),
            value,
            unit,
            baseline,
            ratio,
            machine: self.machine.clone(),
            seed: SEED,
        });
    }

    /// A rival's figure, with ours as its baseline: the ratio is below 1 where we are faster.
    pub(crate) fn add_rival(&mut self, name: &str, value: f64, ours: f64) {
        self.add(name, value, "1/s", Some(ours));
    }

    /// Writes `target/bench/report.json`.
    pub(crate) fn write(&self) -> Result<(), Failure> {
        let folder = Path::new("target/bench");
        std::fs::create_dir_all(folder)?;
        std::fs::write(
            folder.join("report.json"),
            serde_json::to_string_pretty(&self.figures)? + "\n",
        )?;
        println!(
            "machine: {}   seed: {SEED}   written to target/bench/report.json",
            self.machine
        );
        Ok(())
    }
}

/// How large a measurement is: as usual, or as the variable says for a quick look.
pub(crate) fn size<T: std::str::FromStr>(variable: &str, usual: T) -> Result<T, T::Err> {
    std::env::var(variable).map_or(Ok(usual), |text| text.parse())
}

/// The value that 99 of 100 do not exceed. Not a number if there is none.
pub(crate) fn p99(values: impl IntoIterator<Item = f64>) -> f64 {
    percentile(values, 99)
}

/// The value that so many of 100 do not exceed. Not a number if there is none.
pub(crate) fn percentile(values: impl IntoIterator<Item = f64>, of_hundred: usize) -> f64 {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * of_hundred).div_ceil(100).saturating_sub(1);
    sorted.get(rank).copied().unwrap_or(f64::NAN)
}

/// The processor, and how many cores there are.
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let model = std::fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            text.lines().find_map(|line| {
                line.strip_prefix("model name")?
                    .split_once(':')
                    .map(|(_, model)| model.trim().to_owned())
            })
        })
        .unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    format!("{cores} x {model}")
}
