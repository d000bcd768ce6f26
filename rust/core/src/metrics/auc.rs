//! AUC: the share of pairs of a positive and a negative in which the positive has the higher score, ties counting half.
//!
//! ```text
//! AUC = 1/(P·N) · Σ_{x in positives} ( #{negatives below x} + ½ #{negatives equal to x} )
//!     = Σ_x ( #{negatives below x} + #{negatives up to x} ) / (2·P·N)              integers, and one division
//! ```
//!
//! 1. Few positives, or few negatives, are sorted, and every row looks up where it stands among them (`rank`).
//! 2. Otherwise all rows are put in order, each key with its label, and counted as they are walked (`marked`).
//! 3. With weights a pair counts w_i·w_j, and "how many negatives" is a sum of integer weights (see [`super::weight`]): rows are
//!    split by label, both sides are sorted, and walked up together.
//!
//! Keys alone are sorted: no index, and nothing is gathered. Sums are `u64` for rows and `u128` for pairs: nothing rounds,
//! overflows, or depends on an order.

use super::key::{Key, Score};
use super::marked::{self, Bucket, Fold};
use super::rank;
use super::ratio::ratio;
use super::sort::{self, Item};
use super::weight::{self, Unit};
use super::{Found, MetricError, ROWS};
use crate::exec::Exec;
use crate::isa::Kernel;
use crate::pool;

/// What happens to a row whose score is NaN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Nan {
    /// An error.
    Raise,
    /// It does not count.
    Drop,
    /// It ranks below −inf.
    Lowest,
}

/// Rows: labels (bytes 0 and 1), scores, and weights if there are any.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a, S> {
    /// 1 for a positive, 0 for a negative.
    pub labels: &'a [u8],
    /// Scores.
    pub scores: &'a [S],
    /// Sample weights: finite and >= 0. A row of weight 0 does not exist.
    pub weights: Option<&'a [f64]>,
}

/// Rows that do not count, and why.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Left {
    /// The score is NaN.
    pub nan: u64,
    /// The weight is 0.
    pub weightless: u64,
}

/// Pairs of a positive and a negative, in units of weight.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Pairs {
    /// In which the positive scores higher.
    pub below: u128,
    /// In which both score the same.
    pub tied: u128,
    /// All of them.
    pub all: u128,
}

impl Pairs {
    /// AUC; `None` when there is no pair.
    #[must_use]
    pub fn auc(&self) -> Option<f64> {
        (self.all > 0).then(|| ratio(2 * self.below + self.tied, 2 * self.all))
    }
}

/// AUC and what it was computed from.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Auc {
    /// Pairs.
    pub pairs: Pairs,
    /// Rows of the positive class.
    pub positives: u64,
    /// Rows of the negative class.
    pub negatives: u64,
    /// Rows that did not count.
    pub left: Left,
}

/// AUC of all rows.
///
/// # Panics
/// When the lengths differ.
pub fn auc<S: Score>(exec: &Exec, rows: &Rows<'_, S>, nan: Nan) -> Result<Auc, MetricError> {
    let (counts, left) = rows.check(exec, nan)?;
    let (positives, negatives) = total(&counts);
    let pairs = match rows.weights {
        None => rank::pairs(exec, rows, (positives, negatives), nan == Nan::Drop)
            .unwrap_or_else(|| in_order(exec, rows, &counts, left.nan > 0)),
        Some(_) => {
            let mut classes = Classes::<Weighted<S::Key>>::split(exec, rows, nan, &counts);
            classes.settle(exec);
            classes.pairs(exec)
        }
    };
    Ok(Auc { pairs, positives, negatives, left })
}

/// The pairs of rows without weights, counted as they are walked in order.
fn in_order<S: Score>(exec: &Exec, rows: &Rows<'_, S>, counts: &[Counts], drop_nan: bool) -> Pairs {
    let walked = marked::fold(exec, rows, counts, drop_nan, &mut marked::nothing(rows), &Walk);
    let (mut pairs, mut negatives, mut positives) = (Pairs::default(), 0, 0);
    for run in walked {
        pairs.below += run.below + u128::from(run.positives) * u128::from(negatives);
        pairs.tied += run.tied;
        negatives += run.negatives;
        positives += run.positives;
    }
    Pairs { all: u128::from(positives) * u128::from(negatives), ..pairs }
}

