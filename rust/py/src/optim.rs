//! Optimizer steps: all arrays of all groups in one call.
//!
//! Everything is borrowed and checked before anything is written, so an error leaves the parameters as they were.

use fourstep::coding::BLOCK8;
use fourstep::coefficients;
use fourstep::exec::Exec;
use fourstep::lanes;
use fourstep::pass::{Cautious, Found, Origin, Pass, Segment, Sums, total};
use fourstep::real::Real;
use fourstep::rule::{Frame, Gradient, MAX_STATE};
use fourstep::rules::Rule;
use fourstep::rules::compose::Mix;
use fourstep::store::{Bytes, Store};
use numpy::{Element, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyFloatingPointError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arrays::writing;
use crate::buffers::{Buffer, BufferArgs, Slices, is};
use crate::exec::{ExecArgs, resolve};
use crate::hyper::Hyper;

/// `(rule, hyper-parameters, which state buffers, ranges)`.
pub(crate) type GroupArgs<'py> = (String, Bound<'py, PyDict>, Vec<usize>, Vec<Range>);

/// `(buffer, start, stop, parameter, first 8-bit block)`: elements of a buffer; which parameter they are, for reports
/// and random numbers; and where its blocks begin.
pub(crate) type Range = (usize, usize, usize, usize, usize);

/// `(largest norm, parameters, groups, known)`: the norm of the parameters' gradients scales those of the groups.
type ClipArgs = (f64, Vec<Range>, Vec<usize>, Vec<Known>);

/// `(place, Σg², how many are not finite)` of a parameter that steps by rows: its place among all that count in the norm.
type Known = (usize, f64, u64);

/// What a pass came to: `(norms of the clips, their coefficients, how many gradients are not finite, the first parameter
/// with one, whether nothing was updated, sums of each range)`.
type Report = (Vec<f64>, Vec<f64>, u64, Option<usize>, bool, Vec<Vec<Sums>>);

/// Takes one step over all groups.
#[pyfunction]
pub(crate) fn step(
    py: Python<'_>,
    buffers: Vec<BufferArgs<'_>>,
    groups: Vec<GroupArgs<'_>>,
    clips: Vec<ClipArgs>,
    options: Bound<'_, PyDict>,
    exec: ExecArgs,
) -> PyResult<Report> {
    let exec = resolve(exec)?;
    let groups = groups.into_iter().map(Group::parse).collect::<PyResult<Vec<_>>>()?;
    let options = Options::parse(&Hyper(options))?;
    let mut single = Vec::new();
    let mut double = Vec::new();
    for (index, buffer) in buffers.iter().enumerate() {
        if is::<f32>(&buffer.1)? {
            single.push(Buffer::<f32>::borrow(index, buffer, options.zero)?);
        } else {
            double.push(Buffer::<f64>::borrow(index, buffer, options.zero)?);
        }
    }
    let mut single: Vec<_> = single.iter_mut().map(Buffer::slices).collect();
    let mut double: Vec<_> = double.iter_mut().map(Buffer::slices).collect();
    check_ranges(&groups, &clips, &single, &double, buffers.len())?;

    let skip = options.guard == Guard::Element;
    let norms: Vec<f64> = py.detach(|| {
        let norm = |(_, parameters, _, known): &ClipArgs| norm(&exec, parameters, known, skip, &single, &double);
        clips.iter().map(norm).map(|norm| norm / options.grad_scale).collect()
    });
    if let Some(&norm) = norms.iter().find(|norm| !norm.is_finite()) {
        let not_finite: u64 = py.detach(|| {
            let count = |(_, parameters, _, known): &ClipArgs| not_finite(parameters, known, &single, &double);
            clips.iter().map(count).sum()
        });
        if options.guard == Guard::Step && not_finite > 0 {
            if options.zero {
                py.detach(|| {
                    zero(&groups, &mut single);
                    zero(&groups, &mut double);
                });
            }
            return Ok((norms, Vec::new(), not_finite, None, true, Vec::new()));
        }
        // Where every element is finite, only clipping needs the norm to be.
        if not_finite > 0 || clips.iter().any(|clip| clip.0.is_finite()) {
            let who = if options.guard == Guard::Error && not_finite > 0 { "skip_nonfinite" } else { "clip_norm" };
            let message = format!("{who}: the gradient's norm is {norm}, so nothing was updated");
            return Err(PyFloatingPointError::new_err(message));
        }
    }
    let mut scales = vec![1.0; groups.len()];
    let mut coefficients = Vec::new();
    for (&(limit, _, ref which, _), norm) in clips.iter().zip(&norms) {
        let coefficient = if limit.is_finite() { (limit / (norm + options.clip_eps)).min(1.0) } else { 1.0 };
        coefficients.push(coefficient);
        for &group in which {
            if let Some(scale) = scales.get_mut(group) {
                *scale = coefficient;
            }
        }
    }

    let found = Found::default();
    let sums = py.detach(|| {
        let mut sums = run(&exec, &groups, &scales, &options, &found, &mut single);
        sums.extend(run(&exec, &groups, &scales, &options, &found, &mut double));
        sums.sort_unstable_by_key(|(group, range, _)| (*group, *range));
        sums
    });
    let mut by_group: Vec<Vec<Sums>> = groups.iter().map(|_| Vec::new()).collect();
    sums.into_iter().for_each(|(group, _, sums)| by_group[group].push(sums));
    Ok((norms, coefficients, found.count(), found.parameter(), false, by_group))
}

