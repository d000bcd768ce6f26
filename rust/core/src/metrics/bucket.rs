//! Buckets of rising predictions that grow until the rate in them is known well enough (Paddle's `bucket_error`).
//!
//! ```text
//! a bucket of n rows is done when   √((1 − p̄)/(p̄·n)) < bound,   p̄ its mean prediction
//! its error                         |observed/promised − 1|,     observed: positives, promised: Σ p
//! ```
//!
//! A bucket that spans more than `span` before it is done is given up. Equal predictions stay together.
//!
//! 1. Σ p is a sum of integers, in units of 2^-53: each term is rounded once, and no order changes it.
//! 2. As p rises, a bucket that is not done with some rows was not done with fewer of them. So rows are taken by blocks, and looked
//!    at one by one only where a bucket ends.

use super::key::Score;

/// A bucket that was done.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Bucket {
    /// |observed − promised| / promised.
    pub error: f64,
    /// How many rows.
    pub rows: u64,
}

/// Rows that are taken together.
const BLOCK: usize = 32;

/// One in units of Σ p.
const ONE: f64 = (1u64 << 53) as f64;

/// A probability in units of Σ p.
#[inline(always)]
fn fixed<S: Score>(p: S) -> u64 {
    (p.real() * ONE) as i64 as u64
}

/// The buckets of rising probabilities. `thresholds` has the distinct ones of the positives, falling, and `tp` how many positives
/// are at or above each.
#[must_use]
pub fn buckets<S: Score>(p: &[S], thresholds: &[S], tp: &[u64], span: f64, bound: f64) -> Vec<Bucket> {
    // Positives at or above a value.
    let found = |value: S| match thresholds.partition_point(|&t| t >= value) {
        0 => 0,
        n => tp[n - 1],
    };
    let after = |value: S| match thresholds.partition_point(|&t| t > value) {
        0 => 0,
        n => tp[n - 1],
    };
    let enough = |rows: usize, sum: u128| {
        let (rows, promised) = (rows as f64, sum as f64 / ONE);
        // The rule without the division by 0.
        rows - promised < bound * bound * promised * rows
    };
    let (mut done, mut start, mut at, mut sum) = (Vec::new(), 0, 0, 0u128);
    while at < p.len() {
        let near = |value: S| value.real() - p[start].real() <= span;
        if let Some(block) = p[at..].first_chunk::<BLOCK>()
            && near(block[BLOCK - 1])
        {
            let more = block.iter().map(|&p| fixed(p)).sum::<u64>();
            if !enough(at + BLOCK - start, sum + u128::from(more)) {
                (at, sum) = (at + BLOCK, sum + u128::from(more));
                continue;
            }
        }
        let value = p[at];
        if !near(value) {
            (start, sum) = (at, 0);
        }
        let ties = run(&p[at..]);
        at += ties;
        sum += u128::from(fixed(value)) * ties as u128;
        if enough(at - start, sum) {
            let (promised, observed) = (sum as f64 / ONE, found(p[start]) - after(value));
            let error = (observed as f64 - promised).abs() / promised;
            done.push(Bucket { error, rows: (at - start) as u64 });
            (start, sum) = (at, 0);
        }
    }
    done
}

/// How many values equal the first one: by leaps that double, then by halves.
fn run<S: Score>(values: &[S]) -> usize {
    let (mut known, mut leap) = (1, 1);
    while known + leap <= values.len() && values[known + leap - 1] == values[0] {
        known += leap;
        leap *= 2;
    }
    let end = values.len().min(known + leap);
    known + values[known..end].partition_point(|&v| v == values[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_known_values() {
        // Of ½ a bucket is done when 1/n < bound²: n > 4 at bound ½.
        let bucket = |error, rows| Bucket { error, rows };
        let of = |positives: &[f64], negatives: &[f64], span, bound| {
            let mut p = [positives, negatives].concat();
            p.sort_by(f64::total_cmp);
            let mut thresholds = positives.to_vec();
            thresholds.sort_by(|a, b| b.total_cmp(a));
            thresholds.dedup();
            let tp: Vec<u64> =
                thresholds.iter().map(|t| positives.iter().filter(|p| *p >= t).count() as u64).collect();
            buckets(&p, &thresholds, &tp, span, bound)
        };
        assert_eq!(of(&[0.5; 3], &[0.5; 1], 0.1, 0.5), [], "too few rows");
        assert_eq!(of(&[0.5; 3], &[0.5; 3], 0.1, 0.5), [bucket(0.0, 6)], "as promised");
        assert_eq!(of(&[0.5; 6], &[0.5; 2], 0.1, 0.5), [bucket(0.5, 8)], "6 for 4");
        let (p, n) = ([0.5, 0.5, 0.5, 0.75, 0.75, 0.75], [0.5, 0.5, 0.5]);
        assert_eq!(
            of(&p, &n, 0.1, 0.5),
            [bucket(0.0, 6), bucket(0.75 / 2.25, 3)],
            "the next one starts behind it"
        );
        assert_eq!(of(&[0.5, 0.5, 0.5, 0.75], &[], 0.1, 0.5), [], "given up where it spans too much");
        assert_eq!(of(&[], &[0.0, 0.0], 0.1, 0.5), [], "nothing is promised");
        // Longer than a block, and ties that cross its end.
        assert_eq!(of(&[0.5; 50], &[0.5; 50], 0.1, 0.1), [bucket(0.0, 100)], "a hundred equal ones");
        let rising: Vec<f64> = (0..1000).map(|i| 0.5 + f64::from(i / 7) / 4096.0).collect();
        let got = of(&rising[..500], &rising[500..], 1.0, 0.1);
        let (mut sum, mut rows) = (0.0, 0);
        let one_by_one = rising.chunk_by(|a, b| a == b).find_map(|ties| {
            sum += ties[0] * ties.len() as f64;
            rows += ties.len();
            (rows as f64 - sum < 0.01 * sum * rows as f64).then_some((sum, rows))
        });
        let (sum, rows) = one_by_one.unwrap();
        assert_eq!(got[0], bucket((rows as f64 - sum) / sum, rows as u64), "as one by one");
    }
}
