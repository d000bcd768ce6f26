//! All rows in the order of their scores, each with its label: a radix sort whose buckets are handed on while they are in cache.
//!
//! ```text
//! 1  check      least and largest key, NaN, counts of the classes        [`Rows::check`](super::auc::Rows)
//! 2  count      how many rows fall into each of some 2^11 stretches of keys
//! 3  scatter    every row to its bucket as one word: key·2 + label, the highest bit of the key left out
//! 4  buckets    each is sorted in cache and folded there, a run of buckets for each task
//! ```
//!
//! 1. The bit that is left out is the same for a whole bucket, as none lies across the middle of all keys. So a 32-bit key
//!    and its label are 32 bits, and the memory beside the rows is one word for each of them.
//! 2. Many rows whose keys differ in few of their high bits, as 32-bit probabilities do, take words of 16 bits: stretches are of
//!    2^15 keys then, and the bits that all keys of one share are left out.
//! 3. Otherwise stretches are of equal width between two quantiles of a sample of the rows, so that a few scores far away do not
//!    widen them all; what is beyond belongs to the first bucket, and to the last one. A bucket that is large all the same is
//!    sorted in rounds ([`sort_with`](sort::sort_with)).

use std::marker::PhantomData;

use super::ROWS;
use super::auc::{self, Counts, Nan, Rows};
use super::key::{Key, Score};
use super::sort::{self, BUCKET_BITS, LOCAL};
use crate::exec::Exec;
use crate::isa::Kernel;
use crate::pages;
use crate::pool;

/// Rows of the sample.
const SAMPLE: usize = 1024;
/// One of so many at each end of it is beyond the stretches.
const TAIL: usize = 256;
/// Rows for each bucket, where there are few.
const FEW: usize = 128;
/// Buckets of more rows than this are sorted by all threads together.
const GIANT: usize = 1 << 19;
/// Runs of buckets for each thread: enough that all end together.
const RUNS: usize = 16;
/// Rows whose keys are computed together.
const BLOCK: usize = 256;

/// Words of 16 bits are for so many rows,
const MANY: usize = 1 << 20;
/// and for so many stretches: most of them are empty, and those that are not are some 2^11.
const SPARSE: u64 = 1 << 13;

/// Rows of neighbouring scores, in order.
pub(crate) struct Bucket<'a, K, W> {
    /// The bits that all keys share and that words leave out, in their place.
    high: u64,
    words: &'a [W],
    key: PhantomData<K>,
}

/// What is made of rows in order.
pub(crate) trait Fold<S: Score>: Sync {
    /// What comes of a run of buckets.
    type Sum: Default + Send;
    /// What is written for each row.
    type Out: Send;
    /// Adds a bucket to what came of those below it in the same run; `out` is its place in the output.
    fn bucket<W: Key>(&self, sum: &mut Self::Sum, bucket: &Bucket<'_, S::Key, W>, out: &mut [Self::Out]);
}

impl<K: Key, W: Key> Bucket<'_, K, W> {
    /// The keys, rising.
    #[inline(always)]
    pub(crate) fn keys(&self) -> impl Iterator<Item = K> {
        self.words.iter().map(|word| K::narrow(self.high | word.wide() >> 1))
    }

    /// How many rows it has.
    pub(crate) fn rows(&self) -> u64 {
        self.words.len() as u64
    }

    /// Calls `f` with each distinct key that has positives, rising: how many they are, the negatives that equal them, and those
    /// of the bucket that are below. Returns all positives.
    #[inline(always)]
    pub(crate) fn each_step(&self, mut f: impl FnMut(K, u64, u64, u64)) -> u64 {
        let (mut done, mut positives) = (0, 0);
        while let Some(next) = first_positive(&self.words[done..]) {
            let value = self.words[done + next].wide() >> 1;
            let equals = |word: &&W| word.wide() >> 1 == value;
            let before = self.words[done..done + next].iter().rev().take_while(equals).count();
            let here = &self.words[done + next..];
            let ties = here.iter().take_while(equals).count();
            let found: u64 = here[..ties].iter().map(|word| word.wide() & 1).sum();
            let below = (done + next - before) as u64 - positives;
            f(K::narrow(self.high | value), found, (before + ties) as u64 - found, below);
            positives += found;
            done += next + ties;
        }
        positives
    }
}

