//! The bootstrap of AUC: rows (or groups of rows) are drawn anew with replacement, and counted where they stand.
//!
//! ```text
//! place of draw i of replicate b:   ⌊n · r/2^64⌋,   r = mix(key(seed, b) + i·γ)         n draws of n places
//! AUC of the replicate:             Σ p·(2·(N − above) − tied) / (2·P·N)               p, above, tied, P, N: sums of draws
//! ```
//!
//! The rows lie sorted once, falling, so a replicate is n additions at random places and one walk along the
//! [steps](super::steps); no score is looked at. Draws are functions of seed, replicate and number alone (splitmix64), so
//! no replicate depends on another one or on who computes it. A place is uneven by less than n/2^64.

use super::ratio::ratio;
use super::steps::Steps;
use crate::exec::Exec;
use crate::isa::Kernel;
use crate::pool;
use crate::random::mix64;

/// The odd number nearest to 2^64 over the golden ratio: the step of splitmix64.
const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// Replicates of one piece of work: they share the memory for draws.
const SHARED: usize = 8;

/// The draws of one replicate.
#[derive(Clone, Copy, Debug)]
pub struct Draws {
    key: u64,
    places: u64,
}

impl Draws {
    /// Of `places` < 2^32 places.
    ///
    /// # Panics
    /// When there are more places.
    #[must_use]
    pub fn new(seed: u64, replicate: u64, places: usize) -> Self {
        assert!(u32::try_from(places).is_ok(), "at most 2^32 - 1 places");
        Self { key: mix64(mix64(seed).wrapping_add(replicate)), places: places as u64 }
    }

    /// The place of draw `i`.
    #[inline(always)]
    #[must_use]
    pub fn place(self, i: u64) -> usize {
        let r = mix64(self.key.wrapping_add(i.wrapping_mul(GAMMA)));
        // The upper word of the product, of halves: these vectorise, the whole product does not.
        let (high, low) = (r >> 32, r & 0xffff_ffff);
        ((high * self.places + ((low * self.places) >> 32)) >> 32) as usize
    }
}

/// Counts how often each place is drawn. (A count stays at its largest; to come to 255 of as many draws as places takes
/// longer than anyone waits.)
struct Throw<'a> {
    draws: Draws,
    counts: &'a mut [u8],
}

impl Kernel for Throw<'_> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        const BLOCK: usize = 256;
        let Self { draws, counts } = self;
        counts.fill(0);
        let mut places = [0usize; BLOCK];
        for start in (0..counts.len()).step_by(BLOCK) {
            for (i, place) in places.iter_mut().enumerate() {
                *place = draws.place((start + i) as u64);
            }
            for &place in &places[..BLOCK.min(counts.len() - start)] {
                counts[place] = counts[place].saturating_add(1);
            }
        }
    }
}

/// AUC of `replicates` replicates; NaN where a class is missing.
///
/// `unit_of` has the unit (group) of each row, rows sorted by falling score and positives first among equals; without it
/// each row is its own.
///
/// # Panics
/// When a unit is `units` or more, or there are too few rows.
#[must_use]
pub fn aucs<S: Sync>(
    exec: &Exec,
    steps: &Steps<S>,
    unit_of: Option<&[u32]>,
    units: usize,
    replicates: usize,
    seed: u64,
) -> Vec<f64> {
    let rows = (steps.positives + steps.negatives) as usize;
    assert!(unit_of.map_or(units, <[u32]>::len) == rows, "a unit for each row");
    let threads = if replicates * rows < exec.serial_below { 1 } else { exec.threads };
    let pieces = pool::map(threads, replicates.div_ceil(SHARED), |piece| {
        let mut counts = vec![0u8; units];
        (piece * SHARED..replicates.min((piece + 1) * SHARED))
            .map(|b| {
                let draws = Draws::new(seed, b as u64, units);
                exec.level.run(Throw { draws, counts: &mut counts });
                match unit_of {
                    None => exec.level.run(Walk { steps, count: |i: usize| counts[i] }),
                    Some(unit_of) => exec.level.run(Walk { steps, count: |i: usize| counts[unit_of[i] as usize] }),
                }
            })
            .collect::<Vec<_>>()
    });
    pieces.concat()
}

/// AUC of rows that count so often.
struct Walk<'a, S, C> {
    steps: &'a Steps<S>,
    count: C,
}

