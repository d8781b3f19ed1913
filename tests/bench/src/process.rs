//! What a process used: CPU seconds and peak memory, from the operating system's own accounts.
//!
//! Reads `/proc`, so the figures are zero on other systems than Linux.

use std::fs;

/// CPU seconds and the largest resident size in MiB.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_mib: f64,
}

/// What a process has used so far.
pub(crate) fn usage(pid: u32) -> Usage {
    let peak_kib: f64 = fs::read_to_string(format!("/proc/{pid}/status"))
        .ok()
        .and_then(|text| {
            text.lines().find_map(|line| {
                line.strip_prefix("VmHWM:")?
                    .trim()
                    .split(' ')
                    .next()?
                    .parse()
                    .ok()
            })
        })
        .unwrap_or(0.0);
    Usage {
        cpu_seconds: cpu_seconds(pid, false),
        peak_mib: peak_kib / 1024.0,
    }
}

/// CPU seconds of a process, its living children, and those it has buried: Postgres works in children.
pub(crate) fn tree_cpu_seconds(pid: u32) -> f64 {
    let children: f64 = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|child| child.parse().ok())
        .map(tree_cpu_seconds)
        .sum();
    cpu_seconds(pid, true) + children
}

/// Fields 14 to 17 of `/proc/pid/stat`, in ticks of a hundredth of a second.
fn cpu_seconds(pid: u32, with_buried: bool) -> f64 {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return 0.0;
    };
    let Some((_, fields)) = stat.rsplit_once(") ") else {
        return 0.0;
    };
    let ticks: Vec<f64> = fields
        .split(' ')
        .skip(11)
        .take(4)
        .filter_map(|field| field.parse().ok())
        .collect();
    let counted = if with_buried { 4 } else { 2 };
    ticks.iter().take(counted).sum::<f64>() / 100.0
}
