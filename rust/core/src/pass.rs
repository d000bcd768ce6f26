//! One pass over parameters, gradients and state: a rule, and what is done while the data is in cache.
//!
//! ```text
//! for each block of 1024 elements:   decode            w, g, state                where they are not stored in full
//!                                    the one loop      of `rule.rs`
//!                                    flush             subnormal state to 0
//!                                    average           ē ← d·ē + (1 − d)·w
//!                                    copy              w as bfloat16
//!                                    sums              Σg², Σw², Σ(Δw)² of what the pass saw
//!                                    zero              g ← 0
//!                                    encode            w, state
//! ```
//!
//! A stage that is not asked for costs nothing, and where none is, the loop runs over whole arrays. Each stage is
//! compiled once for a level, not once for a rule; between them a block stays in the first level of cache, so stages add
//! operations and no trip through memory.
//!
//! A gradient that is not finite is noticed in every pass, by three integer operations an element; only then it is
//! looked for ([`Found`]).

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::exec::Exec;
use crate::isa::{Kernel, Level};
use crate::lanes::{self, LANES};
use crate::pool;
use crate::real::Real;
use crate::rule::{Elements, FourStep, Frame, MAX_STATE, Probe};
use crate::store::{Random, Store, from_half};

/// Elements of a block: six arrays of `f32` fit the first level of cache.
const STAGE: usize = 1024;

/// Sums of one block of [`lanes::BLOCK`] elements: Σg², Σw² before, Σ(Δw)², and how many gradients are not finite.
pub type Sums = [f64; 4];

