//! Grouped AUC: the AUC inside each group (user, session, position), averaged over the groups.
//!
//! ```text
//! gAUC = Σ_g ω_g·AUC_g / Σ_g ω_g        ω_g = rows, positives, 1, or pairs of the group
//! ```
//!
//! 1. Group the rows. Ids that do not fall are used where they lie, and so are rows cut by offsets; others are sorted by
//!    id together with their key, label and weight: the one pass that moves rows, packed into a word where id, key and class
//!    fit one.
//! 2. Count the pairs of each group: of few positives each against all rows of the group, every pair in a small one, by
//!    sorting in a larger one, on all threads in a giant one.
//!    Work is handed out by rows, not by groups.
//! 3. Weigh the groups that count. The unit of sample weights is taken over their rows alone: a row that is left out decides
//!    nothing, however heavy.
//! 4. Add ω_g·AUC_g. ω_g is an integer (sample weights are integers in one unit here) and each AUC_g is rounded once, so the
//!    sum is exact, and one division rounds it: any order of rows gives the same bits, and one group gives its AUC.
//!    Weighted by pairs, without sample weights, it is Σ pairs won / Σ pairs, integers to the end.
//!
//! A group that has one class only has no AUC. It is dropped and counted, or takes part with ½.

use std::marker::PhantomData;
use std::ops::Range;

use super::auc::{Classes, Left, Member, Nan, Pairs, Rows, Weighted};
use super::exact::Exact;
use super::key::Score;
use super::ratio::ratio;
use super::sort::{self, Item};
use super::source::{FEW, InPlace, Moved, OUT, Packed, Source};
use super::weight::Unit;
use super::{MetricError, ROWS};
use crate::exec::Exec;
use crate::isa::Kernel;
use crate::pages;
use crate::pool;

/// Which rows belong together.
#[derive(Clone, Copy, Debug)]
pub enum Groups<'a> {
    /// An id for each row.
    Signed(&'a [i64]),
    /// An id for each row.
    Unsigned(&'a [u64]),
    /// Group g is rows `offsets[g]..offsets[g + 1]`.
    Offsets(&'a [i64]),
}

/// What a group weighs in the mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GroupWeight {
    /// Its rows (their weights).
    Impressions,
    /// Its positives (their weights).
    Positives,
    /// 1.
    Uniform,
    /// Its pairs (the products of their weights).
    Pairs,
}

/// What happens to a group of one class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OneClass {
    /// It does not count.
    Drop,
    /// Its AUC is ½.
    Half,
}

/// How groups are averaged.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What a group weighs.
    pub group_weight: GroupWeight,
    /// What happens to a group of one class.
    pub one_class: OneClass,
    /// Groups of fewer rows do not count, whatever their classes.
    pub min_rows: u64,
    /// What happens to a row whose score is NaN.
    pub nan: Nan,
}

/// Whether a group counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It counts.
    Kept,
    /// All of its rows are of one class.
    OneClass,
    /// It has fewer than `min_rows` rows.
    Small,
    /// None of its rows counts.
    Empty,
}

/// One group.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Group {
    /// Rows that count.
    pub rows: u64,
    /// Positives among them.
    pub positives: u64,
    /// Pairs, in units of weight of its own.
    pub pairs: Pairs,
    /// Sum of the positives' weights, in a unit that all groups share: 1 without weights. 0 where the group does not count.
    pub positive_weight: u64,
    /// Sum of the negatives' weights, in such a unit: in the same one where rows of both classes are added.
    pub negative_weight: u64,
    /// AUC, or what stands for it; NaN where the group does not count.
    pub auc: f64,
    /// Whether it counts.
    pub fate: Fate,
}

impl Group {
    /// Before it is judged and weighed.
    fn of(rows: u64, positives: u64, pairs: Pairs) -> Self {
        let auc = pairs.auc().unwrap_or(f64::NAN);
        Self { rows, positives, pairs, positive_weight: 0, negative_weight: 0, auc, fate: Fate::Kept }
    }
}

/// Groups of one fate.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Tally {
    /// Groups.
    pub groups: u64,
    /// Their rows.
    pub rows: u64,
    /// Their positives.
    pub positives: u64,
}

