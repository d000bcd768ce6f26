//! Where the rows of groups lie, and the pairs of groups that are simple to count.
//!
//! | rows | lie |
//! |---|---|
//! | [`InPlace`] | as they came: ids that do not fall, or offsets |
//! | [`Packed`] | sorted by id, a word each: id above the lowest, key, class |
//! | [`Moved`] | sorted by id, where that does not fit a word, or there are weights |

use std::marker::PhantomData;
use std::ops::Range;

use super::ROWS;
use super::auc::{Member, Nan, Pairs, Rows};
use super::key::{Key, Score};
use super::sort::Item;
use crate::exec::Exec;
use crate::pool;

/// Up to this many pairs, looking at each one is faster than sorting.
pub(super) const FEW: usize = 1024;

/// Where the rows of a group are.
pub(super) trait Source<M>: Sync {
    /// Row i, and its class: 0, 1, or [`OUT`] if it does not count.
    fn row(&self, i: usize) -> (M, u8);

    /// The pairs of these rows of one group, if they are simple to count.
    #[inline(always)]
    fn simple(&self, _: Range<usize>) -> Option<Simple> {
        None
    }
}

/// A group whose rows all count and have no weight, and that has few positives.
pub(super) struct Simple {
    positives: u64,
    below: u64,
    tied: u64,
}

/// Positives that are compared with all rows one by one.
pub(super) const FEW_POSITIVES: usize = 16;

impl Simple {
    /// Each positive is compared with all rows: Σ [s < x] and Σ [s <= x], which vectorise. What the positives add among
    /// themselves is taken off. `None` where there are many.
    #[inline(always)]
    fn count<T: PartialOrd>(rows: usize, positives: &Positives, score: impl Fn(usize) -> T) -> Option<Self> {
        let many = positives.count > FEW_POSITIVES || positives.count * rows > FEW;
        if many {
            return None;
        }
        let mut simple = Self { positives: positives.count as u64, below: 0, tied: 0 };
        if positives.count == rows {
            return Some(simple);
        }
        let places = &positives.places[..positives.count];
        for &i in places {
            let x = score(i);
            let (mut less, mut up_to) = (0u32, 0u32);
            for j in 0..rows {
                less += u32::from(score(j) < x);
                up_to += u32::from(score(j) <= x);
            }
            for &j in places {
                less -= u32::from(score(j) < x);
                up_to -= u32::from(score(j) <= x);
            }
            simple.below += u64::from(less);
            simple.tied += u64::from(up_to - less);
        }
        Some(simple)
    }

    /// Its positives and its pairs, of so many rows.
    pub(super) fn pairs(&self, rows: u64) -> (u64, Pairs) {
        let all = self.positives * (rows - self.positives);
        (self.positives, Pairs { below: self.below.into(), tied: self.tied.into(), all: all.into() })
    }
}

/// How many positives a group has, and where the first of them are; those behind them share the last place.
struct Positives {
    count: usize,
    places: [usize; FEW_POSITIVES + 1],
}

impl Positives {
    /// Of labels 0 and 1: eight at a time, as most words hold no positive.
    #[inline(always)]
    fn of(labels: &[u8]) -> Self {
        let mut found = Self { count: 0, places: [0; FEW_POSITIVES + 1] };
        let (words, rest) = labels.as_chunks::<8>();
        for (i, word) in words.iter().enumerate() {
            let mut bits = u64::from_le_bytes(*word);
            while bits != 0 {
                found.push(8 * i + bits.trailing_zeros() as usize / 8);
                bits &= bits - 1;
            }
        }
        for (i, _) in rest.iter().enumerate().filter(|(_, y)| **y == 1) {
            found.push(8 * words.len() + i);
        }
        found
    }

    #[inline(always)]
    fn push(&mut self, place: usize) {
        self.places[self.count.min(FEW_POSITIVES)] = place;
        self.count += 1;
    }
}

/// The class of rows that do not count.
pub(super) const OUT: u8 = 2;

