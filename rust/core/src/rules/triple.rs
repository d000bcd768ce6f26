//! φ × ψ × direction: the kernels of every optimizer that fits the frame (O1, O2).
//!
//! ```text
//! 2  m ← keep·m + take·g              φ: none, one that gives c·m, one that mixes: e·g + c·m
//!    v ← keep·v + take·g²             ψ: none, squares (a sum is keep = take = 1), the largest of them, infinity norm,
//!                                        belief, Yogi's
//! 3  η = factor · (numerator / denominator)             numerator: c·g, c·m or e·g + c·m
//!    denominator = √(v·scale + inside)·times + outside  where ε stands, and the bias correction, are numbers of the step
//!    η = factor · numerator, or factor · sign(numerator), where there is no ψ
//! ```
//!
//! A [`Triple`] is one step's choice of each with its coefficients in `f64`; the named rules and [`super::compose`] make
//! it. The same kernels run them all: to multiply by 1 and to add 0 changes no bit, so a coefficient that an optimizer
//! does not have costs it nothing but an operation that hides behind the division. What costs more, a state buffer or a
//! comparison, is compiled in or out: [`Triple::visit`] is where the choice meets the kernel.

use crate::real::Real;
use crate::rule::FourStep;

/// The three choices, with the coefficients of one step.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Triple {
    /// φ, and the numerator.
    pub first: First,
    /// ψ, and the denominator.
    pub second: Second,
    /// What the direction is multiplied by at the end.
    pub factor: f64,
}

/// φ.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum First {
    /// No state; the numerator is `by_g`·g.
    Gradient {
        /// Factor of g.
        by_g: f64,
    },
    /// m ← `keep`·m + `take`·g; the numerator is `by_m`·m.
    Moment {
        /// The weight of the past.
        keep: f64,
        /// The weight of g.
        take: f64,
        /// Factor of m.
        by_m: f64,
    },
    /// m ← `keep`·m + `take`·g; the numerator is `by_g`·g + `by_m`·m.
    Mixed {
        /// The weight of the past.
        keep: f64,
        /// The weight of g.
        take: f64,
        /// Factor of g.
        by_g: f64,
        /// Factor of m.
        by_m: f64,
    },
}

/// ψ.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Second {
    /// No state, no denominator.
    None {
        /// Whether only the sign of the numerator counts.
        sign: bool,
    },
    /// v ← `keep`·v + `take`·g².
    Square {
        /// The weight of the past.
        keep: f64,
        /// The weight of g².
        take: f64,
        /// The denominator; none: v is kept up for later, and η = factor·numerator.
        root: Option<Root>,
    },
    /// v as above; x ← max(x, `hat`·v) is what is divided by.
    Max {
        /// The weight of the past.
        keep: f64,
        /// The weight of g².
        take: f64,
        /// 1, or the correction of v before it is compared.
        hat: f64,
        /// The denominator.
        root: Root,
    },
    /// u ← max(`keep`·u, |g| + `add`); the denominator is u·times + outside.
    Infinity {
        /// The weight of the past.
        keep: f64,
        /// ε inside the norm.
        add: f64,
        /// ε outside.
        outside: f64,
    },
    /// s ← `keep`·s + `take`·(g − m)² + `add`.
    Belief {
        /// The weight of the past.
        keep: f64,
        /// The weight of (g − m)².
        take: f64,
        /// ε of every step.
        add: f64,
        /// The denominator.
        root: Root,
    },
    /// v ← v − sign(v − g²)·`take`·g².
    Yogi {
        /// The weight of g².
        take: f64,
        /// The denominator.
        root: Root,
    },
}

/// √(v·scale + inside)·times + outside.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Root<T = f64> {
    /// The bias correction of v, where something is added to it inside the root; else 1.
    pub scale: T,
    /// ε inside.
    pub inside: T,
    /// The root of the bias correction of v, where nothing is added inside.
    pub times: T,
    /// ε outside.
    pub outside: T,
}

impl Root {
    /// Rounded to `T`.
    #[must_use]
    pub fn rounded<T: Real>(&self) -> Root<T> {
        let k = T::from_f64;
        Root { scale: k(self.scale), inside: k(self.inside), times: k(self.times), outside: k(self.outside) }
    }
}

