//! The metrics as their definitions read, pair by pair: the oracle of the tests.

use super::auc::Pairs;
use super::key::Score;

/// Pairs of a positive and a negative, each pair looked at.
pub(crate) fn pairs<S: Score + PartialOrd>(labels: &[u8], scores: &[S], weight: impl Fn(usize) -> u128) -> Pairs {
    let mut pairs = Pairs::default();
    for i in (0..labels.len()).filter(|&i| labels[i] == 1) {
        for j in (0..labels.len()).filter(|&j| labels[j] == 0) {
            let both = weight(i) * weight(j);
            pairs.all += both;
            pairs.below += if scores[j] < scores[i] { both } else { 0 };
            pairs.tied += if scores[j] == scores[i] { both } else { 0 };
        }
    }
    pairs
}

/// The same for scores of few values: how often each value is a positive, and a negative.
pub(crate) fn by_value<S: Score>(labels: &[u8], scores: &[S]) -> Pairs {
    let mut counts = std::collections::BTreeMap::<S::Key, [u128; 2]>::new();
    for (&label, &score) in labels.iter().zip(scores) {
        counts.entry(score.key()).or_default()[usize::from(label)] += 1;
    }
    let (mut pairs, mut seen) = (Pairs::default(), 0);
    for [negatives, positives] in counts.into_values() {
        pairs.below += positives * seen;
        pairs.tied += positives * negatives;
        seen += negatives;
    }
    pairs.all = seen * labels.iter().map(|&l| u128::from(l)).sum::<u128>();
    pairs
}

/// Helpers of the tests.
pub(crate) mod tests {
    use crate::exec::Exec;
    use crate::isa::Level;

    /// Every level, on 1, 2, 3 and 7 threads.
    pub(crate) fn executions() -> impl Iterator<Item = Exec> {
        let on = |level| [1, 2, 3, 7].map(|threads| Exec { level, threads, chunk: 64, serial_below: 0 });
        Level::available().into_iter().flat_map(on)
    }

    /// Numbers that look random.
    pub(crate) fn noise(n: usize) -> impl Iterator<Item = u64> {
        let mut state = 7u64;
        (0..n).map(move |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state ^ (state >> 29)) >> 7
        })
    }
}