/// Takes one step of one buffer, on the caller's thread, and writes g_t and η of each element beside: for those who
/// watch single elements. `coefficient` is that of clipping by norm.
#[pyfunction]
pub(crate) fn probe(
    buffer: BufferArgs<'_>,
    group: GroupArgs<'_>,
    coefficient: f64,
    options: Bound<'_, PyDict>,
    seen: (Bound<'_, PyAny>, Bound<'_, PyAny>),
    exec: ExecArgs,
) -> PyResult<()> {
    fn watch<T: Real + Element>(
        (buffer, seen): (&BufferArgs<'_>, &(Bound<'_, PyAny>, Bound<'_, PyAny>)),
        group: Group,
        coefficient: f64,
        options: &Options,
        exec: &Exec,
    ) -> PyResult<()> {
        let mut borrowed = Buffer::<T>::borrow(0, buffer, options.zero)?;
        let mut g = writing::<T>(&seen.0, "seen g")?;
        let mut eta = writing::<T>(&seen.1, "seen eta")?;
        let (g, eta) = (g.elements_mut(), eta.elements_mut());
        let mut slices = [borrowed.slices()];
        let n = slices[0].w.len();
        if g.len() != n || eta.len() != n {
            return Err(PyValueError::new_err(format!(
                "seen: got {} and {} elements, need {n}",
                g.len(),
                eta.len()
            )));
        }
        let groups = [group];
        let found = Found::default();
        for (.., mut segment) in cut(&groups, &mut slices) {
            segment.probe = [&mut *g, &mut *eta];
            let pass = groups[0].pass(coefficient, options, &found);
            groups[0].rule.step(exec, groups[0].t, &pass, &mut [segment]);
        }
        Ok(())
    }
    let exec = Exec { threads: 1, ..resolve(exec)? };
    let mut group = Group::parse(group)?;
    let options = Options::parse(&Hyper(options))?;
    let elements = buffer.1.cast::<PyUntypedArray>().map_or(0, PyUntypedArrayMethods::len);
    group.ranges = vec![(0, 0, elements, 0, 0)];
    if is::<f32>(&buffer.1)? {
        watch::<f32>((&buffer, &seen), group, coefficient, &options, &exec)
    } else {
        watch::<f64>((&buffer, &seen), group, coefficient, &options, &exec)
    }
}

/// What is to be done about gradients that are not finite.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    Count,
    Error,
    Step,
    Element,
}

/// What a pass does beside the rules, for all groups.
pub(crate) struct Options {
    pub(crate) grad_scale: f64,
    clip_eps: f64,
    pub(crate) guard: Guard,
    pub(crate) cautious: Cautious,
    pub(crate) average: f64,
    pub(crate) flush: bool,
    zero: bool,
    track: bool,
    stochastic: bool,
    seed: u64,
    step: u64,
}

