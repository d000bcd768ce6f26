//! Optimizer steps over tensors of another library: all tensors of all groups in one call.
//!
//! First every tensor is found (this runs Python), then each is read and checked, then the kernels run, then the
//! tensors' own counters are raised. Until the kernels run nothing is written, so an error leaves all as it was.

use fourstep::exec::Exec;
use fourstep::pass::{Found, Pass, Segment};
use fourstep::real::Real;
use fourstep::rules::Rule;
use fourstep::rules::compose::Mix;
use numpy::PyReadonlyArray1;
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyList, PyTuple};

use crate::exec::{ExecArgs, resolve};
use crate::optim::Group;
use crate::pointers::{Apart, Arrays, Dtype, Flat, Reader, Run, Scalar, Touched};

/// A group, as Python says it.
#[derive(FromPyObject)]
pub(crate) struct TensorGroup<'py>(
    /// The rule.
    String,
    /// Its hyper-parameters.
    Bound<'py, PyDict>,
    /// The names of its state buffers, then of its counters: `step`, `mu_product`.
    (Bound<'py, PyTuple>, Bound<'py, PyTuple>),
    /// The parameters, and their gradients; `None`: those that the parameters have.
    (Bound<'py, PyList>, Option<Bound<'py, PyList>>),
    /// For each parameter a dict of tensors.
    Bound<'py, PyList>,
    /// Places of parameters whose state was made for this step.
    Vec<usize>,
    /// Whether neighbours in memory may be taken as one: they are of one allocation.
    bool,
);

/// `step`, `mu_product`.
const MAX_COUNTERS: usize = 2;

/// `(group, parameter)`.
type Place = (usize, usize);

/// Takes one step over all groups.
///
/// Returns the places of parameters that have a gradient but lack state: then nothing was done. And the places of those
/// that have no gradient: they were left alone.
#[pyfunction]
pub(crate) fn step_at(
    py: Python<'_>,
    api: &Bound<'_, PyCapsule>,
    groups: Vec<TensorGroup<'_>>,
    exec: ExecArgs,
) -> PyResult<(Vec<Place>, Vec<Place>)> {
    let exec = resolve(exec)?;
    let reader = Reader::of(api)?;
    let mut found = Tensors { owners: Vec::new(), entries: Vec::new(), missing: Vec::new(), skipped: Vec::new() };
    let mut parsed = Vec::with_capacity(groups.len());
    for (index, group) in groups.iter().enumerate() {
        let states = group.2.0.len();
        parsed.push(Group::parse((group.0.clone(), group.1.clone(), (0..states).collect(), Vec::new()))?);
        found.collect(py, index, group)?;
    }
    if !found.missing.is_empty() {
        return Ok((found.missing, Vec::new()));
    }
    let mut work = Work::of(parsed);
    for entry in &found.entries {
        work.read(reader, &found.owners, entry, &groups[entry.place.0]).map_err(|e| blame(py, entry.place, &e))?;
    }
    work.run(py, &exec)?;
    Ok((Vec::new(), found.skipped))
}

/// A group whose state is flat: one tensor for each buffer, with a part for each parameter.
#[derive(FromPyObject)]
pub(crate) struct PackedGroup<'py>(
    /// The rule.
    String,
    /// Its hyper-parameters.
    Bound<'py, PyDict>,
    /// The parameters.
    Bound<'py, PyList>,
    /// The flat state buffers, and the counters: a number for each parameter.
    (Vec<Bound<'py, PyAny>>, Vec<Bound<'py, PyAny>>),
    /// For each parameter: where its state begins, in elements (2^64 − 1: it has none), and its layout.
    (PyReadonlyArray1<'py, u64>, PyReadonlyArray1<'py, u64>),
    /// Places of parameters whose state was made for this step.
    Vec<usize>,
    /// The arena that they lie in, one after another, as their state does.
    Option<Arena<'py>>,
);

/// The parameters of an arena as one tensor, their gradients as one, and of each parameter the gradient that it has there.
type Arena<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyList>);

