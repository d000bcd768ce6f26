//! A sum of reals without rounding: the same bits in whatever order, cut and merge, rounded once when it is read.
//!
//! A finite `f64` is m·2^e with an integer m of 53 bits and one of 2046 exponents. There is one `i128` counter for each
//! exponent; adding a term adds m to its counter. 2⁷⁴ terms fit, or terms times integers that sum to less than 2⁷⁴:
//! no carry, no overflow, no order. Merging adds counters. 32 KiB, of which real data touch some twenty counters.
//!
//! Many terms go through a filter first, which vectorises. With 2^e above all of a block, c = 1.5·2^(52 + e − 43):
//!
//! ```text
//! high = (x + c) − c        x rounded to a multiple of 2^(e − 43); x − high is exact, and below 2^(e − 43)
//! ```
//!
//! and again with what is left, 43 bits further down. 2^9 such multiples add up in a float without rounding, so a
//! block comes to two floats, and the few terms that have bits below 2^(e − 86).

use super::ratio;

/// Exponents of finite numbers, subnormal ones first.
const EXPONENTS: usize = 2047;
/// 64-bit limbs that hold every counter at its place: 2046 + 127 bits and a sign.
const LIMBS: usize = 35;

/// An exact sum.
#[derive(Clone, Debug)]
pub struct Exact {
    counters: Vec<i128>,
}

/// The same sum, however it came about.
impl PartialEq for Exact {
    fn eq(&self, other: &Self) -> bool {
        self.limbs() == other.limbs()
    }
}

impl Eq for Exact {}

/// Terms that are filtered together.
pub(crate) const BLOCK: usize = 512;
/// Terms of one block that add up side by side.
const LANES: usize = 16;
/// Bits of each part of a filtered term: those of a float, less those of [`BLOCK`] and of a sign.
const PART: i32 = 43;

impl Default for Exact {
    fn default() -> Self {
        Self::new()
    }
}

impl Exact {
    /// An empty sum.
    #[must_use]
    pub fn new() -> Self {
        Self { counters: vec![0; EXPONENTS] }
    }

    /// Adds `x`.
    ///
    /// # Panics
    /// When it is infinite or NaN.
    #[inline]
    pub fn add(&mut self, x: f64) {
        let (m, e) = parts(x);
        self.counters[e] += i128::from(m);
    }

    /// Adds up to 512 terms.
    ///
    /// # Panics
    /// When one of them is infinite or NaN, or there are too many.
    #[inline(always)]
    pub fn add_block(&mut self, terms: &[f64]) {
        self.add_below(terms, largest(terms));
    }

    /// Adds a block whose [`largest`] magnitude is known.
    #[inline(always)]
    pub(crate) fn add_below(&mut self, terms: &[f64], largest: u64) {
        assert!(terms.len() <= BLOCK, "at most a block");
        let e = (largest >> 52) as i32 - 1022;
        if !(-900..900).contains(&e) {
            return terms.iter().for_each(|&x| self.add(x));
        }
        let magic = |bits: i32| 1.5 * f64::from_bits(((1023 + 52 + e - bits) as u64) << 52);
        let (first, second) = (magic(PART), magic(2 * PART));
        let filter = |x: f64| {
            let high = (x + first) - first;
            let rest = x - high;
            let low = (rest + second) - second;
            (high, low, rest - low)
        };
        // The loop has this form, and parts that are not an array, so that it vectorises.
        let (mut high, mut low, mut left) = ([0.0; LANES], [0.0; LANES], [0; LANES]);
        let (whole, tail) = terms.as_chunks::<LANES>();
        for terms in whole {
            for i in 0..LANES {
                let parts = filter(terms[i]);
                high[i] += parts.0;
                low[i] += parts.1;
                left[i] |= parts.2.to_bits() << 1; // without the sign
            }
        }
        for (i, &x) in tail.iter().enumerate() {
            let parts = filter(x);
            high[i] += parts.0;
            low[i] += parts.1;
            left[i] |= parts.2.to_bits() << 1;
        }
        self.add(high.iter().sum());
        self.add(low.iter().sum());
        if left.iter().fold(0, |any, bits| any | bits) != 0 {
            terms.iter().for_each(|&x| self.add(filter(x).2));
        }
    }

