//! Where keys stand among a few sorted ones: one look into a table for each, and no sort of the many.
//!
//! ```text
//! minority M, sorted        table: for each stretch of keys, how many of M are before it, and the next of M
//! above(r) = #{M > r}       = |M| − before − (next <= r)              where a stretch holds one of M or none
//! equal(r) = #{M = r}       = (next = r)
//! ```
//!
//! Summed over all rows, of both classes: what the minority's own rows add is known from M alone, Σ over groups of ties t of
//! t² equal and (|M|² − Σt²)/2 above, and is taken off at the end. So the second trip over the rows reads scores and no
//! labels, and has no branch but for stretches that hold several of M.

use super::ROWS;
use super::auc::{Pairs, Rows};
use super::key::{Key, Score};
use super::sort;
use crate::exec::Exec;
use crate::isa::Kernel;
use crate::pool;

/// At least so many of the others for each one of the minority, else both classes are sorted.
const RARE: u64 = 8;

/// Not more than so many of the minority: the table of more is no longer in the cache, and each look waits for memory
/// (10⁸ rows, 3·10⁶ of them rare: 16 ns a row on two threads, with any size of the table).
const MOST: u64 = 1 << 19;

/// Fewer rows than this are sorted: the table would cost more. (Tests that set the serial threshold to 0 want all of it.)
fn least(exec: &Exec) -> usize {
    if exec.serial_below == 0 { 0 } else { 1 << 15 }
}

/// Stretches of keys for each member of the minority, at least, up to [`STRETCHES`].
const SPREAD: u64 = 8;

/// 8 MiB of a table for `f32`. Of 10⁷ rows with 3·10⁵ rare ones: 98 ms on one thread, 148 with as many as `SPREAD` says.
const STRETCHES: u32 = 20;

/// Whether this file's way is the faster one for so many rows of a rare and another class.
pub(crate) fn suits(exec: &Exec, rare: u64, others: u64) -> bool {
    let rows = rare + others;
    rare > 0 && rare <= MOST && rare * RARE <= others && rows >= least(exec) as u64
}

