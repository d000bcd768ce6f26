//! Schedule-Free SGD and AdamW: an average of the iterates stands where a schedule would (Defazio et al. 2024).
//!
//! ```text
//! w holds y, the point at which gradients are taken; z is the iterate that steps; x, their average, is never stored:
//! y = (1 − β)·z + β·x
//!
//! n = g                                  AdamW: v ← β₂·v + (1 − β₂)·g², n = g/(√v + ε)
//! s = γ·n + d·y                          γ: the rate of this step; d: decoupled decay
//! z ← z − s
//! x ← (1 − c)·x + c·z                    c: the share of this step in the average
//! y ← y − η,  η = c·(y − z_old) + (1 − β·(1 − c))·s          the same, written without x
//! ```
//!
//! The frame leaks: η is not along the moments alone; it pulls y towards z.

use crate::real::Real;
use crate::rule::FourStep;

/// What both have; `rate`, `share` and `decay` are those of the step.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ScheduleFree {
    /// γ, with warm-up, and for AdamW with the bias correction √(1 − β₂^t).
    pub rate: f64,
    /// β: of SGD its momentum, of AdamW its β₁.
    pub beta: f64,
    /// c.
    pub share: f64,
    /// d.
    pub decay: f64,
}

/// How AdamW scales its gradient.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Scaling {
    /// β₂.
    pub beta2: f64,
    /// ε, outside the root.
    pub eps: f64,
}

/// The coefficients of one step of either. State of SGD: `z`.
#[derive(Clone, Copy, Debug)]
pub struct ScheduleFreeStep<T> {
    rate: T,
    decay: T,
    share: T,
    /// 1 − β·(1 − c).
    weight: T,
}

/// The coefficients of one step of AdamW. State: `z`, `exp_avg_sq`.
#[derive(Clone, Copy, Debug)]
pub struct ScheduleFreeAdamStep<T> {
    base: ScheduleFreeStep<T>,
    beta2: T,
    one_minus_beta2: T,
    eps: T,
}

impl ScheduleFree {
    /// The coefficients of SGD.
    #[must_use]
    pub fn at<T: Real>(&self) -> ScheduleFreeStep<T> {
        ScheduleFreeStep {
            rate: T::from_f64(self.rate),
            decay: T::from_f64(self.decay),
            share: T::from_f64(self.share),
            weight: T::from_f64(1.0 - self.beta * (1.0 - self.share)),
        }
    }

    /// The coefficients of AdamW.
    #[must_use]
    pub fn scaled<T: Real>(&self, scaling: Scaling) -> ScheduleFreeAdamStep<T> {
        ScheduleFreeAdamStep {
            base: self.at(),
            beta2: T::from_f64(scaling.beta2),
            one_minus_beta2: T::from_f64(1.0 - scaling.beta2),
            eps: T::from_f64(scaling.eps),
        }
    }
}

impl<T: Real> ScheduleFreeStep<T> {
    /// η, and z after it.
    #[inline(always)]
    fn eta(self, y: T, n: T, z: &mut T) -> T {
        let step = self.rate * n;
        let step = if self.decay == T::ZERO { step } else { step + self.decay * y };
        let eta = self.share * (y - *z) + self.weight * step;
        *z = *z - step;
        eta
    }
}

impl<T: Real> FourStep<T, 1> for ScheduleFreeStep<T> {
    #[inline(always)]
    fn moments(self, _: T, _: T, state: [T; 1]) -> [T; 1] {
        state
    }

    #[inline(always)]
    fn direction(self, y: T, g: T, [z]: &mut [T; 1]) -> T {
        self.eta(y, g, z)
    }
}

impl<T: Real> FourStep<T, 2> for ScheduleFreeAdamStep<T> {
    #[inline(always)]
    fn moments(self, _: T, g: T, [z, v]: [T; 2]) -> [T; 2] {
        [z, self.beta2 * v + self.one_minus_beta2 * (g * g)]
    }

    #[inline(always)]
    fn direction(self, y: T, g: T, [z, v]: &mut [T; 2]) -> T {
        self.base.eta(y, g / (v.sqrt() + self.eps), z)
    }
}