impl Options {
    pub(crate) fn parse(h: &Hyper<'_>) -> PyResult<Self> {
        let guard = match h.get::<Option<String>>("skip_nonfinite")?.as_deref() {
            None => Guard::Count,
            Some("error") => Guard::Error,
            Some("step") => Guard::Step,
            Some("element") => Guard::Element,
            Some(other) => return Err(PyValueError::new_err(format!("skip_nonfinite: got {other:?}"))),
        };
        let cautious = match h.get::<Option<String>>("cautious")?.as_deref() {
            None => Cautious::Off,
            Some("mask") => Cautious::Mask,
            Some("rescaled") => Cautious::Rescaled,
            Some(other) => return Err(PyValueError::new_err(format!("cautious: got {other:?}"))),
        };
        Ok(Self {
            grad_scale: h.get("grad_scale")?,
            clip_eps: h.get("clip_eps")?,
            guard,
            cautious,
            average: h.get("ema_decay")?,
            flush: h.get("flush_subnormals")?,
            zero: h.get("zero_grad")?,
            track: h.get("track")?,
            stochastic: h.get("stochastic_rounding")?,
            seed: h.get("seed")?,
            step: h.get("step")?,
        })
    }
}

/// One group: a rule, what happens to its gradients, and the ranges that it covers.
pub(crate) struct Group {
    /// The rule.
    pub(crate) rule: Rule,
    t: u64,
    weight_decay: f64,
    keep: f64,
    limit: f64,
    sign: f64,
    state: Vec<usize>,
    ranges: Vec<Range>,
}

impl Group {
    /// Reads it; an error names what is wrong.
    pub(crate) fn parse((name, hyper, state, ranges): GroupArgs<'_>) -> PyResult<Self> {
        let h = Hyper(hyper);
        let rule = h.rule(&name)?;
        let want = rule.states().len();
        let repeated = (1..state.len()).any(|i| state[..i].contains(&state[i]));
        if state.len() != want || repeated || state.iter().any(|&s| s >= MAX_STATE) {
            return Err(PyValueError::new_err(format!(
                "{name}: got state buffers {state:?}, need {want} of them"
            )));
        }
        let t = h.get("step")?;
        if t == 0 {
            return Err(PyValueError::new_err("step: got 0, need a count from 1"));
        }
        Ok(Self {
            rule,
            t,
            weight_decay: h.get("weight_decay")?,
            keep: h.get("keep")?,
            limit: h.get::<Option<f64>>("clip_value")?.unwrap_or(f64::INFINITY),
            sign: if h.get("maximize")? { -1.0 } else { 1.0 },
            state,
            ranges,
        })
    }

    /// The pass over this group. `coefficient` is that of clipping by norm.
    fn pass<'a, T: Real>(&self, coefficient: f64, options: &Options, found: &'a Found) -> Pass<'a, T> {
        Pass {
            frame: self.frame(coefficient, options),
            cautious: options.cautious,
            average: options.average,
            flush: options.flush,
            first_moments: [false; MAX_STATE], // the rule says
            zero: options.zero,
            stochastic: options.stochastic,
            seed: options.seed,
            step: options.step,
            found,
        }
    }

    /// What the rules share.
    fn frame<T: Real>(&self, coefficient: f64, options: &Options) -> Frame<T> {
        let skip = options.guard == Guard::Element;
        Frame { skip, ..self.own_frame(coefficient / options.grad_scale) }
    }

    /// The same without the options of a whole step.
    pub(crate) fn own_frame<T: Real>(&self, scale: f64) -> Frame<T> {
        Frame {
            gradient: Gradient {
                scale: T::from_f64(self.sign * scale),
                limit: T::from_f64(self.limit),
                weight_decay: T::from_f64(self.weight_decay),
            },
            keep: T::from_f64(self.keep),
            cautious: None,
            skip: false,
        }
    }
}

