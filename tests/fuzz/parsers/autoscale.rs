//! Laws of the number of workers: they hold after any measurements, from any state that these lead to.

use shared::autoscale::{Decision, PoolState, Sample, Settings};

/// Slots, minimum and maximum.
type Configured = (u8, u8, u8);
/// Running slots, tickets that could run beside them, seconds of work that wait, and slots that the budgets feed.
type Measured = (u16, u16, u16, Option<u16>);

/// So many seconds of work that waits should have ended.
const DRAIN_SECONDS: f64 = 30.0;

fn settings((slots, min, max): Configured) -> Settings {
    Settings {
        slots: u32::from(slots),
        min_workers: u32::from(min),
        max_workers: u32::from(max),
    }
}

fn sample((running, ready, waiting, fed): Measured) -> Sample {
    let waiting_seconds = f64::from(waiting);
    Sample {
        seconds: 10.0,
        running: f64::from(running),
        runnable: f64::from(running) + f64::from(ready),
        waiting_seconds,
        drain_slots: waiting_seconds / DRAIN_SECONDS,
        fed_slots: fed.map(f64::from),
    }
}

/// The workers that hold so many slots.
fn workers_of(slots: f64, settings: &Settings) -> f64 {
    (slots / f64::from(settings.slots.max(1)) - 1e-9)
        .ceil()
        .max(0.0)
}

/// The decision after these measurements and one more.
fn decided(before: &[Measured], last: Sample, settings: &Settings) -> Option<Decision> {
    let mut state = PoolState::default();
    for measured in before {
        state.step(sample(*measured), settings);
    }
    state.step(last, settings)
}

/// No number is outside of what is configured. If the two contradict each other, the minimum counts.
#[test]
fn autoscale_within_minimum_and_maximum() {
    check!()
        .with_type::<(Configured, Vec<Measured>)>()
        .for_each(|(configured, measured)| {
            let settings = settings(*configured);
            let mut state = PoolState::default();
            for measured in measured {
                if let Some(decision) = state.step(sample(*measured), &settings) {
                    assert!(decision.workers >= settings.min_workers);
                    assert!(decision.workers <= settings.max_workers.max(settings.min_workers));
                }
            }
        });
}

/// Above the minimum, no worker is asked for that the budgets cannot feed, or that would find no ticket.
#[test]
fn autoscale_never_beyond_what_the_budgets_feed() {
    check!()
        .with_type::<(Configured, Vec<Measured>)>()
        .for_each(|(configured, measured)| {
            let settings = settings(*configured);
            let samples: Vec<Sample> = measured.iter().map(|one| sample(*one)).collect();
            let (mut state, mut before) = (PoolState::default(), None);
            for (number, last) in samples.iter().enumerate() {
                let Some(decision) = state.step(*last, &settings) else {
                    continue;
                };
                let recent = &samples[number.saturating_sub(2)..=number];
                let most =
                    |of: fn(&Sample) -> Option<f64>| recent.iter().filter_map(of).reduce(f64::max);
                let tickets = most(|sample| Some(sample.runnable)).unwrap();
                // Budgets that nobody knows feed what runs, and the slots that there are.
                let slots = f64::from(settings.slots.max(1));
                let fed = most(|sample| sample.fed_slots)
                    .unwrap_or_else(|| last.running.max(before.unwrap_or_default() * slots));
                let allowed = workers_of(tickets.min(fed), &settings);
                let workers = f64::from(decision.workers);
                assert!(
                    workers <= allowed.max(f64::from(settings.min_workers)),
                    "{workers} workers, and {allowed} can be fed"
                );
                before = Some(workers);
            }
        });
}

/// More work, more budget or a higher maximum never leads to fewer workers.
#[test]
fn autoscale_more_leads_to_no_fewer() {
    check!()
        .with_type::<(Configured, Vec<Measured>, Measured, (u16, u16, u8))>()
        .for_each(|(configured, before, last, (work, budget, maximum))| {
            let settings = settings(*configured);
            let last = sample(*last);
            let Some(decision) = decided(before, last, &settings) else {
                return;
            };
            let waiting_seconds = last.waiting_seconds + f64::from(*work);
            let busier = Sample {
                waiting_seconds,
                drain_slots: waiting_seconds / DRAIN_SECONDS,
                ..last
            };
            let richer = Sample {
                runnable: last.runnable + f64::from(*budget),
                fed_slots: last.fed_slots.map(|fed| fed + f64::from(*budget)),
                ..last
            };
            for more in [busier, richer] {
                let workers = decided(before, more, &settings).unwrap().workers;
                assert!(workers >= decision.workers, "{more:?}");
            }
            // The pool has had the same past, so only this decision differs.
            let mut state = PoolState::default();
            for measured in before {
                state.step(sample(*measured), &settings);
            }
            let larger = Settings {
                max_workers: settings.max_workers + u32::from(*maximum),
                ..settings
            };
            assert!(state.step(last, &larger).unwrap().workers >= decision.workers);
        });
}

/// While what is needed varies by less than a third, a pool does not grow and shrink: it goes one way at most, however
/// often it is measured.
#[test]
fn autoscale_noise_of_a_third_does_not_flap() {
    check!()
        .with_type::<(u8, u16, Vec<u8>)>()
        .for_each(|(slots, load, noise)| {
            let settings = Settings {
                slots: u32::from(*slots),
                min_workers: 1,
                max_workers: u32::MAX,
            };
            let mut state = PoolState::default();
            let numbers = noise.iter().filter_map(|noise| {
                let sample = Sample {
                    seconds: 10.0,
                    running: f64::from(*load),
                    runnable: 1e9,
                    waiting_seconds: 1e6,
                    drain_slots: f64::from(*load) / 3.0 * f64::from(*noise) / 256.0,
                    fed_slots: Some(1e9),
                };
                state.step(sample, &settings)
            });
            let numbers: Vec<u32> = numbers.map(|decision| decision.workers).collect();
            let grows = numbers.is_sorted();
            let shrinks = numbers.is_sorted_by(|one, other| one >= other);
            assert!(grows || shrinks, "{numbers:?}");
        });
}