/// Counts pairs within a run of rows.
struct Walk;

/// Pairs of a run, and its rows.
#[derive(Default)]
struct Walked {
    below: u128,
    tied: u128,
    positives: u64,
    negatives: u64,
}

impl<S: Score> Fold<S> for Walk {
    type Sum = Walked;
    type Out = ();

    fn bucket<W: Key>(&self, sum: &mut Walked, bucket: &Bucket<'_, S::Key, W>, _: &mut [()]) {
        let negatives = sum.negatives;
        let positives = bucket.each_step(|_, p, tied, below| {
            sum.below += u128::from(p) * u128::from(negatives + below);
            sum.tied += u128::from(p) * u128::from(tied);
        });
        sum.positives += positives;
        sum.negatives += bucket.rows() - positives;
    }
}

/// Rows of one piece that count.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Counts {
    positives: usize,
    negatives: usize,
    pub(crate) nan: usize,
    weightless: usize,
    /// The least and the largest key, where there are no weights.
    keys: Option<(u64, u64)>,
}

/// The least and the largest key of all rows.
pub(crate) fn range<K: Key>(counts: &[Counts]) -> (K, K) {
    let ends = counts.iter().filter_map(|c| c.keys).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    let (least, most) = ends.unwrap_or_default();
    (K::narrow(least), K::narrow(most))
}

pub(crate) fn total(counts: &[Counts]) -> (u64, u64) {
    counts.iter().fold((0, 0), |(p, n), c| (p + c.positives as u64, n + c.negatives as u64))
}

impl<'a, S: Score> Rows<'a, S> {
    /// Checks weights and scores, and counts the classes of each piece.
    pub(crate) fn check(&self, exec: &Exec, nan: Nan) -> Result<(Vec<Counts>, Left), MetricError> {
        let rows = self.labels.len();
        assert_eq!(self.scores.len(), rows, "as many scores as labels");
        assert!(self.weights.is_none_or(|w| w.len() == rows), "as many weights as labels");
        if rows == 0 {
            return Err(MetricError::Empty);
        }
        if let Some(weights) = self.weights {
            weight::check(exec, weights)?;
        }
        let counts = pool::map(exec.threads_for(rows), rows.div_ceil(ROWS), |i| {
            exec.level.run(Count { rows: self.piece(i), nan })
        });
        let left = Left {
            nan: counts.iter().map(|c| c.nan as u64).sum(),
            weightless: counts.iter().map(|c| c.weightless as u64).sum(),
        };
        if left.nan > 0
            && nan == Nan::Raise
            && let Some(found) = Found::search(self.scores, self.weights, S::is_nan)
        {
            return Err(MetricError::Nan(found));
        }
        if counts.iter().all(|c| c.positives + c.negatives == 0) {
            return Err(MetricError::AllNan(rows));
        }
        Ok((counts, Left { nan: if nan == Nan::Drop { left.nan } else { 0 }, ..left }))
    }

    /// Piece `i` of [`ROWS`] rows.
    fn piece(&self, i: usize) -> Self {
        self.range(i * ROWS, self.labels.len().min((i + 1) * ROWS))
    }

    /// Rows `from` up to `to`.
    #[inline(always)]
    pub(crate) fn range(&self, from: usize, to: usize) -> Self {
        Self {
            labels: &self.labels[from..to],
            scores: &self.scores[from..to],
            weights: self.weights.map(
                #[inline(always)]
                |w| &w[from..to],
            ),
        }
    }
}

/// Counts the rows of a piece.
struct Count<'a, S> {
    rows: Rows<'a, S>,
    nan: Nan,
}

