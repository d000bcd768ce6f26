//! Any φ × ψ × direction, by its hyper-parameters: what becomes of them at step t. The named rules are names for these.
//!
//! ```text
//! φ            Plain      g                                       Ema      m ← β·m + (1 − β)·g,  m̂ = m/(1 − β^t)
//!              HeavyBall  m ← γ·m + (1 − d)·g                     Nesterov m ← γ·m + (1 − d)·g, then g + γ·m
//!              LrInside   m ← γ·m + α·g                           Ahead    m as Ema, then m̂ and g mixed (Nadam)
//! ψ            None       1                                       Max      V ← max(V, v)
//!              Sum        V ← V + g²                              Infinity V ← max(β·V, |g| + ε)²
//!              Ema        V ← β·V + (1 − β)·g²                    Belief   V ← β·V + (1 − β)·(g − m)² + ε
//!                                                                 Yogi     V ← V − (1 − β)·sign(V − g²)·g²
//! direction    Plain      α·m                                     Ratio    α·m/√V, with ε
//!              Sign       α·sign(m)                               Rectified  α·r_t·m/√V, or α·m in the first steps
//! ```
//!
//! `d` is 0 while `started` is false.

use super::epsilon::Epsilon;
use super::triple::{First, Second, Triple};
use crate::coefficients::{pow, power};

/// A triple by its hyper-parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Composed {
    /// α.
    pub lr: f64,
    /// φ.
    pub first: Phi,
    /// ψ.
    pub second: Psi,
    /// Step 3.
    pub direction: Direction,
}

/// φ.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Phi {
    /// g.
    Plain,
    /// m ← γ·m + (1 − d)·g.
    HeavyBall {
        /// γ.
        momentum: f64,
        /// d.
        dampening: f64,
        /// Whether the buffer holds a gradient already.
        started: bool,
    },
    /// m ← γ·m + α·g, the whole step; looking ahead, α·g + γ·m is.
    LrInside {
        /// γ.
        momentum: f64,
        /// Whether the step looks ahead.
        ahead: bool,
    },
    /// m ← β·m + (1 − β)·g.
    Ema {
        /// β.
        beta: f64,
        /// Whether m is divided by 1 − β^t.
        corrected: bool,
    },
    /// m ← γ·m + (1 − d)·g, then g + γ·m.
    Nesterov {
        /// γ.
        momentum: f64,
        /// d.
        dampening: f64,
        /// Whether the buffer holds a gradient already.
        started: bool,
    },
    /// m as [`Self::Ema`], then m and g mixed.
    Ahead {
        /// β.
        beta: f64,
        /// How they are mixed.
        mix: Mix,
    },
}

/// How Nadam mixes m and g.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Mix {
    /// (1 − μ_t)/(1 − Π_t)·g + μ_{t+1}/(1 − Π_{t+1})·m with Dozat's μ_t = β·(1 − ½·0.96^(t·ψ)) and Π_t = μ_1·…·μ_t.
    Schedule {
        /// ψ.
        momentum_decay: f64,
        /// Π_{t−1}: 1 before the first step.
        mu_product: f64,
    },
    /// (1 − β)/(1 − β^t)·g + β/(1 − β^(t+1))·m.
    Simple,
}

/// ψ.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Psi {
    /// 1.
    None,
    /// V ← V + g².
    Sum,
    /// V ← β·V + (1 − β)·g².
    Ema {
        /// β.
        beta: f64,
        /// Whether V is divided by 1 − β^t.
        corrected: bool,
    },
    /// v as [`Self::Ema`], V ← max(V, v).
    Max {
        /// β.
        beta: f64,
        /// Whether it is divided by 1 − β^t.
        corrected: bool,
        /// Whether v is corrected before it is compared, not V after.
        hat: bool,
    },
    /// u ← max(β·u, |g| + ε), in the place of √V.
    Infinity {
        /// β.
        beta: f64,
        /// ε.
        eps: f64,
    },
    /// V ← β·V + (1 − β)·(g − m)² + ε.
    Belief {
        /// β.
        beta: f64,
        /// Whether V is divided by 1 − β^t.
        corrected: bool,
        /// ε.
        eps: f64,
    },
    /// V ← V − (1 − β)·sign(V − g²)·g².
    Yogi {
        /// β.
        beta: f64,
        /// Whether V is divided by 1 − β^t.
        corrected: bool,
    },
}

/// Step 3.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Direction {
    /// α·m.
    Plain,
    /// α·sign(m).
    Sign,
    /// α·m/(√V + ε).
    Ratio {
        /// ε.
        epsilon: Epsilon,
        /// The decay of α: α/(1 + (t − 1)·decay).
        lr_decay: f64,
        /// Whether α is multiplied by the quotient, not by the numerator: the same but for rounding.
        lr_last: bool,
    },
    /// α·r_t·m/(√V + ε) with the rectification r_t, and α·m while V has seen too little.
    Rectified {
        /// ε.
        epsilon: Epsilon,
    },
}

