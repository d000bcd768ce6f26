//! The activations that are made of e^x, and their derivatives, in `f64`: by + − × ÷ and bit moves alone.
//!
//! ```text
//! σ′(x)     = e/(1 + e)²                      e = e^−|x|
//! tanh′(x)  = 4σ′(2x)
//! ELU(x)    = x above 0, e^x − 1 below        for α = 1
//! SiLU(x)   = x·σ(x),                         derivative σ(x) + xσ′(x)
//! GELU(x)   = x·Φ(x),                         derivative Φ(x) + xφ(x)
//! tanh form = x·σ(u),                         derivative σ(u) + xσ′(u)u′,    u = 2√(2/π)(x + 0.044715x³)
//! ```
//!
//! Φ, the normal distribution, is one formula without a branch:
//!
//! ```text
//! Φ(−x) = e^(−x²/2)·P(t)/(x + 1)   for x >= 0,    Φ(x) = 1 − Φ(−x)
//! ```
//!
//! (x + 1)·e^(x²/2)·Φ(−x) stays between 0.4 and 0.6, and is smooth in t = ((1 + 10/X)x − 5)/(x + 5), which maps 0 … X to
//! −1 … 1. P is its Chebyshev series over X = 39, where e^(−x²/2) ends, taken from its values at 64 Chebyshev points in
//! 60 digits and written in powers of t; what the 23 terms leave out is below 2e-17 of it. So the far tail keeps its
//! digits, which 1 + erf does not. (Cody 1969, "Rational Chebyshev Approximations for the Error Function", scales the tail
//! by its exponential likewise, and takes three ranges.)
//!
//! What will be rounded to `f32` needs fewer terms: 13 over X = 14.5, beyond which Φ(−x) is 0 there, with x + 5 in place of
//! x + 1, which saves an addition; within 1e-10. The square of such an x is exact.
//!
//! A subnormal number has lost digits, and a larger product of it lacks them: e^−743 is 4 of the smallest numbers, ±½, and
//! 743 times that is off by hundreds. So e^x stays two factors until the end, and GELU's
//! e^(−x²/2) meets no factor much above 1.
//!
//! Errors in ulps of the result, wherever it is not 0: ELU within 1, SiLU 3.5, GELU 6, σ′ and tanh′ 4.5, the tanh form
//! 3 + 4·|u|, as u is rounded; in `f32` all within 0.501, as they are rounded once. The slopes of the last three cross 0
//! on the left; they are within 2.5 ulps of 1. `tests/test_elementary.py` declares the same numbers, and checks them.

use crate::elementary::{exp, exp_in_two, expm1_below_0, polynomial};

/// Coefficients of P over 0 … 39: of the even powers of t, the highest first.
const TAIL_EVEN: [f64; 12] = [
    5.218_861_371_318_032e-11,
    -6.134_843_037_282_9e-10,
    4.675_037_336_223_615e-9,
    -3.748_883_218_493_272e-8,
    3.980_005_484_940_432e-7,
    -5.284_882_109_247_229e-6,
    7.098_738_471_467_706e-5,
    -0.000_596_660_325_239_804_9,
    -0.010_163_239_351_450_195,
    -0.026_933_149_443_486_584,
    0.019_777_902_752_975_15,
    0.472_300_621_073_536_54,
];
/// Of the odd powers.
const TAIL_ODD: [f64; 11] = [
    1.674_486_547_519_925_2e-10,
    -2.394_068_379_116_331_2e-9,
    2.265_330_693_263_356e-8,
    -1.934_632_141_249_485_3e-7,
    1.536_709_441_405_135_7e-6,
    -8.291_143_284_313_024e-6,
    -7.875_296_623_475_581e-5,
    0.003_444_746_144_176_749,
    0.020_125_305_716_086_204,
    0.017_866_173_962_846_66,
    -0.086_899_003_552_106_52,
];
/// The same over 0 … 14.5, for `f32`.
const NARROW_EVEN: [f64; 7] = [
    -1.865_896_652_982_038e-7,
    6.373_213_635_336_248e-6,
    -0.000_192_953_157_472_335_3,
    0.004_040_604_612_419_793,
    0.084_254_777_327_997_47,
    0.450_437_587_632_701_1,
    0.978_449_992_575_887,
];
/// Of the odd powers.
const NARROW_ODD: [f64; 6] = [
    -2.083_764_370_557_887e-6,
    3.226_545_980_206_082e-5,
    -3.410_056_558_445_807_3e-6,
    -0.023_684_967_916_242_86,
    -0.220_223_772_684_111_75,
    -0.739_121_835_455_359_7,
];
/// The range of P, beyond which e^(−x²/2) is 0 in `f64`.
const FAR: f64 = 39.0;
/// The range of the short P; and, a little on, where xφ(x) is 0 in `f32` too.
const NARROW_END: f64 = 14.5;
const NARROW_FAR: f64 = 14.6;
/// 1/√(2π).
const DENSITY: f64 = 0.398_942_280_401_432_7;

