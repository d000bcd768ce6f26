//! One pass over parameters, gradients and state: a rule, and what is done while the data is in cache.
//!
//! ```text
//! for each block of 1024 elements:   decode            w, g, state                where they are not stored in full
//!                                    the one loop      of `rule.rs`
//!                                    flush             subnormal state, and smaller moments, to 0
//!                                    average           ē ← d·ē + (1 − d)·w
//!                                    copy              w as bfloat16
//!                                    sums              Σg², Σw², Σ(Δw)² of what the pass saw
//!                                    zero              g ← 0
//!                                    encode            w, state
//! ```
//!
//! A stage that is not asked for costs nothing, and where none is, the loop runs over whole arrays; state in fewer bits
//! has forms of the loop of its own (`narrow.rs`). Each stage is compiled once for a level, not once for a rule;
//! between them a block stays in the first level of cache, so stages add operations and no trip through memory. A block
//! is a range of the segment: to cut the segment itself for each would cost as much as a stage.
//!
//! A gradient that is not finite is noticed in every pass, by three integer operations an element; only then it is
//! looked for ([`Found`]).

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::exec::Exec;
use crate::isa::{Kernel, Level};
use crate::lanes::{self, LANES};
use crate::narrow::{ByteElements, HalfElements};
use crate::pool;
use crate::random::Random;
use crate::real::{Real, is_single};
use crate::rule::{Elements, FourStep, Frame, MAX_STATE, Probe};
pub use crate::segment::{Grad, Origin, Segment, Sums};
use crate::store::{Bytes, Store};

/// Elements of a block: six arrays of `f32` fit the first level of cache.
const STAGE: usize = 1024;

