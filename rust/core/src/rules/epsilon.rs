//! Where ε stands: √(v + ε) or √v + ε (O5).

use crate::real::Real;

/// √(v + inside) + outside: ε goes into one of the two. Adding the other, 0, changes no bit of a number that is not
/// negative.
#[derive(Clone, Copy, Debug)]
pub struct Epsilon<T> {
    inside: T,
    outside: T,
}

impl<T: Real> Epsilon<T> {
    /// ε where it belongs.
    #[must_use]
    pub fn new(eps: f64, inside: bool) -> Self {
        let (inside, outside) = if inside { (eps, 0.0) } else { (0.0, eps) };
        Self { inside: T::from_f64(inside), outside: T::from_f64(outside) }
    }

    /// The root of `v` with ε.
    #[inline(always)]
    pub fn root(self, v: T) -> T {
        (v + self.inside).sqrt() + self.outside
    }
}
