//! The four-step trait and the one loop.
//!
//! ```text
//! 1  gradient     g_t = ∇f(w_t), scaled, clipped, negated, plus λ·w_t          Gradient, shared by all rules
//! 2  moments      m_t = φ(g_1..g_t), V_t = ψ(g_1..g_t)                         FourStep::moments
//! 3  direction    η_t = α · m_t / √V_t                                         FourStep::direction
//! 4  update       w_{t+1} = w_t − η_t                                          FourStep::update
//! ```
//!
//! A rule is three short functions of one element over `S` state buffers. The loop below is the only one there is (but for
//! 8-bit state, whose codes wait for the largest of their block: `narrow.rs`); it
//! loads w, g and the state once, and stores w and the state once: of `f32`, 8 + 4·S bytes read and 4 + 4·S written an
//! element. That is all the memory traffic an update needs, and above the cache it is what bounds it. `pass.rs` calls
//! it over whole arrays, or over blocks that stay in cache where more is to be done with them.
//!
//! What all rules share around their steps is a [`Frame`]. It is compiled in two forms: the plain one multiplies g by
//! `scale` and w by `keep`, which are 1 where nothing is asked; the other does all of it, a few more operations an element,
//! which hide behind the memory.
//!
//! The frame leaks in places. Momentum *after* the division (RMSProp) and the RMS of past updates (AdaDelta) need the
//! direction before they can be updated: so `direction` may write the state too. Some rules look at w in every step,
//! and some have an update that is no step from w: so all three functions get w.

use crate::isa::Kernel;
use crate::real::Real;

/// The most state buffers that a rule has.
pub const MAX_STATE: usize = 4;

/// Steps 2 to 4 of one element, with this step's coefficients rounded to `T`.
pub trait FourStep<T: Real, const S: usize>: Copy + Send + Sync {
    /// Step 2: the state after this gradient.
    fn moments(self, w: T, g: T, state: [T; S]) -> [T; S];

    /// Step 3: η_t.
    fn direction(self, w: T, g: T, state: &mut [T; S]) -> T;

    /// Step 4. `keep` is 1, or less with decoupled decay.
    #[inline(always)]
    fn update(self, w: T, eta: T, keep: T) -> T {
        keep * w - eta
    }
}

/// Step 1 of one element: clip(scale·g, ±limit) + λ·w.
///
/// To maximise is to descend along −g: the sign is in `scale`, as clipping does not mind it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Gradient<T> {
    /// What every gradient is multiplied by: 1, or the coefficient of clipping by norm; negative to maximise.
    pub scale: T,
    /// The largest magnitude of an element; infinite = no clipping by value.
    pub limit: T,
    /// λ of the L2 penalty ½·λ·‖w‖².
    pub weight_decay: T,
}

impl<T: Real> Gradient<T> {
    /// The gradient as it came.
    #[must_use]
    pub fn plain() -> Self {
        Self { scale: T::ONE, limit: T::from_f64(f64::INFINITY), weight_decay: T::ZERO }
    }

    /// Whether it is only multiplied.
    fn only_scaled(self) -> bool {
        self == Self { scale: self.scale, ..Self::plain() }
    }

    /// g_t of one element. Clips by comparison, so NaN stays NaN; leaves 0·w out, which is NaN where w is infinite.
    #[inline(always)]
    pub fn of(self, w: T, g: T) -> T {
        let x = self.scale * g;
        let x = if x > self.limit { self.limit } else { x };
        let x = if x < -self.limit { -self.limit } else { x };
        if self.weight_decay == T::ZERO { x } else { x + self.weight_decay * w }
    }
}

/// What all rules share around their own functions.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Frame<T> {
    /// Step 1.
    pub gradient: Gradient<T>,
    /// What w is multiplied by in step 4: 1, or 1 − α·λ, the decoupled decay.
    pub keep: T,
    /// Where η and g_t differ in sign, η is 0; elsewhere it is multiplied by this (Liang et al. 2024).
    pub cautious: Option<T>,
    /// Leave elements alone whose gradient is not finite.
    pub skip: bool,
}

impl<T: Real> Frame<T> {
    /// Nothing but the rule.
    #[must_use]
    pub fn plain() -> Self {
        Self { gradient: Gradient::plain(), keep: T::ONE, cautious: None, skip: false }
    }

