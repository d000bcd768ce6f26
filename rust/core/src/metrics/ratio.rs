//! A quotient of integers, rounded once to the nearest `f64` (ties to even).
//!
//! Up to 2⁵³ both are `f64`s and the division of the CPU is that rounding. Above, long division of school: one bit of the
//! numerator after the other, until 64 bits of the quotient stand, the rest being known to be zero or not.

/// The largest divisor.
pub const MAX_DIVISOR: u128 = 1 << 126;

/// `numerator / denominator`.
///
/// # Panics
/// When the denominator is 0 or above [`MAX_DIVISOR`].
#[must_use]
pub fn ratio(numerator: u128, denominator: u128) -> f64 {
    const EXACT: u128 = 1 << 53;
    if numerator <= EXACT && denominator <= EXACT && denominator > 0 {
        return numerator as f64 / denominator as f64;
    }
    divide(|i| (numerator >> i) & 1 == 1, 128, 0, denominator)
}

/// N·2^unit / denominator, where bit i of N is `bit(i)` for i < `bits`.
pub(crate) fn divide(bit: impl Fn(usize) -> bool, bits: usize, unit: i32, denominator: u128) -> f64 {
    assert!(denominator > 0, "a divisor is not 0");
    assert!(denominator <= MAX_DIVISOR, "a divisor is at most 2^126");
    let mut below = (0..bits).rev().skip_while(|&i| !bit(i));
    let (mut rest, mut quotient, mut exponent) = (0u128, 0u64, 0i32);
    // The exponent of the bit that is being divided.
    let mut at = unit + bits as i32;
    let mut started = false;
    while quotient >> 63 == 0 {
        let next = below.next();
        if let Some(i) = next {
            at = unit + i as i32;
        } else {
            at = at.min(unit) - 1;
            if rest == 0 && !started {
                return 0.0;
            }
        }
        rest = (rest << 1) | u128::from(next.is_some_and(&bit));
        let fits = rest >= denominator;
        if fits {
            rest -= denominator;
        }
        if fits && !started {
            (started, exponent) = (true, at);
        }
        quotient = (quotient << 1) | u64::from(fits);
    }
    let inexact = rest > 0 || below.any(&bit);
    round(quotient, inexact, exponent)
}

/// The `f64` nearest to 1.xxx·2^exponent: `bits` holds 1.xxx, its highest bit set; `more` = there are bits below.
fn round(bits: u64, more: bool, exponent: i32) -> f64 {
    if exponent > 1023 {
        return f64::INFINITY;
    }
    // 53 bits are kept, fewer where the result is subnormal.
    let drop = 11 + (-1022 - exponent).max(0);
    if drop > 64 {
        return 0.0;
    }
    let wide = u128::from(bits);
    let (kept, lost, half) = ((wide >> drop) as u64, wide & ((1 << drop) - 1), 1u128 << (drop - 1));
    let up = lost > half || (lost == half && (more || kept & 1 == 1));
    scale((kept + u64::from(up)) as f64, exponent - 63 + drop)
}

/// x·2^power, in two steps as one factor may not be a number.
#[inline(always)]
pub(crate) fn scale(x: f64, power: i32) -> f64 {
    let half = power >> 1;
    x * power_of_two(half) * power_of_two(power - half)
}

/// 2^e for a normal result.
#[inline(always)]
fn power_of_two(e: i32) -> f64 {
    f64::from_bits(((1023 + e) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotients_at_known_values() {
        assert_eq!(ratio(0, 7), 0.0, "0/7");
        assert_eq!(ratio(1, 3), 1.0 / 3.0, "1/3");
        assert_eq!(ratio(u128::MAX, 1), power_of_two(128), "the largest numerator");
        assert_eq!(ratio(1, MAX_DIVISOR), power_of_two(-126), "the largest divisor");
        assert_eq!(ratio((1 << 53) + 1, 1), (1u64 << 53) as f64, "a tie goes to even");
        assert_eq!(ratio((1 << 54) + 3, 1), ((1u64 << 54) + 4) as f64, "and so up");
        assert_eq!(ratio(((1 << 53) + 1) * 3 + 1, 3), ((1u64 << 53) + 2) as f64, "above a tie goes up");
        assert_eq!(ratio(3 << 100, 1 << 101), 1.5, "3·2^100 / 2^101");
    }

    #[test]
    fn subnormal_and_infinite_quotients() {
        assert_eq!(divide(|_| true, 1, -1074, 1), 5e-324, "the smallest");
        assert_eq!(divide(|_| true, 1, -1075, 1), 0.0, "half of it is a tie, and goes to even");
        assert_eq!(divide(|_| true, 2, -1075, 1), 1e-323, "three halves of it go up to even");
        assert_eq!(divide(|_| true, 1, 1024, 1), f64::INFINITY, "2^1024");
        assert_eq!(divide(|_| true, 54, 970, 1), f64::INFINITY, "rounds up to 2^1024");
    }

    proptest! {
        /// The distance to the quotient, doubled and cross-multiplied in integers, is at most the width of the last bit.
        #[test]
        fn the_nearest_double(n in 1u128..1 << 60, d in 1u128..1 << 60) {
            let slow = divide(|i| (n >> i) & 1 == 1, 128, 0, d);
            let bits = slow.to_bits();
            let (e, m) = ((bits >> 52) as i32 - 1075, u128::from((bits & ((1 << 52) - 1)) | (1 << 52)));
            // m·2^e against n/d, with e in −113..=7: compare m·d with n·2^−e, in units where both are integers.
            let shift = (-e).max(0) as u32;
            prop_assume!(shift < 66);
            let (have, want) = (m * d, n << shift);
            let have = if e > 0 { have << e } else { have };
            let ulp = if e > 0 { d << e } else { d };
            prop_assert!(have.abs_diff(want) * 2 <= ulp, "{n}/{d} = {slow:e}");
            if n <= 1 << 53 && d <= 1 << 53 {
                prop_assert_eq!(slow.to_bits(), ratio(n, d).to_bits());
            }
        }
    }
}
