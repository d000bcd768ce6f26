//! Where keys stand among a few sorted ones: one look into a table for each, and no sort of the many.
//!
//! ```text
//! minority M, sorted        table: for each stretch of keys, how many of M are before it, the next of M, how many equal it
//! below(r) = #{M < r}       = before + ties·(next < r)          where all of M in a stretch are equal, or none is there
//! equal(r) = #{M = r}       = ties·(next = r)
//! ```
//!
//! A block of rows is looked up at once without a branch, so that many looks are on their way together. Rows in stretches that
//! hold several of M are then searched by halves.
//!
//! Summed over all rows, of both classes: what the minority's own rows add is known from M alone, Σ over groups of ties t of
//! t² equal and (|M|² − Σt²)/2 below, and is taken off at the end. So the second trip over the rows reads scores and no
//! labels.
//!
//! Stretches are of equal width between two quantiles of M, so that a few scores far away do not widen them all. Where most
//! of M is crowded into few stretches all the same, or many rows look into such, or M is so large that the table leaves the
//! cache, all rows are sorted instead.

use super::ROWS;
use super::auc::{Pairs, Rows};
use super::key::{Key, Score};
use super::sort;
use super::steps::Steps;
use crate::exec::Exec;
use crate::isa::Kernel;
use crate::pages;
use crate::pool;

/// At least so many of the others for each one of the minority, else all rows are sorted.
const RARE: u64 = 64;

/// Not more than so many of the minority: looks into a larger table wait for it longer than a sort takes.
const MOST: u64 = 1 << 17;

/// And where each look is followed by a count.
const MOST_COUNTED: u64 = 1 << 13;

/// Fewer rows than this are sorted: the table would cost more. (Tests that set the serial threshold to 0 want all of it.)
fn fewest_rows(exec: &Exec) -> usize {
    if exec.serial_below == 0 { 0 } else { 1 << 15 }
}

/// Stretches of keys for each member of the minority.
const SPREAD: u64 = 8;

/// One of so many members at each end is outside the stretches of equal width.
const TAIL: usize = 256;

/// A stretch of more members than this is crowded.
const CROWD: u32 = 16;

/// Rows of which it is seen whether they look into crowds.
const SAMPLE: usize = 1024;

/// Whether this file's way may be the faster one for so many rows of a rare and another class.
fn suits(exec: &Exec, rare: u64, others: u64, most: u64) -> bool {
    let rows = rare + others;
    rare > 0 && rare <= most && rare * RARE <= others && rows >= fewest_rows(exec) as u64
}

/// The pairs of (positives, negatives), where one class is rare and not crowded; with `drop_nan` rows of NaN do not count.
pub(crate) fn pairs<S: Score>(
    exec: &Exec,
    rows: &Rows<'_, S>,
    counts: (u64, u64),
    drop_nan: bool,
) -> Option<Pairs> {
    if !suits(exec, counts.0.min(counts.1), counts.0.max(counts.1), MOST) {
        return None;
    }
    let table = table(exec, rows, counts.0 < counts.1, drop_nan);
    (!table.is_crowded(rows.scores)).then(|| table.pairs(exec, rows, counts))
}

/// The steps of the ROC curve, where positives are rare and not crowded. `dropped` rows are NaN and do not count.
pub(crate) fn steps<S: Score>(
    exec: &Exec,
    rows: &Rows<'_, S>,
    counts: (u64, u64),
    dropped: u64,
) -> Option<Steps<S>> {
    let countable = rows.labels.len() < u32::MAX as usize;
    if !(countable && suits(exec, counts.0, counts.1, MOST_COUNTED)) {
        return None;
    }
    let table = table(exec, rows, true, dropped > 0);
    (!table.is_crowded(rows.scores)).then(|| table.steps(exec, rows, counts, dropped))
}

/// The same, for any rows that have a positive.
#[cfg(test)]
pub(crate) fn steps_of<S: Score>(exec: &Exec, rows: &Rows<'_, S>, counts: (u64, u64), dropped: u64) -> Steps<S> {
    table(exec, rows, true, dropped > 0).steps(exec, rows, counts, dropped)
}