/// Grouped AUC and what it was computed from.
#[derive(Clone, PartialEq, Debug)]
pub struct Gauc {
    /// The mean; `None` where no group counts.
    pub value: Option<f64>,
    /// The groups, in ascending order of their ids.
    pub groups: Vec<Group>,
    /// Keys of their ids (see [`Score::key`]); empty for offsets.
    pub ids: Vec<u64>,
    /// Rows that did not count.
    pub left: Left,
}

impl Gauc {
    /// What the groups come to, from one walk over them.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for (i, group) in self.groups.iter().enumerate() {
            let tally = &mut totals.tallies[group.fate as usize];
            tally.groups += 1;
            tally.rows += group.rows;
            tally.positives += group.positives;
            match group.fate {
                Fate::Kept => {
                    totals.pairs.below = totals.pairs.below.saturating_add(group.pairs.below);
                    totals.pairs.tied = totals.pairs.tied.saturating_add(group.pairs.tied);
                    totals.pairs.all = totals.pairs.all.saturating_add(group.pairs.all);
                }
                Fate::OneClass => totals.first_one_class = totals.first_one_class.or(Some(i)),
                _ => {}
            }
        }
        totals
    }
}

/// What the groups come to.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Totals {
    /// Groups by [`Fate`], in its order.
    pub tallies: [Tally; 4],
    /// Pairs inside the groups that count. In units of weight that differ by group.
    pub pairs: Pairs,
    /// The first group of one class that does not count.
    pub first_one_class: Option<usize>,
}

/// Grouped AUC.
///
/// # Panics
/// When the lengths differ.
pub fn gauc<S: Score>(
    exec: &Exec,
    rows: &Rows<'_, S>,
    groups: Groups<'_>,
    options: &Options,
) -> Result<Gauc, MetricError> {
    let (counts, left) = rows.check(exec, options.nan)?;
    let any_nan = counts.iter().any(|c| c.nan > 0);
    let source = InPlace { rows, nan: options.nan, any_nan };
    let (groups, ids) = match rows.weights {
        None => counted::<S, S::Key>(exec, &source, groups, options)?,
        Some(_) => counted::<S, Weighted<S::Key>>(exec, &source, groups, options)?,
    };
    let value = mean(&groups, options.group_weight, rows.weights.is_some());
    Ok(Gauc { value, groups, ids, left })
}

/// Decides whether a group counts.
fn judge(group: &mut Group, options: &Options) {
    group.fate = if group.rows == 0 {
        Fate::Empty
    } else if group.rows < options.min_rows {
        Fate::Small
    } else if group.pairs.all > 0 || options.one_class == OneClass::Half {
        Fate::Kept
    } else {
        Fate::OneClass
    };
    group.auc = match group.fate {
        Fate::Kept if group.pairs.all == 0 => 0.5,
        Fate::Kept => group.auc,
        _ => f64::NAN,
    };
}

/// Σ ω·AUC / Σ ω over the groups that count.
fn mean(groups: &[Group], group_weight: GroupWeight, weighted: bool) -> Option<f64> {
    let kept = || groups.iter().filter(|g| g.fate == Fate::Kept);
    match group_weight {
        GroupWeight::Impressions => weigh(kept(), |g| g.positive_weight + g.negative_weight),
        GroupWeight::Positives => weigh(kept(), |g| g.positive_weight),
        GroupWeight::Uniform => weigh(kept(), |_| 1),
        GroupWeight::Pairs if weighted => {
            // Products of sums that are below 2^62 each: real numbers, to be made integers like any weights.
            let product = |g: &Group| g.positive_weight as f64 * g.negative_weight as f64;
            let unit = Unit::of(kept().map(product).filter(|&w| w > 0.0));
            weigh(kept(), |g| unit.integer(product(g)))
        }
        GroupWeight::Pairs => {
            let won: u128 = kept().map(|g| 2 * g.pairs.below + g.pairs.tied).sum();
            let all: u128 = kept().map(|g| g.pairs.all).sum();
            (all > 0).then(|| ratio(won, 2 * all))
        }
    }
}

fn weigh<'a>(groups: impl Iterator<Item = &'a Group>, omega: impl Fn(&Group) -> u64) -> Option<f64> {
    let (mut sum, mut total) = (Exact::new(), 0);
    for group in groups {
        sum.add_times(group.auc, omega(group));
        total += u128::from(omega(group));
    }
    (total > 0).then(|| sum.over(total))
}

