//! The horizontal autoscaler of Kubernetes with a target of one per pod, and the pods that it starts.

use std::collections::VecDeque;

/// Between two looks of the autoscaler.
pub(super) const SYNC_SECONDS: usize = 15;
/// A number is as old as its scrape and the measurement before it.
const NUMBER_AGE: usize = 25;
/// It does nothing if the number differs by less than this part.
const TOLERANCE: f64 = 0.1;
/// It shrinks to the largest of what it would have chosen within this time.
const STABILIZATION_SECONDS: usize = 300;
/// A pod works so many seconds after it was asked for.
const POD_START_SECONDS: usize = 30;

#[derive(Clone, Debug)]
pub(super) struct Autoscaler {
    /// Pods that are asked for.
    pub(super) replicas: u32,
    pub(super) direction_changes: u32,
    went_up: Option<bool>,
    numbers: VecDeque<Option<u32>>,
    chosen: VecDeque<u32>,
    /// When each of the pods that start is ready.
    starting: Vec<usize>,
}

impl Autoscaler {
    pub(super) fn new(replicas: u32) -> Self {
        Self {
            replicas,
            direction_changes: 0,
            went_up: None,
            numbers: VecDeque::new(),
            chosen: VecDeque::new(),
            starting: Vec::new(),
        }
    }

    /// Pods that work at this second.
    pub(super) fn ready(&self, second: usize) -> u32 {
        let starting = self.starting.iter().filter(|at| **at > second).count();
        self.replicas.saturating_sub(starting as u32)
    }

    /// A second in which the gauge says `number`.
    pub(super) fn step(&mut self, second: usize, number: Option<u32>) {
        self.numbers.push_back(number);
        let seen = if self.numbers.len() > NUMBER_AGE {
            self.numbers.pop_front().flatten()
        } else {
            None
        };
        if !second.is_multiple_of(SYNC_SECONDS) {
            return;
        }
        let Some(seen) = seen else { return };
        let is_close = (f64::from(seen) / f64::from(self.replicas) - 1.0).abs() <= TOLERANCE;
        let choice = if is_close { self.replicas } else { seen.max(1) };
        self.chosen.push_back(choice);
        while self.chosen.len() > STABILIZATION_SECONDS / SYNC_SECONDS {
            self.chosen.pop_front();
        }
        let target = match choice > self.replicas {
            true => choice,
            false => self
                .chosen
                .iter()
                .copied()
                .max()
                .unwrap_or(choice)
                .min(self.replicas),
        };
        self.scale_to(second, target);
    }

    fn scale_to(&mut self, second: usize, target: u32) {
        if target == self.replicas {
            return;
        }
        let is_up = target > self.replicas;
        self.direction_changes += u32::from(self.went_up.is_some_and(|went_up| went_up != is_up));
        self.went_up = Some(is_up);
        for _ in self.replicas..target {
            self.starting.push(second + POD_START_SECONDS);
        }
        for _ in target..self.replicas {
            // The youngest pods go first.
            let _ = self.starting.pop();
        }
        self.replicas = target;
    }
}