/// Where the first word of a positive is; most blocks hold none where positives are rare.
#[inline(always)]
fn first_positive<K: Key>(words: &[K]) -> Option<usize> {
    let mut skipped = 0;
    for block in words.chunks(8) {
        if block.iter().fold(0, |any, word| any | word.wide()) & 1 == 1 {
            return block.iter().position(|word| word.wide() & 1 == 1).map(|at| skipped + at);
        }
        skipped += block.len();
    }
    None
}

/// An output for folds that write none.
pub(crate) fn nothing<S>(rows: &Rows<'_, S>) -> Vec<()> {
    vec![(); rows.labels.len()]
}

/// Sorts rows, weights apart, and folds them from the lowest score; `out` has one item for each row that counts. Returns what
/// came of each run of buckets, in order.
pub(crate) fn fold<S: Score, F: Fold<S>>(
    exec: &Exec,
    rows: &Rows<'_, S>,
    counts: &[Counts],
    drop_nan: bool,
    out: &mut [F::Out],
    what: &F,
) -> Vec<F::Sum> {
    if drop_nan {
        let there = rows.labels.iter().zip(rows.scores).filter(|(_, score)| !score.is_nan());
        let (labels, scores): (Vec<u8>, Vec<S>) = there.map(|(&label, &score)| (label, score)).unzip();
        let rows = Rows { labels: &labels, scores: &scores, weights: None };
        let counts = rows.check(exec, Nan::Raise).map_or_else(|_| Vec::new(), |(counts, _)| counts);
        return fold(exec, &rows, &counts, false, &mut out[..labels.len()], what);
    }
    let range = auc::range::<S::Key>(counts);
    match Stretches::narrow(exec, rows.labels.len(), range) {
        Some(stretches) => by_words::<S, F, u16>(exec, rows, stretches, out, what),
        None => by_words::<S, F, S::Key>(exec, rows, Stretches::new(rows.scores, range), out, what),
    }
}

/// The same, with words of type `W`.
fn by_words<S: Score, F: Fold<S>, W: Key>(
    exec: &Exec,
    rows: &Rows<'_, S>,
    stretches: Stretches<S::Key, W>,
    out: &mut [F::Out],
    what: &F,
) -> Vec<F::Sum> {
    let n = rows.labels.len();
    let mut words: Vec<W> = pages::zeros(n);
    let sizes = stretches.scatter(exec, rows, &mut words);
    let mut runs = runs::<_, F::Sum, _>(&sizes, n.div_ceil(exec.threads_for(n) * RUNS), &mut words, out);
    let key = |word: &W| word.wide() >> 1;
    for run in &mut runs {
        for (_, words) in run.buckets().filter(|(_, words)| words.len() > GIANT) {
            sort::sort_with(exec, words, &mut pages::zeros(words.len()), key);
        }
    }
    pool::for_each(exec.threads_for(n), &mut runs, |run| {
        let alone = Exec { threads: 1, ..*exec };
        let mut scratch = Vec::new();
        let mut out = std::mem::take(&mut run.out);
        let mut result = F::Sum::default();
        for (bucket, words) in run.buckets() {
            if words.len() <= GIANT {
                scratch.resize(scratch.len().max(words.len()), W::default());
                let scratch = &mut scratch[..words.len()];
                match stretches.inside(bucket) {
                    Some((least, bits)) if words.len() <= 8 * LOCAL => {
                        sort::local(words, scratch, least, bits, key)
                    }
                    _ => sort::sort_with(&alone, words, scratch, key),
                }
            }
            let mine;
            (mine, out) = out.split_at_mut(words.len());
            let bucket = Bucket { high: stretches.high(bucket), words, key: PhantomData };
            what.bucket(&mut result, &bucket, mine);
        }
        run.result = result;
    });
    runs.into_iter().map(|run| run.result).collect()
}

/// Neighbouring buckets, sorted and folded by one thread.
struct Run<'a, K, A, O> {
    first: usize,
    sizes: &'a [usize],
    words: &'a mut [K],
    out: &'a mut [O],
    result: A,
}