/// The pairs of a rare class with the rest: the positives, or the negatives. `dropped` rows are NaN and do not count.
///
/// # Panics
/// When the rare class has no row.
pub(crate) fn pairs<S: Score>(
    exec: &Exec,
    rows: &Rows<'_, S>,
    positives_are_rare: bool,
    counts: (u64, u64),
    dropped: Option<u64>,
) -> Pairs {
    let (rare, many) = if positives_are_rare { counts } else { (counts.1, counts.0) };
    let table = Table::new(exec, collect(exec, rows, u8::from(positives_are_rare), dropped.is_some()));
    let sums = pool::map(exec.threads_for(rows.labels.len()), rows.labels.len().div_ceil(ROWS), |i| {
        let end = rows.labels.len().min((i + 1) * ROWS);
        exec.level.run(Ranks { table: &table, scores: &rows.scores[i * ROWS..end] })
    });
    let wide = |sum: fn(&(u64, u64)) -> u64| sums.iter().map(|s| u128::from(sum(s))).sum::<u128>();
    let (above, equal) = (wide(|s| s.0), wide(|s| s.1));
    // NaN has the key 0, below all: all of the minority are above.
    let above = above - u128::from(dropped.unwrap_or(0)) * u128::from(rare);
    let ties = table.squares();
    let own = (u128::from(rare) * u128::from(rare) - ties) / 2;
    let (above, tied, all) = (above - own, equal - ties, u128::from(rare) * u128::from(many));
    Pairs { below: if positives_are_rare { above } else { all - above - tied }, tied, all }
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

/// One stretch of keys.
#[derive(Clone, Copy, Default)]
struct Stretch<K> {
    /// The first of the minority in it or after it.
    next: K,
    /// How many of the minority are before it.
    before: u32,
}

struct Table<K> {
    members: Vec<K>,
    least: u64,
    shift: u32,
    /// One more than there are stretches: the last one is behind all members.
    stretches: Vec<Stretch<K>>,
}

impl<K: Key> Table<K> {
    fn new(exec: &Exec, mut members: Vec<K>) -> Self {
        sort::sort(exec, &mut members);
        let (least, most) = (members[0].wide(), members[members.len() - 1].wide());
        let bits = 64 - (most - least).leading_zeros();
        let wanted = (members.len() as u64 * SPREAD).next_power_of_two().trailing_zeros().min(STRETCHES);
        let shift = bits.saturating_sub(wanted);
        let count = ((most - least) >> shift) as usize + 1;
        let mut stretches = Vec::with_capacity(count + 1);
        let mut at = 0;
        for i in 0..count as u64 {
            while members[at].wide() < least + (i << shift) {
                at += 1;
            }
            stretches.push(Stretch { next: members[at], before: at as u32 });
        }
        stretches.push(Stretch { next: members[at], before: members.len() as u32 });
        Self { members, least, shift, stretches }
    }

    /// How many members are above a key, and equal to it.
    #[inline(always)]
    fn rank(&self, key: K) -> (u64, u64) {
        let last = self.stretches.len() - 2;
        let i = ((key.wide().saturating_sub(self.least)) >> self.shift).min(last as u64) as usize;
        let (here, end) = (self.stretches[i], self.stretches[i + 1].before);
        let all = self.members.len() as u64;
        if end - here.before <= 1 {
            let some = u64::from(end > here.before);
            let (reached, same) = (u64::from(here.next <= key), u64::from(here.next == key));
            return (all - u64::from(here.before) - (some & reached), some & same);
        }
        let (mut up_to, mut equal) = (u64::from(here.before), 0);
        for &member in &self.members[here.before as usize..end as usize] {
            up_to += u64::from(member <= key);
            equal += u64::from(member == key);
        }
        (all - up_to, equal)
    }

    /// Σt² over the groups of equal members.
    fn squares(&self) -> u128 {
        self.members.chunk_by(|a, b| a == b).map(|ties| (ties.len() as u128).pow(2)).sum()
    }
}

/// Σ above and Σ equal over a piece.
struct Ranks<'a, S: Score> {
    table: &'a Table<S::Key>,
    scores: &'a [S],
}

impl<S: Score> Kernel for Ranks<'_, S> {
    type Out = (u64, u64);

    #[inline(always)]
    fn run(self) -> (u64, u64) {
        const BLOCK: usize = 256;
        let (mut above, mut equal) = (0, 0);
        let mut keys = [S::Key::default(); BLOCK];
        for scores in self.scores.chunks(BLOCK) {
            for (key, &score) in keys.iter_mut().zip(scores) {
                *key = score.key();
            }
            for &key in &keys[..scores.len()] {
                let (a, e) = self.table.rank(key);
                above += a;
                equal += e;
            }
        }
        (above, equal)
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
            for rare in [true, false].into_iter().filter(|&r| if r { counts.0 } else { counts.1 } > 0) {
                assert_eq!(pairs(&exec, &rows, rare, counts, None), want, "{exec:?}, positives are rare: {rare}");
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
    fn across_pieces_of_rows() {
        let n = 2 * ROWS + 17;
        let labels: Vec<u8> = noise(n).map(|x| u8::from(x % 97 == 0)).collect();
        let scores: Vec<f32> = noise(2 * n).skip(n).map(|x| (x % 100_000) as f32 / 1e5).collect();
        let rows = Rows { labels: &labels, scores: &scores, weights: None };
        let positives = labels.iter().map(|&y| u64::from(y)).sum::<u64>();
        for exec in executions() {
            let got = pairs(&exec, &rows, true, (positives, n as u64 - positives), None);
            assert_eq!(got, naive::by_value(&labels, &scores), "{exec:?}");
        }
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
