//! Shapes of load: what each tenant gets in a second.

use super::fleet::Fleet;

/// A load, and what a clairvoyant knows of it.
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) fleet: Fleet,
    pub(super) drain_seconds: f64,
    /// Calls that come in a second, as they are known in advance.
    pub(super) arriving: fn(usize) -> f64,
    /// Gives a second's calls to tenants.
    pub(super) arrive: fn(&mut Fleet, usize, f64),
    /// How often the number of workers may turn from up to down or back. The start may overshoot, which is one turn.
    pub(super) turn_limit: u32,
}

/// Every tenant in turn gets what a tenth of a second of a slot works.
fn spread(fleet: &mut Fleet, second: usize, calls: f64) {
    let part = fleet.slice;
    let parts = (calls / part).round() as usize;
    let count = fleet.tenants.len();
    for n in 0..parts {
        fleet.tenants[(second * parts + n) % count].calls += part;
    }
}

fn evenly(fleet: &mut Fleet, _: usize, calls: f64) {
    let each = calls / fleet.tenants.len() as f64;
    fleet
        .tenants
        .iter_mut()
        .for_each(|tenant| tenant.calls += each);
}

fn to_the_first(fleet: &mut Fleet, _: usize, calls: f64) {
    fleet.tenants[0].calls += calls;
}

pub(super) fn all() -> Vec<Shape> {
    vec![
        Shape {
            name: "steady polls of many tenants",
            fleet: Fleet::new(false, 3_000, 133.0, 8.0, 4.0),
            drain_seconds: 30.0,
            arriving: |_| 800.0,
            arrive: spread,
            turn_limit: 1,
        },
        Shape {
            name: "polls that double for half an hour",
            fleet: Fleet::new(false, 3_000, 133.0, 8.0, 4.0),
            drain_seconds: 30.0,
            arriving: |second| {
                if (3_600..5_400).contains(&second) {
                    1_200.0
                } else {
                    600.0
                }
            },
            arrive: spread,
            turn_limit: 3,
        },
        Shape {
            name: "a burst of first syncs",
            fleet: Fleet::new(true, 400, 1_333.0, 20.0, 40.0),
            drain_seconds: 600.0,
            arriving: |second| if second == 1_800 { 1_500_000.0 } else { 0.0 },
            arrive: evenly,
            turn_limit: 2,
        },
        Shape {
            name: "a whale behind one budget",
            fleet: Fleet::new(true, 100, 1_333.0, 150.0, 200.0),
            drain_seconds: 600.0,
            arriving: |second| if second == 600 { 2_000_000.0 } else { 0.0 },
            arrive: to_the_first,
            turn_limit: 1,
        },
        Shape {
            name: "many tenants behind small budgets",
            fleet: Fleet::new(true, 2_000, 10.0, 20.0, 40.0),
            drain_seconds: 600.0,
            arriving: |second| if second == 600 { 4_000_000.0 } else { 0.0 },
            arrive: evenly,
            turn_limit: 2,
        },
        Shape {
            name: "every token is revoked",
            fleet: Fleet::new(false, 3_000, 133.0, 8.0, 4.0),
            drain_seconds: 30.0,
            arriving: |second| if second < 3_600 { 800.0 } else { 0.0 },
            arrive: spread,
            turn_limit: 1,
        },
    ]
}
