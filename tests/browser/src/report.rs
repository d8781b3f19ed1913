//! What the walks found.

use std::{collections::BTreeMap, fmt, path::Path};

use serde::Deserialize;

use crate::Failure;

/// The report as the scripts write it.
#[derive(Debug, Deserialize)]
pub(crate) struct Report {
    /// Walks that came to their end.
    walks: usize,
    /// Addresses that were opened, without their ids.
    pages: usize,
    /// What was looked at: a page in one of its states.
    states: usize,
    /// Whatever is not as it has to be, each a sentence.
    failures: Vec<String>,
    axe_violations: usize,
    script_bytes: usize,
    style_bytes: usize,
    /// What could not be checked here.
    skipped: Vec<String>,
    /// By state. None in a short run.
    first_contentful_paint_ms: BTreeMap<String, Paint>,
}

/// The first content of a page, in milliseconds from the start of a load.
#[derive(Debug, Deserialize)]
struct Paint {
    page: u32,
    /// Of a page that costs nothing, at that time.
    plain: u32,
}

impl Report {
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let json = std::fs::read(path)
            .map_err(|error| format!("the walks left no report at {}: {error}", path.display()))?;
        Ok(serde_json::from_slice(&json)?)
    }

    /// No walk proves nothing.
    pub(crate) fn is_good(&self) -> bool {
        self.failures.is_empty() && self.walks > 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for skipped in &self.skipped {
            writeln!(f, "SKIPPED: {skipped}")?;
        }
        for failure in &self.failures {
            writeln!(f, "{failure}")?;
        }
        write!(
            f,
            "{} walks, {} pages in {} states: {} failures, {} of them by axe, {} bytes of script, {} bytes of style",
            self.walks,
            self.pages,
            self.states,
            self.failures.len(),
            self.axe_violations,
            self.script_bytes,
            self.style_bytes,
        )?;
        let paints = &self.first_contentful_paint_ms;
        let slowest = paints.iter().max_by_key(|(_, paint)| paint.page);
        let Some((state, Paint { page, plain })) = slowest else {
            return Ok(());
        };
        let fast = paints.values().filter(|paint| paint.page < 100).count();
        write!(
            f,
            "\nfirst content within 100 ms in {fast} of {} states. The slowest is {state} with {page} ms, and a page that costs nothing takes {plain} ms",
            paints.len(),
        )
    }
}