impl<S: Score> Kernel for Count<'_, S> {
    type Out = Counts;

    #[inline(always)]
    fn run(self) -> Counts {
        let Rows { labels, scores, weights } = self.rows;
        let drop_nan = self.nan != Nan::Lowest;
        let mut counts = Counts::default();
        match weights {
            None => {
                // Bytes of labels and flags add up in narrow counters, which vectorise; 1024 of them fit 16 bits.
                let Some(first) = scores.first() else { return counts };
                let (mut least, mut most) = (first.key(), first.key());
                for (labels, scores) in labels.chunks(1024).zip(scores.chunks(1024)) {
                    let (mut nans, mut dropped, mut ones) = (0u16, 0u16, 0u16);
                    for score in scores {
                        least = least.min(score.key());
                        most = most.max(score.key());
                    }
                    for (&label, &score) in labels.iter().zip(scores) {
                        let nan = u16::from(score.is_nan());
                        nans += nan;
                        dropped += nan & u16::from(label);
                        ones += u16::from(label);
                    }
                    let (nans, dropped, ones) = (usize::from(nans), usize::from(dropped), usize::from(ones));
                    counts.nan += nans;
                    counts.positives += ones - if drop_nan { dropped } else { 0 };
                    counts.negatives += labels.len() - ones - if drop_nan { nans - dropped } else { 0 };
                }
                counts.keys = Some((least.wide(), most.wide()));
            }
            Some(weights) => {
                for ((&label, &score), &w) in labels.iter().zip(scores).zip(weights) {
                    let exists = w > 0.0;
                    let counts_in = exists & !(drop_nan & score.is_nan());
                    counts.weightless += usize::from(!exists);
                    counts.nan += usize::from(exists & score.is_nan());
                    counts.positives += usize::from(counts_in & (label == 1));
                    counts.negatives += usize::from(counts_in & (label == 0));
                }
            }
        }
        counts
    }
}

/// A row of one class: a key, alone or with its weight.
pub(crate) trait Member: Item {
    /// Whether it has a weight.
    const WEIGHTED: bool;
    /// From a score's key and its weight.
    fn new(key: Self::Key, weight: f64) -> Self;
    /// Its weight, before [`Member::settle`].
    fn raw(&self) -> f64;
    /// Its weight in this unit, before [`Member::settle`].
    fn raw_weight(&self, unit: Unit) -> u64;
    /// Turns the weights of a class into integers of a unit of their own.
    fn settle(exec: &Exec, members: &mut [Self]);
    /// Turns the integers of a sorted class into running sums; returns the whole sum.
    fn accumulate(members: &mut [Self]) -> u64;
    /// Its integer.
    fn weight(&self) -> u64;
    /// The sum of the first `n` members, after [`Member::accumulate`].
    fn sum_of(members: &[Self], n: usize) -> u64;
}

impl<K: Key> Member for K {
    const WEIGHTED: bool = false;
    #[inline(always)]
    fn new(key: K, _: f64) -> K {
        key
    }
    #[inline(always)]
    fn raw(&self) -> f64 {
        1.0
    }
    #[inline(always)]
    fn raw_weight(&self, _: Unit) -> u64 {
        1
    }
    fn settle(_: &Exec, _: &mut [K]) {}
    fn accumulate(members: &mut [K]) -> u64 {
        members.len() as u64
    }
    #[inline(always)]
    fn weight(&self) -> u64 {
        1
    }
    #[inline(always)]
    fn sum_of(_: &[K], n: usize) -> u64 {
        n as u64
    }
}

/// A key with its weight: the bits of an `f64` at first, then an integer, then a running sum.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Weighted<K> {
    key: K,
    weight: u64,
}

impl<K: Key> Item for Weighted<K> {
    type Key = K;
    #[inline(always)]
    fn key(&self) -> K {
        self.key
    }
}

impl<K: Key> Member for Weighted<K> {
    const WEIGHTED: bool = true;
    #[inline(always)]
    fn new(key: K, weight: f64) -> Self {
        Self { key, weight: weight.to_bits() }
    }
    #[inline(always)]
    fn raw(&self) -> f64 {
        f64::from_bits(self.weight)
    }
    #[inline(always)]
    fn raw_weight(&self, unit: Unit) -> u64 {
        unit.integer(self.raw())
    }
    fn settle(exec: &Exec, members: &mut [Self]) {
        let unit = Unit::of_slice(exec, members, |m| f64::from_bits(m.weight));
        let mut pieces: Vec<_> = members.chunks_mut(ROWS).collect();
        pool::for_each(exec.threads_for(pieces.len() * ROWS), &mut pieces, |piece| {
            piece.iter_mut().for_each(|m| m.weight = m.raw_weight(unit));
        });
    }
    fn accumulate(members: &mut [Self]) -> u64 {
        let mut sum = 0;
        for m in members {
            sum += m.weight;
            m.weight = sum;
        }
        sum
    }
    #[inline(always)]
    fn weight(&self) -> u64 {
        self.weight
    }
    #[inline(always)]
    fn sum_of(members: &[Self], n: usize) -> u64 {
        if n == 0 { 0 } else { members[n - 1].weight }
    }
}