/// Counts the pairs of every group, and lists the groups' ids.
fn counted<S: Score, M: Member<Key = S::Key>>(
    exec: &Exec,
    source: &InPlace<'_, S>,
    groups: Groups<'_>,
    options: &Options,
) -> Result<(Vec<Group>, Vec<u64>), MetricError> {
    match groups {
        Groups::Signed(ids) => Ok(by_id::<S, M, _>(exec, source, ids, options)),
        Groups::Unsigned(ids) => Ok(by_id::<S, M, _>(exec, source, ids, options)),
        Groups::Offsets(offsets) => {
            let starts = checked(offsets, source.rows.labels.len())?;
            Ok((each_group::<M>(exec, &starts, source, options), Vec::new()))
        }
    }
}

/// Offsets as row numbers.
fn checked(offsets: &[i64], rows: usize) -> Result<Vec<usize>, MetricError> {
    let error = |index: usize| Err(MetricError::Offsets { index, value: offsets.get(index).copied(), rows });
    if offsets.first() != Some(&0) {
        return error(0);
    }
    if let Some(i) = offsets.windows(2).position(|w| w[1] < w[0]) {
        return error(i + 1);
    }
    if offsets.last() != i64::try_from(rows).ok().as_ref() {
        return error(offsets.len() - 1);
    }
    Ok(offsets.iter().map(|&o| o as usize).collect())
}

/// Groups rows by id.
fn by_id<S: Score, M: Member<Key = S::Key>, G: Score<Key = u64>>(
    exec: &Exec,
    source: &InPlace<'_, S>,
    ids: &[G],
    options: &Options,
) -> (Vec<Group>, Vec<u64>) {
    assert_eq!(ids.len(), source.rows.labels.len(), "as many ids as labels");
    let pieces = ids.len().div_ceil(ROWS);
    let rises = |i: usize| {
        let piece = &ids[i * ROWS..ids.len().min((i + 1) * ROWS + 1)];
        piece.windows(2).fold(true, |rises, w| rises & (w[0].key() <= w[1].key()))
    };
    if pool::map(exec.threads_for(ids.len()), pieces, rises).into_iter().all(|r| r) {
        let starts = starts(exec, ids.len(), |i| ids[i].key());
        let names = starts[..starts.len() - 1].iter().map(|&i| ids[i].key()).collect();
        return (each_group::<M>(exec, &starts, source, options), names);
    }
    if let Some(least) = Packed::<M::Key>::fits(exec, ids).filter(|_| !M::WEIGHTED) {
        let mut packed = sort::fresh::<Packed<M::Key>>(ids.len());
        let mut tasks: Vec<_> = packed.chunks_mut(ROWS).enumerate().collect();
        pool::for_each(exec.threads_for(ids.len()), &mut tasks, |(i, packed)| {
            for (i, row) in (*i * ROWS..).zip(packed.iter_mut()) {
                let (member, class): (M, u8) = source.row(i);
                *row = Packed::new(ids[i].key() - least, member.key(), class);
            }
        });
        sort::sort(exec, &mut packed);
        let starts = starts(exec, packed.len(), |i| packed[i].key());
        let names = starts[..starts.len() - 1].iter().map(|&i| least + packed[i].key()).collect();
        return (each_group::<M>(exec, &starts, &&packed[..], options), names);
    }
    let mut moved = sort::fresh::<Moved<M>>(ids.len());
    let mut tasks: Vec<_> = moved.chunks_mut(ROWS).enumerate().collect();
    pool::for_each(exec.threads_for(ids.len()), &mut tasks, |(i, moved)| {
        for (i, row) in (*i * ROWS..).zip(moved.iter_mut()) {
            let (member, class) = source.row(i);
            *row = Moved { id: ids[i].key(), member, class };
        }
    });
    sort::sort(exec, &mut moved);
    let starts = starts(exec, moved.len(), |i| moved[i].id);
    let names = starts[..starts.len() - 1].iter().map(|&i| moved[i].id).collect();
    (each_group::<M>(exec, &starts, &&moved[..], options), names)
}

/// Where runs of one id start, and the number of rows.
fn starts(exec: &Exec, rows: usize, id: impl Fn(usize) -> u64 + Sync + Send) -> Vec<usize> {
    let pieces = pool::map(exec.threads_for(rows), rows.div_ceil(ROWS), |p| {
        let range = p * ROWS..rows.min((p + 1) * ROWS);
        range.filter(|&i| i == 0 || id(i) != id(i - 1)).collect::<Vec<_>>()
    });
    let mut starts = pieces.concat();
    starts.push(rows);
    starts
}