/// 2√(2/π), and the cube's weight in GELU's tanh form.
const TANH_SCALE: f64 = 1.595_769_121_605_730_8;
const TANH_CUBE: f64 = 0.044_715;
/// Beyond it the tanh form is 0 or x, and u² cannot overflow within.
const TANH_FAR: f64 = 40.0;
/// Below −800 σ is 0.
const SIGMOID_FAR: f64 = 800.0;

/// σ′(x).
#[inline(always)]
#[must_use]
pub fn sigmoid_slope(x: f64) -> f64 {
    times_slope(1.0, x)
}

/// tanh′(x).
#[inline(always)]
#[must_use]
pub fn tanh_slope(x: f64) -> f64 {
    times_slope(4.0, 2.0 * x)
}

/// ELU with α = 1.
#[inline(always)]
#[must_use]
pub fn elu(x: f64) -> f64 {
    let below = expm1_below_0(x);
    if x >= 0.0 { x } else { below }
}

/// SiLU, also called swish.
#[inline(always)]
#[must_use]
pub fn silu(x: f64) -> f64 {
    times_sigmoid(at_least(x, -SIGMOID_FAR), x)
}

/// SiLU′.
#[inline(always)]
#[must_use]
pub fn silu_slope(x: f64) -> f64 {
    let (value, slope) = sigmoid_and_slope(x);
    value + within(x, SIGMOID_FAR) * slope
}

/// GELU; `NARROW` where x is an `f32` and the result will be rounded to one.
#[inline(always)]
#[must_use]
pub fn gelu<const NARROW: bool>(x: f64) -> f64 {
    let far = if NARROW { NARROW_FAR } else { FAR };
    let (ratio, bell) = tail::<NARROW>(x);
    // The bell comes last: Φ may be subnormal where xΦ is not.
    let below = within(x, far) * ratio * bell;
    if x <= 0.0 { below } else { x - below }
}

/// GELU′.
#[inline(always)]
#[must_use]
pub fn gelu_slope<const NARROW: bool>(x: f64) -> f64 {
    let far = if NARROW { NARROW_FAR } else { FAR };
    let (ratio, bell) = tail::<NARROW>(x);
    let below = ratio * bell;
    let phi = if x <= 0.0 { below } else { 1.0 - below };
    phi + within(x, far) * (DENSITY * bell)
}

/// GELU in its tanh form.
#[inline(always)]
#[must_use]
pub fn gelu_tanh(x: f64) -> f64 {
    let near = within(x, TANH_FAR);
    times_sigmoid(at_least(x, -TANH_FAR), TANH_SCALE * near * (1.0 + TANH_CUBE * near * near))
}

/// Its derivative.
#[inline(always)]
#[must_use]
pub fn gelu_tanh_slope(x: f64) -> f64 {
    let near = within(x, TANH_FAR);
    let square = TANH_CUBE * near * near;
    let (value, slope) = sigmoid_and_slope(TANH_SCALE * near * (1.0 + square));
    value + near * slope * (TANH_SCALE * (1.0 + 3.0 * square))
}

/// c·σ′(x).
#[inline(always)]
fn times_slope(c: f64, x: f64) -> f64 {
    let (value, power) = exp_in_two(-x.abs());
    let one = 1.0 + value * power;
    c * value / (one * one) * power
}

/// x·σ(u) for an x with the sign of u: on the left x·e^u comes first, as e^u may be subnormal where x·e^u is not.
#[inline(always)]
fn times_sigmoid(x: f64, u: f64) -> f64 {
    let (value, power) = exp_in_two(-u.abs());
    let one = 1.0 + value * power;
    let (top, power) = if u >= 0.0 { (x, 1.0) } else { (x * value, power) };
    top / one * power
}

/// σ and σ′ by one division.
#[inline(always)]
fn sigmoid_and_slope(x: f64) -> (f64, f64) {
    let e = exp(-x.abs());
    let above = 1.0 / (1.0 + e);
    let below = e * above;
    (if x >= 0.0 { above } else { below }, above * below)
}

/// Φ(−|x|)/e^(−x²/2), and e^(−x²/2).
#[inline(always)]
fn tail<const NARROW: bool>(x: f64) -> (f64, f64) {
    let size = x.abs();
    if NARROW {
        let size = if size > NARROW_FAR { NARROW_FAR } else { size };
        let t = ((1.0 + 10.0 / NARROW_END) * size - 5.0) / (size + 5.0);
        (halves(t, &NARROW_EVEN, &NARROW_ODD) / (size + 5.0), exp(-0.5 * size * size))
    } else {
        let size = if size > FAR { FAR } else { size };
        let t = ((1.0 + 10.0 / FAR) * size - 5.0) / (size + 5.0);
        (halves(t, &TAIL_EVEN, &TAIL_ODD) / (size + 1.0), bell(size))
    }
}

