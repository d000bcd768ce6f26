//! Labels of any kind as bytes 0 and 1: 0/1 or −1/+1, of any number type.

use super::{Found, MetricError, ROWS};
use crate::exec::Exec;
use crate::isa::Kernel;
use crate::pool;

/// A type that labels come in.
pub trait Label: Copy + PartialEq + std::fmt::Display + Send + Sync + 'static {
    /// The labels 0, 1 and −1; where there is no −1, a second 0.
    const NAMES: [Self; 3];
    /// The label as it is, if that is a byte already.
    fn bytes(labels: &[Self]) -> Option<&[u8]> {
        let _ = labels;
        None
    }
}

macro_rules! labels {
    ($($t:ident: $minus:expr),*) => { $(
        impl Label for $t {
            const NAMES: [Self; 3] = [0 as $t, 1 as $t, $minus];
        }
    )* };
}

labels!(i8: -1, i16: -1, i32: -1, i64: -1, u16: 0, u32: 0, u64: 0, f32: -1.0, f64: -1.0);

impl Label for u8 {
    const NAMES: [Self; 3] = [0, 1, 0];
    fn bytes(labels: &[Self]) -> Option<&[u8]> {
        Some(labels)
    }
}

/// What a run of labels holds.
#[derive(Clone, Copy, Default)]
struct Seen {
    zero: bool,
    minus: bool,
    other: bool,
}

impl Seen {
    fn and(self, that: Self) -> Self {
        Self { zero: self.zero | that.zero, minus: self.minus | that.minus, other: self.other | that.other }
    }
}

/// The labels as bytes, 1 for a positive; `None` when they are such bytes already.
pub fn binary<L: Label>(exec: &Exec, labels: &[L]) -> Result<Option<Vec<u8>>, MetricError> {
    let ready = L::bytes(labels).is_some();
    let mut bytes = vec![0; if ready { 0 } else { labels.len() }];
    let mut pieces: Vec<Piece<'_, L>> = if ready {
        labels.chunks(ROWS).map(|labels| Piece { labels, bytes: &mut [], seen: Seen::default() }).collect()
    } else {
        let bytes = bytes.chunks_mut(ROWS);
        labels
            .chunks(ROWS)
            .zip(bytes)
            .map(|(labels, bytes)| Piece { labels, bytes, seen: Seen::default() })
            .collect()
    };
    pool::for_each(exec.threads_for(labels.len()), &mut pieces, |piece| {
        piece.seen = exec.level.run(Classify { labels: piece.labels, bytes: piece.bytes });
    });
    let seen = pieces.iter().map(|p| p.seen).fold(Seen::default(), Seen::and);
    let [zero, one, minus] = L::NAMES;
    if seen.other
        && let Some(found) = Found::search(labels, None, |x| x != zero && x != one && x != minus)
    {
        return Err(MetricError::Label(found));
    }
    if seen.zero && seen.minus {
        let first = |label| labels.iter().position(|&x| x == label).unwrap_or(0);
        return Err(MetricError::MixedLabels { minus: first(minus), zero: first(zero) });
    }
    Ok((!ready).then_some(bytes))
}

struct Piece<'a, L> {
    labels: &'a [L],
    bytes: &'a mut [u8],
    seen: Seen,
}

struct Classify<'a, L> {
    labels: &'a [L],
    bytes: &'a mut [u8],
}

impl<L: Label> Kernel for Classify<'_, L> {
    type Out = Seen;

    #[inline(always)]
    fn run(self) -> Seen {
        let [zero, one, minus] = L::NAMES;
        for (byte, &label) in self.bytes.iter_mut().zip(self.labels) {
            *byte = u8::from(label == one);
        }
        let (mut zeros, mut others, mut minuses) = (0u8, 0u8, 0u8);
        for &label in self.labels {
            zeros |= u8::from(label == zero);
            minuses |= u8::from(label == minus) & u8::from(label != zero);
            others |= u8::from(label != zero) & u8::from(label != one) & u8::from(label != minus);
        }
        Seen { zero: zeros > 0, minus: minuses > 0, other: others > 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Level;

    fn classify<L: Label>(labels: &[L]) -> Result<Option<Vec<u8>>, MetricError> {
        let mut results = Vec::new();
        for level in Level::available() {
            for threads in [1, 3] {
                results.push(binary(&Exec { level, threads, chunk: 64, serial_below: 0 }, labels));
            }
        }
        assert!(results.windows(2).all(|w| w[0] == w[1]), "the same on every level and thread count");
        results.swap_remove(0)
    }

    #[test]
    fn every_convention() {
        assert_eq!(classify(&[0u8, 1, 1]), Ok(None), "bytes are used as they are");
        assert_eq!(classify(&[0i64, 1, 1]), Ok(Some(vec![0, 1, 1])), "i64");
        assert_eq!(classify(&[-1i8, 1, 1]), Ok(Some(vec![0, 1, 1])), "-1/+1");
        assert_eq!(classify(&[-0.0f64, 1.0, 0.0]), Ok(Some(vec![0, 1, 0])), "f64");
        assert_eq!(classify(&[-1.0f32, -1.0]), Ok(Some(vec![0, 0])), "one class");
        assert_eq!(classify(&[0u32; 0]), Ok(Some(vec![])), "none");
    }

    #[test]
    fn what_is_no_label_is_found() {
        let mut labels = vec![0i64; 3 * ROWS];
        labels[ROWS + 5] = 2;
        labels[2 * ROWS] = -7;
        let found = Found { value: "2".into(), index: ROWS + 5, count: 2, rows: 3 * ROWS };
        assert_eq!(classify(&labels), Err(MetricError::Label(found)), "the first of two");
        let error = classify(&[1.0, f64::NAN, 0.5]).unwrap_err().to_string();
        assert_eq!(error, "y: got NaN at index 1 (2 such of 3 rows), need labels 0/1 or -1/+1", "NaN");
        assert!(classify(&[1u8, 255]).unwrap_err().to_string().contains("255 at index 1"), "bytes");
        assert_eq!(classify(&[1, 0, -1i32]), Err(MetricError::MixedLabels { minus: 2, zero: 1 }), "-1 and 0");
    }
}