/// Rows as they came.
pub(super) struct InPlace<'a, S> {
    pub(super) rows: &'a Rows<'a, S>,
    pub(super) nan: Nan,
    pub(super) any_nan: bool,
}

impl<S: Score, M: Member<Key = S::Key>> Source<M> for InPlace<'_, S> {
    #[inline(always)]
    fn row(&self, i: usize) -> (M, u8) {
        let (score, label) = (self.rows.scores[i], self.rows.labels[i] & 1);
        let weight = match self.rows.weights {
            Some(weights) => weights[i],
            None => 1.0,
        };
        let counts = weight > 0.0 && !(score.is_nan() && self.nan != Nan::Lowest);
        (M::new(score.key(), weight), if counts { label } else { OUT })
    }

    #[inline(always)]
    fn simple(&self, rows: Range<usize>) -> Option<Simple> {
        if self.any_nan || self.rows.weights.is_some() {
            return None;
        }
        let (labels, scores) = (&self.rows.labels[rows.clone()], &self.rows.scores[rows]);
        Simple::count(labels.len(), &Positives::of(labels), |i| scores[i])
    }
}

/// A row on its way to its group.
#[derive(Clone, Copy, Default)]
pub(super) struct Moved<M> {
    pub(super) id: u64,
    pub(super) member: M,
    pub(super) class: u8,
}

impl<M: Member> Item for Moved<M> {
    type Key = u64;
    #[inline(always)]
    fn key(&self) -> u64 {
        self.id
    }
}

impl<M: Member> Source<M> for &[Moved<M>] {
    #[inline(always)]
    fn row(&self, i: usize) -> (M, u8) {
        (self[i].member, self[i].class)
    }
}

/// A row of no weight on its way to its group, in a word: id above the lowest one, key, class.
#[derive(Clone, Copy, Default)]
pub(super) struct Packed<K> {
    word: u64,
    key: PhantomData<K>,
}

impl<K: Key> Packed<K> {
    /// Where the id starts: above the key and two bits of the class.
    const ID: u32 = K::BITS + 2;

    /// The lowest id, if all fit above it.
    pub(super) fn fits<G: Score<Key = u64>>(exec: &Exec, ids: &[G]) -> Option<u64> {
        let room = 64u32.checked_sub(Self::ID)?;
        let ends = pool::map(exec.threads_for(ids.len()), ids.len().div_ceil(ROWS), |i| {
            let piece = &ids[i * ROWS..ids.len().min((i + 1) * ROWS)];
            piece.iter().fold((u64::MAX, 0), |(least, most), id| (id.key().min(least), id.key().max(most)))
        });
        let (least, most) = ends.into_iter().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
        (most - least < 1 << room).then_some(least)
    }

    #[inline(always)]
    pub(super) fn new(id: u64, key: K, class: u8) -> Self {
        Self { word: id << Self::ID | key.wide() << 2 | u64::from(class), key: PhantomData }
    }
}

impl<K: Key> Item for Packed<K> {
    type Key = u64;
    #[inline(always)]
    fn key(&self) -> u64 {
        self.word >> Self::ID
    }
}

impl<M: Member> Source<M> for &[Packed<M::Key>] {
    #[inline(always)]
    fn row(&self, i: usize) -> (M, u8) {
        let word = self[i].word;
        (M::new(M::Key::narrow(word >> 2), 1.0), (word & 3) as u8)
    }

    #[inline(always)]
    fn simple(&self, rows: Range<usize>) -> Option<Simple> {
        let rows = &self[rows];
        let (mut positives, mut out) = (Positives { count: 0, places: [0; FEW_POSITIVES + 1] }, 0);
        for (i, row) in rows.iter().enumerate() {
            // Without a branch: the next place is written each time, and stays where there is a positive.
            positives.places[positives.count.min(FEW_POSITIVES)] = i;
            positives.count += (row.word & 1) as usize;
            out |= row.word & 2;
        }
        // In a group the words without their class have the order of the keys.
        if out != 0 { None } else { Simple::count(rows.len(), &positives, |i| rows[i].word >> 2) }
    }
}