/// The rows that count, by class.
#[derive(Debug)]
pub(crate) struct Classes<M> {
    pub(crate) positives: Vec<M>,
    pub(crate) negatives: Vec<M>,
}

impl<M: Member> Classes<M> {
    /// Splits rows whose pieces hold `counts`.
    pub(crate) fn split<S: Score<Key = M::Key>>(
        exec: &Exec,
        rows: &Rows<'_, S>,
        nan: Nan,
        counts: &[Counts],
    ) -> Self {
        let (p, n) = total(counts);
        let (mut positives, mut negatives) = (sort::fresh(p as usize), sort::fresh(n as usize));
        let (mut free_p, mut free_n) = (&mut positives[..], &mut negatives[..]);
        let mut pieces: Vec<_> = counts
            .iter()
            .enumerate()
            .map(|(i, c)| {
                let (p, n);
                (p, free_p) = std::mem::take(&mut free_p).split_at_mut(c.positives);
                (n, free_n) = std::mem::take(&mut free_n).split_at_mut(c.negatives);
                (rows.piece(i), p, n)
            })
            .collect();
        pool::for_each(exec.threads_for(rows.labels.len()), &mut pieces, |(rows, p, n)| {
            exec.level.run(Split { rows: *rows, nan, positives: p, negatives: n });
        });
        Self { positives, negatives }
    }

    /// Turns weights into integers.
    pub(crate) fn settle(&mut self, exec: &Exec) {
        M::settle(exec, &mut self.positives);
        M::settle(exec, &mut self.negatives);
    }

    /// Counts the pairs of settled members.
    pub(crate) fn pairs(&mut self, exec: &Exec) -> Pairs {
        sort::sort(exec, &mut self.positives);
        sort::sort(exec, &mut self.negatives);
        let negative = M::accumulate(&mut self.negatives);
        let (p, n) = (&self.positives, &self.negatives);
        // Few positives among many negatives look their place up; many walk to it.
        let far = n.len() / 256 > p.len();
        let pieces = pool::map(exec.threads_for(p.len() + n.len()), p.len().div_ceil(PIECE), |i| {
            walk(&p[i * PIECE..p.len().min((i + 1) * PIECE)], n, far)
        });
        let positive: u128 = p.iter().map(|m| u128::from(m.weight())).sum();
        let (below, up_to) = pieces.into_iter().fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        Pairs { below, tied: up_to - below, all: positive * u128::from(negative) }
    }
}

/// Positives of one piece of the walk.
const PIECE: usize = 1 << 13;

/// Σ over sorted positives of the negatives' weight below it, and up to it. Both sides are sorted.
fn walk<M: Member>(positives: &[M], negatives: &[M], far: bool) -> (u128, u128) {
    let Some(first) = positives.first() else { return (0, 0) };
    let mut key = first.key();
    let mut below = negatives.partition_point(|m| m.key() < key);
    let mut up_to = advance(negatives, below, far, |m| m.key() <= key);
    let (mut sum_below, mut sum_up_to) = (0u128, 0u128);
    for p in positives {
        if p.key() != key {
            key = p.key();
            below = advance(negatives, up_to, far, |m| m.key() < key);
            up_to = advance(negatives, below, far, |m| m.key() <= key);
        }
        let w = u128::from(p.weight());
        sum_below += w * u128::from(M::sum_of(negatives, below));
        sum_up_to += w * u128::from(M::sum_of(negatives, up_to));
    }
    (sum_below, sum_up_to)
}

/// The first place at or after `from` whose item is not `before`.
#[inline(always)]
fn advance<M>(items: &[M], from: usize, far: bool, before: impl Fn(&M) -> bool) -> usize {
    if far {
        return from + items[from..].partition_point(before);
    }
    let mut at = from;
    while at < items.len() && before(&items[at]) {
        at += 1;
    }
    at
}

