//! The scalars of a step, in `f64`: β^t and x^y without a C library, whose bits depend on the machine.
//!
//! Each coefficient of a rule is computed here or from here in `f64`, once a step, and rounded once to the dtype of the
//! arrays. The twin, `fourstep.exact_math`, computes its own in plain Python; tests pin both to exact
//! rationals.

/// β^t by repeated squaring: at most 2·log₂(t) products, each rounded once.
///
/// Relative error below t·2⁻⁵²; that is of no account in 1 − β^t, where β^t itself is small once t is large.
#[must_use]
pub fn power(base: f64, exponent: u64) -> f64 {
    let (mut result, mut square, mut left) = (1.0, base, exponent);
    while left > 0 {
        if left & 1 == 1 {
            result *= square;
        }
        square *= square;
        left >>= 1;
    }
    result
}

/// x^y for normal x > 0 and finite y, as exp(y·ln x) in double-double: the correctly rounded value, but for arguments
/// whose result lies within 2⁻⁴⁰ ulp or so of the middle between two numbers; 0 below e⁻⁷⁰⁸, ∞ above e⁷⁰⁹.
#[must_use]
pub fn pow(x: f64, y: f64) -> f64 {
    let ln = ln(x);
    match y * ln.hi {
        below if below < -708.0 => 0.0,
        above if above > 709.0 => f64::INFINITY,
        _ => exp(ln.times(y)),
    }
}

/// An unevaluated sum hi + lo with |lo| <= ulp(hi)/2: some 106 bits.
#[derive(Clone, Copy)]
struct Double {
    hi: f64,
    lo: f64,
}

impl Double {
    const LN_2: Self = Self { hi: std::f64::consts::LN_2, lo: 2.319_046_813_846_299_6e-17 };

    /// a + b exactly (Knuth).
    fn sum(a: f64, b: f64) -> Self {
        let hi = a + b;
        let b_part = hi - a;
        Self { hi, lo: (a - (hi - b_part)) + (b - b_part) }
    }

    /// a × b exactly (Dekker): both are split in halves of 26 bits, whose products are exact.
    fn product(a: f64, b: f64) -> Self {
        let split = |x: f64| {
            let t = 134_217_729.0 * x; // 2^27 + 1
            let high = t - (t - x);
            (high, x - high)
        };
        let (hi, (ah, al), (bh, bl)) = (a * b, split(a), split(b));
        Self { hi, lo: ((ah * bh - hi) + ah * bl + al * bh) + al * bl }
    }

    fn plus(self, other: Self) -> Self {
        let s = Self::sum(self.hi, other.hi);
        let t = Self::sum(self.lo, other.lo);
        let s = Self::sum(s.hi, s.lo + t.hi);
        Self::sum(s.hi, s.lo + t.lo)
    }

    fn times(self, b: f64) -> Self {
        let p = Self::product(self.hi, b);
        Self::sum(p.hi, p.lo + self.lo * b)
    }

    fn squared(self) -> Self {
        self.by(self)
    }

    fn by(self, other: Self) -> Self {
        let p = Self::product(self.hi, other.hi);
        Self::sum(p.hi, p.lo + (self.hi * other.lo + self.lo * other.hi))
    }

    fn over(self, b: f64) -> Self {
        let q = self.hi / b;
        let p = Self::product(q, b);
        let rest = ((self.hi - p.hi) - p.lo + self.lo) / b;
        Self::sum(q, rest)
    }
}

/// ln x = e·ln 2 + 2·artanh((m − 1)/(m + 1)) with x = m·2^e and m in [√½, √2).
fn ln(x: f64) -> Double {
    let bits = x.to_bits();
    let mut e = ((bits >> 52) & 0x7ff) as i64 - 1023;
    let mut m = f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52));
    if m > std::f64::consts::SQRT_2 {
        m /= 2.0;
        e += 1;
    }
    // s = (m − 1)/(m + 1): the numerator is exact; one correction makes the quotient a double-double.
    let (num, den) = (m - 1.0, Double::sum(m, 1.0));
    let q = num / den.hi;
    let p = den.times(q);
    let s = Double::sum(q, ((num - p.hi) - p.lo) / den.hi);
    let s2 = s.squared();
    // Σ s^(2k+1)/(2k+1), from the smallest term on; |s| <= 0.172, so 22 terms leave less than 2⁻¹¹⁴.
    let mut series = Double { hi: 0.0, lo: 0.0 };
    for k in (0..22).rev() {
        series = series.by(s2).plus(Double { hi: 1.0, lo: 0.0 }.over(f64::from(2 * k + 1)));
    }
    Double::LN_2.times(e as f64).plus(series.by(s).times(2.0))
}

