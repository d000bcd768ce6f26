//! exp, ln, ln(1 + x), softplus and the logistic function of `f64`, by + − × ÷ and bit moves alone.
//!
//! The C library's bits depend on the machine; these do not. No branch, no table and no fused operation, so that each
//! vectorises wherever it is inlined, and `fourstep.reference.elementary` gets equal bits by the same operations in NumPy.
//!
//! ```text
//! e^x       = 2^k · e^r             k = round(x / ln 2), |r| <= ½ ln 2, Taylor series of degree 13
//! ln x      = e · ln 2 + ln m       x = 2^e · m, m in [√½, √2), ln m = 2 artanh s with s = (m − 1)/(m + 1), 11 terms
//! ln(1 + x) = ln u + c/u            u = 1 + x rounded, c = (1 + x) − u exactly
//! softplus  = max(x, 0) + ln(1 + e^−|x|)
//! σ(x)      = 1/(1 + e^−x) for x >= 0, else e^x/(1 + e^x)
//! ```
//!
//! Other modules make functions of these: [`crate::activations`] has those of [`apply`] that are activations.
//!
//! Both series stop where their next term is below 2⁻⁵⁷ of the result. Errors: exp, ln and ln(1 + x) within 1 ulp, softplus
//! 2, the logistic function 2.5. `tests/test_elementary.py` declares the same numbers, and checks them.

use crate::activations::{
    elu, gelu, gelu_slope, gelu_tanh, gelu_tanh_slope, sigmoid_slope, silu, silu_slope, tanh_slope,
};
use crate::exec::Exec;
use crate::isa::Kernel;
use crate::pool;
use crate::real::{Real, is_single};

/// ln 2 to 32 bits, so that its product with any exponent is exact.
const LN_2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
/// The rest of ln 2.
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
/// 1.5·2⁵²: a number to which it is added is rounded to an integer, which stands in the low bits of the sum.
const TO_INTEGER: f64 = 6_755_399_441_055_744.0;
/// 2⁵², whose low bits likewise hold the integer that is put there.
const FROM_INTEGER: f64 = 4_503_599_627_370_496.0;
/// 2⁵⁴.
const TO_NORMAL: f64 = 18_014_398_509_481_984.0;

const SIGNIFICAND: u64 = (1 << 52) - 1;
const ONE_BITS: u64 = 1023 << 52;
/// The bits of √½.
const ROOT_HALF_BITS: u64 = 0x3fe6_a09e_667f_3bcd;

/// 1/2!, 1/3! … 1/13!, from the last on.
const EXP_SERIES: [f64; 12] = [
    1.0 / 6_227_020_800.0,
    1.0 / 479_001_600.0,
    1.0 / 39_916_800.0,
    1.0 / 3_628_800.0,
    1.0 / 362_880.0,
    1.0 / 40_320.0,
    1.0 / 5_040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    1.0 / 2.0,
];

/// 2/3, 2/5 … 2/21, from the last on.
const LN_SERIES: [f64; 10] = [
    2.0 / 21.0,
    2.0 / 19.0,
    2.0 / 17.0,
    2.0 / 15.0,
    2.0 / 13.0,
    2.0 / 11.0,
    2.0 / 9.0,
    2.0 / 7.0,
    2.0 / 5.0,
    2.0 / 3.0,
];

/// The polynomial with these coefficients, highest power first, by Horner's rule.
#[inline(always)]
pub(crate) fn polynomial<const N: usize>(x: f64, coefficients: &[f64; N]) -> f64 {
    let mut value = coefficients[0];
    for &c in &coefficients[1..] {
        value = value * x + c;
    }
    value
}

/// x = k·ln 2 + r + rest with |r| <= ½ ln 2 and a tiny rest; k comes as the bits of k + 1.5·2⁵².
#[inline(always)]
fn reduced(x: f64) -> (f64, f64, u64) {
    let shifted = x * std::f64::consts::LOG2_E + TO_INTEGER;
    let k = shifted - TO_INTEGER;
    // r = x − k ln 2 = high − low, rounded to r with the error `rest`.
    let (high, low) = (x - k * LN_2_HIGH, k * LN_2_LOW);
    let r = high - low;
    (r, (high - r) - low, shifted.to_bits())
}

