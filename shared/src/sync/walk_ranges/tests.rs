//! Ranges over made-up workspaces of many shapes, whose pages end in any order.

use std::collections::HashMap;

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::*;

const NOW: i64 = 1_790_000_000;
const YEAR: i64 = 365 * 86_400;

/// When the conversations of a workspace began.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Even,
    /// Each year has five times as many as the year before.
    Growing,
    /// Nearly all of them long ago.
    Shrinking,
    /// Imports: a few seconds with thousands each.
    Imported,
    /// Five bursts of an hour each, years apart.
    Bursts,
    /// One in a hundred claims a time that no conversation has.
    Absurd,
}

const SHAPES: [Shape; 6] = [
    Shape::Even,
    Shape::Growing,
    Shape::Shrinking,
    Shape::Imported,
    Shape::Bursts,
    Shape::Absurd,
];

impl Shape {
    fn second(self, rng: &mut StdRng) -> i64 {
        let years = match self {
            Self::Even => rng.random_range(0.0..8.0),
            Self::Growing => -rng.random_range(1e-6_f64..1.0).ln() / 5_f64.ln(),
            Self::Shrinking => 8.0 + rng.random_range(1e-6_f64..1.0).ln() / 5_f64.ln(),
            Self::Imported if rng.random_bool(0.5) => f64::from(rng.random_range(1..6)) * 1.25,
            Self::Imported => rng.random_range(0.0..8.0),
            Self::Bursts => {
                f64::from(rng.random_range(0..5)) * 1.7
                    + rng.random_range(0.0..3600.0 / YEAR as f64)
            }
            Self::Absurd if rng.random_bool(0.01) => {
                return *[0, 1, 946_684_800, NOW + 80 * YEAR]
                    .get(rng.random_range(0..4))
                    .unwrap_or(&0);
            }
            Self::Absurd => rng.random_range(0.0..8.0),
        };
        NOW - (years * YEAR as f64) as i64
    }

    /// Newest first.
    fn seconds(self, count: usize, rng: &mut StdRng) -> Vec<i64> {
        let mut seconds: Vec<i64> = (0..count).map(|_| self.second(rng)).collect();
        seconds.sort_unstable_by_key(|second| -second);
        seconds
    }
}

/// A workspace that is walked, and what the walk has seen of it.
struct Walk {
    /// Newest first.
    seconds: Vec<i64>,
    /// Whether a search includes its bounds.
    is_inclusive: bool,
    /// How often each object was counted, and how often it was shown.
    counted: i64,
    shown: Vec<u32>,
    calls: usize,
    ranges: Ranges,
}

impl Walk {
    fn new(seconds: Vec<i64>, is_inclusive: bool) -> Self {
        Self {
            is_inclusive,
            counted: 0,
            shown: vec![0; seconds.len()],
            seconds,
            calls: 0,
            ranges: Ranges::default(),
        }
    }

    /// The answer to the search of a range: a page, and the cursor of the next one.
    fn answer(&mut self, range: &Range) -> (PageTimes, Option<String>) {
        let more = i64::from(self.is_inclusive);
        let newest = range.until.map_or(i64::MAX, |until| until - 1 + more);
        let oldest = range.from.map_or(i64::MIN, |from| from - more);
        let first = self.seconds.partition_point(|second| *second > newest);
        let end = self.seconds.partition_point(|second| *second >= oldest);
        let at =
            (range.chain.after.as_ref()).map_or(first, |after| after.parse().expect("a place"));
        let page = at..end.min(at + PAGE);
        self.calls += 1;
        for place in page.clone() {
            self.shown[place] += 1;
        }
        let next = (page.end < end).then(|| page.end.to_string());
        let page = PageTimes {
            times: self.seconds[page].to_vec(),
            unreadable: 0,
            total: Some((end - first) as i64),
            proves_order: true,
        };
        (page, next)
    }

    /// Walks to the end, with a call in flight for each range. Calls take between one and two units of time. Returns
    /// the time.
    fn run(&mut self, rng: &mut StdRng) -> f64 {
        let mut now = 0.0;
        let mut in_flight: HashMap<RangeEnd, f64> = HashMap::new();
        loop {
            self.counted -= self
                .ranges
                .divide(MAX_RANGES, |end| in_flight.contains_key(&end));
            for range in self.ranges.open() {
                in_flight
                    .entry(range.until)
                    .or_insert_with(|| now + rng.random_range(1.0..2.0));
            }
            self.assert_disjoint();
            let first = in_flight
                .iter()
                .min_by(|one, other| one.1.total_cmp(other.1));
            let Some((end, at)) = first.map(|(end, at)| (*end, *at)) else {
                return now;
            };
            now = at;
            in_flight.remove(&end);
            let range = self.ranges.at(end).expect("it is open").clone();
            let (page, next) = self.answer(&range);
            self.counted += self.ranges.land(end, &page, next);
            if rng.random_bool(0.01) {
                // A worker dies, and with it what is not saved. A call counts once it is answered.
                in_flight.clear();
                let saved = serde_json::to_string(&self.ranges).expect("json");
                self.ranges = serde_json::from_str(&saved).expect("the same ranges");
            }
        }
    }

    fn assert_disjoint(&self) {
        let mut open: Vec<&Range> = self.ranges.open().iter().collect();
        open.sort_by_key(|range| range.until.unwrap_or(i64::MAX));
        for pair in open.windows(2) {
            let (older, newer) = (pair[0], pair[1]);
            assert!(
                older.until.expect("it has a newer neighbour") <= newer.from.expect("and an older"),
                "{older:?} and {newer:?}"
            );
        }
        assert!(open.len() <= MAX_RANGES);
        assert!(
            open.iter()
                .all(|range| { range.until.unwrap_or(i64::MAX) > range.from.unwrap_or(i64::MIN) })
        );
    }