impl<K, A, O> Run<'_, K, A, O> {
    /// Number and words of each bucket that has some.
    fn buckets(&mut self) -> impl Iterator<Item = (usize, &mut [K])> {
        let (first, mut rest) = (self.first, &mut *self.words);
        let all = self.sizes.iter().enumerate().map(move |(i, &size)| {
            let mine;
            (mine, rest) = std::mem::take(&mut rest).split_at_mut(size);
            (first + i, mine)
        });
        all.filter(|(_, words)| !words.is_empty())
    }
}

/// Cuts buckets of these sizes into runs of some `rows`.
fn runs<'a, K, A: Default, O>(
    mut sizes: &'a [usize],
    rows: usize,
    mut words: &'a mut [K],
    mut out: &'a mut [O],
) -> Vec<Run<'a, K, A, O>> {
    let (mut runs, mut first) = (Vec::new(), 0);
    while !sizes.is_empty() {
        let (mut end, mut n) = (0, 0);
        while end < sizes.len() && (n < rows || end == 0) {
            n += sizes[end];
            end += 1;
        }
        let (here, mine, place);
        (here, sizes) = sizes.split_at(end);
        (mine, words) = words.split_at_mut(n);
        (place, out) = out.split_at_mut(n);
        runs.push(Run { first, sizes: here, words: mine, out: place, result: A::default() });
        first += end;
    }
    runs
}

/// Stretches of 2^shift keys, from first·2^shift on, none of which lies across a multiple of what a word can tell apart.
struct Stretches<K, W> {
    first: u64,
    count: usize,
    shift: u32,
    range: (K, K),
    word: PhantomData<W>,
}

impl<K: Copy, W> Clone for Stretches<K, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: Copy, W> Copy for Stretches<K, W> {}

impl<K: Key> Stretches<K, u16> {
    /// Where words of 16 bits do.
    fn narrow(exec: &Exec, rows: usize, range: (K, K)) -> Option<Self> {
        let shift = u16::BITS - 1;
        let (first, last) = (range.0.wide() >> shift, range.1.wide() >> shift);
        let many = exec.serial_below == 0 || rows >= MANY; // tests that set it to 0 want all of it
        (many && last - first < SPARSE).then(|| Self {
            first,
            count: (last - first + 1) as usize,
            shift,
            range,
            word: PhantomData,
        })
    }
}

impl<K: Key> Stretches<K, K> {
    /// The middle of all keys.
    const HALF: u64 = 1 << (K::BITS - 1);

    fn new<S: Score<Key = K>>(scores: &[S], range: (K, K)) -> Self {
        let (least, most) = (range.0.wide(), range.1.wide());
        let (mut low, mut high) = (least, most);
        if scores.len() >= ROWS {
            let mut sample: Vec<_> =
                scores.iter().step_by(scores.len().div_ceil(SAMPLE)).map(|s| s.key().wide()).collect();
            sample.sort_unstable();
            let tail = sample.len() / TAIL;
            (low, high) = (sample[tail], sample[sample.len() - 1 - tail]);
        }
        // No tail lies across the middle.
        low = if (least < Self::HALF) == (low < Self::HALF) { low } else { least };
        high = if (most < Self::HALF) == (high < Self::HALF) { high } else { most };
        let wanted = (scores.len() / FEW).max(1).next_power_of_two().trailing_zeros().min(BUCKET_BITS);
        let shift = (64 - (high - low).leading_zeros()).saturating_sub(wanted).min(K::BITS - 1);
        let first = low >> shift;
        Self { first, count: ((high >> shift) - first + 1) as usize, shift, range, word: PhantomData }
    }
}

impl<K: Key, W: Key> Stretches<K, W> {
    /// The bits of a key that a word holds.
    const HELD: u64 = (1 << (W::BITS - 1)) - 1;

    /// The bucket of a key.
    #[inline(always)]
    fn of(&self, key: K) -> u32 {
        key.stretch(K::narrow(self.first << self.shift), self.shift).min(self.count as u32 - 1)
    }

    /// The bits of the keys of a bucket that words leave out.
    fn high(&self, bucket: usize) -> u64 {
        ((self.first + bucket as u64) << self.shift) & !Self::HELD
    }