/// 2^k as a product of two powers: the result may be subnormal, the factors are not.
#[inline(always)]
fn powers(k: u64) -> (f64, f64) {
    let k = k.wrapping_sub(TO_INTEGER.to_bits()).wrapping_add(2048); // 2048 keeps the halves positive
    let (half, other) = (k >> 1, k.wrapping_sub(k >> 1));
    let power = |biased: u64| f64::from_bits(biased.wrapping_sub(1) << 52);
    (power(half), power(other))
}

/// e^x; 0 below −745.2 and ∞ above 709.8, gradually through the subnormal numbers.
#[inline(always)]
#[must_use]
pub fn exp(x: f64) -> f64 {
    let (value, power) = exp_in_two(x);
    value * power
}

/// e^x as value · power, neither of them subnormal, and the second a power of two: a multiple of e^x keeps its digits
/// where e^x itself has lost them, if the power comes last. x is cut at −760, where 1000·e^x is 0 as well.
#[inline(always)]
pub(crate) fn exp_in_two(x: f64) -> (f64, f64) {
    let x = if x > 710.0 { 710.0 } else { x };
    let x = if x < -760.0 { -760.0 } else { x };
    let (r, rest, k) = reduced(x);
    // 1 + r = one + lost exactly, so that the only large rounding is the last one.
    let one = 1.0 + r;
    let lost = r - (one - 1.0);
    let e_r = one + (lost + (r * r * polynomial(r, &EXP_SERIES) + rest));
    let (half, other) = powers(k);
    (e_r * half, other)
}

/// e^x − 1 for x <= 0, also where e^x rounds to 1: 2^k(e^r − 1) + (2^k − 1).
#[inline(always)]
#[must_use]
pub(crate) fn expm1_below_0(x: f64) -> f64 {
    let x = if x < -746.0 { -746.0 } else { x };
    let (r, rest, k) = reduced(x);
    let (half, other) = powers(k);
    let power = half * other;
    (r + (r * r * polynomial(r, &EXP_SERIES) + rest)) * power + (power - 1.0)
}

/// ln u + c for a positive finite u and a c that is tiny against it.
#[inline(always)]
pub(crate) fn ln_plus(u: f64, c: f64) -> f64 {
    let subnormal = u < f64::MIN_POSITIVE;
    let u = if subnormal { u * TO_NORMAL } else { u };
    let bias = if subnormal { 1023.0 + 54.0 } else { 1023.0 };
    // Counting from √½ instead of 1 puts the significand m into [√½, √2).
    let bits = u.to_bits().wrapping_add(ONE_BITS - ROOT_HALF_BITS);
    let m = f64::from_bits((bits & SIGNIFICAND) + ROOT_HALF_BITS);
    let e = f64::from_bits(FROM_INTEGER.to_bits() | (bits >> 52)) - (FROM_INTEGER + bias);
    let f = m - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let tail = z * polynomial(z, &LN_SERIES); // ln m = 2s + s·tail
    let h = 0.5 * f * f;
    // 2s = f − h + s·h, where f is exact and the rest small: the only large rounding is the last one.
    e * LN_2_HIGH - ((h - (s * (h + tail) + (e * LN_2_LOW + c))) - f)
}

/// ln x; −∞ at 0, NaN below.
#[inline(always)]
#[must_use]
pub fn ln(x: f64) -> f64 {
    let y = ln_plus(x, 0.0);
    let y = if x == f64::INFINITY { x } else { y };
    let y = if x == 0.0 { f64::NEG_INFINITY } else { y };
    if x >= 0.0 { y } else { f64::NAN }
}

/// ln(1 + x), also where 1 + x rounds to 1; −∞ at −1, NaN below.
#[inline(always)]
#[must_use]
pub fn ln_1p(x: f64) -> f64 {
    let u = 1.0 + x;
    let c = if x < 1.0 { x - (u - 1.0) } else { 1.0 - (u - x) };
    let y = ln_plus(u, c / u);
    let y = if x == f64::INFINITY { x } else { y };
    let y = if x == -1.0 { f64::NEG_INFINITY } else { y };
    let y = if x == 0.0 { x } else { y };
    if x >= -1.0 { y } else { f64::NAN }
}

/// ln(1 + e^x): the log loss of the logit −x of a positive, without overflow and without a loss of digits.
#[inline(always)]
#[must_use]
pub fn softplus(x: f64) -> f64 {
    let positive = if x > 0.0 { x } else { 0.0 };
    // `ln_1p` without what only arguments outside [0, 1] need: with it the loop is not vectorised.
    let e = exp(-x.abs());
    let u = 1.0 + e;
    positive + ln_plus(u, (e - (u - 1.0)) / u)
}