/// Groups of more rows are counted by all threads together.
const GIANT: usize = 2 * ROWS;

/// The groups that start at `starts`, the last of which is the number of rows.
fn each_group<M: Member>(exec: &Exec, starts: &[usize], source: &impl Source<M>, options: &Options) -> Vec<Group> {
    let (groups, rows) = (starts.len() - 1, starts[starts.len() - 1]);
    let giants: Vec<_> = (0..groups).filter(|&g| starts[g + 1] - starts[g] > GIANT).collect();
    let giants: Vec<_> = giants
        .into_iter()
        .map(|g| {
            let mut classes = Classes { positives: Vec::new(), negatives: Vec::new() };
            gather(&mut classes, source, starts[g]..starts[g + 1]);
            (g, count(exec, &mut classes))
        })
        .collect();
    // Piece p has the groups that start in its rows; p = rows / ROWS has the empty ones at the end.
    let first = |p: usize| starts[..groups].partition_point(|&s| s < p * ROWS);
    let mut counted = pages::filled(groups, Group::of(0, 0, Pairs::default()));
    let mut free = &mut counted[..];
    let mut pieces: Vec<_> = (0..=rows / ROWS)
        .map(|p| {
            let (from, to) = (first(p), first(p + 1));
            let out;
            (out, free) = std::mem::take(&mut free).split_at_mut(to - from);
            (from, &starts[from..=to], out)
        })
        .collect();
    pool::for_each(exec.threads_for(rows), &mut pieces, |(first, starts, out)| {
        let (first, giants) = (*first, &giants[..]);
        exec.level.run(Piece { exec, first, starts, giants, out, source, options, member: PhantomData });
    });
    if M::WEIGHTED {
        weigh_groups(exec, &mut counted, starts, source, options.group_weight);
    }
    counted
}

/// Fills in the weights of the groups that count. Where positives and negatives are not added to one another each class
/// has a unit of its own, so that heavy rows of one do not round the other to 0.
fn weigh_groups<M: Member>(
    exec: &Exec,
    groups: &mut [Group],
    starts: &[usize],
    source: &impl Source<M>,
    group_weight: GroupWeight,
) {
    let rows = starts[groups.len()];
    let units = {
        let each = |fold: &(dyn Fn(&mut [u128; 2], usize, f64) + Sync)| {
            pool::map(exec.threads_for(rows), rows.div_ceil(ROWS), |p| {
                let mut sums = [0; 2];
                kept_rows(groups, starts, source, p, |_, class, member| fold(&mut sums, class, member.raw()));
                sums
            })
        };
        // Bits of floats that are > 0 have the order of the floats.
        let largest = each(&|l, class, w| l[class] = l[class].max(w.to_bits().into()));
        let largest = largest.into_iter().fold([0; 2], |a, b| [a[0].max(b[0]), a[1].max(b[1])]);
        let apart = !matches!(group_weight, GroupWeight::Impressions);
        let larger = largest[0].max(largest[1]);
        let rough = largest.map(|l| Unit::rough(f64::from_bits(if apart { l } else { larger } as u64)));
        let sums = each(&|s, class, w| s[class] += u128::from(rough[class].integer(w)));
        let sums = sums.into_iter().fold([0; 2], |a, b| [a[0] + b[0], a[1] + b[1]]);
        [0, 1].map(|class| rough[class].refined(if apart { sums[class] } else { sums[0] + sums[1] }))
    };
    let parts = pool::map(exec.threads_for(rows), rows.div_ceil(ROWS), |p| {
        let mut parts: Vec<(usize, [u64; 2])> = Vec::new();
        kept_rows(groups, starts, source, p, |g, class, member| {
            if parts.last().is_none_or(|part| part.0 != g) {
                parts.push((g, [0; 2]));
            }
            if let Some(part) = parts.last_mut() {
                part.1[class] += member.raw_weight(units[class]);
            }
        });
        parts
    });
    for (g, [negatives, positives]) in parts.into_iter().flatten() {
        groups[g].negative_weight += negatives;
        groups[g].positive_weight += positives;
    }
}