    /// Whether the plain form of the loop computes it.
    pub(crate) fn is_plain(&self) -> bool {
        self.gradient.only_scaled() && self.cautious.is_none() && !self.skip
    }
}

/// w, the new state and η of one element.
#[inline(always)]
pub(crate) fn element<T: Real, R: FourStep<T, S>, const S: usize>(
    rule: R,
    frame: Frame<T>,
    w: T,
    raw: T,
    old: [T; S],
) -> (T, [T; S], T) {
    let g = frame.gradient.of(w, raw);
    let mut state = rule.moments(w, g, old);
    let mut eta = rule.direction(w, g, &mut state);
    if let Some(boost) = frame.cautious {
        eta = if eta * g > T::ZERO { boost * eta } else { T::ZERO };
    }
    let new = rule.update(w, eta, frame.keep);
    let leave = frame.skip && !raw.is_finite();
    if leave {
        eta = T::ZERO;
        state = old;
    }
    (if leave { w } else { new }, state, eta)
}

/// w and the new state of one element, in a frame that only scales.
#[inline(always)]
pub(crate) fn plain<T: Real, R: FourStep<T, S>, const S: usize>(
    rule: R,
    frame: Frame<T>,
) -> impl Fn(T, T, [T; S]) -> (T, [T; S]) + Copy {
    let Frame { gradient, keep, .. } = frame;
    #[inline(always)]
    move |w, g, old| {
        let g = gradient.scale * g;
        let mut state = rule.moments(w, g, old);
        let eta = rule.direction(w, g, &mut state);
        (rule.update(w, eta, keep), state)
    }
}

/// The same, with a whole frame.
#[inline(always)]
pub(crate) fn framed<T: Real, R: FourStep<T, S>, const S: usize>(
    rule: R,
    frame: Frame<T>,
) -> impl Fn(T, T, [T; S]) -> (T, [T; S]) + Copy {
    #[inline(always)]
    move |w, g, old| {
        let (w, state, _) = element(rule, frame, w, g, old);
        (w, state)
    }
}

/// A form in which state is stored, as the loop reads and writes it.
pub(crate) trait Form<T> {
    /// One stored element.
    type Cell: Copy + Default;

    /// Its number.
    fn read(cell: Self::Cell) -> T;

    /// The element that is stored for a number; a format of fewer bits may round by `random`.
    fn write(x: T, random: u32) -> Self::Cell;
}

/// As it is computed.
pub(crate) struct Whole;

impl<T: Real> Form<T> for Whole {
    type Cell = T;

    #[inline(always)]
    fn read(cell: T) -> T {
        cell
    }

    #[inline(always)]
    fn write(x: T, _: u32) -> T {
        x
    }
}

/// The one loop, over state in full. Gives whether some gradient is not finite.
pub(crate) struct Elements<'a, T, R, const S: usize> {
    pub(crate) rule: R,
    pub(crate) frame: Frame<T>,
    pub(crate) w: &'a mut [T],
    pub(crate) g: &'a [T],
    pub(crate) state: [&'a mut [T]; S],
}

impl<T: Real, R: FourStep<T, S>, const S: usize> Kernel for Elements<'_, T, R, S> {
    type Out = bool;

    #[inline(always)]
    fn run(self) -> bool {
        let Self { rule, frame, w, g, state } = self;
        if frame.is_plain() {
            elements::<T, Whole, S>(w, g, state, none, plain(rule, frame))
        } else {
            elements::<T, Whole, S>(w, g, state, none, framed(rule, frame))
        }
    }
}

/// No random numbers.
#[inline(always)]
pub(crate) fn none<const S: usize>(_: u32) -> [u32; S] {
    [0; S]
}

/// Elements that the loop takes at once.
const RUN: usize = 256;

