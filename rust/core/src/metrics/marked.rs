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
//! 2. Stretches are of equal width between two quantiles of a sample of the rows, so that a few scores far away do not widen
//!    them all; what is beyond belongs to the first bucket, and to the last one. A bucket that is large all the same is sorted
//!    in rounds ([`sort_with`](sort::sort_with)).

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

/// Rows of neighbouring scores, in order.
pub(crate) struct Bucket<'a, K> {
    /// The highest bit of all keys, in its place.
    high: u64,
    words: &'a [K],
}

impl<K: Key> Bucket<'_, K> {
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
            let equals = |word: &&K| word.wide() >> 1 == value;
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

/// Sorts rows, weights apart, and folds them from the lowest score: `fold` gets each bucket, what came of those before it in the
/// same run, and the bucket's place in `out`, which has one item for each row. Returns what came of each run, in order.
pub(crate) fn fold<S: Score, A: Default + Send, O: Send>(
    exec: &Exec,
    rows: &Rows<'_, S>,
    counts: &[Counts],
    drop_nan: bool,
    out: &mut [O],
    fold: impl Fn(&mut A, &Bucket<'_, S::Key>, &mut [O]) + Send + Sync,
) -> Vec<A> {
    if drop_nan {
        let there = rows.labels.iter().zip(rows.scores).filter(|(_, score)| !score.is_nan());
        let (labels, scores): (Vec<u8>, Vec<S>) = there.map(|(&label, &score)| (label, score)).unzip();
        let rows = Rows { labels: &labels, scores: &scores, weights: None };
        let counts = rows.check(exec, Nan::Raise).map_or_else(|_| Vec::new(), |(counts, _)| counts);
        return self::fold(exec, &rows, &counts, false, &mut out[..labels.len()], fold);
    }
    let (n, range) = (rows.labels.len(), auc::range(counts));
    let stretches = Stretches::new(rows.scores, range);
    let mut words: Vec<S::Key> = pages::zeros(n);
    let sizes = stretches.scatter(exec, rows, &mut words);
    let mut runs = runs::<_, A, _>(&sizes, n.div_ceil(exec.threads_for(n) * RUNS), &mut words, out);
    let key = |word: &S::Key| word.wide() >> 1;
    for run in &mut runs {
        for (_, words) in run.buckets().filter(|(_, words)| words.len() > GIANT) {
            sort::sort_with(exec, words, &mut pages::zeros(words.len()), key);
        }
    }
    pool::for_each(exec.threads_for(n), &mut runs, |run| {
        let alone = Exec { threads: 1, ..*exec };
        let mut scratch = Vec::new();
        let mut out = std::mem::take(&mut run.out);
        let mut result = A::default();
        for (bucket, words) in run.buckets() {
            if words.len() <= GIANT {
                scratch.resize(scratch.len().max(words.len()), S::Key::default());
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
            fold(&mut result, &Bucket { high: stretches.high(bucket), words }, mine);
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

/// Stretches of 2^shift keys, from first·2^shift on.
#[derive(Clone, Copy)]
struct Stretches<K> {
    first: u64,
    count: usize,
    shift: u32,
    range: (K, K),
}

impl<K: Key> Stretches<K> {
    /// The middle of all keys.
    const HALF: u64 = 1 << (K::BITS - 1);

    fn new<S: Score<Key = K>>(scores: &[S], range: (K, K)) -> Self {
        let (least, most) = (range.0.wide(), range.1.wide());
        if scores.is_empty() {
            return Self { first: 0, count: 1, shift: 0, range };
        }
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
        let wanted = (scores.len() / FEW).next_power_of_two().trailing_zeros().min(BUCKET_BITS);
        let shift = (64 - (high - low).leading_zeros()).saturating_sub(wanted).min(K::BITS - 1);
        let first = low >> shift;
        Self { first, count: ((high >> shift) - first + 1) as usize, shift, range }
    }

    /// The bucket of a key.
    #[inline(always)]
    fn of(&self, key: K) -> u32 {
        key.stretch(K::narrow(self.first << self.shift), self.shift).min(self.count as u32 - 1)
    }

    /// The highest bit of the keys of a bucket.
    fn high(&self, bucket: usize) -> u64 {
        ((self.first + bucket as u64) << self.shift) & Self::HALF
    }

    /// Least key without its highest bit, and how many bits differ, of a bucket that holds no tail.
    fn inside(&self, bucket: usize) -> Option<(u64, u32)> {
        let stretch = self.first + bucket as u64;
        let tail = |key: K| self.of(key) as usize == bucket && key.wide() >> self.shift != stretch;
        (!tail(self.range.0) && !tail(self.range.1))
            .then(|| ((stretch << self.shift) & (Self::HALF - 1), self.shift))
    }

    /// Writes each row to its bucket; returns the size of each.
    fn scatter<S: Score<Key = K>>(&self, exec: &Exec, rows: &Rows<'_, S>, words: &mut [K]) -> Vec<usize> {
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
struct Count<'a, S: Score> {
    stretches: Stretches<S::Key>,
    scores: &'a [S],
}

impl<S: Score> Kernel for Count<'_, S> {
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
struct Scatter<'a, 'b, S: Score> {
    stretches: Stretches<S::Key>,
    rows: Rows<'a, S>,
    targets: &'a mut [std::slice::IterMut<'b, S::Key>],
}

impl<S: Score> Kernel for Scatter<'_, '_, S> {
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
                    *slot = S::Key::narrow(key.wide() << 1 | u64::from(label & 1));
                }
            }
        }
    }
}