/// Elements of a block where the loop is all there is to do: what begins a call is of no account.
const ALONE: usize = 1 << 16;

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
    /// Set subnormal state to 0 ([`Real::flushed`]).
    pub flush: bool,
    /// Which state buffers are first moments; [`crate::rules::Rule::step`] says so.
    pub first_moments: [bool; MAX_STATE],
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
        let (flush, zero, first_moments) = (false, false, [false; MAX_STATE]);
        Self { frame, cautious, average, flush, first_moments, zero, stochastic, seed: 0, step: 0, found }
    }

    /// The random numbers of a buffer: 0 is w, 1 the copy, from 2 on the state.
    fn stream(&self, origin: Origin, buffer: u64) -> Random {
        Random::new(self.seed, self.step, origin.parameter as u64, buffer, origin.first)
    }

    /// The same, if it is rounded by them.
    fn random(&self, store_is_byte: bool, origin: Origin, buffer: u64) -> Option<Random> {
        (self.stochastic || store_is_byte).then(|| self.stream(origin, buffer))
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
        segment.read(exec.level, range, rule.states(), |w, g, state| {
            rule.dry(exec.level, frame, w, g, state, seen.each_mut().map(Vec::as_mut_slice));
        });
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

/// The state of a block in a form that the loop takes.
enum Cells<'a, T> {
    /// As it is computed.
    Full([&'a mut [T]; MAX_STATE]),
    /// All in bfloat16, of `f32`; rounded to the nearest, or by random numbers.
    Half([&'a mut [u16]; MAX_STATE], Option<[Random; MAX_STATE]>),
    /// All in 8-bit blocks, of `f32`.
    Byte([Bytes<'a>; MAX_STATE], [Random; MAX_STATE]),
}

/// The loop of one rule behind a pointer, so that all that surrounds it is compiled once and not once for each rule.
trait Loop<T: Real>: Sync {
    /// How many state buffers it has.
    fn states(&self) -> usize;

    /// Runs over one block; tells whether some gradient is not finite.
    fn over(&self, level: Level, frame: Frame<T>, w: &mut [T], g: &[T], state: Cells<'_, T>) -> bool;

    /// Writes g_t and η of each element beside; w and the state stay as they are.
    fn dry(&self, level: Level, frame: Frame<T>, w: &[T], g: &[T], state: [&[T]; MAX_STATE], seen: [&mut [T]; 2]);
}

struct Of<R, const S: usize>(R);

impl<T: Real, R: FourStep<T, S>, const S: usize> Loop<T> for Of<R, S> {
    fn states(&self) -> usize {
        S
    }

    fn over(&self, level: Level, frame: Frame<T>, w: &mut [T], g: &[T], state: Cells<'_, T>) -> bool {
        let rule = self.0;
        match state {
            Cells::Full(state) => level.run(Elements { rule, frame, w, g, state: gather(state) }),
            // `is_narrow` has asked; written here, the forms are not compiled for `f64`.
            _ if !is_single::<T>() => unreachable!("state in fewer bits is decoded for this type"),
            Cells::Half(state, random) => {
                let random = random.map(gather);
                level.run(HalfElements { rule, frame, w, g, state: gather(state), random })
            }
            Cells::Byte(state, random) => {
                level.run(ByteElements { rule, frame, w, g, state: gather(state), random: gather(random) })
            }
        }
    }

    fn dry(&self, level: Level, frame: Frame<T>, w: &[T], g: &[T], state: [&[T]; MAX_STATE], seen: [&mut [T]; 2]) {
        let state: [&[T]; S] = std::array::from_fn(|k| state[k]);
        level.run(Probe { rule: self.0, frame, w, g, state, seen });
    }
}

/// The first `S` of what follows; defaults where it ends.
fn gather<X: Default, const S: usize>(all: impl IntoIterator<Item = X>) -> [X; S] {
    let mut all = all.into_iter();
    std::array::from_fn(|_| all.next().unwrap_or_default())
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
    let mut pieces = pieces_of(segments, grain_of(total, threads, unit));
    pool::for_each(threads, &mut pieces, |piece| match piece {
        Piece::Whole(segments) => segments.iter_mut().for_each(|s| one(exec.level, rule, pass, s.reborrow())),
        Piece::Part(segment) => one(exec.level, rule, pass, segment.reborrow()),
    });
}

/// The most elements of a piece, whole units: some pieces for each thread, so that one that was interrupted does not hold up the
/// rest.
fn grain_of(total: usize, threads: usize, unit: usize) -> usize {
    (total / (8 * threads)).next_multiple_of(unit).max(unit)
}

/// What one thread does at a time.
enum Piece<'a, 'b, T> {
    Whole(&'a mut [Segment<'b, T>]),
    Part(Box<Segment<'a, T>>),
}

/// Pieces of at most `grain` elements: some segments, or a part of one.
fn pieces_of<'a, 'b, T: Real>(mut segments: &'a mut [Segment<'b, T>], grain: usize) -> Vec<Piece<'a, 'b, T>> {
    let mut pieces = Vec::new();
    while !segments.is_empty() {
        let mut total = 0;
        let fitting = segments.iter().take_while(|s| {
            total += s.len();
            total <= grain
        });
        let few = fitting.count();
        let (now, later) = segments.split_at_mut(few.max(1));
        segments = later;
        if few > 0 {
            pieces.push(Piece::Whole(now));
            continue;
        }
        let mut rest = now[0].reborrow();
        while rest.len() > grain {
            let (part, others) = rest.split(grain);
            pieces.push(Piece::Part(Box::new(part)));
            rest = others;
        }
        pieces.push(Piece::Part(Box::new(rest)));
    }
    pieces
}

/// The pass over one segment, on the caller's thread.
fn one<T: Real>(level: Level, rule: &dyn Loop<T>, pass: &Pass<'_, T>, segment: Segment<'_, T>) {
    if !segment.is_bare() || pass.flush || pass.zero {
        return staged(level, rule, pass, segment);
    }
    let origin = segment.origin;
    let Segment { w: Store::Full(w), g, state, .. } = segment else { return };
    let full = state.into_iter().map(|s| match s {
        Store::Full(s) => s,
        Store::Half(_) | Store::Byte(_) => &mut [],
    });
    let state = Cells::Full(gather(full));
    let g = g.view(0..g.len(), &mut []);
    if rule.over(level, pass.frame, w, g, state) {
        pass.found.count_in(g, origin);
    }
}

/// The pass over one segment, block by block.
fn staged<T: Real>(level: Level, rule: &dyn Loop<T>, pass: &Pass<'_, T>, mut segment: Segment<'_, T>) {
    let mut scratch = [[T::ZERO; STAGE]; MAX_STATE + 3];
    let n = segment.len();
    let mut seen = (!segment.sums.is_empty()).then(Seen::default);
    let alone = !pass.zero && segment.is_alone() && is_narrow(pass, &segment.state[..rule.states()]);
    let stage = if alone { ALONE } else { STAGE };
    let mut end = 0;
    while end < n {
        let start = end;
        end = n.min(block_end(segment.origin.first, start, stage));
        stages(level, rule, pass, &mut segment, start..end, &mut scratch, seen.as_mut());
        // Sums are of lanes::BLOCK elements, that is of some stages.
        if let Some(seen) = &mut seen
            && (end.is_multiple_of(lanes::BLOCK) || end == n)
        {
            segment.sums[start / lanes::BLOCK] = std::mem::take(seen).fold();
        }
    }
}

/// Where the block ends that begins `start` elements after `first`: at a multiple of `stage` in the parameter, so that no
/// block lies across element 2^32, where random numbers take another key.
fn block_end(first: usize, start: usize, stage: usize) -> usize {
    start + stage - (first + start) % stage
}

/// All stages over one block.
fn stages<T: Real>(
    level: Level,
    rule: &dyn Loop<T>,
    pass: &Pass<'_, T>,
    segment: &mut Segment<'_, T>,
    range: Range<usize>,
    scratch: &mut [[T; STAGE]; MAX_STATE + 3],
    seen: Option<&mut Seen>,
) {
    let Segment { w: w_store, g: g_store, state, average, copy, probe, origin, .. } = segment;
    let origin = origin.after(range.start);
    let [w_scratch, g_scratch, old, state_scratch @ ..] = scratch;
    let w = w_store.open(level, range.clone(), w_scratch);
    let g = g_store.view(range.clone(), g_scratch);
    if seen.is_some() {
        old[..w.len()].copy_from_slice(w);
    }
    let state =
        States { stores: &mut state[..rule.states()], scratch: state_scratch, range: range.clone(), origin };
    let alarm = match probe {
        [seen_g, eta] if !eta.is_empty() => {
            let probe = [&mut seen_g[range.clone()], &mut eta[range.clone()]];
            state.staged(level, rule, pass, w, g, Some(probe))
        }
        _ => state.advance(level, rule, pass, w, g),
    };
    let not_finite = if alarm { pass.found.count_in(g, origin) } else { 0 };
    if !average.is_empty() {
        level.run(Average { of: w, average: &mut average[range.clone()], d: pass.average });
    }
    if !copy.is_empty() {
        Store::<T>::Half(copy).close(level, range.clone(), w, pass.random(false, origin, 1));
    }
    if let Some(seen) = seen {
        level.run(See { g, old: &old[..w.len()], new: w, seen });
        seen.not_finite += not_finite;
    }
    w_store.close(level, range.clone(), w_scratch, pass.random(false, origin, 0));
    if pass.zero {
        g_store.zero(range);
    }
}

/// Whether the loop has a form (`narrow.rs`) for state that is stored like this.
fn is_narrow<T: Real>(pass: &Pass<'_, T>, stores: &[Store<'_, T>]) -> bool {
    let alike = match stores.first() {
        Some(Store::Half(_)) => stores.iter().all(|s| matches!(s, Store::Half(_))),
        Some(Store::Byte(_)) => stores.iter().all(|s| matches!(s, Store::Byte(_))),
        Some(Store::Full(_)) | None => false,
    };
    alike && is_single::<T>() && !pass.flush
}

/// The state of one block, in whichever form it is stored.
struct States<'a, 'b, T> {
    stores: &'a mut [Store<'b, T>],
    scratch: &'a mut [[T; STAGE]; MAX_STATE],
    range: Range<usize>,
    origin: Origin,
}

impl<T: Real> States<'_, '_, T> {
    /// The loop over the block, in the form that suits all its state; tells whether some gradient is not finite.
    fn advance(self, level: Level, rule: &dyn Loop<T>, pass: &Pass<'_, T>, w: &mut [T], g: &[T]) -> bool {
        if !is_narrow(pass, self.stores) {
            return self.staged(level, rule, pass, w, g, None);
        }
        let streams = gather((2..).map(|buffer| pass.stream(self.origin, buffer)));
        let range = &self.range;
        let state = if matches!(self.stores[0], Store::Half(_)) {
            let halves = self.stores.iter_mut().map(|s| match s {
                Store::Half(x) => &mut x[range.clone()],
                _ => &mut [],
            });
            Cells::Half(gather(halves), pass.stochastic.then_some(streams))
        } else {
            let bytes = self.stores.iter_mut().map(|s| match s {
                Store::Byte(x) => x.part(range.clone()),
                _ => Bytes::default(),
            });
            Cells::Byte(gather(bytes), streams)
        };
        rule.over(level, pass.frame, w, g, state)
    }

    /// The same with a stage before that decodes, and one after that encodes, what is not stored in full.
    fn staged(
        self,
        level: Level,
        rule: &dyn Loop<T>,
        pass: &Pass<'_, T>,
        w: &mut [T],
        g: &[T],
        probe: Option<[&mut [T]; 2]>,
    ) -> bool {
        let Self { stores, scratch, range, origin } = self;
        let mut state: [&mut [T]; MAX_STATE] = Default::default();
        for ((open, store), scratch) in state.iter_mut().zip(stores.iter_mut()).zip(scratch.iter_mut()) {
            *open = store.open(level, range.clone(), scratch);
        }
        if let Some(probe) = probe {
            rule.dry(level, pass.frame, w, g, state.each_ref().map(|s| &**s), probe);
        }
        let alarm = rule.over(level, pass.frame, w, g, Cells::Full(state.each_mut().map(|s| &mut **s)));
        if pass.flush {
            for (s, first_moment) in state.iter_mut().zip(pass.first_moments) {
                level.run(Flush(s, first_moment));
            }
        }
        for ((k, s), scratch) in (2..).zip(stores).zip(scratch) {
            let random = pass.random(matches!(s, Store::Byte(_)), origin, k);
            s.close(level, range.clone(), scratch, random);
        }
        alarm
    }
}

struct Flush<'a, 'b, T>(&'a mut &'b mut [T], bool);

impl<T: Real> Kernel for Flush<'_, '_, T> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        for x in self.0.iter_mut() {
            *x = x.flushed(self.1);
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
    fn no_block_lies_across_two_to_the_32() {
        for first in [0, (1usize << 32) - 4096, (1 << 31) + 3 * 16_384, 5_000_003_584] {
            let (mut end, n) = (0, 1 << 18);
            while end < n {
                let start = first + end;
                end = n.min(block_end(first, end, ALONE));
                assert!(end > start - first && end - (start - first) <= ALONE, "{first}: a block");
                assert_eq!(start >> 32, (first + end - 1) >> 32, "{first}: across from {start}");
            }
        }
    }

    #[test]
    fn pieces_are_all_elements_once_in_order_cut_at_whole_grains() {
        let lengths = [0, 5, 3, 300, 64, 0, 63, 1, 65, 1000, 2];
        for grain in [1, 8, 64, 128, 4096] {
            let mut arrays: Vec<Vec<f32>> = lengths.iter().map(|&n| vec![0.0; n]).collect();
            let gradients = arrays.clone();
            let mut segments: Vec<_> = std::iter::zip(&mut arrays, &gradients)
                .enumerate()
                .map(|(parameter, (w, g))| {
                    let origin = Origin { parameter, first: 0 };
                    Segment { origin, ..Segment::new(w, g, Default::default()) }
                })
                .collect();
            let mut seen = Vec::new();
            for piece in pieces_of(&mut segments, grain) {
                let parts: Vec<_> = match &piece {
                    Piece::Whole(segments) => segments.iter().map(|s| (s.origin, s.len())).collect(),
                    Piece::Part(part) => vec![(part.origin, part.len())],
                };
                assert!(parts.iter().map(|(_, n)| n).sum::<usize>() <= grain, "{grain}: {parts:?}");
                assert!(parts.iter().all(|(at, _)| at.first % grain == 0), "{grain}: {parts:?}");
                seen.extend(parts.iter().flat_map(|(at, n)| (0..*n).map(|i| (at.parameter, at.first + i))));
            }
            let want = lengths.iter().enumerate().flat_map(|(k, &n)| (0..n).map(move |i| (k, i)));
            assert!(seen.into_iter().eq(want), "{grain}");
        }
    }

    #[test]
    fn grains_are_whole_units_beyond_two_to_the_31_and_32_too() {
        for total in [1usize, 5000, (1 << 31) + 5, (1 << 32) + 5, (1 << 40) + 4097] {
            for threads in [2, 3, 256] {
                let grain = grain_of(total, threads, lanes::BLOCK);
                assert!(grain >= lanes::BLOCK && grain.is_multiple_of(lanes::BLOCK), "{total}: {grain}");
                assert!(grain < total / (8 * threads) + 2 * lanes::BLOCK, "{total}: {grain}");
            }
        }
    }
}