/// Calls `f` with group, class and member of each row of piece `p` that counts in a group that counts.
fn kept_rows<M: Member>(
    groups: &[Group],
    starts: &[usize],
    source: &impl Source<M>,
    p: usize,
    mut f: impl FnMut(usize, usize, M),
) {
    let (from, to) = (p * ROWS, starts[groups.len()].min((p + 1) * ROWS));
    let first = starts.partition_point(|&s| s <= from) - 1;
    for g in (first..groups.len()).take_while(|&g| starts[g] < to).filter(|&g| groups[g].fate == Fate::Kept) {
        for i in from.max(starts[g])..to.min(starts[g + 1]) {
            let (member, class) = source.row(i);
            if class != OUT {
                f(g, class.into(), member);
            }
        }
    }
}

/// The groups of a piece, the first of which is number `first`. Giants are counted already.
struct Piece<'a, 'b, M, R> {
    exec: &'a Exec,
    first: usize,
    starts: &'a [usize],
    giants: &'a [(usize, Group)],
    out: &'b mut [Group],
    source: &'a R,
    options: &'a Options,
    member: PhantomData<M>,
}

impl<M: Member, R: Source<M>> Kernel for Piece<'_, '_, M, R> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        let alone = Exec { threads: 1, ..*self.exec };
        let mut classes = Classes { positives: Vec::new(), negatives: Vec::new() };
        for (i, (group, start)) in self.out.iter_mut().zip(self.starts.windows(2)).enumerate() {
            let rows = start[0]..start[1];
            *group = if rows.len() > GIANT {
                let place = self.giants.partition_point(|g| g.0 < self.first + i);
                self.giants[place].1
            } else if let Some(simple) = self.source.simple(rows.clone()) {
                let (positives, pairs) = simple.pairs(rows.len() as u64);
                Group::of(rows.len() as u64, positives, pairs)
            } else {
                gather(&mut classes, self.source, rows);
                count(&alone, &mut classes)
            };
            judge(group, self.options);
            if !M::WEIGHTED && group.fate == Fate::Kept {
                (group.negative_weight, group.positive_weight) = (group.rows - group.positives, group.positives);
            }
        }
    }
}

/// Fills `classes` with these rows.
#[inline(always)]
fn gather<M: Member>(classes: &mut Classes<M>, source: &impl Source<M>, rows: Range<usize>) {
    classes.positives.clear();
    classes.negatives.clear();
    for i in rows {
        let (member, class) = source.row(i);
        match class {
            0 => classes.negatives.push(member),
            1 => classes.positives.push(member),
            _ => {}
        }
    }
}

/// Counts the pairs of a group.
#[inline(always)]
fn count<M: Member>(exec: &Exec, classes: &mut Classes<M>) -> Group {
    let Classes { positives, negatives } = &*classes;
    let (positive_rows, negative_rows) = (positives.len() as u64, negatives.len() as u64);
    let pairs = if !M::WEIGHTED && positives.len() * negatives.len() <= FEW {
        let (below, up_to) = each_pair(positives, negatives);
        Pairs { below, tied: up_to - below, all: u128::from(positive_rows * negative_rows) }
    } else {
        classes.settle(exec);
        classes.pairs(exec)
    };
    Group::of(positive_rows + negative_rows, positive_rows, pairs)
}