impl<T: Real> Root<T> {
    /// The denominator.
    #[inline(always)]
    #[must_use]
    pub fn of(self, v: T) -> T {
        (v * self.scale + self.inside).sqrt() * self.times + self.outside
    }
}

/// What is done with the kernel of a triple, whichever it is.
pub trait Visitor<T: Real> {
    /// What comes back.
    type Out;

    /// Takes the kernel.
    fn with<R: FourStep<T, S>, const S: usize>(self, rule: R) -> Self::Out;
}

impl Triple {
    /// Gives the kernel of this triple to `visitor`.
    ///
    /// # Panics
    /// For a belief in a gradient without a first moment, which is no belief.
    pub fn visit<T: Real, V: Visitor<T>>(&self, visitor: V) -> V::Out {
        let k = T::from_f64;
        match self.first {
            First::Gradient { by_g } => self.over_gradient(k(by_g), visitor),
            First::Moment { keep, take, by_m } => {
                self.over_moment(Moment { keep: k(keep), take: k(take), by_m: k(by_m) }, visitor)
            }
            First::Mixed { keep, take, by_g, by_m } => {
                self.over_moment(Mixed { keep: k(keep), take: k(take), by_g: k(by_g), by_m: k(by_m) }, visitor)
            }
        }
    }

    /// Whether `visit_plain` has its kernel.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        match self.second {
            Second::None { sign } => !sign,
            Second::Square { root, .. } => root.is_some() && !matches!(self.first, First::Mixed { .. }),
            _ => false,
        }
    }

    /// Gives the kernel to `visitor`, if it is that of SGD, with or without momentum, of AdaGrad or of Adam: what is
    /// compiled for these need not be compiled for all.
    ///
    /// # Panics
    /// Where [`Self::is_plain`] is not true.
    pub(crate) fn visit_plain<T: Real, V: Visitor<T>>(&self, visitor: V) -> V::Out {
        let k = T::from_f64;
        let factor = k(self.factor);
        let way = Straight(factor);
        assert!(self.is_plain(), "{self:?} is not plain");
        match (self.first, self.second) {
            (First::Gradient { by_g }, Second::Square { keep, take, root: Some(root) }) => {
                visitor.with(GradientOver { by_g: k(by_g), psi: Square::new(keep, take, &root), factor })
            }
            (First::Moment { keep, take, by_m }, Second::Square { keep: past, take: new, root: Some(root) }) => {
                let phi = Moment { keep: k(keep), take: k(take), by_m: k(by_m) };
                visitor.with(MomentOver { phi, psi: Square::new(past, new, &root), factor })
            }
            (First::Gradient { by_g }, _) => visitor.with(OfGradient { by_g: k(by_g), way }),
            (First::Moment { keep, take, by_m }, _) => {
                visitor.with(OfMoment { phi: Moment { keep: k(keep), take: k(take), by_m: k(by_m) }, way })
            }
            (First::Mixed { keep, take, by_g, by_m }, _) => {
                let phi = Mixed { keep: k(keep), take: k(take), by_g: k(by_g), by_m: k(by_m) };
                visitor.with(OfMoment { phi, way })
            }
        }
    }

    fn over_gradient<T: Real, V: Visitor<T>>(&self, by_g: T, visitor: V) -> V::Out {
        let k = T::from_f64;
        let factor = k(self.factor);
        match self.second {
            Second::None { sign: false } => visitor.with(OfGradient { by_g, way: Straight(factor) }),
            Second::None { sign: true } => visitor.with(OfGradient { by_g, way: Sign(factor) }),
            Second::Square { keep, take, root: None } => {
                visitor.with(GradientBeside { by_g, psi: Square::new(keep, take, &Root::NONE), factor })
            }
            Second::Square { keep, take, root: Some(root) } => {
                visitor.with(GradientOver { by_g, psi: Square::new(keep, take, &root), factor })
            }
            Second::Max { keep, take, hat, root } => {
                visitor.with(GradientOverMax { by_g, psi: Square::new(keep, take, &root), hat: k(hat), factor })
            }
            Second::Infinity { keep, add, outside } => {
                let psi = Infinity { keep: k(keep), add: k(add), outside: k(outside) };
                visitor.with(GradientOver { by_g, psi, factor })
            }
            Second::Belief { .. } => panic!("a belief needs a first moment to believe in"),
            Second::Yogi { take, root } => {
                visitor.with(GradientOver { by_g, psi: Yogi { take: k(take), root: root.rounded() }, factor })
            }
        }
    }

    fn over_moment<T: Real, F: Phi<T>, V: Visitor<T>>(&self, phi: F, visitor: V) -> V::Out {
        let k = T::from_f64;
        let factor = k(self.factor);
        match self.second {
            Second::None { sign: false } => visitor.with(OfMoment { phi, way: Straight(factor) }),
            Second::None { sign: true } => visitor.with(OfMoment { phi, way: Sign(factor) }),
            Second::Square { keep, take, root: None } => {
                visitor.with(MomentBeside { phi, psi: Square::new(keep, take, &Root::NONE), factor })
            }
            Second::Square { keep, take, root: Some(root) } => {
                visitor.with(MomentOver { phi, psi: Square::new(keep, take, &root), factor })
            }
            Second::Max { keep, take, hat, root } => {
                visitor.with(MomentOverMax { phi, psi: Square::new(keep, take, &root), hat: k(hat), factor })
            }
            Second::Infinity { keep, add, outside } => {
                let psi = Infinity { keep: k(keep), add: k(add), outside: k(outside) };
                visitor.with(MomentOver { phi, psi, factor })
            }
            Second::Belief { keep, take, add, root } => {
                let psi = Belief { keep: k(keep), take: k(take), add: k(add), root: root.rounded() };
                visitor.with(MomentOver { phi, psi, factor })
            }
            Second::Yogi { take, root } => {
                visitor.with(MomentOver { phi, psi: Yogi { take: k(take), root: root.rounded() }, factor })
            }
        }
    }
}