/// The gradient of a run of elements.
#[derive(Debug)]
pub enum Grad<'a, T> {
    /// Only read.
    Read(&'a [T]),
    /// Read, and set to 0 if the pass says so.
    Write(&'a mut [T]),
    /// bfloat16, only read.
    ReadHalf(&'a [u16]),
    /// bfloat16, read, and set to 0 if the pass says so.
    WriteHalf(&'a mut [u16]),
}

impl<'a, T: Real> Grad<'a, T> {
    /// Elements.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Read(g) => g.len(),
            Self::Write(g) => g.len(),
            Self::ReadHalf(g) => g.len(),
            Self::WriteHalf(g) => g.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn is_full(&self) -> bool {
        matches!(self, Self::Read(_) | Self::Write(_))
    }

    fn split(self, at: usize) -> (Self, Self) {
        match self {
            Self::Read(g) => {
                let (a, b) = g.split_at(at);
                (Self::Read(a), Self::Read(b))
            }
            Self::Write(g) => {
                let (a, b) = g.split_at_mut(at);
                (Self::Write(a), Self::Write(b))
            }
            Self::ReadHalf(g) => {
                let (a, b) = g.split_at(at);
                (Self::ReadHalf(a), Self::ReadHalf(b))
            }
            Self::WriteHalf(g) => {
                let (a, b) = g.split_at_mut(at);
                (Self::WriteHalf(a), Self::WriteHalf(b))
            }
        }
    }

    /// The same gradient, borrowed for a shorter time.
    pub fn reborrow(&mut self) -> Grad<'_, T> {
        match self {
            Self::Read(g) => Grad::Read(g),
            Self::Write(g) => Grad::Write(g),
            Self::ReadHalf(g) => Grad::ReadHalf(g),
            Self::WriteHalf(g) => Grad::WriteHalf(g),
        }
    }

    /// Some of the elements in full: in place, or decoded into `scratch`.
    pub(crate) fn view<'s>(&'s self, range: Range<usize>, scratch: &'s mut [T]) -> &'s [T] {
        let halves = match self {
            Self::Read(g) => return &g[range],
            Self::Write(g) => return &g[range],
            Self::ReadHalf(g) => &g[range],
            Self::WriteHalf(g) => &g[range],
        };
        let to = &mut scratch[..halves.len()];
        for (to, &half) in to.iter_mut().zip(halves) {
            *to = T::from_f64(f64::from(from_half(half)));
        }
        to
    }

    /// Sets it to 0, where it may be written.
    pub fn zero(&mut self) {
        match self {
            Self::Write(g) => g.fill(T::ZERO),
            Self::WriteHalf(g) => g.fill(0),
            Self::Read(_) | Self::ReadHalf(_) => {}
        }
    }
}

/// A run of elements of one array with its gradient and state; the unused buffers are empty.
#[derive(Debug)]
pub struct Segment<'a, T> {
    /// Parameters, updated in place.
    pub w: Store<'a, T>,
    /// Gradients.
    pub g: Grad<'a, T>,
    /// State buffers, in the rule's order.
    pub state: [Store<'a, T>; MAX_STATE],
    /// The moving average of w.
    pub average: &'a mut [T],
    /// w as bfloat16.
    pub copy: &'a mut [u16],
    /// What the pass saw, for each block of [`lanes::BLOCK`] elements.
    pub sums: &'a mut [Sums],
    /// g_t and η of each element, for those who watch.
    pub probe: [&'a mut [T]; 2],
    /// Which parameter this is, and which of its elements is the first here: for [`Found`] and [`Random`].
    pub origin: Origin,
}

/// Where a segment begins.
#[derive(Clone, Copy, Debug, Default)]
pub struct Origin {
    /// The parameter, in the caller's count.
    pub parameter: usize,
    /// The element of it.
    pub first: usize,
}

impl<'a, T: Real> Segment<'a, T> {
    /// A run with gradient and state in full, and nothing else.
    #[must_use]
    pub fn new(w: &'a mut [T], g: &'a [T], state: [&'a mut [T]; MAX_STATE]) -> Self {
        Self {
            w: Store::Full(w),
            g: Grad::Read(g),
            state: state.map(Store::Full),
            average: &mut [],
            copy: &mut [],
            sums: &mut [],
            probe: Default::default(),
            origin: Origin::default(),
        }
    }

    /// Elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.w.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The two parts of `self`, cut before element `at`: between blocks, where something is kept by block.
    #[must_use]
    pub fn split(self, at: usize) -> (Self, Self) {
        let (w0, w1) = self.w.split(at);
        let (g0, g1) = self.g.split(at);
        let mut state = (<[Store<'a, T>; MAX_STATE]>::default(), <[Store<'a, T>; MAX_STATE]>::default());
        for (k, s) in self.state.into_iter().enumerate() {
            (state.0[k], state.1[k]) = s.split(at);
        }
        let (average0, average1) = self.average.split_at_mut(at.min(self.average.len()));
        let (copy0, copy1) = self.copy.split_at_mut(at.min(self.copy.len()));
        let [(seen0, seen1), (eta0, eta1)] = self.probe.map(|p| {
            let at = at.min(p.len());
            p.split_at_mut(at)
        });
        let (sums0, sums1) = self.sums.split_at_mut(at.div_ceil(lanes::BLOCK).min(self.sums.len()));
        let origin = Origin { first: self.origin.first + at, ..self.origin };
        (
            Self {
                w: w0,
                g: g0,
                state: state.0,
                average: average0,
                copy: copy0,
                sums: sums0,
                probe: [seen0, eta0],
                origin: self.origin,
            },
            Self {
                w: w1,
                g: g1,
                state: state.1,
                average: average1,
                copy: copy1,
                sums: sums1,
                probe: [seen1, eta1],
                origin,
            },
        )
    }

    /// The same run with only these of its state buffers, in this order.
    #[must_use]
    pub fn with_state(mut self, which: &[usize]) -> Self {
        let mut state: [Store<'a, T>; MAX_STATE] = Default::default();
        for (slot, &k) in state.iter_mut().zip(which) {
            *slot = std::mem::take(&mut self.state[k]);
        }
        Self { state, ..self }
    }

    /// The same run, borrowed for a shorter time.
    pub fn reborrow(&mut self) -> Segment<'_, T> {
        Segment {
            w: self.w.reborrow(),
            g: self.g.reborrow(),
            state: self.state.each_mut().map(Store::reborrow),
            average: self.average,
            copy: self.copy,
            sums: self.sums,
            probe: self.probe.each_mut().map(|p| &mut **p),
            origin: self.origin,
        }
    }

    /// Whether everything is stored as it is computed.
    pub(crate) fn is_full(&self) -> bool {
        self.w.is_full() && self.g.is_full() && self.state.iter().all(Store::is_full)
    }

    /// Whether, besides, nothing else hangs on the pass.
    fn is_bare(&self) -> bool {
        self.is_full()
            && self.average.is_empty()
            && self.copy.is_empty()
            && self.sums.is_empty()
            && self.probe[0].is_empty()
    }

    fn check(&self, states: usize) {
        let n = self.len();
        assert_eq!(self.g.len(), n, "a gradient has the length of its parameters");
        assert!(
            self.state[..states].iter().all(|b| b.len() == n),
            "a state buffer has the length of its parameters"
        );
        for (what, len) in
            [("average", self.average.len()), ("copy", self.copy.len()), ("probe", self.probe[0].len())]
        {
            assert!(len == 0 || len == n, "the {what} has the length of its parameters");
        }
        let blocks = self.sums.len();
        assert!(blocks == 0 || blocks == n.div_ceil(lanes::BLOCK), "there are sums for each block");
    }
}

/// How η of a cautious step makes up for the elements that it leaves alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cautious {
    /// Every element steps.
    Off,
    /// η is 0 where it differs in sign from g.
    Mask,
    /// Elsewhere it is multiplied by n/(kept + 1), counted over the segment in a dry run.
    Rescaled,
}

/// Gradients that were not finite.
#[derive(Debug)]
pub struct Found {
    count: AtomicU64,
    /// The lowest parameter.
    parameter: AtomicU64,
}

impl Default for Found {
    fn default() -> Self {
        Self { count: AtomicU64::new(0), parameter: AtomicU64::new(u64::MAX) }
    }
}

impl Found {
    /// How many elements.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// The first parameter that has one.
    #[must_use]
    pub fn parameter(&self) -> Option<usize> {
        (self.count() > 0).then(|| self.parameter.load(Ordering::Relaxed) as usize)
    }

    /// Counts what is not finite in `g`; sums and minima do not depend on the order of threads.
    fn count_in<T: Real>(&self, g: &[T], origin: Origin) -> u64 {
        let count = g.iter().filter(|x| !x.is_finite()).count() as u64;
        self.count.fetch_add(count, Ordering::Relaxed);
        self.parameter.fetch_min(origin.parameter as u64, Ordering::Relaxed);
        count
    }
}

/// All that a pass does beside its rule.
#[derive(Clone, Copy, Debug)]
pub struct Pass<'a, T> {
    /// Steps 1 and 4, as the rules share them.
    pub frame: Frame<T>,
    /// Whether η has to agree with g.
    pub cautious: Cautious,
    /// d of the average of w.
    pub average: f64,
    /// Set subnormal state to 0.
    pub flush: bool,
    /// Set the gradients to 0 after use.
    pub zero: bool,
    /// Round what is stored in bfloat16 stochastically: seed and step. 8-bit blocks always are.
    pub stochastic: bool,
    /// Of the random numbers.
    pub seed: u64,
    /// The step that they are of.
    pub step: u64,
    /// Where gradients that are not finite are counted.
    pub found: &'a Found,
}

impl<'a, T: Real> Pass<'a, T> {
    /// Nothing but the rule.
    #[must_use]
    pub fn plain(found: &'a Found) -> Self {
        let frame = Frame::plain();
        let (cautious, average, stochastic) = (Cautious::Off, 0.0, false);
        Self { frame, cautious, average, flush: false, zero: false, stochastic, seed: 0, step: 0, found }
    }

    /// The random numbers of a buffer: 0 is w, 1 the copy, from 2 on the state.
    fn random(&self, store_is_byte: bool, origin: Origin, buffer: u64) -> Option<Random> {
        (self.stochastic || store_is_byte)
            .then(|| Random::new(self.seed, self.step, origin.parameter as u64, buffer, origin.first))
    }
}

/// Takes one step over all segments.
///
/// # Panics
/// When a gradient or one of the `S` state buffers has another length than its parameters.
pub fn step<T: Real, R: FourStep<T, S>, const S: usize>(
    exec: &Exec,
    rule: R,
    pass: &Pass<'_, T>,
    segments: &mut [Segment<'_, T>],
) {
    segments.iter().for_each(|s| s.check(S));
    run_cautious(exec, &Of(rule), pass, segments);
}

fn run_cautious<T: Real>(exec: &Exec, rule: &dyn Loop<T>, pass: &Pass<'_, T>, segments: &mut [Segment<'_, T>]) {
    if pass.cautious == Cautious::Rescaled {
        return segments.iter_mut().for_each(|segment| {
            let boost = boost(exec, rule, pass.frame, segment);
            let frame = Frame { cautious: Some(boost), ..pass.frame };
            run(exec, rule, &Pass { frame, ..*pass }, std::slice::from_mut(segment));
        });
    }
    let cautious = (pass.cautious == Cautious::Mask).then_some(T::ONE);
    run(exec, rule, &Pass { frame: Frame { cautious, ..pass.frame }, ..*pass }, segments);
}

/// n/(kept + 1), where kept elements have η and g of one sign: a dry run.
fn boost<T: Real>(exec: &Exec, rule: &dyn Loop<T>, frame: Frame<T>, segment: &Segment<'_, T>) -> T {
    const BLOCK: usize = lanes::BLOCK;
    let n = segment.len();
    let kept = pool::map(exec.threads_for(n), n.div_ceil(BLOCK), |b| {
        let range = b * BLOCK..n.min((b + 1) * BLOCK);
        let mut seen = [vec![T::ZERO; range.len()], vec![T::ZERO; range.len()]];
        let mut scratch = vec![[T::ZERO; BLOCK]; if segment.is_full() { 0 } else { MAX_STATE + 2 }];
        let mut scratch = scratch.iter_mut().map(<[T; BLOCK]>::as_mut_slice);
        let mut next = || scratch.next().unwrap_or_default();
        let w = segment.w.view(exec.level, range.clone(), next());
        let g = segment.g.view(range.clone(), next());
        let mut state: [&[T]; MAX_STATE] = Default::default();
        for (view, store) in state.iter_mut().zip(&segment.state).take(rule.states()) {
            *view = store.view(exec.level, range.clone(), next());
        }
        rule.dry(exec.level, frame, w, g, state, seen.each_mut().map(Vec::as_mut_slice));
        exec.level.run(Agree(&seen[0], &seen[1]))
    });
    T::from_f64(n as f64 / (kept.iter().sum::<u64>() as f64 + 1.0))
}

/// How often η has the sign of g.
struct Agree<'a, T>(&'a [T], &'a [T]);

impl<T: Real> Kernel for Agree<'_, T> {
    type Out = u64;

    #[inline(always)]
    fn run(self) -> u64 {
        let mut count = 0;
        for (&g, &eta) in self.0.iter().zip(self.1) {
            count += u64::from(eta * g > T::ZERO);
        }
        count
    }
}

/// The loop of one rule behind a pointer, so that all that surrounds it is compiled once and not once for each rule.
trait Loop<T: Real>: Sync {
    /// How many state buffers it has.
    fn states(&self) -> usize;

    /// Runs over one block; tells whether some gradient is not finite.
    fn over(&self, level: Level, frame: Frame<T>, w: &mut [T], g: &[T], state: [&mut [T]; MAX_STATE]) -> bool;

    /// Writes g_t and η of each element beside; w and the state stay as they are.
    fn dry(&self, level: Level, frame: Frame<T>, w: &[T], g: &[T], state: [&[T]; MAX_STATE], seen: [&mut [T]; 2]);
}

struct Of<R, const S: usize>(R);

impl<T: Real, R: FourStep<T, S>, const S: usize> Loop<T> for Of<R, S> {
    fn states(&self) -> usize {
        S
    }

    fn over(&self, level: Level, frame: Frame<T>, w: &mut [T], g: &[T], state: [&mut [T]; MAX_STATE]) -> bool {
        let mut state = state.into_iter();
        let state: [&mut [T]; S] = std::array::from_fn(|_| state.next().unwrap_or_default());
        level.run(Elements { rule: self.0, frame, w, g, state })
    }

    fn dry(&self, level: Level, frame: Frame<T>, w: &[T], g: &[T], state: [&[T]; MAX_STATE], seen: [&mut [T]; 2]) {
        let state: [&[T]; S] = std::array::from_fn(|k| state[k]);
        level.run(Probe { rule: self.0, frame, w, g, state, seen });
    }
}

fn run<T: Real>(exec: &Exec, rule: &dyn Loop<T>, pass: &Pass<'_, T>, segments: &mut [Segment<'_, T>]) {
    let total: usize = segments.iter().map(Segment::len).sum();
    let threads = exec.threads_for(total);
    if threads <= 1 {
        return segments.iter_mut().for_each(|s| one(exec.level, rule, pass, s.reborrow()));
    }
    let bare = !pass.flush && !pass.zero && segments.iter().all(Segment::is_bare);
    // What is kept by block is cut between blocks.
    let unit = if bare { exec.chunk } else { exec.chunk.next_multiple_of(lanes::BLOCK) };
    // Some pieces for each thread, so that a thread that was interrupted does not hold up the rest.
    let grain = (total / (8 * threads)).next_multiple_of(unit).max(unit);
    pool::install(threads, || halve(exec.level, rule, pass, segments, unit, grain));
}