/// σ(x) = 1/(1 + e^−x), without overflow.
#[inline(always)]
#[must_use]
pub fn sigmoid(x: f64) -> f64 {
    let e = exp(-x.abs());
    (if x >= 0.0 { 1.0 } else { e }) / (1.0 + e)
}

/// The functions above, by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Function {
    /// [`exp`].
    Exp,
    /// [`ln`].
    Ln,
    /// [`ln_1p`].
    Ln1p,
    /// [`softplus`].
    Softplus,
    /// [`sigmoid`].
    Sigmoid,
    /// [`crate::activations::sigmoid_slope`].
    SigmoidSlope,
    /// [`crate::activations::tanh_slope`].
    TanhSlope,
    /// [`crate::activations::elu`].
    Elu,
    /// [`crate::activations::silu`].
    Silu,
    /// [`crate::activations::silu_slope`].
    SiluSlope,
    /// [`crate::activations::gelu`].
    Gelu,
    /// [`crate::activations::gelu_slope`].
    GeluSlope,
    /// [`crate::activations::gelu_tanh`].
    GeluTanh,
    /// [`crate::activations::gelu_tanh_slope`].
    GeluTanhSlope,
}

impl Function {
    /// Names and functions.
    pub const ALL: [(&str, Self); 14] = [
        ("exp", Self::Exp),
        ("log", Self::Ln),
        ("log1p", Self::Ln1p),
        ("softplus", Self::Softplus),
        ("sigmoid", Self::Sigmoid),
        ("dsigmoid", Self::SigmoidSlope),
        ("dtanh", Self::TanhSlope),
        ("elu", Self::Elu),
        ("silu", Self::Silu),
        ("dsilu", Self::SiluSlope),
        ("gelu", Self::Gelu),
        ("dgelu", Self::GeluSlope),
        ("gelu_tanh", Self::GeluTanh),
        ("dgelu_tanh", Self::GeluTanhSlope),
    ];

    /// The function called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(n, _)| *n == name).map(|(_, f)| *f)
    }
}

/// out ← f(x), element by element, in `f64` and rounded once to `T`.
///
/// # Panics
/// When the lengths differ.
pub fn apply<T: Real>(exec: &Exec, function: Function, x: &[T], out: &mut [T]) {
    assert_eq!(x.len(), out.len(), "x and out have one length");
    let mut pieces: Vec<_> = x.chunks(exec.chunk).zip(out.chunks_mut(exec.chunk)).collect();
    pool::for_each(exec.threads_for(x.len()), &mut pieces, |(x, out)| {
        exec.level.run(Apply { function, x, out });
    });
}

struct Apply<'a, T> {
    function: Function,
    x: &'a [T],
    out: &'a mut [T],
}