/// m over the root of v, as a type of its own: for rows of which each is at a step of its own.
pub(crate) type MomentOverRoot<T> = MomentOver<T, Moment<T>, Square<T>>;

impl Triple {
    /// The kernel of m over the root of v; none, where this is another triple.
    pub(crate) fn moment_over_root<T: Real>(&self) -> Option<MomentOverRoot<T>> {
        let k = T::from_f64;
        match (self.first, self.second) {
            (First::Moment { keep, take, by_m }, Second::Square { keep: past, take: new, root: Some(root) }) => {
                let phi = Moment { keep: k(keep), take: k(take), by_m: k(by_m) };
                Some(MomentOver { phi, psi: Square::new(past, new, &root), factor: k(self.factor) })
            }
            _ => None,
        }
    }
}

impl Root {
    const NONE: Self = Self { scale: 1.0, inside: 0.0, times: 1.0, outside: 0.0 };
}

// φ: a first moment and the numerator made of it.

trait Phi<T: Real>: Copy + Send + Sync {
    fn after(self, m: T, g: T) -> T;
    fn numerator(self, m: T, g: T) -> T;
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment<T> {
    keep: T,
    take: T,
    by_m: T,
}

impl<T: Real> Phi<T> for Moment<T> {
    #[inline(always)]
    fn after(self, m: T, g: T) -> T {
        self.keep * m + self.take * g
    }

    #[inline(always)]
    fn numerator(self, m: T, _: T) -> T {
        self.by_m * m
    }
}

#[derive(Clone, Copy)]
struct Mixed<T> {
    keep: T,
    take: T,
    by_g: T,
    by_m: T,
}

impl<T: Real> Phi<T> for Mixed<T> {
    #[inline(always)]
    fn after(self, m: T, g: T) -> T {
        self.keep * m + self.take * g
    }

    #[inline(always)]
    fn numerator(self, m: T, g: T) -> T {
        self.by_g * g + self.by_m * m
    }
}

// ψ: a second moment and the denominator made of it.

trait Psi<T: Real>: Copy + Send + Sync {
    fn after(self, v: T, m: T, g: T) -> T;
    fn denominator(self, v: T) -> T;
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Square<T> {
    keep: T,
    take: T,
    root: Root<T>,
}

impl<T: Real> Square<T> {
    fn new(keep: f64, take: f64, root: &Root) -> Self {
        Self { keep: T::from_f64(keep), take: T::from_f64(take), root: root.rounded() }
    }
}

impl<T: Real> Psi<T> for Square<T> {
    #[inline(always)]
    fn after(self, v: T, _: T, g: T) -> T {
        self.keep * v + self.take * (g * g)
    }

