//! Optimizer steps over tensors of another library: all tensors of all groups in one call.
//!
//! First every tensor is found (this runs Python), then each is read and checked, then the kernels run, then the
//! tensors' own counters are raised. Until the kernels run nothing is written, so an error leaves all as it was.

use fourstep::exec::Exec;
use fourstep::rule::Segment;
use fourstep::rules::Rule;
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyList, PyTuple};

use crate::exec::{ExecArgs, resolve};
use crate::optim::Group;
use crate::pointers::{Apart, Arrays, Dtype, Reader, Run, Scalar, Touched};

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
    let mut found = Found { owners: Vec::new(), entries: Vec::new(), missing: Vec::new(), skipped: Vec::new() };
    let mut parsed = Vec::with_capacity(groups.len());
    for (index, group) in groups.iter().enumerate() {
        let states = group.2.0.len();
        parsed.push(Group::parse((group.0.clone(), group.1.clone(), (0..states).collect(), Vec::new()))?);
        found.collect(py, index, group)?;
    }
    if !found.missing.is_empty() {
        return Ok((found.missing, Vec::new()));
    }
    let mut work = Work { groups: parsed, batches: Vec::new(), counters: Vec::new(), touched: Touched::default() };
    for entry in &found.entries {
        work.read(reader, &found.owners, entry, &groups[entry.place.0]).map_err(|e| blame(py, entry.place, &e))?;
    }
    let Work { groups, batches, counters, touched } = work;
    let apart = touched.check()?;
    let mut batches: Vec<_> =
        batches.into_iter().map(|b| (b.rule, b.t, b.group, Segments::of(b.dtype, b.runs, &apart))).collect();
    py.detach(|| {
        for (rule, t, group, segments) in &mut batches {
            segments.step(&exec, rule, *t, &groups[*group]);
        }
    });
    for (counter, value) in counters {
        counter.set(value);
    }
    Ok((Vec::new(), found.skipped))
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
struct Found<'py> {
    owners: Vec<Bound<'py, PyAny>>,
    entries: Vec<Entry>,
    missing: Vec<Place>,
    skipped: Vec<Place>,
}

impl<'py> Found<'py> {
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
    group: usize,
    rule: Rule,
    t: u64,
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
        let (rule, t) = self.count(reader, counters, entry)?;
        if let Some(run) = self.touched.run(arrays) {
            self.add(entry.place.0, rule, t, run, group.6);
        }
        Ok(())
    }

    /// Reads the counters: the rule of this step, and its number.
    fn count(&mut self, reader: Reader, owners: &'a [Bound<'_, PyAny>], entry: &Entry) -> PyResult<(Rule, u64)> {
        let mut rule = self.groups[entry.place.0].rule;
        if let Rule::Momentum { first, .. } = &mut rule {
            *first = entry.fresh;
        }
        let mut t = 1;
        if let Some(owner) = owners.first() {
            let step = Scalar::read(reader, "step", owner)?;
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
        if let (Some(owner), Rule::Nadam(nadam)) = (owners.get(1), &mut rule) {
            let product = Scalar::read(reader, "mu_product", owner)?;
            nadam.mu_product = product.get();
            self.raise(product, nadam.mu_product * nadam.mu(t));
        }
        Ok((rule, t))
    }

    fn raise(&mut self, counter: Scalar<'a>, to: f64) {
        self.touched.counter(&counter);
        self.counters.push((counter, to));
    }

    /// Puts a parameter with those that step alike.
    fn add(&mut self, group: usize, rule: Rule, t: u64, mut run: Run<'a>, join: bool) {
        let dtype = run.dtype();
        let alike = |b: &&mut Batch<'_>| b.group == group && b.t == t && b.rule == rule && b.dtype == dtype;
        let Some(batch) = self.batches.iter_mut().rev().find(alike) else {
            self.batches.push(Batch { group, rule, t, dtype, runs: vec![run] });
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

/// A batch with its elements.
enum Segments<'a> {
    Single(Vec<Segment<'a, f32>>),
    Double(Vec<Segment<'a, f64>>),
}

impl<'a> Segments<'a> {
    fn of(dtype: Dtype, runs: Vec<Run<'a>>, apart: &Apart) -> Self {
        match dtype {
            Dtype::Single => Self::Single(runs.into_iter().map(|run| run.segment(apart)).collect()),
            Dtype::Double => Self::Double(runs.into_iter().map(|run| run.segment(apart)).collect()),
        }
    }

    fn step(&mut self, exec: &Exec, rule: &Rule, t: u64, group: &Group) {
        match self {
            Self::Single(segments) => rule.step(exec, t, group.gradient(1.0), segments),
            Self::Double(segments) => rule.step(exec, t, group.gradient(1.0), segments),
        }
    }
}