/// e^x for a double-double, rounded to `f64`: 2^k · (1 + r)^(2^9) with r the Taylor series of the reduced argument.
fn exp(x: Double) -> f64 {
    let k = (x.hi / Double::LN_2.hi).round();
    let r = x.plus(Double::LN_2.times(-k)).times(1.0 / 512.0);
    // expm1(r) by Horner, |r| < 2⁻¹⁰: 11 terms leave less than 2⁻¹²⁰.
    let mut series = Double { hi: 0.0, lo: 0.0 };
    for n in (1..12).rev() {
        series = series.plus(Double { hi: 1.0, lo: 0.0 }).by(r).over(f64::from(n));
    }
    // (1 + s)² − 1 = 2s + s², nine times, keeps the small part's precision.
    for _ in 0..9 {
        series = series.times(2.0).plus(series.squared());
    }
    let one = series.plus(Double { hi: 1.0, lo: 0.0 });
    one.hi * f64::from_bits(((1023 + k as i64) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_powers_are_the_products_written_out() {
        assert_eq!(power(0.9, 0), 1.0, "0.9^0");
        assert_eq!(power(0.9, 1), 0.9, "0.9^1");
        assert_eq!(power(0.9, 3), 0.9 * (0.9 * 0.9), "0.9^3");
        assert_eq!(power(2.0, 1000), f64::from_bits((1023 + 1000) << 52), "2^1000");
        assert_eq!(power(0.999, u64::MAX), 0.0, "underflow");
    }

    #[test]
    fn real_powers_at_known_values() {
        // exp(y·ln x) in 70 decimal digits, rounded to f64.
        let table: [(f64, f64, f64); 35] = [
            (0.96, 0.004, 0.9998367253526753),
            (0.96, 1.0, 0.96),
            (0.96, 0.0, 1.0),
            (2.0, 0.25, 1.189207115002721),
            (10.0, -3.0, 0.001),
            (0.96, 17000.0, 4.0828335293845393e-302),
            (1.25, 2.0, 1.5625),
            (0.1, 0.1, 0.7943282347242815),
            (1e-300, 0.9, 9.999999999999847e-271),
            (1e+300, 0.99, 9.999999999999939e+296),
            (0.96, 563.568, 1.020080067892594e-10),
            (0.96, 2387.416, 4.721261964276041e-43),
            (0.96, 3554.396, 9.659210506723323e-64),
            (0.96, 3364.944, 2.2064393241799498e-60),
            (0.96, 3203.504, 1.606290634436551e-57),
            (0.96, 264.692, 2.029257761400346e-05),
            (0.96, 1069.84, 1.0790857440496094e-19),
            (0.96, 494.588, 1.704372846599788e-09),
            (0.96, 2078.0080000000003, 1.4437115338803625e-37),
            (0.96, 3191.708, 2.5998761633335584e-57),
            (0.96, 1885.304, 3.7660383175406e-34),
            (0.96, 1980.7440000000001, 7.653343672795302e-36),
            (0.96, 2732.98, 3.528860353344948e-49),
            (0.96, 1592.224, 5.913325087758944e-29),
            (2.3661700534065395, -16.245616529030606, 8.382872758461564e-07),
            (0.08504242956601893, 13.430604156794786, 4.210757514948752e-15),
            (1.2983012037151602, 10.491203298317679, 15.468385868195947),
            (0.006318160053332078, -2.184512237807944, 63772.978224146966),
            (2.1646200970223477, -10.849511149181893, 0.0002297590652652279),
            (2.835812086661767, 16.057098304459345, 18564630.177688643),
            (0.09176994910066061, -18.982165560261567, 4.899942895035984e+19),
            (1.6242374183804897, 17.565966511140424, 5014.899818434354),
            (0.96, 1e9, 0.0),
            (0.96, 1e301, 0.0),
            (0.96, -1e301, f64::INFINITY),
        ];
        for (x, y, want) in table {
            assert_eq!(pow(x, y), want, "{x}^{y}");
        }
    }
}