impl PackedGroup<'_> {
    /// Whether all its parameters have the gradients of their arena. Runs Python.
    fn has_its_gradients(&self, py: Python<'_>) -> PyResult<bool> {
        let Self(_, _, params, _, _, fresh, Some((_, _, grads))) = self else { return Ok(false) };
        if !fresh.is_empty() || params.is_empty() || grads.len() != params.len() {
            return Ok(false);
        }
        for (p, g) in params.iter().zip(grads) {
            if !p.getattr(intern!(py, "grad"))?.is(&g) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether all its parameters, and those gradients, lie in the arena as one tensor; and their state begins with that of
    /// the first, is as long, and all have taken as many steps. What cannot be read is for those who look at each.
    fn is_whole(&self, reader: Reader) -> PyResult<bool> {
        let Self(_, _, params, (states, counters), (starts, layouts), _, Some((data, grad, grads))) = self else {
            return Ok(false);
        };
        let (Ok(data), Ok(grad)) = (Flat::read(reader, data), Flat::read(reader, grad)) else { return Ok(false) };
        let all = |flats: &[Bound<'_, PyAny>], fits: &dyn Fn(&Flat<'_>) -> bool| {
            flats.iter().all(|flat| Flat::read(reader, flat).is_ok_and(|flat| fits(&flat)))
        };
        if !all(states, &|flat| flat.is_like(&data)) || !all(counters, &|flat| flat.is_uniform(params.len())) {
            return Ok(false);
        }
        let mut first = 0;
        let places = starts.as_slice()?.iter().zip(layouts.as_slice()?);
        for ((p, g), (&start, &layout)) in params.iter().zip(grads).zip(places) {
            let Some(len) = reader.parts([&p, &g], [&data, &grad], (first, layout)) else { return Ok(false) };
            if start != first as u64 {
                return Ok(false);
            }
            first += len;
        }
        Ok(data.is_like(&grad) && first == data.len())
    }
}

/// What of a group steps.
enum Stepping<'py> {
    /// The arena that it is, as one tensor.
    Whole,
    /// Parameters that have a gradient, by place.
    Each(Vec<(usize, Bound<'py, PyAny>, Bound<'py, PyAny>)>),
}

/// Whether two lists have the same objects, one by one.
#[pyfunction]
pub(crate) fn identical(a: &Bound<'_, PyList>, b: &Bound<'_, PyList>) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(x, y)| x.is(&y))
}

/// Numbers for how these tensors lie in memory; see [`PackedGroup`].
#[pyfunction]
pub(crate) fn layouts(api: &Bound<'_, PyCapsule>, tensors: &Bound<'_, PyList>) -> PyResult<Vec<u64>> {
    let reader = Reader::of(api)?;
    tensors.iter().map(|tensor| reader.layout(&tensor)).collect()
}

/// Takes one step over such groups. Of each parameter only itself and its gradient are looked at.
///
/// Returns what `step_at` does, and how many groups stepped as one tensor.
#[pyfunction]
pub(crate) fn step_packed(
    py: Python<'_>,
    api: &Bound<'_, PyCapsule>,
    groups: Vec<PackedGroup<'_>>,
    exec: ExecArgs,
) -> PyResult<(Vec<Place>, Vec<Place>, usize)> {
    let exec = resolve(exec)?;
    let reader = Reader::of(api)?;
    let (mut missing, mut skipped) = (Vec::new(), Vec::new());
    let mut parsed = Vec::with_capacity(groups.len());
    let mut found = Vec::with_capacity(groups.len());
    for (index, PackedGroup(rule, hyper, params, (states, counters), (starts, layouts), ..)) in
        groups.iter().enumerate()
    {
        parsed.push(Group::parse((rule.clone(), hyper.clone(), (0..states.len()).collect(), Vec::new()))?);
        let (starts, layouts) = (starts.as_slice()?, layouts.as_slice()?);
        if (starts.len(), layouts.len()) != (params.len(), params.len()) || counters.len() > MAX_COUNTERS {
            return Err(PyValueError::new_err("got parameters and another number of places"));
        }
        if groups[index].has_its_gradients(py)? && !starts.contains(&u64::MAX) {
            found.push(Stepping::Whole);
            continue;
        }
        let mut own = Vec::with_capacity(params.len());
        for (i, &start) in starts.iter().enumerate() {
            let p = params.get_item(i)?;
            let g = p.getattr(intern!(py, "grad"))?;
            if g.is_none() {
                skipped.push((index, i));
            } else if start == u64::MAX {
                missing.push((index, i));
            } else {
                own.push((i, p, g));
            }
        }
        found.push(Stepping::Each(own));
    }
    if !missing.is_empty() {
        return Ok((missing, Vec::new(), 0));
    }
    for (group, found) in groups.iter().zip(&mut found) {
        if matches!(found, Stepping::Whole)
            && !group.is_whole(reader)?
            && let Some((.., grads)) = &group.6
        {
            *found = Stepping::Each(group.2.iter().zip(grads).enumerate().map(|(i, (p, g))| (i, p, g)).collect());
        }
    }
    let mut work = Work::of(parsed);
    for (index, (group, found)) in groups.iter().zip(&found).enumerate() {
        match found {
            Stepping::Whole => work.read_whole(reader, index, group),
            Stepping::Each(found) => work.read_packed(reader, index, group, found),
        }
        .map_err(|(i, e)| blame(py, (index, i), &e))?;
    }
    work.run(py, &exec)?;
    let whole = found.iter().filter(|found| matches!(found, Stepping::Whole)).count();
    Ok((Vec::new(), skipped, whole))
}

