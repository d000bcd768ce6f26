//! The four-step trait and the one loop.
//!
//! ```text
//! 1  gradient     g_t = ∇f(w_t), scaled, clipped, negated, plus λ·w_t          Gradient, shared by all rules
//! 2  moments      m_t = φ(g_1..g_t), V_t = ψ(g_1..g_t)                         FourStep::moments
//! 3  direction    η_t = α · m_t / √V_t                                         FourStep::direction
//! 4  update       w_{t+1} = w_t − η_t                                          FourStep::update
//! ```
//!
//! A rule is three short functions of one element over `S` state buffers. The loop below is the only one there is; it
//! loads w, g and the state once, and stores w and the state once: of `f32`, 8 + 4·S bytes read and 4 + 4·S written an
//! element. That is all the memory traffic an update needs, and above the cache it is what bounds it.
//!
//! Step 1 is compiled in two forms: none, and all of it. All of it costs a few more operations an element, which hide
//! behind the memory; a scratch block between the stages, tried first, was slower in cache and above it.
//!
//! The frame leaks in two places here. Momentum *after* the division (RMSProp) and the RMS of past updates (AdaDelta)
//! need the direction before they can be updated: so `direction` may write the state too.

use crate::exec::Exec;
use crate::isa::Kernel;
use crate::pool;
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

    /// g_t of one element. Clips by comparison, so NaN stays NaN; leaves 0·w out, which is NaN where w is infinite.
    #[inline(always)]
    pub fn of(self, w: T, g: T) -> T {
        let x = self.scale * g;
        let x = if x > self.limit { self.limit } else { x };
        let x = if x < -self.limit { -self.limit } else { x };
        if self.weight_decay == T::ZERO { x } else { x + self.weight_decay * w }
    }
}

/// A run of elements of one array with its gradient and state; the unused state slices are empty.
#[derive(Debug)]
pub struct Segment<'a, T> {
    /// Parameters, updated in place.
    pub w: &'a mut [T],
    /// Gradients.
    pub g: &'a [T],
    /// State buffers, in the rule's order.
    pub state: [&'a mut [T]; MAX_STATE],
}

impl<'a, T> Segment<'a, T> {
    /// The two parts of `self`, cut before element `at`.
    #[must_use]
    pub fn split(self, at: usize) -> (Self, Self) {
        let (w0, w1) = self.w.split_at_mut(at);
        let (g0, g1) = self.g.split_at(at);
        let [(a0, a1), (b0, b1), (c0, c1), (d0, d1)] = self.state.map(|s| {
            let at = at.min(s.len());
            s.split_at_mut(at)
        });
        (Self { w: w0, g: g0, state: [a0, b0, c0, d0] }, Self { w: w1, g: g1, state: [a1, b1, c1, d1] })
    }

    /// The same run with only these of its state buffers, in this order.
    #[must_use]
    pub fn with_state(self, which: &[usize]) -> Self {
        let mut all = self.state;
        let mut state: [&'a mut [T]; MAX_STATE] = Default::default();
        for (slot, &k) in state.iter_mut().zip(which) {
            *slot = std::mem::take(&mut all[k]);
        }
        Self { state, ..self }
    }

    fn reborrow(&mut self) -> Segment<'_, T> {
        Segment { w: self.w, g: self.g, state: self.state.each_mut().map(|s| &mut **s) }
    }
}