fn table<S: Score>(exec: &Exec, rows: &Rows<'_, S>, of_positives: bool, drop_nan: bool) -> Table<S::Key> {
    Table::new(exec, collect(exec, rows, u8::from(of_positives), drop_nan), of_positives)
}

/// The keys of the rows of one class.
fn collect<S: Score>(exec: &Exec, rows: &Rows<'_, S>, class: u8, drop_nan: bool) -> Vec<S::Key> {
    let pieces = pool::map(exec.threads_for(rows.labels.len()), rows.labels.len().div_ceil(ROWS), |i| {
        let end = rows.labels.len().min((i + 1) * ROWS);
        let (labels, scores) = (&rows.labels[i * ROWS..end], &rows.scores[i * ROWS..end]);
        let mut keys = Vec::new();
        // Most words of eight labels hold none.
        for (labels, scores) in labels.chunks(8).zip(scores.chunks(8)) {
            if !labels.contains(&class) {
                continue;
            }
            for (&label, &score) in labels.iter().zip(scores) {
                if label == class && !(drop_nan && score.is_nan()) {
                    keys.push(score.key());
                }
            }
        }
        keys
    });
    pieces.concat()
}

/// Keys that are looked up together.
const BLOCK: usize = 256;

/// One stretch of keys: the first one is of all below, the last one of all above those of equal width.
#[derive(Clone, Copy, Default)]
struct Stretch<K> {
    /// The first of the minority in it or after it.
    next: K,
    /// How many of the minority are before it.
    before: u32,
    /// How many equal `next`; 0 where it is after the stretch.
    ties: u32,
}

/// The rare class.
struct Table<K> {
    members: Vec<K>,
    of_positives: bool,
    least: u64,
    shift: u32,
    /// One more than there are stretches: the last one is behind all members.
    stretches: Vec<Stretch<K>>,
}

/// Of each key of a block how many members are below it, and equal to it.
struct Places {
    below: [u32; BLOCK],
    equal: [u32; BLOCK],
}

impl<K: Key> Table<K> {
    /// Of members of which there is at least one.
    fn new(exec: &Exec, mut members: Vec<K>, of_positives: bool) -> Self {
        sort::sort(exec, &mut members);
        let tail = members.len() / TAIL;
        let (least, most) = (members[tail].wide(), members[members.len() - 1 - tail].wide());
        let bits = 64 - (most - least).leading_zeros();
        let wanted = (members.len() as u64 * SPREAD).next_power_of_two().trailing_zeros();
        let shift = bits.saturating_sub(wanted);
        let count = ((most - least) >> shift) + 1;
        let mut stretches = pages::with_capacity(count as usize + 3);
        let mut at = 0;
        for i in 0..count + 2 {
            let end = u128::from(least) + (u128::from(i) << shift);
            let ends = |m: &&K| i == count + 1 || u128::from(m.wide()) < end;
            let inside = &members[at..at + members[at..].iter().take_while(ends).count()];
            let next = members[at.min(members.len() - 1)];
            let ties = inside.iter().take_while(|&&m| m == next).count();
            stretches.push(Stretch { next, before: at as u32, ties: ties as u32 });
            at += inside.len();
        }
        stretches.push(Stretch { before: members.len() as u32, ..Stretch::default() });
        Self { members, of_positives, least, shift, stretches }
    }

    /// Whether a quarter of the members, or of a sample of the rows, are in stretches that hold many of unequal members.
    fn is_crowded<S: Score<Key = K>>(&self, scores: &[S]) -> bool {
        let crowd = |i: usize| {
            let (here, after) = (self.stretches[i], self.stretches[i + 1]);
            let n = after.before - here.before;
            if n > CROWD && n > here.ties { n as usize } else { 0 }
        };
        let members: usize = (0..self.stretches.len() - 1).map(crowd).sum();
        let sample = scores.iter().step_by(scores.len().div_ceil(SAMPLE));
        let rows = sample.clone().filter(|s| crowd(self.stretch(s.key()) as usize) > 0).count();
        4 * members > self.members.len() || 4 * rows > sample.len()
    }