/// Halves the work until a piece is at most `grain` elements: between segments where it can, else inside one.
fn halve<T: Real>(
    level: Level,
    rule: &dyn Loop<T>,
    pass: &Pass<'_, T>,
    segments: &mut [Segment<'_, T>],
    unit: usize,
    grain: usize,
) {
    let total: usize = segments.iter().map(Segment::len).sum();
    let (left, right) = match segments {
        [single] if total > grain => {
            let (mut left, mut right) = single.reborrow().split(middle(total, unit));
            let (left, right) = (std::slice::from_mut(&mut left), std::slice::from_mut(&mut right));
            return join(level, rule, pass, (left, right), unit, grain);
        }
        many if total > grain => many.split_at_mut(half(many, total)),
        few => return few.iter_mut().for_each(|s| one(level, rule, pass, s.reborrow())),
    };
    join(level, rule, pass, (left, right), unit, grain);
}

fn join<T: Real>(
    level: Level,
    rule: &dyn Loop<T>,
    pass: &Pass<'_, T>,
    (left, right): (&mut [Segment<'_, T>], &mut [Segment<'_, T>]),
    unit: usize,
    grain: usize,
) {
    pool::join(|| halve(level, rule, pass, left, unit, grain), || halve(level, rule, pass, right, unit, grain));
}

/// Where `total` elements are halved: at a multiple of `unit`.
fn middle(total: usize, unit: usize) -> usize {
    (total / 2).next_multiple_of(unit).min(total)
}

/// How many of the segments make up about half of the elements; at least one stays on each side.
fn half<T: Real>(segments: &[Segment<'_, T>], total: usize) -> usize {
    let mut seen = 0;
    let before = segments.iter().take_while(|s| {
        seen += s.len();
        seen <= total / 2
    });
    before.count().clamp(1, segments.len() - 1)
}

/// The pass over one segment, on the caller's thread.
fn one<T: Real>(level: Level, rule: &dyn Loop<T>, pass: &Pass<'_, T>, segment: Segment<'_, T>) {
    if !segment.is_bare() || pass.flush || pass.zero {
        return staged(level, rule, pass, segment);
    }
    let origin = segment.origin;
    let Segment { w: Store::Full(w), g, state, .. } = segment else { return };
    let mut full = state.into_iter().map(|s| match s {
        Store::Full(s) => s,
        Store::Half(_) | Store::Byte(_) => &mut [],
    });
    let state = std::array::from_fn(|_| full.next().unwrap_or_default());
    let g = g.view(0..g.len(), &mut []);
    if rule.over(level, pass.frame, w, g, state) {
        pass.found.count_in(g, origin);
    }
}

/// The pass over one segment, block by block.
fn staged<T: Real>(level: Level, rule: &dyn Loop<T>, pass: &Pass<'_, T>, segment: Segment<'_, T>) {
    let mut scratch = [[T::ZERO; STAGE]; MAX_STATE + 3];
    let mut rest = segment;
    while rest.sums.len() > 1 || rest.len() > STAGE {
        // Sums are of lanes::BLOCK elements, that is of some stages.
        let cut = if rest.sums.is_empty() { STAGE } else { lanes::BLOCK.min(rest.len()) };
        let (head, tail) = rest.split(cut);
        block(level, rule, pass, head, &mut scratch);
        rest = tail;
        if rest.is_empty() {
            return;
        }
    }
    block(level, rule, pass, rest, &mut scratch);
}

/// All stages over one block; with sums, over the stages of one block of those.
fn block<T: Real>(
    level: Level,
    rule: &dyn Loop<T>,
    pass: &Pass<'_, T>,
    mut segment: Segment<'_, T>,
    scratch: &mut [[T; STAGE]; MAX_STATE + 3],
) {
    let sums = std::mem::take(&mut segment.sums);
    let mut seen = sums.first().map(|_| Seen::default());
    let mut rest = segment;
    while !rest.is_empty() {
        let at = STAGE.min(rest.len());
        let (head, tail) = rest.split(at);
        stages(level, rule, pass, head, scratch, seen.as_mut());
        rest = tail;
    }
    if let (Some(seen), Some(sums)) = (seen, sums.first_mut()) {
        *sums = seen.fold();
    }
}

fn stages<T: Real>(
    level: Level,
    rule: &dyn Loop<T>,
    pass: &Pass<'_, T>,
    segment: Segment<'_, T>,
    scratch: &mut [[T; STAGE]; MAX_STATE + 3],
    seen: Option<&mut Seen>,
) {
    let Segment { w: mut w_store, g: mut g_store, state: mut states, average, copy, probe, origin, .. } = segment;
    let [w_scratch, g_scratch, old, state_scratch @ ..] = scratch;
    let w = w_store.open(level, w_scratch);
    let g = g_store.view(0..g_store.len(), g_scratch);
    let old = &mut old[..w.len()];
    if seen.is_some() {
        old.copy_from_slice(w);
    }
    let used = states.iter_mut().take(rule.states());
    let mut open = used.zip(state_scratch.iter_mut()).map(|(s, scratch)| s.open(level, scratch));
    let mut state: [&mut [T]; MAX_STATE] = std::array::from_fn(|_| open.next().unwrap_or_default());
    if !probe[0].is_empty() {
        rule.dry(level, pass.frame, w, g, state.each_ref().map(|s| &**s), probe);
    }
    let reborrowed = state.each_mut().map(|s| &mut **s);
    let alarm = rule.over(level, pass.frame, &mut *w, g, reborrowed);
    let not_finite = if alarm { pass.found.count_in(g, origin) } else { 0 };
    if pass.flush {
        state.iter_mut().for_each(|s| level.run(Flush(s)));
    }
    if !average.is_empty() {
        level.run(Average { of: w, average, d: pass.average });
    }
    if !copy.is_empty() {
        Store::Half(copy).close(level, w, pass.random(false, origin, 1));
    }
    if let Some(seen) = seen {
        level.run(See { g, old, new: w, seen });
        seen.not_finite += not_finite;
    }
    w_store.close(level, w_scratch, pass.random(false, origin, 0));
    for ((k, s), scratch) in (2..).zip(&mut states[..rule.states()]).zip(state_scratch) {
        let random = pass.random(matches!(s, Store::Byte(_)), origin, k);
        s.close(level, scratch, random);
    }
    if pass.zero {
        g_store.zero();
    }
}

struct Flush<'a, 'b, T>(&'a mut &'b mut [T]);

impl<T: Real> Kernel for Flush<'_, '_, T> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        for x in self.0.iter_mut() {
            *x = x.flushed();
        }
    }
}

