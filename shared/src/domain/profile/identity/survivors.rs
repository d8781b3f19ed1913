//! Whose profile a record belongs to after its source's own merges.

use std::collections::HashMap;

use crate::domain::profile::{identity_record::IdentityRecord, source::RecordKey};

/// For each record the record that its chain of merges ends at, by index: itself, if it was not merged.
///
/// A survivor that is not known ends the chain before it. A record on a circle survives itself, because sources that
/// name each other say nothing.
pub(super) fn survivors(records: &[&IdentityRecord]) -> Vec<usize> {
    let mut next: Vec<Option<usize>> = vec![None; records.len()];
    if records.iter().any(|record| record.merged_into.is_some()) {
        let by_key: HashMap<&RecordKey, usize> = records
            .iter()
            .enumerate()
            .map(|(index, record)| (&record.key, index))
            .collect();
        for (next, record) in next.iter_mut().zip(records) {
            *next = record.merged_into.as_ref().and_then(|source_id| {
                let survivor = RecordKey::new(record.key.connection, source_id.clone());
                by_key.get(&survivor).copied()
            });
        }
    }
    ends(&next)
}

/// Where each chain ends. Every record is walked once.
fn ends(next: &[Option<usize>]) -> Vec<usize> {
    let mut end: Vec<Option<usize>> = vec![None; next.len()];
    let mut place_on_path: Vec<Option<usize>> = vec![None; next.len()];
    for start in 0..next.len() {
        let (mut path, mut at) = (Vec::new(), start);
        let last = loop {
            if let Some(end) = end[at] {
                break end;
            }
            if let Some(place) = place_on_path[at] {
                for member in &path[place..] {
                    end[*member] = Some(*member);
                }
                break at;
            }
            place_on_path[at] = Some(path.len());
            path.push(at);
            match next[at] {
                Some(survivor) => at = survivor,
                None => break at,
            }
        };
        for member in path {
            end[member].get_or_insert(last);
        }
    }
    end.into_iter()
        .enumerate()
        .map(|(index, end)| end.unwrap_or(index))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_end_at_their_survivor_and_circles_at_each_record() {
        // 0 → 1 → 2, a circle of 3 and 4 that 5 leads into, 6 merged into itself, 7 alone.
        let next = [
            Some(1),
            Some(2),
            None,
            Some(4),
            Some(3),
            Some(4),
            Some(6),
            None,
        ];
        assert_eq!(ends(&next), [2, 2, 2, 3, 4, 4, 6, 7]);
        let reversed = [None, Some(0), Some(1), Some(4), Some(3)];
        assert_eq!(ends(&reversed), [0, 0, 0, 3, 4]);
    }
}