/// How many pairs have the negative below, and up to, the positive.
#[inline(always)]
fn each_pair<M: Member>(positives: &[M], negatives: &[M]) -> (u128, u128) {
    let (mut below, mut up_to) = (0u32, 0u32);
    for p in positives {
        for n in negatives {
            below += u32::from(n.key() < p.key());
            up_to += u32::from(n.key() <= p.key());
        }
    }
    (below.into(), up_to.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::auc::auc;
    use crate::metrics::naive::tests::{executions, noise};
    use crate::metrics::source::FEW_POSITIVES;
    use proptest::prelude::*;

    const OPTIONS: Options = Options {
        group_weight: GroupWeight::Impressions,
        one_class: OneClass::Drop,
        min_rows: 2,
        nan: Nan::Raise,
    };
    const WEIGHTS: [GroupWeight; 4] =
        [GroupWeight::Impressions, GroupWeight::Positives, GroupWeight::Uniform, GroupWeight::Pairs];

    /// On every level and thread count.
    fn check<S: Score>(rows: &Rows<'_, S>, groups: Groups<'_>, options: &Options) -> Gauc {
        let results: Vec<_> = executions().map(|exec| gauc(&exec, rows, groups, options)).collect();
        let same = |a: &Gauc, b: &Gauc| {
            a.value.map(f64::to_bits) == b.value.map(f64::to_bits)
                && a.ids == b.ids
                && a.groups.iter().zip(&b.groups).all(|(a, b)| {
                    (a.auc.to_bits(), a.pairs, a.fate, a.rows) == (b.auc.to_bits(), b.pairs, b.fate, b.rows)
                })
        };
        let results: Vec<Gauc> = results.into_iter().map(|r| r.unwrap_or_else(|e| panic!("{e}"))).collect();
        assert!(results.windows(2).all(|w| same(&w[0], &w[1])), "the same on every level and thread count");
        results[0].clone()
    }

    #[test]
    fn around_the_number_of_positives_that_are_compared_one_by_one() {
        for positives in FEW_POSITIVES - 1..=FEW_POSITIVES + 1 {
            for rows_of_group in [positives + 1, 35, 60] {
                let n = 4 * rows_of_group;
                // Positives first in a group, ids not sorted.
                let labels: Vec<u8> = (0..n).map(|i| u8::from(i / 4 < positives)).collect();
                let scores: Vec<f32> = noise(n).map(|x| (x % 50) as f32).collect();
                let ids: Vec<i64> = (0..n as i64).map(|i| (3 * i) % 4).collect();
                let rows = Rows { labels: &labels, scores: &scores, weights: None };
                let got = check(&rows, Groups::Signed(&ids), &OPTIONS);
                for (g, group) in got.groups.iter().enumerate() {
                    let members: Vec<usize> = (0..n).filter(|&i| ids[i] == g as i64).collect();
                    let labels: Vec<u8> = members.iter().map(|&i| labels[i]).collect();
                    let scores: Vec<f32> = members.iter().map(|&i| scores[i]).collect();
                    let rows = Rows { labels: &labels, scores: &scores, weights: None };
                    let want = auc(&executions().next().unwrap(), &rows, Nan::Raise).unwrap().pairs;
                    assert_eq!(group.pairs, want, "{positives} of {rows_of_group} rows, group {g}");
                }
            }
        }
    }

    #[test]
    fn groups_at_known_values() {
        let labels = [1, 0, 1, 0, 0, 1, 1];
        let scores = [0.9f32, 0.1, 0.2, 0.8, 0.2, 0.5, 0.5];
        // Group 7: one pair, won. Group 3: two pairs, one tied and one lost. Group 9: one class.
        let ids = [7i64, 7, 3, 3, 3, 9, 9];
        let rows = Rows { labels: &labels, scores: &scores, weights: None };
        for (group_weight, want) in WEIGHTS.into_iter().zip([2.75 / 5.0, 1.25 / 2.0, 1.25 / 2.0, 1.5 / 3.0]) {
            let got = check(&rows, Groups::Signed(&ids), &Options { group_weight, ..OPTIONS });
            assert_eq!(got.value, Some(want), "{group_weight:?}");
            assert_eq!(
                got.totals().tallies[Fate::Kept as usize],
                Tally { groups: 2, rows: 5, positives: 2 },
                "kept"
            );
            assert_eq!(
                got.totals().tallies[Fate::OneClass as usize],
                Tally { groups: 1, rows: 2, positives: 2 },
                "dropped"
            );
        }
        let half = check(&rows, Groups::Signed(&ids), &Options { one_class: OneClass::Half, ..OPTIONS });
        assert_eq!(half.value, Some((0.25 * 3.0 + 2.0 + 1.0) / 7.0), "one class as one half");
        let large = check(&rows, Groups::Signed(&ids), &Options { min_rows: 3, ..OPTIONS });
        assert_eq!(
            (large.value, large.totals().tallies[Fate::Small as usize].groups),
            (Some(0.25), 2),
            "size first, then class"
        );
        let none = check(&rows, Groups::Signed(&ids), &Options { min_rows: 4, ..OPTIONS });
        assert_eq!(none.value, None, "no group is left");
    }

    #[test]
    fn dropped_rows_leave_their_group_behind() {
        let (labels, scores) = ([1, 0, 1, 0], [f64::NAN, f64::NAN, 2.0, 1.0]);
        let options = Options { nan: Nan::Drop, ..OPTIONS };
        let rows = Rows { labels: &labels, scores: &scores, weights: None };
        for groups in
            [Groups::Signed(&[-5, -5, 5, 5]), Groups::Signed(&[5, 5, -5, -5]), Groups::Offsets(&[0, 2, 4])]
        {
            let got = check(&rows, groups, &options);
            assert_eq!((got.value, got.groups.len()), (Some(1.0), 2), "{groups:?}");
            assert_eq!((got.totals().tallies[Fate::Empty as usize].groups, got.left.nan), (1, 2), "{groups:?}");
        }
        let got = check(&rows, Groups::Offsets(&[0, 0, 2, 2, 4, 4]), &options);
        assert_eq!(got.totals().tallies[Fate::Empty as usize].groups, 4, "empty by offsets");
    }

    #[test]
    fn heavy_rows_that_do_not_count_change_nothing() {
        // Groups 1 and 2 count; 3 is of one class, 4 too small, and a row of group 1 is NaN.
        let labels = [1, 0, 1, 1, 0, 0, 1, 1, 1];
        let scores = [0.9, 0.1, f64::NAN, 0.2, 0.8, 0.1, 0.3, 0.4, 0.5];
        let ids = [1i64, 1, 1, 2, 2, 2, 3, 3, 4];
        for group_weight in WEIGHTS {
            let value = |heavy: f64| {
                let weights = [1.0, 2.0, heavy, 3.0, 1.0, 0.5, heavy, heavy, heavy];
                let rows = Rows { labels: &labels, scores: &scores, weights: Some(&weights) };
                let options = Options { group_weight, nan: Nan::Drop, ..OPTIONS };
                check(&rows, Groups::Signed(&ids), &options).value
            };
            let want = value(1.0);
            assert!(want.is_some_and(|v| v > 0.0 && v < 1.0), "{group_weight:?}: {want:?}");
            for heavy in [1e19, 1e300] {
                assert_eq!(value(heavy), want, "{group_weight:?}, {heavy:e}");
            }
        }
        let rows = Rows {
            labels: &[1, 0, 1, 0],
            scores: &[1.0, 0.0, 0.0, 1.0],
            weights: Some(&[1e-9, 1e19, 3e-9, 1e19]),
        };
        let options = Options { group_weight: GroupWeight::Positives, ..OPTIONS };
        assert_eq!(check(&rows, Groups::Signed(&[1, 1, 2, 2]), &options).value, Some(0.25), "light positives");
    }

    #[test]
    fn bad_offsets_are_found() {
        let rows = Rows { labels: &[1, 0, 1], scores: &[1.0f32, 2.0, 3.0], weights: None };
        let exec = executions().next().unwrap_or_else(|| unreachable!("the baseline is always there"));
        let table: [(&[i64], usize, Option<i64>); 5] = [
            (&[], 0, None),
            (&[1, 3], 0, Some(1)),
            (&[0, 2, 1, 3], 2, Some(1)),
            (&[0, 2], 1, Some(2)),
            (&[0, 4], 1, Some(4)),
        ];
        for (offsets, index, value) in table {
            let error = gauc(&exec, &rows, Groups::Offsets(offsets), &OPTIONS);
            assert_eq!(error, Err(MetricError::Offsets { index, value, rows: 3 }), "{offsets:?}");
        }
    }

    #[test]
    fn giants_and_dwarfs() {
        let n = 3 * GIANT;
        let labels: Vec<u8> = noise(n).map(|x| u8::from(x % 7 == 0)).collect();
        let scores: Vec<f32> = noise(2 * n).skip(n).map(|x| (x % 5000) as f32).collect();
        let weights: Vec<f64> = noise(n).map(|x| (x % 4) as f64 / 3.0).collect();
        // One giant, one of some hundred rows, and the rest of about twenty.
        let ids: Vec<i64> = noise(n)
            .enumerate()
            .map(|(i, x)| match x % 1000 {
                0..=600 => 1 << 40,
                601 => -1,
                _ => (i % 10_000) as i64,
            })
            .collect();
        for weights in [None, Some(&weights[..])] {
            let rows = Rows { labels: &labels, scores: &scores, weights };
            let got = check(&rows, Groups::Signed(&ids), &OPTIONS);
            assert_eq!(got.groups.iter().map(|g| g.rows).sum::<u64>() + got.left.weightless, n as u64, "all rows");
            // The same rows, already grouped, as ids and as offsets.
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by_key(|&i| ids[i]);
            let pick = |x: &[f32]| order.iter().map(|&i| x[i]).collect::<Vec<_>>();
            let labels: Vec<u8> = order.iter().map(|&i| labels[i]).collect();
            let weights: Option<Vec<f64>> = weights.map(|w| order.iter().map(|&i| w[i]).collect());
            let ids: Vec<i64> = order.iter().map(|&i| ids[i]).collect();
            let scores = pick(&scores);
            let rows = Rows { labels: &labels, scores: &scores, weights: weights.as_deref() };
            let mut offsets: Vec<i64> =
                (0..n).filter(|&i| i == 0 || ids[i] != ids[i - 1]).map(|i| i as i64).collect();
            offsets.push(n as i64);
            let sorted = check(&rows, Groups::Signed(&ids), &OPTIONS);
            assert_eq!(sorted.value.map(f64::to_bits), got.value.map(f64::to_bits), "sorted");
            assert_eq!(sorted.ids, got.ids, "ids ascend");
            let cut = check(&rows, Groups::Offsets(&offsets), &OPTIONS);
            assert_eq!(cut.value.map(f64::to_bits), got.value.map(f64::to_bits), "offsets");
            // A group is what AUC makes of its rows.
            let exec = executions().last().unwrap_or_else(|| unreachable!("the baseline is always there"));
            for (g, group) in sorted.groups.iter().enumerate().filter(|(_, g)| g.rows > 100) {
                let alone = rows.range(offsets[g] as usize, offsets[g + 1] as usize);
                let want = auc(&exec, &alone, Nan::Raise).unwrap_or_else(|e| panic!("{e}"));
                assert_eq!(group.pairs, want.pairs, "group {g}");
            }
        }
    }

    proptest! {
        #[test]
        fn one_group_is_auc(
            rows in prop::collection::vec((0u8..2, -3i32..3, 1e-3..1e3f64), 2..200), weight in 0usize..4,
        ) {
            let labels: Vec<u8> = rows.iter().map(|r| r.0).collect();
            let scores: Vec<f32> = rows.iter().map(|r| r.1 as f32).collect();
            let weights: Vec<f64> = rows.iter().map(|r| r.2).collect();
            for weights in [None, Some(&weights[..])] {
                let rows = Rows { labels: &labels, scores: &scores, weights };
                let options = Options { group_weight: WEIGHTS[weight], ..OPTIONS };
                let got = check(&rows, Groups::Unsigned(&vec![9; labels.len()]), &options);
                for exec in executions() {
                    let want = auc(&exec, &rows, Nan::Raise).unwrap_or_else(|e| panic!("{e}"));
                    prop_assert_eq!(got.value.map(f64::to_bits), want.pairs.auc().map(f64::to_bits));
                }
            }
        }

        #[test]
        fn the_mean_of_auc_by_group(
            rows in prop::collection::vec((0u8..2, -3i32..3, -4i64..4), 1..200), weight in 0usize..4,
        ) {
            let labels: Vec<u8> = rows.iter().map(|r| r.0).collect();
            let scores: Vec<i64> = rows.iter().map(|r| r.1.into()).collect();
            let ids: Vec<i64> = rows.iter().map(|r| r.2).collect();
            let options = Options { group_weight: WEIGHTS[weight], ..OPTIONS };
            let got = check(&Rows { labels: &labels, scores: &scores, weights: None }, Groups::Signed(&ids), &options);
            let (mut sum, mut total) = (0.0, 0.0);
            for id in -4..4 {
                let mine: Vec<usize> = (0..rows.len()).filter(|&i| ids[i] == id).collect();
                let labels: Vec<u8> = mine.iter().map(|&i| labels[i]).collect();
                let scores: Vec<i64> = mine.iter().map(|&i| scores[i]).collect();
                let pairs = crate::metrics::naive::pairs(&labels, &scores, |_| 1);
                let Some(auc) = pairs.auc() else { continue };
                let omega = match options.group_weight {
                    GroupWeight::Impressions => mine.len() as f64,
                    GroupWeight::Positives => labels.iter().map(|&l| f64::from(l)).sum(),
                    GroupWeight::Uniform => 1.0,
                    GroupWeight::Pairs => pairs.all as f64,
                };
                sum += omega * auc;
                total += omega;
            }
            match got.value {
                None => prop_assert_eq!(total, 0.0),
                Some(value) => prop_assert!((value - sum / total).abs() < 1e-14, "{} against {}", value, sum / total),
            }
        }
    }
}
