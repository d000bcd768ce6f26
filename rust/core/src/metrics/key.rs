//! A score as an unsigned integer of the same order: comparing, sorting and bucketing become integer work.
//!
//! ```text
//! float   −inf … −tiny  ±0  tiny … +inf       bits as a signed-magnitude number
//! key     all bits flipped | sign bit set     strictly increasing, equal exactly where the floats are equal
//! ```
//!
//! −0.0 becomes +0.0 first. −inf has the key 2^23 − 1 (2^52 − 1), so 0 is free: it is NaN's, for those who rank NaN lowest.

use std::fmt::Debug;

/// An unsigned integer that is sorted by.
pub trait Key: Copy + Ord + Debug + Default + Send + Sync + 'static {
    /// How many bits it has.
    const BITS: u32;
    /// The same number, widened.
    fn wide(self) -> u64;
    /// The number of these low bits.
    fn narrow(wide: u64) -> Self;
    /// Which stretch of 2^shift keys it is in, counted from the one that starts at `first`; what is below is in that one.
    fn stretch(self, first: Self, shift: u32) -> u32;
}

impl Key for u16 {
    const BITS: u32 = 16;
    #[inline(always)]
    fn wide(self) -> u64 {
        u64::from(self)
    }
    #[inline(always)]
    fn narrow(wide: u64) -> Self {
        wide as u16
    }
    #[inline(always)]
    fn stretch(self, first: Self, shift: u32) -> u32 {
        u32::from(self.saturating_sub(first) >> shift)
    }
}

impl Key for u32 {
    const BITS: u32 = 32;
    #[inline(always)]
    fn wide(self) -> u64 {
        u64::from(self)
    }
    #[inline(always)]
    fn narrow(wide: u64) -> Self {
        wide as u32
    }
    #[inline(always)]
    fn stretch(self, first: Self, shift: u32) -> u32 {
        self.saturating_sub(first) >> shift
    }
}

impl Key for u64 {
    const BITS: u32 = 64;
    #[inline(always)]
    fn wide(self) -> u64 {
        self
    }
    #[inline(always)]
    fn narrow(wide: u64) -> Self {
        wide
    }
    #[inline(always)]
    fn stretch(self, first: Self, shift: u32) -> u32 {
        (self.saturating_sub(first) >> shift).min(u32::MAX.into()) as u32
    }
}

/// A score: `f32`, `f64`, `i64` or `u64`. Narrower types widen without loss before they come here.
pub trait Score: Copy + PartialOrd + Debug + std::fmt::Display + Send + Sync + 'static {
    /// Its ordered integer.
    type Key: Key;
    /// A threshold as scores are compared with it.
    type Cut: Copy + Send + Sync;

    /// The ordered integer; that of NaN is 0.
    fn key(self) -> Self::Key;
    /// The score of a key. −0.0 comes back as 0.0.
    fn from_key(key: Self::Key) -> Self;
    /// Whether it is not a number.
    fn is_nan(self) -> bool;
    /// `threshold` in this type: rounded to it for floats, exact for integers.
    fn cut(threshold: f64) -> Self::Cut;
    /// score >= threshold.
    fn reaches(self, cut: Self::Cut) -> bool;
    /// The nearest `f64`.
    fn real(self) -> f64;
}

macro_rules! float {
    ($float:ident, $bits:ident, $signed:ident) => {
        impl Score for $float {
            type Key = $bits;
            type Cut = $float;

            #[inline(always)]
            fn key(self) -> $bits {
                const SIGN: $bits = 1 << ($bits::BITS - 1);
                // x + 0.0 is x, but +0.0 for −0.0.
                let bits = (self + 0.0).to_bits();
                let negative = ((bits as $signed) >> ($bits::BITS - 1)) as $bits;
                let key = bits ^ (negative | SIGN);
                if self.is_nan() { 0 } else { key }
            }

            #[inline(always)]
            fn from_key(key: $bits) -> $float {
                const SIGN: $bits = 1 << ($bits::BITS - 1);
                $float::from_bits(if key >= SIGN { key ^ SIGN } else { !key })
            }

            #[inline(always)]
            fn is_nan(self) -> bool {
                self != self
            }

            fn cut(threshold: f64) -> $float {
                threshold as $float
            }

            #[inline(always)]
            fn reaches(self, cut: $float) -> bool {
                self >= cut
            }

            #[inline(always)]
            fn real(self) -> f64 {
                f64::from(self)
            }
        }
    };
}

float!(f32, u32, i32);
float!(f64, u64, i64);

macro_rules! integer {
    ($int:ident, $flip:expr) => {
        impl Score for $int {
            type Key = u64;
            type Cut = i128;

            #[inline(always)]
            fn key(self) -> u64 {
                self as u64 ^ $flip
            }

            #[inline(always)]
            fn from_key(key: u64) -> $int {
                (key ^ $flip) as $int
            }

            #[inline(always)]
            fn is_nan(self) -> bool {
                false
            }

            fn cut(threshold: f64) -> i128 {
                threshold.ceil() as i128
            }

            #[inline(always)]
            fn reaches(self, cut: i128) -> bool {
                i128::from(self) >= cut
            }

            #[inline(always)]
            fn real(self) -> f64 {
                self as f64
            }
        }
    };
}

integer!(i64, 1 << 63);
integer!(u64, 0);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn special_floats_are_in_order() {
        let order =
            [f32::NAN, f32::NEG_INFINITY, f32::MIN, -1.0, -1e-45, 0.0, 1e-45, 1.0, f32::MAX, f32::INFINITY];
        assert!(order.windows(2).all(|w| w[0].key() < w[1].key()), "{order:?}");
        assert_eq!((-0.0f32).key(), 0.0f32.key(), "both zeros");
        assert_eq!((-f32::NAN).key(), 0, "NaN of either sign");
        assert_eq!((-0.0f64).key(), 0.0f64.key(), "both zeros");
        assert!([i64::MIN, -1, 0, 1, i64::MAX].map(Score::key).is_sorted(), "integers");
    }

    #[test]
    fn thresholds_round_to_the_type_of_the_scores() {
        assert!(0.7f32.reaches(f32::cut(0.7)), "0.7 as f32 is below 0.7 as f64");
        assert!(!0i64.reaches(i64::cut(0.5)) && 1i64.reaches(i64::cut(0.5)), "integers against a half");
        assert!(
            !u64::MAX.reaches(u64::cut(f64::INFINITY)) && 0u64.reaches(u64::cut(f64::NEG_INFINITY)),
            "infinite"
        );
    }

    proptest! {
        #[test]
        fn the_order_of_f32(a in any::<u32>(), b in any::<u32>()) {
            let (a, b) = (f32::from_bits(a), f32::from_bits(b));
            prop_assume!(!a.is_nan() && !b.is_nan());
            prop_assert_eq!(Some(a.key().cmp(&b.key())), a.partial_cmp(&b));
            prop_assert_eq!(f32::from_key(a.key()), a);
        }

        #[test]
        fn the_order_of_f64(a in any::<u64>(), b in any::<u64>()) {
            let (a, b) = (f64::from_bits(a), f64::from_bits(b));
            prop_assume!(!a.is_nan() && !b.is_nan());
            prop_assert_eq!(Some(a.key().cmp(&b.key())), a.partial_cmp(&b));
            prop_assert_eq!(f64::from_key(a.key()), a);
        }

        #[test]
        fn the_order_of_integers(a in any::<i64>(), b in any::<i64>()) {
            prop_assert_eq!(a.key().cmp(&b.key()), a.cmp(&b));
            prop_assert_eq!(i64::from_key(a.key()), a);
        }
    }
}