    fn floor(&self) -> usize {
        self.seconds.len().div_ceil(PAGE).max(1)
    }
}

/// Walks a workspace of each shape. Returns the floor, the calls and the time of each.
fn walks(count: usize, seed: u64) -> Vec<(Shape, usize, usize, f64)> {
    SHAPES
        .into_iter()
        .map(|shape| {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut walk = Walk::new(shape.seconds(count, &mut rng), seed % 2 == 1);
            let time = walk.run(&mut rng);
            assert!(
                walk.shown.iter().all(|times| *times > 0),
                "{shape:?} {seed}"
            );
            assert_eq!(walk.counted, count as i64, "{shape:?} {seed}");
            assert!(walk.ranges.have_ended());
            (shape, walk.floor(), walk.calls, time)
        })
        .collect()
}

#[test]
fn each_object_is_shown_and_counted_once_in_whatever_order_pages_end() {
    for seed in 0..12 {
        for (shape, floor, calls, _) in walks(20_000 + 3_000 * seed as usize, seed) {
            assert!(
                calls <= floor + floor / 50 + 3,
                "{shape:?} {seed}: {calls} of {floor}"
            );
        }
    }
}

#[test]
fn small_workspaces_cost_the_floor() {
    for count in [0, 1, 149, 150, 151, 3_000, 7_499] {
        for (shape, floor, calls, _) in walks(count, 7) {
            assert_eq!(calls, floor, "{shape:?} of {count}");
        }
    }
}

#[test]
fn a_large_workspace_is_read_side_by_side() {
    for seed in 0..2 {
        for (shape, floor, calls, time) in walks(300_000, seed) {
            assert!(
                calls <= floor + floor / 50 + 3,
                "{shape:?} {seed}: {calls} of {floor}"
            );
            // A call takes 1.5 on average. A second cannot be divided, so an import of thousands in one is one chain.
            let one_by_one = floor as f64 * 1.5;
            let at_once = one_by_one / time;
            let fewest = if matches!(shape, Shape::Imported) {
                6.0
            } else {
                18.0
            };
            assert!(
                at_once >= fewest,
                "{shape:?} {seed}: {at_once} calls at once"
            );
        }
    }
}

#[test]
fn a_search_may_show_the_seconds_beside_its_range_and_no_others() {
    let mut range = Range::default();
    (range.from, range.until) = (Some(100), Some(200));
    let page = |second| PageTimes {
        times: vec![second],
        unreadable: 0,
        total: None,
        proves_order: false,
    };
    let shown: Vec<i64> = (0..300)
        .filter(|second| range.may_show(&page(*second)))
        .collect();
    assert_eq!((shown[0], shown.len()), (99, 102));
    let held: Vec<i64> = (0..300).filter(|second| range.contains(*second)).collect();
    assert_eq!((held[0], held.len()), (100, 100));
}

#[test]
fn a_walk_is_not_divided_before_a_page_proves_its_order() {
    let mut rng = StdRng::seed_from_u64(5);
    let mut walk = Walk::new(Shape::Even.seconds(300_000, &mut rng), false);
    for (proves_order, ranges) in [(false, 1), (true, 2)] {
        let range = walk.ranges.open()[0].clone();
        let (page, next) = walk.answer(&range);
        let page = PageTimes {
            proves_order,
            ..page
        };
        walk.ranges.land(range.until, &page, next);
        walk.ranges.divide(2, |_| false);
        assert_eq!(walk.ranges.open().len(), ranges);
        assert_eq!(walk.ranges.are_divided(), proves_order);
    }
}

#[test]
fn a_page_is_compared_with_the_range_before_it() {
    let page = |times: &[i64]| PageTimes {
        times: times.to_vec(),
        unreadable: 0,
        total: Some(9),
        proves_order: true,
    };
    let mut range = Range::default();
    range.until = Some(100);
    range.land(&page(&[90, 80, 80]));
    assert!(range.is_newest_first(&page(&[80, 70])));
    assert!(!range.is_newest_first(&page(&[81, 70])));
    assert!(!range.is_newest_first(&page(&[70, 71])));
    // The second behind the range is a neighbour's.
    assert!(range.is_newest_first(&page(&[100, 70])));
}

#[test]
fn a_range_whose_cursor_dies_counts_its_last_second_once() {
    let page = |times: &[i64], total| PageTimes {
        times: times.to_vec(),
        unreadable: 0,
        total: Some(total),
        proves_order: true,
    };
    let mut ranges = Ranges::default();
    let next = Some("dies".to_owned());
    let mut seen = ranges.land(None, &page(&[9, 8, 7, 7], 6), next.clone());
    seen -= ranges
        .at(None)
        .and_then(Range::resume_by_time)
        .expect("it goes on");
    seen += ranges.land(Some(8), &page(&[7, 7, 7], 4), next);
    assert_eq!(seen, 5);
    let range = ranges.at(Some(8)).expect("it is open");
    assert_eq!(range.left, 1);
    assert_eq!(range.resume_by_time(), None, "it has been there before");
}

#[test]
fn a_second_that_is_stepped_over_may_be_the_last_of_its_range() {
    let mut rng = StdRng::seed_from_u64(3);
    let mut walk = Walk::new(Shape::Even.seconds(300_000, &mut rng), false);
    let (page, next) = walk.answer(&Range::default());
    walk.ranges.land(None, &page, next);
    walk.ranges.divide(MAX_RANGES, |_| false);
    let [newer, older] = walk.ranges.open() else {
        panic!("two ranges")
    };
    let (newer, older) = (newer.clone(), older.clone());
    walk.ranges
        .step_over(newer.until, newer.from.expect("a bound"));
    assert_eq!(walk.ranges.open(), [older]);
}