/// Copies the rows of a piece to their class.
struct Split<'a, 'b, S, M> {
    rows: Rows<'a, S>,
    nan: Nan,
    positives: &'b mut [M],
    negatives: &'b mut [M],
}

impl<S: Score, M: Member<Key = S::Key>> Kernel for Split<'_, '_, S, M> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        match self.rows.weights {
            None => self.split(
                #[inline(always)]
                |_| 1.0,
            ),
            Some(weights) => self.split(
                #[inline(always)]
                |i| weights[i],
            ),
        }
    }
}

impl<S: Score, M: Member<Key = S::Key>> Split<'_, '_, S, M> {
    /// Without a branch on the label: each row is written to both sides of a small buffer, and one side moves on.
    #[inline(always)]
    fn split(self, weight: impl Fn(usize) -> f64) {
        const BLOCK: usize = 512;
        let Self { rows: Rows { labels, scores, .. }, nan, mut positives, mut negatives } = self;
        let (mut a, mut b) = ([M::default(); BLOCK], [M::default(); BLOCK]);
        let drop_nan = nan != Nan::Lowest;
        for start in (0..labels.len()).step_by(BLOCK) {
            let end = labels.len().min(start + BLOCK);
            let (mut p, mut n) = (0, 0);
            for i in start..end {
                let (label, score, w) = (labels[i] & 1, scores[i], weight(i));
                let member = M::new(score.key(), w);
                let counts_in = u8::from(w > 0.0) & !(u8::from(drop_nan) & u8::from(score.is_nan()));
                a[p % BLOCK] = member;
                b[n % BLOCK] = member;
                p += usize::from(label & counts_in);
                n += usize::from((label ^ 1) & counts_in);
            }
            // The counts are those of the check; rows that someone changed since then are cut off.
            let (p, n) = (p.min(positives.len()), n.min(negatives.len()));
            positives[..p].copy_from_slice(&a[..p]);
            negatives[..n].copy_from_slice(&b[..n]);
            positives = &mut positives[p..];
            negatives = &mut negatives[n..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::naive;
    use crate::metrics::naive::tests::{executions, noise};
    use proptest::prelude::*;

    /// On every level and thread count, and against the naive pairs.
    fn check<S: Score + PartialOrd>(labels: &[u8], scores: &[S], weights: Option<&[f64]>, nan: Nan) -> Auc {
        let rows = Rows { labels, scores, weights };
        let results: Vec<_> = executions().map(|exec| auc(&exec, &rows, nan)).collect();
        assert!(results.iter().all(|r| r.is_ok()), "{:?}", results[0]);
        assert!(results.windows(2).all(|w| w[0] == w[1]), "the same on every level and thread count");
        results[0].clone().unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn pairs_at_known_values() {
        let got = check(&[0, 0, 1, 1], &[0.1f32, 0.4, 0.35, 0.8], None, Nan::Raise);
        assert_eq!(got.pairs, Pairs { below: 3, tied: 0, all: 4 }, "the example of the libraries");
        assert_eq!(got.pairs.auc(), Some(0.75), "AUC");
        let got = check(&[0, 1, 1, 0], &[0.0f64, -0.0, f64::INFINITY, f64::NEG_INFINITY], None, Nan::Raise);
        assert_eq!(got.pairs, Pairs { below: 3, tied: 1, all: 4 }, "the zeros tie");
        assert_eq!(check(&[1, 1], &[1i64, 2], None, Nan::Raise).pairs.auc(), None, "one class");
    }

    #[test]
    fn nan_and_weight_zero() {
        let (labels, scores) = ([1, 0, 1, 0, 1], [f32::NAN, 0.5, 0.75, f32::NAN, 0.25]);
        let got = check(&labels, &scores, None, Nan::Drop);
        assert_eq!((got.pairs.below, got.pairs.all, got.left.nan), (1, 2, 2), "dropped");
        let got = check(&labels, &scores, None, Nan::Lowest);
        assert_eq!(got.pairs, Pairs { below: 3, tied: 1, all: 6 }, "lowest");
        assert_eq!(got.left.nan, 0, "none left out");
        let error = auc(
            &executions().next().unwrap(),
            &Rows { labels: &labels, scores: &scores, weights: None },
            Nan::Raise,
        );
        let found = Found { value: "NaN".into(), index: 0, count: 2, rows: 5 };
        assert_eq!(error, Err(MetricError::Nan(found)), "raised");
        let weights = [0.0, 1.0, 1.0, 0.0, 1.0];
        let got = check(&labels, &scores, Some(&weights), Nan::Raise);
        assert_eq!(got.left, Left { nan: 0, weightless: 2 }, "a NaN of weight 0 does not exist");
        let weighted = Rows { labels: &labels, scores: &scores, weights: Some(&[0.0, 1.0, 1.0, 1.0, 1.0]) };
        for exec in executions() {
            let found = Found { value: "NaN".into(), index: 3, count: 1, rows: 5 };
            assert_eq!(auc(&exec, &weighted, Nan::Raise), Err(MetricError::Nan(found)), "and is not counted");
        }
        assert_eq!((got.positives, got.negatives), (2, 1), "classes");
    }

    #[test]
    fn around_the_edges_of_pieces() {
        for n in [1, 511, 512, 513, 1025, ROWS - 1, ROWS, ROWS + 1, 2 * ROWS + 3] {
            for share in [2, 33, 4001] {
                let labels: Vec<u8> = noise(n).map(|x| u8::from(x % share == 0)).collect();
                let scores: Vec<f32> = noise(2 * n).skip(n).map(|x| (x % 1000) as f32 - 500.0).collect();
                let got = check(&labels, &scores, None, Nan::Raise);
                assert_eq!(got.pairs, naive::by_value(&labels, &scores), "{n} rows, one in {share} positive");
                let ones = vec![0.37; n];
                let weighted = check(&labels, &scores, Some(&ones), Nan::Raise);
                let bits = |a: &Auc| a.pairs.auc().map(f64::to_bits);
                assert_eq!(bits(&weighted), bits(&got), "equal weights are none");
            }
        }
    }

    #[test]
    fn more_pairs_than_64_bits() {
        // 2^40 rows of each class, as two weights of 2^40.
        let huge = (1u64 << 40) as f64;
        let got = check(&[1, 1, 0, 0], &[2.0f32, 1.0, 1.0, 0.0], Some(&[huge; 4]), Nan::Raise);
        assert_eq!(got.pairs.auc(), Some(0.875), "three pairs and a tie of four");
        assert!(got.pairs.all > 1 << 100, "counted in more than 64 bits: {:?}", got.pairs);
    }

    fn score() -> impl Strategy<Value = f64> {
        prop_oneof![
            4 => (-4i32..4).prop_map(f64::from),
            2 => any::<u64>().prop_map(f64::from_bits).prop_filter("a number", |x| !x.is_nan()),
            1 => prop::sample::select(vec![0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, 5e-324, -5e-324]),
        ]
    }

    proptest! {
        #[test]
        fn as_counted_pair_by_pair(rows in prop::collection::vec((0u8..2, score(), 0u32..4), 1..150)) {
            let labels: Vec<u8> = rows.iter().map(|r| r.0).collect();
            let scores: Vec<f64> = rows.iter().map(|r| r.1).collect();
            let got = check(&labels, &scores, None, Nan::Raise);
            prop_assert_eq!(got.pairs, naive::pairs(&labels, &scores, |_| 1));
            let narrow: Vec<f32> = scores.iter().map(|&s| s as f32).collect();
            prop_assert_eq!(check(&labels, &narrow, None, Nan::Raise).pairs, naive::pairs(&labels, &narrow, |_| 1));

            // Integer weights are repeated rows.
            let weights: Vec<f64> = rows.iter().map(|r| f64::from(r.2)).collect();
            prop_assume!(weights.iter().any(|&w| w > 0.0));
            let got = check(&labels, &scores, Some(&weights), Nan::Raise).pairs.auc().map(f64::to_bits);
            let want = naive::pairs(&labels, &scores, |i| rows[i].2.into()).auc().map(f64::to_bits);
            prop_assert_eq!(got, want);
        }
    }
}