impl<T: Real> Kernel for Apply<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        let Self { function, x, out } = self;
        let narrow = is_single::<T>();
        // A macro, as the call through an `impl Fn` need not be inlined: then it is compiled for the baseline.
        macro_rules! each {
            ($f:expr) => {
                for (out, &x) in out.iter_mut().zip(x) {
                    *out = T::from_f64($f(x.to_f64()));
                }
            };
        }
        match function {
            Function::Exp => each!(exp),
            Function::Ln => each!(ln),
            Function::Ln1p => each!(ln_1p),
            Function::Softplus => each!(softplus),
            Function::Sigmoid => each!(sigmoid),
            Function::SigmoidSlope => each!(sigmoid_slope),
            Function::TanhSlope => each!(tanh_slope),
            Function::Elu => each!(elu),
            Function::Silu => each!(silu),
            Function::SiluSlope => each!(silu_slope),
            Function::GeluTanh => each!(gelu_tanh),
            Function::GeluTanhSlope => each!(gelu_tanh_slope),
            Function::Gelu if narrow => each!(gelu::<true>),
            Function::Gelu => each!(gelu::<false>),
            Function::GeluSlope if narrow => each!(gelu_slope::<true>),
            Function::GeluSlope => each!(gelu_slope::<false>),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Level;

    /// Arguments of every magnitude and sign, and the special ones.
    fn arguments() -> Vec<f64> {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state
        };
        let mut x: Vec<f64> = (0..4000).map(|_| f64::from_bits(next())).collect();
        x.extend((0..4000).map(|_| ((next() >> 11) as f64 / FROM_INTEGER - 1.0) * 50.0));
        x.extend([0.0, -0.0, 1.0, -1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, f64::MIN_POSITIVE, 5e-324]);
        x
    }

    #[test]
    fn every_level_and_thread_count_gives_the_bits_of_the_scalar_function() {
        let x = arguments();
        let scalar = |f| match f {
            Function::Exp => exp,
            Function::Ln => ln,
            Function::Ln1p => ln_1p,
            Function::Softplus => softplus,
            Function::Sigmoid => sigmoid,
            Function::SigmoidSlope => sigmoid_slope,
            Function::TanhSlope => tanh_slope,
            Function::Elu => elu,
            Function::Silu => silu,
            Function::SiluSlope => silu_slope,
            Function::Gelu => gelu::<false>,
            Function::GeluSlope => gelu_slope::<false>,
            Function::GeluTanh => gelu_tanh,
            Function::GeluTanhSlope => gelu_tanh_slope,
        };
        for (name, function) in Function::ALL {
            let f: fn(f64) -> f64 = scalar(function);
            for level in Level::available() {
                for threads in [1, 3] {
                    let exec = Exec { level, threads, chunk: 100, serial_below: 0 };
                    let mut out = vec![0.0; x.len()];
                    apply(&exec, function, &x, &mut out);
                    for (&x, &y) in x.iter().zip(&out) {
                        let same = y.to_bits() == f(x).to_bits() || (y.is_nan() && f(x).is_nan());
                        assert!(same, "{name}({x:e}) at {level}: {y:e} and {:e}", f(x));
                    }
                }
            }
        }
    }

    #[test]
    fn limits() {
        assert_eq!(exp(f64::NEG_INFINITY), 0.0, "e^-inf");
        assert_eq!(exp(f64::INFINITY), f64::INFINITY, "e^inf");
        assert_eq!(exp(0.0), 1.0, "e^0");
        assert_eq!(exp(-745.2), 0.0, "below half of the smallest subnormal number");
        assert_eq!(exp(-745.0), 5e-324, "the smallest subnormal number");
        assert_eq!(ln(0.0), f64::NEG_INFINITY, "ln 0");
        assert_eq!(ln(1.0).to_bits(), 0, "ln 1");
        assert_eq!(ln(f64::INFINITY), f64::INFINITY, "ln inf");
        assert!(ln(-1.0).is_nan() && ln_1p(-2.0).is_nan(), "outside the domain");
        assert_eq!(ln_1p(-1.0), f64::NEG_INFINITY, "ln(1 - 1)");
        assert_eq!(ln_1p(5e-324), 5e-324, "ln(1 + tiny) = tiny");
        assert_eq!(softplus(f64::NEG_INFINITY), 0.0, "softplus(-inf)");
        assert_eq!(softplus(f64::INFINITY), f64::INFINITY, "softplus(inf)");
        assert_eq!(softplus(1e300), 1e300, "softplus(large)");
        assert_eq!((sigmoid(f64::NEG_INFINITY), sigmoid(0.0), sigmoid(f64::INFINITY)), (0.0, 0.5, 1.0), "sigmoid");
        for f in [exp, ln, ln_1p, softplus, sigmoid] {
            assert!(f(f64::NAN).is_nan(), "NaN in, NaN out");
        }
    }

    /// Within `ulps` of a 50-digit value rounded to `f64`.
    fn close(got: f64, want: f64, ulps: i64) -> bool {
        (got.to_bits() as i64 - want.to_bits() as i64).abs() <= ulps
    }

    #[test]
    fn known_values() {
        type Row = (fn(f64) -> f64, f64, f64, i64);
        let table: [Row; 12] = [
            (exp, 1.0, std::f64::consts::E, 1),
            (exp, -20.5, 1.2501528663867426e-09, 1),
            (exp, 709.5, 1.3549863193146328e+308, 1),
            (exp, -740.25, 3.26e-322, 1),
            (ln, 3.0, 1.0986122886681098, 1),
            (ln, 0.999, -0.0010005003335835344, 1),
            (ln, 1e-310, -713.8013788281542, 1),
            (ln_1p, 1e-09, 9.999999995e-10, 1),
            (ln_1p, -0.75, -1.3862943611198906, 1),
            (softplus, -36.5, 1.4068617124461467e-16, 2),
            (softplus, 1.25, 1.501929081345373, 2),
            (sigmoid, -3.3, 0.03557118927263618, 2),
        ];
        for (f, x, want, ulps) in table {
            assert!(close(f(x), want, ulps), "at {x:e}: {:e}, want {want:e}", f(x));
        }
    }
}