/// Says whose fault it is.
fn blame(py: Python<'_>, (group, parameter): Place, error: &PyErr) -> PyErr {
    let message = format!("group {group}, parameter {parameter}: {}", error.value(py));
    if error.is_instance_of::<PyOverflowError>(py) {
        PyOverflowError::new_err(message)
    } else {
        PyValueError::new_err(message)
    }
}

/// One parameter that steps; its tensors are `owners[first..]`: w, g, state buffers, counters.
struct Entry {
    place: Place,
    first: usize,
    fresh: bool,
}

/// All tensors of a step, held for as long as it takes.
struct Tensors<'py> {
    owners: Vec<Bound<'py, PyAny>>,
    entries: Vec<Entry>,
    missing: Vec<Place>,
    skipped: Vec<Place>,
}

impl<'py> Tensors<'py> {
    fn collect(&mut self, py: Python<'py>, index: usize, group: &TensorGroup<'py>) -> PyResult<()> {
        let TensorGroup(_, _, (buffers, counters), (params, grads), states, fresh, _) = group;
        let names: Vec<Bound<'py, PyAny>> = buffers.iter().chain(counters.iter()).collect();
        let count = params.len();
        if states.len() != count || grads.as_ref().is_some_and(|g| g.len() != count) {
            return Err(PyValueError::new_err(format!(
                "group {index}: got {count} parameters and another number of gradients or states"
            )));
        }
        self.owners.reserve(count * (2 + names.len()));
        self.entries.reserve(count);
        let mut fresh = fresh.iter().copied().peekable();
        for i in 0..count {
            let first = self.owners.len();
            let is_fresh = fresh.next_if_eq(&i).is_some();
            let w = params.get_item(i)?;
            let g = match grads {
                Some(grads) => grads.get_item(i)?,
                None => w.getattr(intern!(py, "grad"))?,
            };
            if g.is_none() {
                self.skipped.push((index, i));
                continue;
            }
            self.owners.push(w);
            self.owners.push(g);
            let state = states.get_item(i)?;
            let state = state.cast::<PyDict>().map_err(|_| PyTypeError::new_err("state: need dicts"))?;
            for name in &names {
                match state.get_item(name)? {
                    Some(tensor) if !tensor.is_none() => self.owners.push(tensor),
                    _ => {
                        self.missing.push((index, i));
                        break;
                    }
                }
            }
            self.entries.push(Entry { place: (index, i), first, fresh: is_fresh });
        }
        Ok(())
    }
}

/// What steps alike: one rule at one count.
struct Batch<'a> {
    count: Count,
    rule: Rule,
    dtype: Dtype,
    runs: Vec<Run<'a>>,
}

/// What is to be done.
struct Work<'a> {
    groups: Vec<Group>,
    batches: Vec<Batch<'a>>,
    counters: Vec<(Scalar<'a>, f64)>,
    touched: Touched,
}

impl<'a> Work<'a> {
    fn of(groups: Vec<Group>) -> Self {
        Self { groups, batches: Vec::new(), counters: Vec::new(), touched: Touched::default() }
    }

    /// Checks that all lies apart, runs the kernels, raises the counters.
    fn run(self, py: Python<'_>, exec: &Exec) -> PyResult<()> {
        let Self { groups, batches, counters, touched } = self;
        let apart = touched.check()?;
        let mut batches: Vec<_> = batches
            .into_iter()
            .map(|b| (b.rule, b.count.t, b.count.group, Segments::of(b.dtype, b.runs, &apart)))
            .collect();
        py.detach(|| {
            for (rule, t, group, segments) in &mut batches {
                segments.step(exec, rule, *t, &groups[*group]);
            }
        });
        for (counter, value) in counters {
            counter.set(value);
        }
        Ok(())
    }