    #[inline(always)]
    fn denominator(self, v: T) -> T {
        self.root.of(v)
    }
}

#[derive(Clone, Copy)]
struct Infinity<T> {
    keep: T,
    add: T,
    outside: T,
}

impl<T: Real> Psi<T> for Infinity<T> {
    #[inline(always)]
    fn after(self, u: T, _: T, g: T) -> T {
        largest(self.keep * u, magnitude(g) + self.add)
    }

    #[inline(always)]
    fn denominator(self, u: T) -> T {
        u + self.outside
    }
}

#[derive(Clone, Copy)]
struct Belief<T> {
    keep: T,
    take: T,
    add: T,
    root: Root<T>,
}

impl<T: Real> Psi<T> for Belief<T> {
    #[inline(always)]
    fn after(self, s: T, m: T, g: T) -> T {
        let surprise = g - m;
        self.keep * s + self.take * (surprise * surprise) + self.add
    }

    #[inline(always)]
    fn denominator(self, s: T) -> T {
        self.root.of(s)
    }
}

#[derive(Clone, Copy)]
struct Yogi<T> {
    take: T,
    root: Root<T>,
}

impl<T: Real> Psi<T> for Yogi<T> {
    #[inline(always)]
    fn after(self, v: T, _: T, g: T) -> T {
        let square = g * g;
        v - sign(v - square) * (self.take * square)
    }

    #[inline(always)]
    fn denominator(self, v: T) -> T {
        self.root.of(v)
    }
}

/// −1, 0 or 1; NaN stays NaN, and a zero keeps its sign.
#[inline(always)]
pub(crate) fn sign<T: Real>(x: T) -> T {
    if x > T::ZERO {
        T::ONE
    } else if x < T::ZERO {
        -T::ONE
    } else {
        x
    }
}

/// |x|, without a sign at 0; NaN stays NaN.
#[inline(always)]
pub(crate) fn magnitude<T: Real>(x: T) -> T {
    if x > T::ZERO { x } else { T::ZERO - x }
}

/// The larger of the two; NaN if the new one is.
#[inline(always)]
pub(crate) fn largest<T: Real>(old: T, new: T) -> T {
    if old >= new { old } else { new }
}

// What becomes of the numerator where nothing divides it.

trait Way<T: Real>: Copy + Send + Sync {
    fn of(self, numerator: T) -> T;
}

#[derive(Clone, Copy)]
struct Straight<T>(T);

impl<T: Real> Way<T> for Straight<T> {
    #[inline(always)]
    fn of(self, numerator: T) -> T {
        self.0 * numerator
    }
}

#[derive(Clone, Copy)]
struct Sign<T>(T);

impl<T: Real> Way<T> for Sign<T> {
    #[inline(always)]
    fn of(self, numerator: T) -> T {
        self.0 * sign(numerator)
    }
}

// The kernels: one for each set of state buffers.

/// No state.
#[derive(Clone, Copy)]
struct OfGradient<T, W> {
    by_g: T,
    way: W,
}

impl<T: Real, W: Way<T>> FourStep<T, 0> for OfGradient<T, W> {
    #[inline(always)]
    fn moments(self, _: T, _: T, state: [T; 0]) -> [T; 0] {
        state
    }

    #[inline(always)]
    fn direction(self, _: T, g: T, _: &mut [T; 0]) -> T {
        self.way.of(self.by_g * g)
    }
}

/// m.
#[derive(Clone, Copy)]
struct OfMoment<F, W> {
    phi: F,
    way: W,
}

impl<T: Real, F: Phi<T>, W: Way<T>> FourStep<T, 1> for OfMoment<F, W> {
    #[inline(always)]
    fn moments(self, _: T, g: T, [m]: [T; 1]) -> [T; 1] {
        [self.phi.after(m, g)]
    }