    /// Adds `x` `times` times.
    ///
    /// # Panics
    /// When it is infinite or NaN.
    pub fn add_times(&mut self, x: f64, times: u64) {
        let (m, e) = parts(x);
        self.counters[e] += i128::from(m) * i128::from(times);
    }

    /// Adds all that `other` holds.
    #[must_use]
    pub fn merged(mut self, other: &Self) -> Self {
        for (mine, theirs) in self.counters.iter_mut().zip(&other.counters) {
            *mine += theirs;
        }
        self
    }

    /// The sum, rounded once.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.over(1)
    }

    /// The sum divided by `divisor`, rounded once.
    ///
    /// # Panics
    /// When the divisor is 0 or above [`ratio::MAX_DIVISOR`].
    #[must_use]
    pub fn over(&self, divisor: u128) -> f64 {
        let mut limbs = self.limbs();
        let negative = limbs[LIMBS - 1] >> 63 == 1;
        if negative {
            negate(&mut limbs);
        }
        let magnitude = ratio::divide(|i| (limbs[i / 64] >> (i % 64)) & 1 == 1, 64 * LIMBS, -1074, divisor);
        if negative { -magnitude } else { magnitude }
    }
}

impl Exact {
    /// The sum in units of 2^-1074, in two's complement.
    fn limbs(&self) -> [u64; LIMBS] {
        let mut limbs = [0; LIMBS];
        for (e, &counter) in self.counters.iter().enumerate().filter(|(_, c)| **c != 0) {
            // Exponent 0 marks subnormal numbers, whose unit is that of exponent 1.
            add_shifted(&mut limbs, counter, e.max(1) - 1);
        }
        limbs
    }
}

/// The bits of the largest magnitude; those of infinity and NaN are above all others.
#[inline(always)]
pub(crate) fn largest(terms: &[f64]) -> u64 {
    terms.iter().fold(0, |m, x| m.max(x.to_bits() & !(1 << 63)))
}

/// Signed significand, and index of the exponent.
#[inline(always)]
fn parts(x: f64) -> (i64, usize) {
    let bits = x.to_bits();
    let e = ((bits >> 52) & 0x7ff) as usize;
    let m = ((bits & ((1 << 52) - 1)) | (u64::from(e > 0) << 52)) as i64;
    (if bits >> 63 == 1 { -m } else { m }, e)
}

/// limbs += v·2^shift, in two's complement.
fn add_shifted(limbs: &mut [u64; LIMBS], v: i128, shift: usize) {
    let (first, shift) = (shift / 64, shift % 64);
    let low = (v as u128) << shift;
    let high = (v >> 64) >> (64 - shift);
    let sign = (v >> 127) as u64;
    let words = [low as u64, (low >> 64) as u64, high as u64];
    let mut carry = false;
    for (i, limb) in limbs[first..].iter_mut().enumerate() {
        let (sum, over) = limb.overflowing_add(*words.get(i).unwrap_or(&sign));
        let (sum, again) = sum.overflowing_add(u64::from(carry));
        (*limb, carry) = (sum, over || again);
    }
}