    /// The stretch of a key.
    #[inline(always)]
    fn stretch(&self, key: K) -> u32 {
        let (wide, last) = (key.wide(), self.stretches.len() as u64 - 2);
        let above = wide.saturating_sub(self.least) >> self.shift;
        // 1 is added last: above may be the largest number.
        (above.min(last - 1) + 1) as u32 * u32::from(wide >= self.least)
    }

    /// Looks up a block of keys; of fewer, the rest is what it was.
    #[inline(always)]
    fn look_up(&self, keys: &[K], places: &mut Places) {
        let mut at = [0u32; BLOCK];
        for (at, &key) in at.iter_mut().zip(keys) {
            *at = self.stretch(key);
        }
        let (mut several, mut count) = ([0u8; BLOCK], 0);
        for (i, (&key, &at)) in keys.iter().zip(&at).enumerate() {
            let [here, after] = &self.stretches[at as usize..at as usize + 2] else { return };
            places.below[i % BLOCK] = here.before + if here.next < key { here.ties } else { 0 };
            places.equal[i % BLOCK] = if here.next == key { here.ties } else { 0 };
            several[count % BLOCK] = i as u8;
            count += usize::from(after.before - here.before != here.ties);
        }
        for i in several[..count].iter().map(|&i| usize::from(i)) {
            let [here, after] = &self.stretches[at[i] as usize..at[i] as usize + 2] else { return };
            let inside = &self.members[here.before as usize..after.before as usize];
            let below = inside.partition_point(|&m| m < keys[i]);
            let ties = inside.get(below) == Some(&keys[i]);
            let equal = if ties { inside[below..].partition_point(|&m| m == keys[i]) } else { 0 };
            (places.below[i], places.equal[i]) = (here.before + below as u32, equal as u32);
        }
    }

    /// The pairs of its class with the rest.
    fn pairs<S: Score<Key = K>>(&self, exec: &Exec, rows: &Rows<'_, S>, counts: (u64, u64)) -> Pairs {
        let (rare, many) = if self.of_positives { counts } else { (counts.1, counts.0) };
        let (rare, many) = (u128::from(rare), u128::from(many));
        let (below, equal) = self.sum(exec, rows.scores);
        // A NaN that is dropped has the key 0: none of the minority is below it, or equal to it.
        let ties = self.squares();
        let (below, tied, all) = (below - (rare * rare - ties) / 2, equal - ties, rare * many);
        // Members below a row of the others: pairs that a positive loses, or that a negative does.
        Pairs { below: if self.of_positives { all - below - tied } else { below }, tied, all }
    }

    /// The steps at its members, which are all positives.
    fn steps<S: Score<Key = K>>(
        &self,
        exec: &Exec,
        rows: &Rows<'_, S>,
        counts: (u64, u64),
        dropped: u64,
    ) -> Steps<S> {
        let mut by_code = self.count(exec, rows.scores);
        by_code[0] -= dropped as u32; // NaN has the key 0, below all
        let mut steps = Steps::with_room_for(self.members.len());
        let (mut tp, mut fp, mut top) = (0, 0, by_code.len());
        for ties in self.members.chunk_by(|a, b| a == b).rev() {
            let equal = ties.len() as u64;
            let below = self.members.len() as u64 - tp - equal;
            let code = (2 * below + equal) as usize;
            // Codes of other values and gaps in between are 0: codes of ties skip some.
            let above = fp + by_code[code + 1..top].iter().map(|&n| u64::from(n)).sum::<u64>();
            fp = above + u64::from(by_code[code]) - equal;
            tp += equal;
            top = code;
            steps.push(S::from_key(ties[0]), tp, above, fp);
        }
        Steps { positives: counts.0, negatives: counts.1, ..steps }
    }