/// The ranges of each buffer lie inside it and apart, and so do the 8-bit blocks.
fn check_ranges(
    groups: &[Group],
    clips: &[ClipArgs],
    single: &[Slices<'_, f32>],
    double: &[Slices<'_, f64>],
    buffers: usize,
) -> PyResult<()> {
    let mut lengths = vec![(0, usize::MAX); buffers];
    single.iter().for_each(|b| lengths[b.index] = (b.w.len(), blocks(&b.state)));
    double.iter().for_each(|b| lengths[b.index] = (b.w.len(), blocks(&b.state)));
    let mut ranges: Vec<Range> = groups.iter().flat_map(|g| g.ranges.iter().copied()).collect();
    ranges.sort_unstable();
    let outside = |&(b, start, stop, ..): &Range| b >= buffers || start > stop || stop > lengths[b].0;
    let overlap = ranges.windows(2).any(|pair| pair[0].0 == pair[1].0 && pair[0].2 > pair[1].1);
    if overlap || ranges.iter().any(outside) || clips.iter().any(|clip| clip.1.iter().any(outside)) {
        return Err(PyValueError::new_err("ranges of groups overlap or lie outside their buffers"));
    }
    let end = |&(_, start, stop, _, first): &Range| first.checked_add((stop - start).div_ceil(BLOCK8));
    let outside = |r: &Range| end(r).is_none_or(|end| end > lengths[r.0].1);
    let coded = |b: usize| lengths[b].1 != usize::MAX;
    let overlap = |pair: &[Range]| pair[0].0 == pair[1].0 && coded(pair[0].0) && end(&pair[0]) > Some(pair[1].4);
    if ranges.windows(2).any(overlap) || ranges.iter().any(|r| coded(r.0) && outside(r)) {
        return Err(PyValueError::new_err("8-bit blocks of ranges overlap or lie outside their buffers"));
    }
    Ok(())
}

/// How many 8-bit blocks there are; without any, as many as can be asked for.
fn blocks<T>(state: &[Store<'_, T>]) -> usize {
    let of = |s: &Store<'_, T>| if let Store::Byte(b) = s { Some(b.exponents.len()) } else { None };
    state.iter().filter_map(of).min().unwrap_or(usize::MAX)
}

/// The pieces of a buffer, one for each range, each with its group and the range's place in it.
fn cut<'a, T: Real>(groups: &[Group], buffers: &'a mut [Slices<'_, T>]) -> Vec<(usize, usize, Segment<'a, T>)> {
    let mut cuts: Vec<(Range, usize, usize)> = Vec::new();
    for (i, group) in groups.iter().enumerate() {
        cuts.extend(group.ranges.iter().enumerate().map(|(place, range)| (*range, i, place)));
    }
    cuts.sort_unstable();
    let mut pieces = Vec::with_capacity(cuts.len());
    let mut cuts = cuts.into_iter().peekable();
    for buffer in buffers {
        let mut rest = Segment {
            w: Store::Full(&mut *buffer.w),
            g: buffer.g.reborrow(),
            state: Default::default(),
            average: &mut *buffer.average,
            copy: &mut *buffer.copy,
            sums: &mut [],
            probe: Default::default(),
            origin: Origin::default(),
        };
        let mut states = buffer.state.each_mut().map(|s| Rest { store: s.reborrow(), blocks: 0 });
        let mut done = 0;
        while cuts.next_if(|((b, ..), ..)| *b < buffer.index).is_some() {}
        while let Some((range, group, place)) = cuts.next_if(|((b, ..), ..)| *b == buffer.index) {
            let (_, start, stop, parameter, first) = range;
            let (piece, after) = rest.split(start - done).1.split(stop - start);
            let state = states.each_mut().map(|s| s.take(start - done, stop - start, first));
            let origin = Origin { parameter, first: 0 };
            pieces.push((group, place, Segment { state, origin, ..piece }.with_state(&groups[group].state)));
            (rest, done) = (after, stop);
        }
    }
    pieces
}

/// What is left of a state buffer, from which ranges are taken in order.
struct Rest<'a, T> {
    store: Store<'a, T>,
    /// 8-bit blocks that are gone.
    blocks: usize,
}

impl<'a, T: Real> Rest<'a, T> {
    /// Drops `skip` elements, then takes `n`; 8-bit blocks begin at block `first`, whatever the elements.
    fn take(&mut self, skip: usize, n: usize, first: usize) -> Store<'a, T> {
        match std::mem::take(&mut self.store) {
            Store::Byte(Bytes { codes, exponents, signed }) => {
                let (codes, rest_codes) = codes.split_at_mut(skip).1.split_at_mut(n);
                let need = n.div_ceil(BLOCK8);
                let (exponents, rest_exponents) = exponents.split_at_mut(first - self.blocks).1.split_at_mut(need);
                self.blocks = first + need;
                self.store = Store::Byte(Bytes { codes: rest_codes, exponents: rest_exponents, signed });
                Store::Byte(Bytes { codes, exponents, signed })
            }
            store => {
                let (piece, after) = store.split(skip).1.split(n);
                self.store = after;
                piece
            }
        }
    }
}

/// Steps every group over its ranges of these buffers; gives the sums of each range, with its group and place.
fn run<T: Real>(
    exec: &Exec,
    groups: &[Group],
    scales: &[f64],
    options: &Options,
    found: &Found,
    buffers: &mut [Slices<'_, T>],
) -> Vec<(usize, usize, Sums)> {
    let pieces = cut(groups, buffers);
    let blocks = |s: &Segment<'_, T>| if options.track { s.len().div_ceil(lanes::BLOCK) } else { 0 };
    let mut sums: Vec<Sums> = vec![Sums::default(); pieces.iter().map(|(.., s)| blocks(s)).sum()];
    let mut places = Vec::with_capacity(if options.track { pieces.len() } else { 0 });
    let mut segments: Vec<Vec<Segment<'_, T>>> = groups.iter().map(|_| Vec::new()).collect();
    let mut rest = sums.as_mut_slice();
    for (group, place, segment) in pieces {
        let (own, after) = rest.split_at_mut(blocks(&segment));
        rest = after;
        if options.track {
            places.push((group, place, own.len()));
        }
        segments[group].push(Segment { sums: own, ..segment });
    }
    for ((group, &scale), segments) in groups.iter().zip(scales).zip(&mut segments) {
        let pass = group.pass(scale, options, found);
        group.rule.step(exec, group.t, &pass, segments);
    }
    let mut start = 0;
    let mut of = |blocks: usize| {
        start += blocks;
        total(&sums[start - blocks..start])
    };
    places.into_iter().map(|(group, place, blocks)| (group, place, of(blocks))).collect()
}

/// Sets the gradients of all groups to 0, which a step that is skipped does in place of the pass.
fn zero<T: Real>(groups: &[Group], buffers: &mut [Slices<'_, T>]) {
    for (.., mut segment) in cut(groups, buffers) {
        let all = 0..segment.len();
        segment.g.zero(all);
    }
}

/// √Σg² over the parameters, each folded by itself, then pairwise in their order: the same bits in an arena, in a list
/// and in any grouping. `skip` leaves out what is not finite.
fn norm(
    exec: &Exec,
    parameters: &[Range],
    known: &[Known],
    skip: bool,
    single: &[Slices<'_, f32>],
    double: &[Slices<'_, f64>],
) -> f64 {
    let mut sums: Vec<f64> = parameters
        .iter()
        .map(|&(buffer, start, stop, ..)| match find(single, buffer) {
            Some(b) => squares(exec, b.gradient(start, stop), skip),
            None => find(double, buffer).map_or(0.0, |b| squares(exec, b.gradient(start, stop), skip)),
        })
        .collect();
    for &(place, squares, _) in known {
        sums.insert(place.min(sums.len()), squares);
    }
    lanes::pairwise(&sums).sqrt()
}

fn squares<T: Real>(exec: &Exec, g: &[T], skip: bool) -> f64 {
    if skip { lanes::sum_of_finite_squares(exec, g) } else { lanes::sum_of_squares(exec, g) }
}

/// How many gradients of the parameters are not finite.
fn not_finite(
    parameters: &[Range],
    known: &[Known],
    single: &[Slices<'_, f32>],
    double: &[Slices<'_, f64>],
) -> u64 {
    fn count<T: Real>(g: &[T]) -> u64 {
        g.iter().filter(|x| !x.is_finite()).count() as u64
    }
    let one = |&(buffer, start, stop, ..): &Range| match find(single, buffer) {
        Some(b) => count(b.gradient(start, stop)),
        None => find(double, buffer).map_or(0, |b| count(b.gradient(start, stop))),
    };
    parameters.iter().map(one).sum::<u64>() + known.iter().map(|(.., count)| count).sum::<u64>()
}

fn find<'a, 'b, T>(buffers: &'a [Slices<'b, T>], index: usize) -> Option<&'a Slices<'b, T>> {
    buffers.binary_search_by_key(&index, |b| b.index).ok().map(|i| &buffers[i])
}

/// β^t as the core computes it: for the tests that pin it.
#[pyfunction]
pub(crate) fn power(base: f64, exponent: u64) -> f64 {
    coefficients::power(base, exponent)
}

/// x^y as the core computes it: for the tests that pin it.
#[pyfunction]
pub(crate) fn pow(x: f64, y: f64) -> f64 {
    coefficients::pow(x, y)
}

/// Π_t = Π_{t−1}·μ_t of Nadam.
#[pyfunction]
pub(crate) fn nadam_mu_product(beta1: f64, momentum_decay: f64, t: u64, mu_product: f64) -> f64 {
    mu_product * Mix::mu(beta1, momentum_decay, t)
}