impl<S, C: Fn(usize) -> u8> Kernel for Walk<'_, S, C> {
    type Out = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        let Self { steps, count } = self;
        let sum = |from: u64, to: u64| (from as usize..to as usize).map(|i| u64::from(count(i))).sum::<u64>();
        let (mut at, mut positives, mut fp) = (0, 0, 0);
        // Σ p·(above + up to), from which the pairs follow once N is known.
        let mut missed = 0u128;
        for i in 0..steps.tp.len() {
            let before = if i == 0 { 0 } else { steps.tp[i - 1] };
            let (tp, above, end) = (steps.tp[i], steps.above[i], steps.tp[i] + steps.fp[i]);
            fp += sum(at, before + above);
            let p = sum(before + above, tp + above);
            let tied = sum(tp + above, end);
            missed += u128::from(p) * u128::from(2 * fp + tied);
            fp += tied;
            positives += p;
            at = end;
        }
        let negatives = fp + sum(at, steps.positives + steps.negatives);
        let twice = 2 * u128::from(positives) * u128::from(negatives);
        if twice == 0 { f64::NAN } else { ratio(twice - missed, twice) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::auc::{Nan, Rows, auc};
    use crate::metrics::naive::tests::{executions, noise};
    use crate::metrics::steps::steps;

    #[test]
    fn a_place_is_the_upper_word_of_the_product() {
        for places in [1, 2, 7, 1000, u32::MAX as usize] {
            let draws = Draws::new(3, 5, places);
            for i in 0..1000u64 {
                let r = mix64(draws.key.wrapping_add(i.wrapping_mul(GAMMA)));
                let want = (u128::from(r) * places as u128) >> 64;
                assert_eq!(draws.place(i) as u128, want, "draw {i} of {places}");
            }
        }
    }

    #[test]
    fn draws_are_even() {
        let mut counts = [0u32; 50];
        (0..2000).for_each(|b| (0..50).for_each(|i| counts[Draws::new(1, b, 50).place(i)] += 1));
        // 100,000 draws: chi-square of 49 degrees of freedom, mean 49, standard deviation 10.
        let chi: f64 = counts.iter().map(|&c| (f64::from(c) - 2000.0) * (f64::from(c) - 2000.0) / 2000.0).sum();
        assert!((15.0..100.0).contains(&chi), "chi-square {chi}");
    }

    /// The same rows written down as often as they are drawn.
    #[test]
    fn as_the_auc_of_the_rows_drawn() {
        let n = 700;
        let labels: Vec<u8> = noise(n).map(|x| u8::from(x % 5 == 0)).collect();
        let scores: Vec<i64> = noise(2 * n).skip(n).map(|x| (x % 90) as i64).collect();
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by_key(|&i| (-scores[i], 1 - labels[i]));
        let groups: Vec<u32> = order.iter().map(|&i| (i % 31) as u32).collect();
        for exec in executions() {
            let steps =
                steps(&exec, &Rows { labels: &labels, scores: &scores, weights: None }, Nan::Raise).unwrap();
            for (unit_of, units) in [(None, n), (Some(&groups[..]), 31)] {
                let got = aucs(&exec, &steps, unit_of, units, 20, 9);
                for (b, got) in got.iter().enumerate() {
                    let draws = Draws::new(9, b as u64, units);
                    let (mut y, mut s) = (Vec::new(), Vec::new());
                    for i in 0..units {
                        let place = draws.place(i as u64);
                        for (r, &row) in order.iter().enumerate() {
                            if unit_of.map_or(r, |u| u[r] as usize) == place {
                                y.push(labels[row]);
                                s.push(scores[row]);
                            }
                        }
                    }
                    let want = auc(&exec, &Rows { labels: &y, scores: &s, weights: None }, Nan::Raise).unwrap();
                    assert_eq!(Some(*got), want.pairs.auc(), "replicate {b} of {units} units, {exec:?}");
                }
            }
        }
    }

    #[test]
    fn one_class_is_nan() {
        let exec = executions().next().unwrap();
        let steps =
            steps(&exec, &Rows { labels: &[1, 0], scores: &[1i64, 0], weights: None }, Nan::Raise).unwrap();
        let got = aucs(&exec, &steps, None, 2, 100, 0);
        let (nan, one): (Vec<_>, Vec<_>) = got.iter().partition(|a| a.is_nan());
        assert!(nan.len() > 20 && one.len() > 20, "both happen half of the time: {} and {}", nan.len(), one.len());
        assert!(one.iter().all(|&&a| a == 1.0), "the rest is perfect");
    }
}