    /// Σ below and Σ equal over all rows.
    fn sum<S: Score<Key = K>>(&self, exec: &Exec, scores: &[S]) -> (u128, u128) {
        let sums = pool::map(exec.threads_for(scores.len()), scores.len().div_ceil(ROWS), |i| {
            exec.level.run(Sum { table: self, scores: &scores[i * ROWS..scores.len().min((i + 1) * ROWS)] })
        });
        sums.into_iter().fold((0, 0), |a, b| (a.0 + u128::from(b.0), a.1 + u128::from(b.1)))
    }

    /// How many rows have each code, 2·below + equal.
    fn count<S: Score<Key = K>>(&self, exec: &Exec, scores: &[S]) -> Vec<u32> {
        // Each thread counts in a table of its own.
        let threads = exec.threads_for(scores.len());
        let range = scores.len().div_ceil(threads);
        let counted = pool::map(threads, scores.len().div_ceil(range), |i| {
            exec.level.run(Count { table: self, scores: &scores[i * range..scores.len().min((i + 1) * range)] })
        });
        let add = |mut a: Vec<u32>, b: Vec<u32>| {
            a.iter_mut().zip(b).for_each(|(sum, more)| *sum += more);
            a
        };
        counted.into_iter().reduce(add).unwrap_or_default()
    }

    /// Σt² over the groups of equal members.
    fn squares(&self) -> u128 {
        self.members.chunk_by(|a, b| a == b).map(|ties| (ties.len() as u128).pow(2)).sum()
    }
}

/// Calls `f` with the places of each block of rows.
#[inline(always)]
fn each_block<S: Score>(table: &Table<S::Key>, scores: &[S], mut f: impl FnMut(&[u32], &[u32])) {
    let mut keys = [S::Key::default(); BLOCK];
    let mut places = Places { below: [0; BLOCK], equal: [0; BLOCK] };
    for scores in scores.chunks(BLOCK) {
        for (key, &score) in keys.iter_mut().zip(scores) {
            *key = score.key();
        }
        table.look_up(&keys[..scores.len()], &mut places);
        f(&places.below[..scores.len()], &places.equal[..scores.len()]);
    }
}

/// Σ below and Σ equal over a piece.
struct Sum<'a, S: Score> {
    table: &'a Table<S::Key>,
    scores: &'a [S],
}

impl<S: Score> Kernel for Sum<'_, S> {
    type Out = (u64, u64);

    #[inline(always)]
    fn run(self) -> (u64, u64) {
        let mut sums = (0, 0);
        each_block(
            self.table,
            self.scores,
            #[inline(always)]
            |below, equal| {
                sums.0 += below.iter().map(|&n| u64::from(n)).sum::<u64>();
                sums.1 += equal.iter().map(|&n| u64::from(n)).sum::<u64>();
            },
        );
        sums
    }
}

/// How many rows of a piece have each code.
struct Count<'a, S: Score> {
    table: &'a Table<S::Key>,
    scores: &'a [S],
}

