//! The model and the real scripts, fed with the same operations in a real Redis: the same answers, and the
//! same state after each step. So what the simulation proves of the model holds for the scripts.

mod broken;
mod pair;
mod scripts;
mod states;

use std::collections::HashMap;

use redis::{Commands, Connection, RedisResult};
use simulation::rng::{Rng, seeds};

use crate::support::servers;
use broken::BROKEN;
pub(super) use pair::Answer;
use pair::Pair;
use scripts::TIME;
pub(super) use scripts::{Change, Scripts};
use states::model_state;

const OPERATIONS: usize = 80;

/// Runs one seed, and says where the two sides part.
fn conform(redis: &mut Connection, scripts: &Scripts, seed: u64) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let cap = *rng.pick(&[1, 2, 3, 8]);
    let mut pair = Pair::new(redis, scripts, &mut rng);
    let mut told = Vec::new();
    let mut outcome = Ok(());
    for _ in 0..OPERATIONS {
        match pair.step(&mut rng, cap) {
            Ok(step) => told.push(step),
            Err(error) => {
                outcome = Err(error);
                break;
            }
        }
        // After each step, because a later one may hide what this one did wrong.
        let (theirs, ours) = (pair.redis_state(), model_state(&pair.model));
        if theirs != ours {
            let differ = theirs
                .iter()
                .filter(|(name, value)| ours.get(*name) != Some(value))
                .map(|(name, value)| {
                    format!(
                        "redis {name} = {value}\nmodel {name} = {:?}",
                        ours.get(name)
                    )
                })
                .chain(
                    ours.keys()
                        .filter(|name| !theirs.contains_key(*name))
                        .map(|name| format!("redis has no {name}")),
                )
                .collect::<Vec<_>>();
            outcome = Err(differ.join("\n"));
            break;
        }
    }
    // The keys of a seed must not stay for the next one.
    let _ = pair.flush();
    let _: RedisResult<()> = pair.redis.del(format!("{}:time", pair.prefix));
    outcome.map_err(|error| {
        format!(
            "seed {seed}, after {}:\n{}\n{error}",
            told.len(),
            told.join("\n")
        )
    })
}

/// In a database of its own, because each step lists all keys and the worlds have many.
fn connect() -> Connection {
    redis::Client::open(format!("{}/1", servers().redis_url()))
        .unwrap()
        .get_connection()
        .unwrap()
}

#[test]
fn the_scripts_do_what_the_model_does() {
    let scripts = Scripts::new(&[TIME]);
    let mut redis = connect();
    for seed in seeds("CONFORMANCE_SEEDS", 60) {
        if let Err(error) = conform(&mut redis, &scripts, seed) {
            panic!("{error}");
        }
    }
}

/// Deliberate faults in the scripts' own text: the comparison must notice each.
#[test]
fn a_broken_script_is_noticed() {
    let mut redis = connect();
    let sound = Scripts::new(&[TIME]);
    let mut noticed = HashMap::new();
    for (what, change) in BROKEN {
        let scripts = Scripts::new(&[TIME, *change]);
        let at = (0..400).find(|seed| conform(&mut redis, &scripts, *seed).is_err());
        // A fault that no seed shows means that the comparison does not see it.
        let at = at.unwrap_or_else(|| panic!("not noticed: {what}"));
        assert_eq!(
            conform(&mut redis, &sound, at),
            Ok(()),
            "noticed for another reason: {what}"
        );
        noticed.insert(*what, at);
    }
    eprintln!("noticed at seed: {noticed:?}");
}

fn answer<T>(answer: RedisResult<T>) -> Result<T, String> {
    answer.map_err(|error| error.to_string())
}

fn same<T: PartialEq + std::fmt::Debug>(theirs: &T, ours: &T, what: &str) -> Result<(), String> {
    if theirs == ours {
        Ok(())
    } else {
        Err(format!("{what}: redis {theirs:?}, model {ours:?}"))
    }
}