    /// The bits that words hold of its least key, and how many bits differ, of a bucket without a tail.
    fn inside(&self, bucket: usize) -> Option<(u64, u32)> {
        let stretch = self.first + bucket as u64;
        let tail = |key: K| self.of(key) as usize == bucket && key.wide() >> self.shift != stretch;
        let whole = !tail(self.range.0) && !tail(self.range.1);
        whole.then(|| ((stretch << self.shift) & Self::HELD, self.shift))
    }

    /// Writes each row to its bucket; returns the size of each.
    fn scatter<S: Score<Key = K>>(&self, exec: &Exec, rows: &Rows<'_, S>, words: &mut [W]) -> Vec<usize> {
        let n = rows.labels.len();
        let threads = exec.threads_for(n);
        let share = n.div_ceil(threads);
        let source = |i: usize| rows.range(i * share, n.min((i + 1) * share));
        let counts = pool::map(threads, n.div_ceil(share), |i| {
            exec.level.run(Count { stretches: *self, scores: source(i).scores })
        });
        let mut targets: Vec<_> = sort::targets(&counts, words).into_iter().enumerate().collect();
        pool::for_each(threads, &mut targets, |(i, targets)| {
            exec.level.run(Scatter { stretches: *self, rows: source(*i), targets });
        });
        sort::sizes(&counts)
    }
}

/// How many rows each bucket has.
struct Count<'a, S: Score, W> {
    stretches: Stretches<S::Key, W>,
    scores: &'a [S],
}

impl<S: Score, W: Key> Kernel for Count<'_, S, W> {
    type Out = Vec<usize>;

    #[inline(always)]
    fn run(self) -> Vec<usize> {
        // Two tables, as neighbours are often in one bucket: an addition waits for the one before it.
        let mut counts = [vec![0u32; self.stretches.count], vec![0; self.stretches.count]];
        let mut sums = vec![0; self.stretches.count];
        let mut buckets = [0u32; BLOCK];
        for part in self.scores.chunks(1 << 31) {
            for scores in part.chunks(BLOCK) {
                for (bucket, &score) in buckets.iter_mut().zip(scores) {
                    *bucket = self.stretches.of(score.key());
                }
                let (pairs, last) = buckets[..scores.len()].as_chunks::<2>();
                for &[a, b] in pairs {
                    counts[0][a as usize] += 1;
                    counts[1][b as usize] += 1;
                }
                last.iter().for_each(|&a| counts[0][a as usize] += 1);
            }
            for counts in &mut counts {
                for (sum, count) in sums.iter_mut().zip(counts) {
                    *sum += std::mem::take(count) as usize;
                }
            }
        }
        sums
    }
}

/// Writes rows to their buckets.
struct Scatter<'a, 'b, S: Score, W> {
    stretches: Stretches<S::Key, W>,
    rows: Rows<'a, S>,
    targets: &'a mut [std::slice::IterMut<'b, W>],
}