struct Average<'a, T> {
    of: &'a [T],
    average: &'a mut [T],
    d: f64,
}

impl<T: Real> Kernel for Average<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        let (d, rest) = (T::from_f64(self.d), T::from_f64(1.0 - self.d));
        for (e, &w) in self.average.iter_mut().zip(self.of) {
            *e = d * *e + rest * w;
        }
    }
}

/// The sums of a block while it is under way, in lanes.
struct Seen {
    lanes: [[f64; LANES]; 3],
    not_finite: u64,
}

impl Default for Seen {
    fn default() -> Self {
        Self { lanes: [[0.0; LANES]; 3], not_finite: 0 }
    }
}

impl Seen {
    fn fold(self) -> Sums {
        let [g, w, d] = self.lanes.map(lanes::fold);
        [g, w, d, self.not_finite as f64]
    }
}

struct See<'a, T> {
    g: &'a [T],
    old: &'a [T],
    new: &'a [T],
    seen: &'a mut Seen,
}

impl<T: Real> Kernel for See<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        let [by_g, by_w, by_d] = &mut self.seen.lanes;
        let rows = self.g.chunks(LANES).zip(self.old.chunks(LANES)).zip(self.new.chunks(LANES));
        for ((g, old), new) in rows {
            for i in 0..g.len() {
                let (g, old, new) = (g[i].to_f64(), old[i].to_f64(), new[i].to_f64());
                by_g[i] += g * g;
                by_w[i] += old * old;
                by_d[i] += (new - old) * (new - old);
            }
        }
    }
}

/// Sums over the blocks of a segment, pairwise in index order.
#[must_use]
pub fn total(blocks: &[Sums]) -> Sums {
    std::array::from_fn(|k| lanes::pairwise(&blocks.iter().map(|b| b[k]).collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_cut_beyond_two_to_the_31_and_32_too() {
        for total in [(1usize << 31) + 5, (1 << 32) + 5, (1 << 40) + 4097] {
            let cut = middle(total, lanes::BLOCK);
            assert!(
                cut.is_multiple_of(lanes::BLOCK) && cut >= total / 2 && cut < total / 2 + lanes::BLOCK,
                "{total}: {cut}"
            );
        }
    }

    #[test]
    fn random_numbers_do_not_repeat_beyond_two_to_the_32() {
        let first = |first| Random::new(1, 1, 0, 0, first).at(0);
        assert_ne!(first(0), first(1 << 32), "the upper half of the index counts");
        assert_eq!(Random::new(1, 1, 0, 0, 0).at(7), first(7), "a run that begins later is the same stream");
    }
}
