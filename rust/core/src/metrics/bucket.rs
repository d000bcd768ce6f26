//! Buckets of rising predictions that grow until the rate in them is known well enough (Paddle's `bucket_error`).
//!
//! ```text
//! a bucket of n rows is done when   √((1 − p̄)/(p̄·n)) < bound,   p̄ its mean prediction
//! its error                         |observed/promised − 1|,     observed: positives, promised: Σ p
//! ```
//!
//! A bucket that spans more than `span` before it is done is given up. Equal predictions stay together. Σ p adds up in the
//! order of the predictions, one term for each distinct one.

use super::key::Score;

/// A bucket that was done.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Bucket {
    /// |observed − promised| / promised.
    pub error: f64,
    /// How many rows.
    pub rows: u64,
}

/// The buckets of two rising classes of probabilities.
#[must_use]
pub fn buckets<S: Score>(positives: &[S], negatives: &[S], span: f64, bound: f64) -> Vec<Bucket> {
    let (mut p, mut n) = (positives, negatives);
    let mut done = Vec::new();
    let (mut start, mut size, mut promised, mut observed) = (f64::NEG_INFINITY, 0, 0.0, 0);
    while let Some(here) = lower(p.first(), n.first()) {
        let key = here.key();
        let found = take(&mut p, key);
        let these = found + take(&mut n, key);
        let here = here.real();
        if here - start > span {
            (start, size, promised, observed) = (here, 0, 0.0, 0);
        }
        size += these;
        promised += here * these as f64;
        observed += found;
        let rows = size as f64;
        // The rule without the division by 0.
        if rows - promised < bound * bound * promised * rows {
            done.push(Bucket { error: (observed as f64 - promised).abs() / promised, rows: size });
            start = f64::NEG_INFINITY;
        }
    }
    done
}

#[inline(always)]
fn lower<S: Score>(a: Option<&S>, b: Option<&S>) -> Option<S> {
    match (a, b) {
        (Some(&a), Some(&b)) => Some(if a.key() < b.key() { a } else { b }),
        (a, b) => a.or(b).copied(),
    }
}

/// Takes the scores of this key from the front; returns how many.
#[inline(always)]
fn take<S: Score>(scores: &mut &[S], key: S::Key) -> u64 {
    let n = scores.iter().take_while(|s| s.key() == key).count();
    *scores = &scores[n..];
    n as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_known_values() {
        // Of ½ a bucket is done when 1/n < bound²: n > 4 at bound ½.
        let bucket = |error, rows| Bucket { error, rows };
        assert_eq!(buckets(&[0.5f64; 3], &[0.5; 1], 0.1, 0.5), [], "too few rows");
        assert_eq!(buckets(&[0.5f64; 3], &[0.5; 3], 0.1, 0.5), [bucket(0.0, 6)], "as promised");
        assert_eq!(buckets(&[0.5f64; 6], &[0.5; 2], 0.1, 0.5), [bucket(0.5, 8)], "6 for 4");
        let (p, n) = ([0.5f64, 0.5, 0.5, 0.75, 0.75, 0.75], [0.5, 0.5, 0.5]);
        assert_eq!(
            buckets(&p, &n, 0.1, 0.5),
            [bucket(0.0, 6), bucket(0.75 / 2.25, 3)],
            "the next one starts behind it"
        );
        assert_eq!(buckets(&[0.5f64, 0.5, 0.5, 0.75], &[], 0.1, 0.5), [], "given up where it spans too much");
        assert_eq!(buckets::<f32>(&[], &[0.0, 0.0], 0.1, 0.5), [], "nothing is promised");
    }
}