/// e^(−x²/2): the square of x rounded to `f32` is exact, and the rest of the exponent is at most 1e-4.
#[inline(always)]
fn bell(x: f64) -> f64 {
    let head = f64::from(x as f32);
    let rest = -0.5 * ((x - head) * (x + head));
    exp(-0.5 * head * head) * (1.0 + rest * (1.0 + rest * (0.5 + rest * (1.0 / 6.0))))
}

/// E(t²) + t·O(t²): two short chains instead of one.
#[inline(always)]
fn halves<const N: usize, const M: usize>(t: f64, even: &[f64; N], odd: &[f64; M]) -> f64 {
    let z = t * t;
    polynomial(z, even) + t * polynomial(z, odd)
}

/// max(x, least), and NaN of NaN.
#[inline(always)]
fn at_least(x: f64, least: f64) -> f64 {
    if x < least { least } else { x }
}

/// x cut to −far … far, and NaN of NaN.
#[inline(always)]
fn within(x: f64, far: f64) -> f64 {
    let x = if x > far { far } else { x };
    at_least(x, -far)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        type Row = (fn(f64) -> f64, f64, f64, i64);
        let table: [Row; 20] = [
            (sigmoid_slope, -3.3, 0.034_305_879_766_366_475, 4),
            (tanh_slope, 1.7, 0.125_009_870_633_446_6, 4),
            (tanh_slope, -372.75, 5e-324, 0),
            (elu, -1e-9, -9.999_999_995e-10, 1),
            (elu, -2.5, -0.917_915_001_376_101_2, 1),
            (silu, -4.5, -0.049_441_241_837_669_31, 3),
            (silu, -743.0, -1.549_4e-320, 1), // where e^x is 2e-323
            (silu, 2.25, 2.035_463_703_977_004, 3),
            (silu_slope, 0.75, 0.842_599_944_496_753_5, 4),
            (silu_slope, -9.5, -0.000_636_139_715_241_356, 8),
            (gelu::<false>, -38.28, -2.523_93e-319, 1),
            (gelu::<false>, -30.5, -3.973_960_635_193_133e-203, 5),
            (gelu::<false>, -2.25, -0.027_505_063_473_850_584, 5),
            (gelu::<false>, 0.5, 0.345_731_230_637_006_56, 5),
            (gelu_slope::<false>, 1.25, 1.122_661_583_069_422_2, 4),
            (gelu_slope::<false>, -5.5, -5.733_472_398_739_924e-7, 8),
            (gelu_tanh, -2.25, -0.027_201_329_897_288_61, 10),
            (gelu_tanh, -21.4375, -1.485_95e-319, 1),
            (gelu_tanh, 1.5, 1.399_571_576_980_232_8, 8),
            (gelu_tanh_slope, 0.3, 0.732_295_451_638_801_8, 4),
        ];
        for (f, x, want, ulps) in table {
            let got = f(x);
            let apart = (got.to_bits() as i64 - want.to_bits() as i64).abs();
            assert!(apart <= ulps, "at {x:e}: {got:e}, want {want:e}, {apart} ulps");
        }
    }

    #[test]
    fn the_short_form_of_gelu_is_the_long_one_to_ten_digits() {
        for i in -1200..=1200 {
            let x = f64::from(i as f32 / 100.0);
            let (short, long) = (gelu::<true>(x), gelu::<false>(x));
            assert!((short - long).abs() <= 2e-10 * long.abs(), "at {x}: {short:e} and {long:e}");
        }
    }

    #[test]
    fn limits() {
        for f in [silu, gelu::<false>, gelu_tanh] {
            assert_eq!((f(f64::NEG_INFINITY), f(-1e300), f(0.0)), (0.0, 0.0, 0.0), "0 on the left and at 0");
            assert_eq!(f(f64::INFINITY), f64::INFINITY, "x on the right");
        }
        for f in [silu_slope, gelu_slope::<false>, gelu_tanh_slope] {
            assert_eq!((f(f64::NEG_INFINITY), f(f64::INFINITY)), (0.0, 1.0), "slopes at both ends");
        }
        for x in [f64::NEG_INFINITY, -1e30, -15.0] {
            let short = (gelu::<true>(x) as f32, gelu_slope::<true>(x) as f32);
            assert_eq!(short, (0.0, 0.0), "0 once they are rounded to f32");
        }
        assert_eq!((elu(f64::NEG_INFINITY), elu(f64::INFINITY)), (-1.0, f64::INFINITY), "ELU at both ends");
        assert_eq!((sigmoid_slope(f64::INFINITY), tanh_slope(1e308)), (0.0, 0.0), "flat far out");
        for f in [sigmoid_slope, tanh_slope, elu, silu, silu_slope, gelu::<false>, gelu_slope::<true>, gelu_tanh] {
            assert!(f(f64::NAN).is_nan(), "NaN in, NaN out");
        }
    }
}