fn negate(limbs: &mut [u64; LIMBS]) {
    let mut carry = true;
    for limb in limbs {
        (*limb, carry) = (!*limb).overflowing_add(u64::from(carry));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(x: &[f64]) -> Exact {
        let mut exact = Exact::new();
        x.iter().for_each(|&v| exact.add(v));
        exact
    }

    #[test]
    fn sums_at_known_values() {
        assert_eq!(sum(&[]).value(), 0.0, "nothing");
        assert_eq!(sum(&[1e300, 1.0, -1e300]).value(), 1.0, "no digit is lost");
        assert_eq!(sum(&[1.0, 1e-300]).value(), 1.0, "rounded once");
        assert_eq!(sum(&[1.0, f64::EPSILON / 2.0, 1e-300]).value(), 1.0 + f64::EPSILON, "above a tie");
        assert_eq!(sum(&[5e-324; 3]).value(), 1.5e-323, "subnormal");
        assert_eq!(sum(&[f64::MAX, f64::MAX]).value(), f64::INFINITY, "overflows only when read");
        assert_eq!(sum(&[f64::MAX, f64::MAX]).over(2), f64::MAX, "and not when divided");
        assert_eq!(sum(&[-0.1; 10]).value(), -1.0, "-0.1 ten times is nearest to -1");
        assert_eq!(sum(&[0.1; 10]).over(10), 0.1, "the mean of equals");
    }

    #[test]
    #[should_panic(expected = "out of bounds")]
    fn infinity_is_refused() {
        sum(&[f64::INFINITY]);
    }

    fn finite() -> impl Strategy<Value = f64> {
        any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |x| x.is_finite())
    }

    #[test]
    fn a_block_adds_what_its_terms_do() {
        let mut state = 9u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state
        };
        for spread in [0, 1, 20, 60, 300, 2000] {
            for n in [0, 1, LANES - 1, LANES, LANES + 1, BLOCK - 1, BLOCK] {
                let terms: Vec<f64> = (0..n)
                    .map(|_| {
                        let (exponent, sign) = (1023 - next() % (spread + 1) % 1023, next() & (1 << 63));
                        f64::from_bits(sign | exponent << 52 | next() >> 12)
                    })
                    .collect();
                for scale in [1.0, f64::from_bits(1), 1e-200, 1e300] {
                    let terms: Vec<f64> = terms.iter().map(|x| x * scale).collect();
                    let mut block = Exact::new();
                    block.add_block(&terms);
                    assert_eq!(block, sum(&terms), "{n} terms over {spread} exponents, times {scale:e}");
                }
            }
        }
        let mut block = Exact::new();
        block.add_block(&[f64::MAX; BLOCK]);
        block.add_block(&[0.1f64.next_down(), -0.0, 0.0, 1.0, -1.0]);
        assert_eq!(block.over(BLOCK as u128), f64::MAX, "the largest ones, and next to nothing");
    }

    #[test]
    #[should_panic(expected = "out of bounds")]
    fn infinity_in_a_block_is_refused() {
        Exact::new().add_block(&[1.0, f64::INFINITY]);
    }

    proptest! {
        #[test]
        fn blocks_of_any_terms(x in prop::collection::vec(finite(), 0..BLOCK), below in 0.0f64..1e3) {
            let mut blocks = Exact::new();
            blocks.add_block(&x);
            prop_assert_eq!(&blocks, &sum(&x));
            let near: Vec<f64> = x.iter().map(|x| x.rem_euclid(below)).filter(|x| x.is_finite()).collect();
            let mut blocks = Exact::new();
            blocks.add_block(&near);
            prop_assert_eq!(&blocks, &sum(&near));
        }

        #[test]
        fn order_and_merging_do_not_matter(x in prop::collection::vec(finite(), 0..40), cut in 0usize..40) {
            let whole = sum(&x);
            let (left, right) = x.split_at(cut.min(x.len()));
            prop_assert_eq!(&sum(right).merged(&sum(left)), &whole);
            let reversed: Vec<f64> = x.iter().rev().copied().collect();
            prop_assert_eq!(sum(&reversed).value().to_bits(), whole.value().to_bits());
        }

        #[test]
        fn two_terms_round_as_the_cpu_does(a in finite(), b in finite()) {
            prop_assume!(a + b != 0.0);
            prop_assert_eq!(sum(&[a, b]).value().to_bits(), (a + b).to_bits());
        }

        #[test]
        fn repeated_terms(x in finite(), n in 1u64..100) {
            let mut times = Exact::new();
            times.add_times(x, n);
            prop_assert_eq!(&times, &sum(&vec![x; n as usize]));
            prop_assume!(x != 0.0);
            prop_assert_eq!(times.over(u128::from(n)).to_bits(), x.to_bits());
        }

        #[test]
        fn division_rounds_once(m in 1u64..1 << 53, d in 1u64..1 << 53) {
            prop_assert_eq!(sum(&[m as f64]).over(u128::from(d)).to_bits(), (m as f64 / d as f64).to_bits());
        }
    }
}
