//! A sorted set as Redis has it: by score, then by member.

use std::collections::{BTreeMap, BTreeSet};

/// A sorted set: by score, then by member.
#[derive(Clone, Debug)]
pub struct Zset<M> {
    sorted: BTreeSet<(Score, M)>,
    scores: BTreeMap<M, f64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Score(f64);

impl Eq for Score {}
impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Score {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl<M> Default for Zset<M> {
    fn default() -> Self {
        Self {
            sorted: BTreeSet::new(),
            scores: BTreeMap::new(),
        }
    }
}

impl<M: Copy + Ord> Zset<M> {
    pub fn score(&self, member: &M) -> Option<f64> {
        self.scores.get(member).copied()
    }

    pub fn len(&self) -> usize {
        self.scores.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (M, f64)> {
        self.sorted.iter().map(|(score, member)| (*member, score.0))
    }

    pub fn first(&self) -> Option<(M, f64)> {
        self.sorted
            .first()
            .map(|(score, member)| (*member, score.0))
    }

    pub fn add(&mut self, member: M, score: f64) {
        self.remove(&member);
        self.scores.insert(member, score);
        self.sorted.insert((Score(score), member));
    }

    pub fn remove(&mut self, member: &M) -> bool {
        let Some(score) = self.scores.remove(member) else {
            return false;
        };
        self.sorted.remove(&(Score(score), *member))
    }

    pub fn pop_first(&mut self) -> Option<(M, f64)> {
        let (member, score) = self.first()?;
        self.remove(&member);
        Some((member, score))
    }

    /// Up to `limit` members whose score is not above `score`.
    pub fn until(&self, score: f64, limit: usize) -> Vec<M> {
        self.sorted
            .iter()
            .take_while(|(at, _)| at.0 <= score)
            .take(limit)
            .map(|(_, member)| *member)
            .collect()
    }
}