/// The one loop, over state in any form; `random` gives what each buffer may round by. Gives whether some gradient is
/// not finite.
///
/// It runs over arrays of a fixed length, the last of which is a copy that is filled up with zeros: so there are no
/// checks, and no remainder that would take its elements one by one.
#[inline(always)]
pub(crate) fn elements<T: Real, F: Form<T>, const S: usize>(
    w: &mut [T],
    g: &[T],
    mut state: [&mut [F::Cell]; S],
    random: impl Fn(u32) -> [u32; S] + Copy,
    one: impl Fn(T, T, [T; S]) -> (T, [T; S]) + Copy,
) -> bool {
    let n = w.len();
    assert!(g.len() == n && state.iter().all(|s| s.len() == n), "a gradient and state of the parameters' length");
    let mut alarm = T::Alarm::default();
    let mut unused = [[F::Cell::default(); RUN]; MAX_STATE];
    let (runs, last) = w.as_chunks_mut::<RUN>();
    let whole = runs.len() * RUN;
    for ((r, w), g) in (0..).zip(runs).zip(g.as_chunks::<RUN>().0) {
        let mut cells = unused.each_mut();
        for (cells, state) in cells.iter_mut().zip(&mut state) {
            if let Some(run) = state[r * RUN..].first_chunk_mut() {
                *cells = run;
            }
        }
        let [s0, s1, s2, s3] = cells;
        alarm = alarm | run::<T, F, S>(w, g, s0, s1, s2, s3, r * RUN, random, one);
    }
    if !last.is_empty() {
        let (mut last_w, mut last_g) = ([T::ZERO; RUN], [T::ZERO; RUN]);
        last_w[..last.len()].copy_from_slice(last);
        last_g[..last.len()].copy_from_slice(&g[whole..n]);
        for k in 0..S {
            unused[k][..last.len()].copy_from_slice(&state[k][whole..n]);
        }
        let [s0, s1, s2, s3] = unused.each_mut();
        alarm = alarm | run::<T, F, S>(&mut last_w, &last_g, s0, s1, s2, s3, whole, random, one);
        last.copy_from_slice(&last_w[..last.len()]);
        for k in 0..S {
            state[k][whole..n].copy_from_slice(&unused[k][..n - whole]);
        }
    }
    T::alarmed(alarm)
}

/// The loop over one run. Each array is an argument by itself: so the compiler knows that they do not overlap.
#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "see above")]
fn run<T: Real, F: Form<T>, const S: usize>(
    w: &mut [T; RUN],
    g: &[T; RUN],
    s0: &mut [F::Cell; RUN],
    s1: &mut [F::Cell; RUN],
    s2: &mut [F::Cell; RUN],
    s3: &mut [F::Cell; RUN],
    start: usize,
    random: impl Fn(u32) -> [u32; S],
    one: impl Fn(T, T, [T; S]) -> (T, [T; S]),
) -> T::Alarm {
    let mut alarm = T::Alarm::default();
    for i in 0..RUN {
        alarm = alarm | g[i].alarm();
        let cells = [s0[i], s1[i], s2[i], s3[i]];
        let mut s = [T::ZERO; S];
        for k in 0..S {
            s[k] = F::read(cells[k]);
        }
        let (new, s) = one(w[i], g[i], s);
        w[i] = new;
        let random = random((start + i) as u32);
        if S > 0 {
            s0[i] = F::write(s[0], random[0]);
        }
        if S > 1 {
            s1[i] = F::write(s[1], random[1]);
        }
        if S > 2 {
            s2[i] = F::write(s[2], random[2]);
        }
        if S > 3 {
            s3[i] = F::write(s[3], random[3]);
        }
    }
    alarm
}

/// g_t and η of each element, written beside; w and the state stay as they are.
pub(crate) struct Probe<'a, T, R, const S: usize> {
    pub(crate) rule: R,
    pub(crate) frame: Frame<T>,
    pub(crate) w: &'a [T],
    pub(crate) g: &'a [T],
    pub(crate) state: [&'a [T]; S],
    pub(crate) seen: [&'a mut [T]; 2],
}

impl<T: Real, R: FourStep<T, S>, const S: usize> Kernel for Probe<'_, T, R, S> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        let Self { rule, frame, w, g, state, seen } = self;
        let n = w.len();
        let (g, [seen_g, seen_eta]) = (&g[..n], seen);
        let (seen_g, seen_eta) = (&mut seen_g[..n], &mut seen_eta[..n]);
        let state = state.map(
            #[inline(always)]
            |s| &s[..n],
        );
        for i in 0..n {
            let mut s = [T::ZERO; S];
            for k in 0..S {
                s[k] = state[k][i];
            }
            seen_g[i] = frame.gradient.of(w[i], g[i]);
            (_, _, seen_eta[i]) = element(rule, frame, w[i], g[i], s);
        }
    }
}