impl<S: Score, W: Key> Kernel for Scatter<'_, '_, S, W> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        let mut keys = [S::Key::default(); BLOCK];
        let mut buckets = [0u32; BLOCK];
        for (labels, scores) in self.rows.labels.chunks(BLOCK).zip(self.rows.scores.chunks(BLOCK)) {
            for ((key, bucket), &score) in keys.iter_mut().zip(&mut buckets).zip(scores) {
                *key = score.key();
                *bucket = self.stretches.of(*key);
            }
            for ((key, &bucket), &label) in keys.iter().zip(&buckets).zip(labels) {
                if let Some(slot) = self.targets[bucket as usize].next() {
                    *slot = W::narrow(key.wide() << 1 | u64::from(label & 1));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::naive::tests::{executions, noise};

    /// Keeps the steps of each bucket as they come, and all keys.
    struct Keep;

    impl<S: Score> Fold<S> for Keep {
        type Sum = Vec<(S::Key, u64, u64)>;
        type Out = S::Key;

        fn bucket<W: Key>(&self, sum: &mut Self::Sum, bucket: &Bucket<'_, S::Key, W>, out: &mut [S::Key]) {
            bucket.each_step(|key, positives, tied, _| sum.push((key, positives, tied)));
            out.iter_mut().zip(bucket.keys()).for_each(|(out, key)| *out = key);
        }
    }

    /// Rows in order, by words of either kind where both do, on every level and thread count.
    fn check<S: Score>(scores: &[S], what: &str) {
        let labels: Vec<u8> = noise(scores.len()).map(|x| u8::from(x % 5 == 0)).collect();
        let rows = Rows { labels: &labels, scores, weights: None };
        let mut sorted: Vec<(S::Key, u8)> = scores.iter().map(|s| s.key()).zip(labels.iter().copied()).collect();
        sorted.sort_unstable();
        let keys: Vec<S::Key> = sorted.iter().map(|row| row.0).collect();
        let steps: Vec<_> = sorted
            .chunk_by(|a, b| a.0 == b.0)
            .map(|ties| (ties[0].0, ties.iter().map(|t| u64::from(t.1)).sum::<u64>(), ties.len() as u64))
            .filter_map(|(key, positives, n)| (positives > 0).then_some((key, positives, n - positives)))
            .collect();
        for exec in executions() {
            let counts = rows.check(&exec, Nan::Lowest).unwrap().0;
            let range = auc::range::<S::Key>(&counts);
            let mut out = vec![S::Key::default(); scores.len()];
            let wide = by_words::<S, Keep, S::Key>(&exec, &rows, Stretches::new(scores, range), &mut out, &Keep);
            assert!(wide.concat() == steps && out == keys, "{what}, {exec:?}");
            if let Some(narrow) = Stretches::narrow(&exec, scores.len(), range) {
                out.fill(S::Key::default());
                let got = by_words::<S, Keep, u16>(&exec, &rows, narrow, &mut out, &Keep);
                assert!(got.concat() == steps && out == keys, "{what}, {exec:?}, in 16 bits");
            }
        }
    }

    #[test]
    fn every_kind_of_scores_comes_in_order() {
        let n = ROWS + 77;
        let unit = || noise(n).map(|x| (x % 1_000_003) as f32 / 1_000_003.0);
        for few in [1, 2, 3, FEW, 2 * FEW + 1, 5000] {
            check(&unit().take(few).collect::<Vec<_>>(), "few");
        }
        check(&unit().collect::<Vec<_>>(), "probabilities");
        check(&unit().map(|x| x.max(0.01)).collect::<Vec<_>>(), "of few octaves");
        check(&unit().map(|x| (x - 0.5) * 200.0).collect::<Vec<_>>(), "logits on both sides of 0");
        check(&unit().map(|x| f64::from(x) * 9.0 - 3.0).collect::<Vec<_>>(), "wide logits");
        check(&noise(n).map(|x| (x % 7) as i64 - 3).collect::<Vec<_>>(), "integers");
        check(&noise(n).map(|x| x << 7).collect::<Vec<_>>(), "large integers");
        let mut outliers: Vec<f32> = unit().map(|x| x * 0.1 + 0.5).collect();
        (outliers[3], outliers[999], outliers[5000]) = (f32::NEG_INFINITY, f32::INFINITY, 0.0);
        check(&outliers, "a few far away");
        (outliers[3], outliers[1234]) = (f32::NAN, -0.0);
        check(&outliers, "a NaN that is lowest");
    }

    #[test]
    fn a_giant_bucket() {
        let n = GIANT + GIANT / 8;
        let scores: Vec<f32> = noise(n).map(|x| if x % 20 == 0 { (x % 997) as f32 } else { 0.25 }).collect();
        let exec = executions().nth(1).unwrap();
        let labels: Vec<u8> = noise(n).map(|x| u8::from(x % 3 == 0)).collect();
        let rows = Rows { labels: &labels, scores: &scores, weights: None };
        let counts = rows.check(&exec, Nan::Raise).unwrap().0;
        let mut out = vec![0; n];
        fold(&exec, &rows, &counts, false, &mut out, &Keep);
        let mut keys: Vec<u32> = scores.iter().map(|s| s.key()).collect();
        keys.sort_unstable();
        assert!(out == keys, "19 of 20 rows in one bucket");
    }
}
