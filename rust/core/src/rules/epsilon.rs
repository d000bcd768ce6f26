//! Where ε stands, and the bias correction with it: √(v/c + root) + ε, √(v/c + ε), or (√v + ε)/√c (O5, trap 1).
//!
//! c = 1 − β^t corrects v for its start at 0, and is 1 where nothing is corrected. Where nothing is added inside the root,
//! √(v/c) is computed as √v · 1/√c: the division is a scalar of the step.

use super::triple::Root;

/// ε and its place.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Epsilon {
    /// ε.
    pub eps: f64,
    /// Whether ε stands inside the root.
    pub inside: bool,
    /// Whether ε is added before v is corrected ("epsilon hat").
    pub hat: bool,
    /// A second ε, inside the root of the corrected v whatever becomes of the first.
    pub root: f64,
}

impl Epsilon {
    /// √v̂ + ε.
    #[must_use]
    pub fn outside(eps: f64) -> Self {
        Self { eps, inside: false, hat: false, root: 0.0 }
    }

    /// √(v̂ + ε) if `inside`, else √v̂ + ε.
    #[must_use]
    pub fn placed(eps: f64, inside: bool) -> Self {
        Self { inside, ..Self::outside(eps) }
    }

    /// The denominator over a v that is too small by the factor `correction`.
    #[must_use]
    pub fn over(&self, correction: f64) -> Root {
        let by_square = if self.hat { self.eps / correction } else { self.eps };
        let by_root = if self.hat { self.eps / correction.sqrt() } else { self.eps };
        let (inside, outside) = if self.inside { (by_square + self.root, 0.0) } else { (self.root, by_root) };
        if self.inside || self.root > 0.0 {
            Root { scale: 1.0 / correction, inside, times: 1.0, outside }
        } else {
            Root { scale: 1.0, inside, times: 1.0 / correction.sqrt(), outside }
        }
    }
}
