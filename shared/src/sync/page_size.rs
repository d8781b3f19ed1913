//! The number of records per page, when a full page is larger than an answer may be.
//!
//! A page that is too large is requested again at half the size, down to one record. The walk remembers the size and
//! doubles it after enough small pages in a row. The wait doubles after a growth that failed and halves after one that
//! worked. One oversized record then costs about twenty extra calls instead of doubling every later page.
//!
//! Cursors appear to be keysets, independent of the page size. If Intercom refuses a cursor that was made for another
//! size, the size stays as it is until the walk ends, and the walk continues without the cursor.

use serde::{Deserialize, Serialize};

use crate::{
    domain::records::Poison,
    intercom::{Error, MAX_RESPONSE_BYTES, PAGE, wire},
};

/// The longest wait for a growth, in pages.
const MAX_PATIENCE: u32 = 64;

/// The size of a walk's pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct PageSize {
    records: usize,
    /// Pages in a row that would have fit at twice the size.
    fitted: u32,
    /// The number of such pages that a growth needs.
    patience: u32,
    /// The last change was a growth.
    grew: bool,
    /// The cursor was made for another size.
    changed: bool,
    /// Intercom has refused such a cursor.
    is_final: bool,
}

impl Default for PageSize {
    fn default() -> Self {
        Self {
            records: PAGE,
            fitted: 0,
            patience: 1,
            grew: false,
            changed: false,
            is_final: false,
        }
    }
}

impl PageSize {
    pub(super) const fn records(&self) -> usize {
        self.records
    }

    /// After a page that was too large. False if a page is one record already.
    pub(super) fn shrink(&mut self) -> bool {
        if self.records == 1 {
            return false;
        }
        if self.grew {
            self.patience = (self.patience * 2).min(MAX_PATIENCE);
        }
        self.records /= 2;
        (self.fitted, self.grew, self.changed) = (0, false, true);
        true
    }

    /// After a page that landed, of this many bytes.
    pub(super) fn landed(&mut self, bytes: usize) {
        if self.grew && self.records > 1 {
            self.patience = (self.patience / 2).max(1);
        }
        (self.changed, self.grew) = (false, false);
        // Twice as many records of the same size would use half of the limit.
        self.fitted = if bytes <= MAX_RESPONSE_BYTES / 4 {
            self.fitted + 1
        } else {
            0
        };
        if self.records < PAGE && self.fitted >= self.patience && !self.is_final {
            self.records = (self.records * 2).min(PAGE);
            (self.fitted, self.grew, self.changed) = (0, true, true);
        }
    }

    /// After a refused cursor. True if the size may be the reason, which makes the size final.
    pub(super) const fn refused(&mut self) -> bool {
        let doubted = self.changed;
        self.is_final |= doubted;
        self.changed = false;
        doubted
    }
}

/// The one record of an outline, in quarantine.
///
/// # Errors
/// When the outline has no record or several. No single record is too large then, so none may be skipped.
pub(super) fn oversized(kind: &'static str, records: &[&str]) -> Result<Poison, Error> {
    match records {
        [record] => Ok(wire::oversized(kind, record, MAX_RESPONSE_BYTES)),
        _ => Err(Error::TooLarge(MAX_RESPONSE_BYTES)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks over records of these sizes. Returns the pages that landed and the pages that were too large.
    fn walk(sizes: &[usize]) -> (usize, usize) {
        let (mut at, mut landed, mut too_large, mut size) = (0, 0, 0, PageSize::default());
        while at < sizes.len() {
            let page = &sizes[at..sizes.len().min(at + size.records())];
            let bytes = page.iter().sum::<usize>();
            if bytes > MAX_RESPONSE_BYTES && size.shrink() {
                too_large += 1;
            } else {
                landed += 1;
                at += page.len();
                // A record that is too large alone is answered by its outline.
                size.landed(bytes.min(MAX_RESPONSE_BYTES));
            }
        }
        (landed, too_large)
    }

    #[test]
    fn pages_that_fit_are_full() {
        assert_eq!(walk(&[2_000; 1_500]), (10, 0));
    }

    #[test]
    fn one_giant_costs_its_halvings_and_some_small_pages_once() {
        let mut sizes = vec![2_000; 15_000];
        sizes[700] = 20 << 20;
        sizes[701] = 40 << 20;
        let (landed, too_large) = walk(&sizes);
        assert!(
            too_large <= 12 && landed <= 100 + 25,
            "{landed} and {too_large}"
        );
    }

    #[test]
    fn large_records_all_the_way_cost_no_second_call_each() {
        let (landed, too_large) = walk(&[1 << 20; 15_000]);
        assert!(too_large <= 3 && landed < 900, "{landed} and {too_large}");
    }

    #[test]
    fn a_giant_costs_some_calls_and_no_record_two() {
        for (between, giant) in [1, 3, 10, 30, 149, 400, 10_000]
            .into_iter()
            .flat_map(|n| [(n, 20 << 20), (n, 40 << 20)])
        {
            let sizes: Vec<usize> = (0..60_000)
                .map(|n| if n % between == 0 { giant } else { 2_000 })
                .collect();
            let (landed, too_large) = walk(&sizes);
            let most = (60_000 / PAGE + 25 * 60_000 / between).min(60_000 + 10);
            assert!(
                landed + too_large <= most,
                "{between}: {landed} landed and {too_large} were too large"
            );
        }
    }

    #[test]
    fn a_cursor_refused_for_its_size_makes_the_size_final() {
        let mut size = PageSize::default();
        assert!(!size.refused(), "it was made for this size");
        size.shrink();
        assert!(size.refused());
        for _ in 0..1_000 {
            size.landed(10);
        }
        assert_eq!(size.records(), PAGE / 2);
        assert!(!size.refused(), "and once more it is another reason");
    }
}