    fn read(
        &mut self,
        reader: Reader,
        owners: &'a [Bound<'_, PyAny>],
        entry: &Entry,
        group: &TensorGroup<'_>,
    ) -> PyResult<()> {
        let (buffers, counters) = (group.2.0.len(), group.2.1.len());
        let (arrays, counters) = owners[entry.first..entry.first + 2 + buffers + counters].split_at(2 + buffers);
        let arrays = Arrays::read(reader, &arrays[0], &arrays[1], &arrays[2..])?;
        let mut counts = [const { None }; MAX_COUNTERS];
        for (slot, owner) in counts.iter_mut().zip(counters) {
            *slot = Some(Scalar::read(reader, "step or mu_product", owner)?);
        }
        counts.iter().flatten().for_each(|counter| self.touched.counter(counter));
        let count = self.count(counts, entry.place.0, entry.fresh)?;
        if let Some(run) = self.touched.run(arrays) {
            self.add(count, run, group.6);
        }
        Ok(())
    }

    /// Reads a group whose state is flat: `found` are its parameters that have a gradient, by place.
    fn read_packed(
        &mut self,
        reader: Reader,
        index: usize,
        group: &'a PackedGroup<'_>,
        found: &'a [(usize, Bound<'_, PyAny>, Bound<'_, PyAny>)],
    ) -> Result<(), (usize, PyErr)> {
        let PackedGroup(_, _, _, (states, counters), (starts, layouts), fresh, arena) = group;
        let at = |i: usize| move |error: PyErr| (i, error);
        let flat = |tensor| Flat::read(reader, tensor).map_err(at(0));
        let states = states.iter().map(flat).collect::<Result<Vec<_>, _>>()?;
        let counters = counters.iter().map(flat).collect::<Result<Vec<_>, _>>()?;
        states.iter().chain(&counters).for_each(|flat| self.touched.flat(flat));
        self.touched.reserve(found.len());
        let starts = starts.as_slice().map_err(|e| (0, e.into()))?;
        let layouts = layouts.as_slice().map_err(|e| (0, e.into()))?;
        let mut fresh = fresh.iter().copied().peekable();
        let mut free = 0;
        let mut counts = [const { None }; MAX_COUNTERS];
        for (i, p, g) in found {
            let i = *i;
            let first = starts[i] as usize;
            let arrays = Arrays::read_with_parts(reader, p, g, &states, (first, layouts[i])).map_err(at(i))?;
            if first < free {
                return Err((i, PyValueError::new_err("state: its parts overlap")));
            }
            free = first + arrays.len();
            for (slot, flat) in counts.iter_mut().zip(&counters) {
                let short = || PyValueError::new_err("got fewer counters than parameters");
                *slot = Some(flat.counter(i).ok_or_else(short).map_err(at(i))?);
            }
            while fresh.next_if(|&place| place < i).is_some() {}
            let count = self.count(counts, index, fresh.next_if_eq(&i).is_some()).map_err(at(i))?;
            if let Some(run) = self.touched.run(arrays) {
                self.add(count, run, arena.is_some());
            }
        }
        Ok(())
    }

    /// Reads a group that is an arena, as one parameter.
    fn read_whole(
        &mut self,
        reader: Reader,
        index: usize,
        group: &'a PackedGroup<'_>,
    ) -> Result<(), (usize, PyErr)> {
        let PackedGroup(_, _, params, (states, counters), _, _, Some((data, grad, _))) = group else {
            return Ok(());
        };
        let flat = |tensor| Flat::read(reader, tensor).map_err(|e| (0, e));
        let states = states.iter().map(flat).collect::<Result<Vec<_>, _>>()?;
        let counters = counters.iter().map(flat).collect::<Result<Vec<_>, _>>()?;
        states.iter().chain(&counters).for_each(|flat| self.touched.flat(flat));
        let lengths = || (0, PyValueError::new_err("state: got another length or dtype than the parameters'"));
        let arrays = Arrays::flat(flat(data)?, flat(grad)?, &states).ok_or_else(lengths)?;
        let begin = self.counters.len();
        let mut counts = [const { None }; MAX_COUNTERS];
        for (slot, flat) in counts.iter_mut().zip(&counters) {
            *slot = flat.counter(0);
        }
        let count = self.count(counts, index, false).map_err(|e| (0, e))?;
        // What was said for the first is true of all.
        let raised: Vec<f64> = self.counters[begin..].iter().map(|(_, value)| *value).collect();
        for (flat, value) in counters.iter().zip(raised) {
            self.counters.extend((1..params.len()).filter_map(|i| Some((flat.counter(i)?, value))));
        }
        if let Some(run) = self.touched.run(arrays) {
            self.add(count, run, false);
        }
        Ok(())
    }

    /// What step this is, by the counters.
    fn count(
        &mut self,
        [step, product]: [Option<Scalar<'a>>; MAX_COUNTERS],
        group: usize,
        fresh: bool,
    ) -> PyResult<Count> {
        let mut t = 1;
        if let Some(step) = step {
            let done = step.get();
            if !(done >= 0.0 && done.fract() == 0.0) {
                return Err(PyValueError::new_err(format!("step: got {done}, need a whole number >= 0")));
            }
            if done >= step.last() {
                return Err(PyOverflowError::new_err(format!(
                    "step: got {done}, at which its dtype stops counting: {done} + 1 is {done} there"
                )));
            }
            t = done as u64 + 1;
            self.raise(step, done + 1.0);
        }
        let mut product_bits = 0;
        if let Some(product) = product {
            let before = product.get();
            product_bits = before.to_bits();
            if let Rule::Nadam(nadam) = &self.groups[group].rule
                && let Mix::Schedule { momentum_decay, .. } = nadam.mix
            {
                let mu = Mix::mu(nadam.beta1, momentum_decay, t);
                self.raise(product, before * mu);
            }
        }
        Ok(Count { group, t, fresh, product_bits })
    }

    fn raise(&mut self, counter: Scalar<'a>, to: f64) {
        self.counters.push((counter, to));
    }

    /// Puts a parameter with those that step alike.
    fn add(&mut self, count: Count, mut run: Run<'a>, join: bool) {
        let dtype = run.dtype();
        let Some(batch) = self.batches.iter_mut().rev().find(|b| b.count == count && b.dtype == dtype) else {
            let rule = self.groups[count.group].rule.at(count);
            self.batches.push(Batch { count, rule, dtype, runs: vec![run] });
            return;
        };
        if join && let Some(before) = batch.runs.last_mut() {
            match before.join(run) {
                None => return,
                Some(apart) => run = apart,
            }
        }
        batch.runs.push(run);
    }
}

