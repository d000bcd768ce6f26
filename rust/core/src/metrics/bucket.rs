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
    let mut open = Open { span, square: bound * bound, ..Open::default() };
    let mut n = 0;
    for (i, &p) in positives.iter().enumerate() {
        // Negatives below the positive, then those that equal it; of equal positives the first one takes all.
        n = open.add_all(negatives, n, |s| s < p);
        let ties = negatives[n..].iter().take_while(|&&s| s == p).count();
        open.found += 1;
        open.these += 1 + ties as u64;
        n += ties;
        if positives.get(i + 1) != Some(&p) {
            open.add(p.real());
        }
    }
    open.add_all(negatives, n, |_| true);
    open.done
}

/// The bucket that is filled, and those that were done.
#[derive(Default)]
struct Open {
    span: f64,
    square: f64,
    /// Rows and positives of the prediction that is next.
    these: u64,
    found: u64,
    start: Option<f64>,
    size: u64,
    promised: f64,
    observed: u64,
    done: Vec<Bucket>,
}

impl Open {
    /// Adds the negatives from `at` on that are `in_it`; returns where they end.
    #[inline(always)]
    fn add_all<S: Score>(&mut self, negatives: &[S], mut at: usize, in_it: impl Fn(S) -> bool) -> usize {
        while let Some(&s) = negatives.get(at)
            && in_it(s)
        {
            let mut end = at + 1;
            while negatives.get(end) == Some(&s) {
                end += 1;
            }
            self.these = (end - at) as u64;
            at = end;
            self.add(s.real());
        }
        at
    }

    /// Adds one prediction.
    #[inline(always)]
    fn add(&mut self, here: f64) {
        if self.start.is_none_or(|start| here - start > self.span) {
            (self.start, self.size, self.promised, self.observed) = (Some(here), 0, 0.0, 0);
        }
        self.size += self.these;
        self.promised += here * self.these as f64;
        self.observed += self.found;
        (self.these, self.found) = (0, 0);
        let rows = self.size as f64;
        // The rule without the division by 0.
        if rows - self.promised < self.square * self.promised * rows {
            let error = (self.observed as f64 - self.promised).abs() / self.promised;
            self.done.push(Bucket { error, rows: self.size });
            self.start = None;
        }
    }
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