impl<S: Score> Kernel for Count<'_, S> {
    type Out = Vec<u32>;

    #[inline(always)]
    fn run(self) -> Vec<u32> {
        let mut counts = vec![0; 2 * self.table.members.len() + 1];
        each_block(
            self.table,
            self.scores,
            #[inline(always)]
            |below, equal| {
                for (&below, &equal) in below.iter().zip(equal) {
                    counts[(2 * below + equal) as usize] += 1;
                }
            },
        );
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::naive;
    use crate::metrics::naive::tests::{executions, noise};
    use proptest::prelude::*;

    fn check<S: Score + PartialOrd>(labels: &[u8], scores: &[S]) {
        let want = naive::pairs(labels, scores, |_| 1);
        let positives = labels.iter().map(|&y| u64::from(y)).sum::<u64>();
        let counts = (positives, labels.len() as u64 - positives);
        let rows = Rows { labels, scores, weights: None };
        for exec in executions() {
            // By either class, also where it is crowded, or not rare.
            for of_positives in [true, false].into_iter().filter(|&p| if p { counts.0 } else { counts.1 } > 0) {
                let got = table(&exec, &rows, of_positives, false).pairs(&exec, &rows, counts);
                assert_eq!(got, want, "{exec:?}, a table of positives: {of_positives}");
            }
        }
    }

    #[test]
    fn either_class_may_be_the_rare_one() {
        for (n, share) in [(700, 2), (700, 50), (1500, 3)] {
            let labels: Vec<u8> = noise(n).map(|x| u8::from(x % share == 0)).collect();
            check(&labels, &noise(2 * n).skip(n).map(|x| (x % 40) as f32 - 20.0).collect::<Vec<_>>());
            check(&labels, &noise(2 * n).skip(n).map(|x| (x as i64) << 7).collect::<Vec<_>>());
            check(&labels, &vec![0.5; n]);
        }
        check(&[1, 0, 0, 1], &[i64::MAX, i64::MAX, i64::MIN, i64::MIN]);
        check(&[0, 1, 0], &[f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY]);
    }

    #[test]
    fn the_largest_key_is_above_all() {
        // Members next to 0, so that stretches are single keys, and a row of the largest one.
        let scores = [0u64, 1, 2, 3, u64::MAX, u64::MAX, 1, 2];
        check(&[1, 1, 1, 0, 0, 0, 0, 1], &scores);
        check(&[0, 1, 1, 0, 1, 0, 0, 1], &scores);
    }

    #[test]
    fn across_pieces_of_rows() {
        let n = 2 * ROWS + 17;
        let labels: Vec<u8> = noise(n).map(|x| u8::from(x % 97 == 0)).collect();
        let scores: Vec<f32> = noise(2 * n).skip(n).map(|x| (x % 100_000) as f32 / 1e5).collect();
        let rows = Rows { labels: &labels, scores: &scores, weights: None };
        let positives = labels.iter().map(|&y| u64::from(y)).sum::<u64>();
        for exec in executions() {
            let got = pairs(&exec, &rows, (positives, n as u64 - positives), false);
            assert_eq!(got, Some(naive::by_value(&labels, &scores)), "{exec:?}");
        }
    }

    #[test]
    fn a_crowd_is_sorted_and_ties_and_outliers_are_none() {
        let exec = executions().next().unwrap();
        let of = |members: Vec<f64>| Table::new(&exec, members.into_iter().map(Score::key).collect(), true);
        let even = |n: usize| (0..n).map(move |i| 1.0 + i as f64 / n as f64);
        let rows = [1.0f64, 1.25, 1.5, 1.75];
        assert!(!of(even(5000).collect()).is_crowded(&rows), "spread evenly");
        assert!(!of(vec![0.5; 5000]).is_crowded(&rows), "all equal");
        assert!(!of((0..5000).map(|i| f64::from(1 + i % 100)).collect()).is_crowded(&rows), "a hundred values");
        assert!(!of(even(5000).chain([-1e300, 1e300]).collect()).is_crowded(&rows), "two far away");
        assert!(
            !of(vec![0.5; 5000].into_iter().chain([-1e300, 1e300]).collect()).is_crowded(&rows),
            "ties, two far away"
        );
        let far = (1..1000).map(|i| f64::from_bits((1023 + i) << 52));
        assert!(of(even(5000).chain(far).collect()).is_crowded(&rows), "a thousand powers of two");
        // A fifth of the members side by side, and all rows among them.
        let near = (0..1000).map(|i| 2.0 + f64::from(i) * f64::EPSILON);
        let table = of(even(4000).chain(near).collect());
        assert!(!table.is_crowded(&rows), "a small crowd that nobody looks into");
        assert!(table.is_crowded(&[2.0f64 + 5.0 * f64::EPSILON; 8]), "and one that all do");
    }

    proptest! {
        #[test]
        fn as_counted_pair_by_pair(
            rows in prop::collection::vec((0u8..2, any::<u64>()), 1..120), mask in any::<u64>(),
        ) {
            let labels: Vec<u8> = rows.iter().map(|r| r.0).collect();
            let floats: Vec<f64> = rows.iter().map(|r| f64::from_bits(r.1 & mask)).map(|x| if x.is_nan() { 0.0 } else { x }).collect();
            check(&labels, &floats);
            check(&labels, &rows.iter().map(|r| r.1 & mask).collect::<Vec<_>>());
        }
    }
}