/// Takes one step over all segments.
///
/// # Panics
/// When a gradient or one of the `S` state buffers has another length than its parameters.
pub fn step<T: Real, R: FourStep<T, S>, const S: usize>(
    exec: &Exec,
    rule: R,
    gradient: Gradient<T>,
    segments: &mut [Segment<'_, T>],
) {
    for s in segments.iter() {
        assert_eq!(s.g.len(), s.w.len(), "a gradient has the length of its parameters");
        assert!(
            s.state[..S].iter().all(|b| b.len() == s.w.len()),
            "a state buffer has the length of its parameters"
        );
    }
    over_all(exec, segments, &|segment| exec.level.run(Pass { rule, gradient, segment }));
}

/// What is done with each piece. Behind a pointer, so that the splitting below is compiled once, not for each rule.
type Piece<'f, T> = &'f (dyn Fn(Segment<'_, T>) + Sync);

/// Cuts the segments into pieces over the threads.
fn over_all<T: Real>(exec: &Exec, segments: &mut [Segment<'_, T>], piece: Piece<'_, T>) {
    let total: usize = segments.iter().map(|s| s.w.len()).sum();
    let threads = exec.threads_for(total);
    if threads <= 1 {
        return segments.iter_mut().for_each(|s| piece(s.reborrow()));
    }
    // Some pieces for each thread, so that a thread that was interrupted does not hold up the rest.
    let grain = (total / (8 * threads)).next_multiple_of(exec.chunk).max(exec.chunk);
    pool::install(threads, || halve(exec, segments, grain, piece));
}

/// Halves the work until a piece is at most `grain` elements: between segments where it can, else inside one.
fn halve<T: Real>(exec: &Exec, segments: &mut [Segment<'_, T>], grain: usize, piece: Piece<'_, T>) {
    let total: usize = segments.iter().map(|s| s.w.len()).sum();
    match segments {
        [one] if total > grain => {
            let middle = (total / 2).next_multiple_of(exec.chunk).min(total);
            let (mut left, mut right) = one.reborrow().split(middle);
            let (left, right) = (std::slice::from_mut(&mut left), std::slice::from_mut(&mut right));
            pool::join(|| halve(exec, left, grain, piece), || halve(exec, right, grain, piece));
        }
        many if total > grain => {
            let (left, right) = many.split_at_mut(half(many, total));
            pool::join(|| halve(exec, left, grain, piece), || halve(exec, right, grain, piece));
        }
        few => few.iter_mut().for_each(|s| piece(s.reborrow())),
    }
}

/// How many of the segments make up about half of the elements; at least one stays on each side.
fn half<T>(segments: &[Segment<'_, T>], total: usize) -> usize {
    let mut seen = 0;
    let before = segments.iter().take_while(|s| {
        seen += s.w.len();
        seen <= total / 2
    });
    before.count().clamp(1, segments.len() - 1)
}

/// The one loop, over one segment.
struct Pass<'a, T, R, const S: usize> {
    rule: R,
    gradient: Gradient<T>,
    segment: Segment<'a, T>,
}

impl<T: Real, R: FourStep<T, S>, const S: usize> Kernel for Pass<'_, T, R, S> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        let Self { rule, gradient, segment } = self;
        if gradient == Gradient::plain() {
            elements(
                rule,
                segment,
                #[inline(always)]
                |_, g| g,
            );
        } else {
            elements(
                rule,
                segment,
                #[inline(always)]
                |w, g| gradient.of(w, g),
            );
        }
    }
}

#[inline(always)]
fn elements<T: Real, R: FourStep<T, S>, const S: usize>(
    rule: R,
    Segment { w, g, state }: Segment<'_, T>,
    gradient: impl Fn(T, T) -> T,
) {
    let n = w.len();
    let g = &g[..n];
    let mut rest = state.into_iter();
    let state: [&mut [T]; S] = std::array::from_fn(
        #[inline(always)]
        |_| match rest.next() {
            Some(s) => &mut s[..n],
            None => &mut [],
        },
    );
    for i in 0..n {
        let x = w[i];
        let g = gradient(x, g[i]);
        let mut s = [T::ZERO; S];
        for k in 0..S {
            s[k] = state[k][i];
        }
        s = rule.moments(x, g, s);
        let eta = rule.direction(x, g, &mut s);
        w[i] = rule.update(x, eta, T::ONE);
        for k in 0..S {
            state[k][i] = s[k];
        }
    }
}