/// What differs between parameters of a group: their counters, and whether their momentum has no past yet.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Count {
    group: usize,
    t: u64,
    fresh: bool,
    product_bits: u64,
}

trait At {
    /// The rule of this count.
    fn at(self, count: Count) -> Self;
}

impl At for Rule {
    fn at(mut self, count: Count) -> Self {
        match &mut self {
            Self::Momentum { first, .. } => *first = count.fresh,
            Self::Lars(lars) => lars.first = count.fresh,
            Self::Nadam(nadam) => {
                if let Mix::Schedule { mu_product, .. } = &mut nadam.mix {
                    *mu_product = f64::from_bits(count.product_bits);
                }
            }
            _ => {}
        }
        self
    }
}

/// A batch with its elements. bfloat16 is computed in `f32`.
enum Segments<'a> {
    Single(Vec<Segment<'a, f32>>),
    Double(Vec<Segment<'a, f64>>),
}

impl<'a> Segments<'a> {
    fn of(dtype: Dtype, runs: Vec<Run<'a>>, apart: &Apart) -> Self {
        match dtype {
            Dtype::Single | Dtype::Half => Self::Single(runs.into_iter().map(|run| run.segment(apart)).collect()),
            Dtype::Double => Self::Double(runs.into_iter().map(|run| run.segment(apart)).collect()),
        }
    }

    fn step(&mut self, exec: &Exec, rule: &Rule, t: u64, group: &Group) {
        match self {
            Self::Single(segments) => step(exec, rule, t, group, segments),
            Self::Double(segments) => step(exec, rule, t, group, segments),
        }
    }
}

fn step<T: Real>(exec: &Exec, rule: &Rule, t: u64, group: &Group, segments: &mut [Segment<'_, T>]) {
    let found = Found::default();
    let pass = Pass { frame: group.own_frame(1.0), step: t, ..Pass::plain(&found) };
    rule.step(exec, t, &pass, segments);
}