impl Composed {
    /// The names of its state buffers.
    #[must_use]
    pub fn states(&self) -> &'static [&'static str] {
        let of_second = match self.second {
            Psi::None => 0,
            Psi::Max { .. } => 2,
            _ => 1,
        };
        match self.first {
            Phi::Plain => &["v", "v_max"][..of_second],
            _ => &["m", "v", "v_max"][..=of_second],
        }
    }

    /// The coefficients of step `t`, counted from 1.
    #[must_use]
    pub fn at(&self, t: u64) -> Triple {
        match self.direction {
            Direction::Plain => self.made(t, self.lr, 1.0, Second::None { sign: false }),
            Direction::Sign => {
                let Triple { first, .. } = self.made(t, 1.0, 1.0, Second::None { sign: true });
                Triple { first, second: Second::None { sign: true }, factor: self.lr }
            }
            Direction::Ratio { epsilon, lr_decay, lr_last } => {
                let lr = self.lr / (1.0 + (t - 1) as f64 * lr_decay);
                let (lr, factor) = if lr_last { (1.0, lr) } else { (lr, 1.0) };
                self.made(t, lr, factor, self.second.at(t, Some(&epsilon)))
            }
            Direction::Rectified { epsilon } => match self.second.beta().and_then(|beta| rectification(beta, t)) {
                Some(r) => self.made(t, self.lr * r, 1.0, self.second.at(t, Some(&epsilon))),
                None => self.made(t, self.lr, 1.0, self.second.at(t, None)),
            },
        }
    }

    /// `lr` goes into the numerator, or before g + γ·m, or is in m already.
    fn made(&self, t: u64, lr: f64, factor: f64, second: Second) -> Triple {
        let (first, factor) = match self.first {
            Phi::Plain => (First::Gradient { by_g: lr }, factor),
            Phi::HeavyBall { momentum, dampening, started } => {
                let take = if started { 1.0 - dampening } else { 1.0 };
                (First::Moment { keep: momentum, take, by_m: lr }, factor)
            }
            Phi::LrInside { momentum, ahead: false } => {
                (First::Moment { keep: momentum, take: self.lr, by_m: 1.0 }, 1.0)
            }
            Phi::LrInside { momentum, ahead: true } => {
                (First::Mixed { keep: momentum, take: self.lr, by_g: self.lr, by_m: momentum }, 1.0)
            }
            Phi::Ema { beta, corrected } => {
                let by_m = if corrected { lr / (1.0 - power(beta, t)) } else { lr };
                (First::Moment { keep: beta, take: 1.0 - beta, by_m }, factor)
            }
            Phi::Nesterov { momentum, dampening, started } => {
                let take = if started { 1.0 - dampening } else { 1.0 };
                (First::Mixed { keep: momentum, take, by_g: 1.0, by_m: momentum }, lr * factor)
            }
            Phi::Ahead { beta, mix } => {
                let (by_g, by_m) = mix.at(beta, lr, t);
                (First::Mixed { keep: beta, take: 1.0 - beta, by_g, by_m }, factor)
            }
        };
        Triple { first, second, factor }
    }
}

impl Psi {
    /// With this ε; without one, V is kept up but does not divide.
    fn at(&self, t: u64, epsilon: Option<&Epsilon>) -> Second {
        let correction = |beta: f64, corrected: bool| if corrected { 1.0 - power(beta, t) } else { 1.0 };
        let plain = Epsilon::outside(0.0);
        let e = epsilon.unwrap_or(&plain);
        match *self {
            Self::None => Second::None { sign: false },
            Self::Sum => Second::Square { keep: 1.0, take: 1.0, root: epsilon.map(|e| e.over(1.0)) },
            Self::Ema { beta, corrected } => {
                let c = correction(beta, corrected);
                Second::Square { keep: beta, take: 1.0 - beta, root: epsilon.map(|e| e.over(c)) }
            }
            Self::Max { beta, corrected, hat } => {
                let c = correction(beta, corrected);
                let (hat, rest) = if hat { (1.0 / c, 1.0) } else { (1.0, c) };
                Second::Max { keep: beta, take: 1.0 - beta, hat, root: e.over(rest) }
            }
            Self::Infinity { beta, eps } => Second::Infinity { keep: beta, add: eps, outside: e.eps },
            Self::Belief { beta, corrected, eps } => {
                let root = e.over(correction(beta, corrected));
                Second::Belief { keep: beta, take: 1.0 - beta, add: eps, root }
            }
            Self::Yogi { beta, corrected } => {
                Second::Yogi { take: 1.0 - beta, root: e.over(correction(beta, corrected)) }
            }
        }
    }

    fn beta(&self) -> Option<f64> {
        match *self {
            Self::Ema { beta, .. } => Some(beta),
            _ => None,
        }
    }
}

impl Mix {
    /// μ_t of the schedule.
    #[must_use]
    pub fn mu(beta: f64, momentum_decay: f64, t: u64) -> f64 {
        beta * (1.0 - 0.5 * pow(0.96, t as f64 * momentum_decay))
    }

    /// The factors of g and of m.
    fn at(self, beta: f64, lr: f64, t: u64) -> (f64, f64) {
        match self {
            Self::Schedule { momentum_decay, mu_product } => {
                let (mu, next) = (Self::mu(beta, momentum_decay, t), Self::mu(beta, momentum_decay, t + 1));
                let product = mu_product * mu;
                (lr * (1.0 - mu) / (1.0 - product), lr * next / (1.0 - product * next))
            }
            Self::Simple => {
                let by_m = lr * beta / (1.0 - power(beta, t + 1));
                (lr * (1.0 - beta) / (1.0 - power(beta, t)), by_m)
            }
        }
    }
}

/// r_t of RAdam (Liu et al. 2020), from the length ρ_t of the average that V is; None while ρ_t <= 5.
#[must_use]
pub fn rectification(beta: f64, t: u64) -> Option<f64> {
    let past = power(beta, t);
    let longest = 2.0 / (1.0 - beta) - 1.0;
    let length = longest - 2.0 * t as f64 * past / (1.0 - past);
    let variance = |rho: f64| (rho - 4.0) * (rho - 2.0) / rho;
    (length > 5.0).then(|| (variance(length) / variance(longest)).sqrt())
}
