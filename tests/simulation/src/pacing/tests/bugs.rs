//! Ledgers that are broken on purpose.

use super::{Scene, row, run, seeds, small};

/// The simulation is worth something if it catches broken ledgers.
#[test]
fn broken_ledgers_are_caught() {
    for (name, bug) in [
        (
            "refills early",
            (
                "return s.reset * 1000 + clock_high() end",
                "return s.reset * 1000 + clock_high() - 1500 end",
            ),
        ),
        (
            "forgets what is open",
            (
                "out = out + count\n        local settled",
                "out = out\n        local settled",
            ),
        ),
        (
            "counts an answer twice",
            (
                "open[tick], changed[tick] = count - 1, true",
                "open[tick], changed[tick] = max(1, count - 2), true",
            ),
        ),
        (
            "takes a window's use for over",
            (
                "s.used = max(s.used, limit - report.remaining)",
                "s.used = limit - report.remaining",
            ),
        ),
        (
            "lets a window go by",
            (
                "floor((now - window_ends()) / WINDOW) + 1)",
                "floor((now - window_ends()) / WINDOW) + 2)",
            ),
        ),
    ] {
        let caught = seeds(3).any(|seed| {
            let scene = Scene {
                bug: Some(bug),
                seconds: 100,
                ..small()
            };
            let row = row(&scene, &run(&scene, seed, true), 3);
            row.throttled_per_million > 10.0 || row.used < 0.999
        });
        assert!(caught, "a ledger that {name} is not caught");
    }
}