    #[inline(always)]
    fn direction(self, _: T, g: T, [m]: &mut [T; 1]) -> T {
        self.way.of(self.phi.numerator(*m, g))
    }
}

/// v, by which g is divided.
#[derive(Clone, Copy)]
struct GradientOver<T, P> {
    by_g: T,
    psi: P,
    factor: T,
}

impl<T: Real, P: Psi<T>> FourStep<T, 1> for GradientOver<T, P> {
    #[inline(always)]
    fn moments(self, _: T, g: T, [v]: [T; 1]) -> [T; 1] {
        [self.psi.after(v, g, g)]
    }

    #[inline(always)]
    fn direction(self, _: T, g: T, [v]: &mut [T; 1]) -> T {
        self.factor * ((self.by_g * g) / self.psi.denominator(*v))
    }
}

/// v, kept up beside g.
#[derive(Clone, Copy)]
struct GradientBeside<T, P> {
    by_g: T,
    psi: P,
    factor: T,
}

impl<T: Real, P: Psi<T>> FourStep<T, 1> for GradientBeside<T, P> {
    #[inline(always)]
    fn moments(self, _: T, g: T, [v]: [T; 1]) -> [T; 1] {
        [self.psi.after(v, g, g)]
    }

    #[inline(always)]
    fn direction(self, _: T, g: T, _: &mut [T; 1]) -> T {
        self.factor * (self.by_g * g)
    }
}

/// m and v, by which m is divided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MomentOver<T, F, P> {
    phi: F,
    psi: P,
    factor: T,
}

impl<T: Real, F: Phi<T>, P: Psi<T>> FourStep<T, 2> for MomentOver<T, F, P> {
    #[inline(always)]
    fn moments(self, _: T, g: T, [m, v]: [T; 2]) -> [T; 2] {
        let m = self.phi.after(m, g);
        [m, self.psi.after(v, m, g)]
    }

    #[inline(always)]
    fn direction(self, _: T, g: T, [m, v]: &mut [T; 2]) -> T {
        self.factor * (self.phi.numerator(*m, g) / self.psi.denominator(*v))
    }
}

/// v, kept up beside m.
#[derive(Clone, Copy)]
struct MomentBeside<T, F, P> {
    phi: F,
    psi: P,
    factor: T,
}

impl<T: Real, F: Phi<T>, P: Psi<T>> FourStep<T, 2> for MomentBeside<T, F, P> {
    #[inline(always)]
    fn moments(self, _: T, g: T, [m, v]: [T; 2]) -> [T; 2] {
        let m = self.phi.after(m, g);
        [m, self.psi.after(v, m, g)]
    }

    #[inline(always)]
    fn direction(self, _: T, g: T, [m, _]: &mut [T; 2]) -> T {
        self.factor * self.phi.numerator(*m, g)
    }
}

/// v and the largest so far, by which g is divided.
#[derive(Clone, Copy)]
struct GradientOverMax<T> {
    by_g: T,
    psi: Square<T>,
    hat: T,
    factor: T,
}

impl<T: Real> FourStep<T, 2> for GradientOverMax<T> {
    #[inline(always)]
    fn moments(self, _: T, g: T, [v, x]: [T; 2]) -> [T; 2] {
        let v = self.psi.after(v, g, g);
        [v, largest(x, self.hat * v)]
    }

    #[inline(always)]
    fn direction(self, _: T, g: T, [_, x]: &mut [T; 2]) -> T {
        self.factor * ((self.by_g * g) / self.psi.denominator(*x))
    }
}

/// m, v and the largest so far, by which m is divided.
#[derive(Clone, Copy)]
struct MomentOverMax<T, F> {
    phi: F,
    psi: Square<T>,
    hat: T,
    factor: T,
}

impl<T: Real, F: Phi<T>> FourStep<T, 3> for MomentOverMax<T, F> {
    #[inline(always)]
    fn moments(self, _: T, g: T, [m, v, x]: [T; 3]) -> [T; 3] {
        let (m, v) = (self.phi.after(m, g), self.psi.after(v, g, g));
        [m, v, largest(x, self.hat * v)]
    }

    #[inline(always)]
    fn direction(self, _: T, g: T, [m, _, x]: &mut [T; 3]) -> T {
        self.factor * (self.phi.numerator(*m, g) / self.psi.denominator(*x))
    }
}
