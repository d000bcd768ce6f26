//! Batch normalisation and what else layers need: arrays in, arrays filled in place.

use fourstep::exec::Exec;
use fourstep::layers::dropout::{self as core_dropout, Mask};
use fourstep::layers::embedding;
use fourstep::norm::{
    self, Activation, Affine, Backward, Element, Forward, Gradients, NonFinite, Refusal, Running, Shape,
    Statistics,
};
use fourstep::real::Real;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::arrays::{Reading, Writing, kind_and_size, reading, reading_rows, writing, writing_rows};
use crate::exec::{ExecArgs, resolve};

type Any<'py> = Bound<'py, PyAny>;

/// `(weight, bias)`: γ and β.
type AffineArgs<'py> = (Option<Any<'py>>, Option<Any<'py>>);
/// `(running_mean, running_var, batches that moved them, weight of the new value, whether the variance is the unbiased one)`.
type RunningArgs<'py> = (Any<'py>, Any<'py>, Any<'py>, f64, bool);

/// Runs the one of two bodies that fits the dtype of `array`; of neither dtype, the one of float32 refuses it.
macro_rules! for_dtype {
    ($array:expr, $f:ident($($argument:expr),*)) => {
        match kind_and_size(&$array) {
            (b'f', 8) => $f::<f64>($($argument),*),
            _ => $f::<f32>($($argument),*),
        }
    };
}

fn refused(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

fn of_length(name: &str, got: usize, want: usize) -> PyResult<()> {
    if got == want { Ok(()) } else { Err(refused(format!("{name}: got {got} elements, need {want}"))) }
}

/// Whole rows of `channels` values.
fn whole_rows(name: &str, len: usize, channels: usize) -> PyResult<()> {
    if channels > 0 && len.is_multiple_of(channels) {
        return Ok(());
    }
    Err(refused(format!("{name}: got {len} elements, need whole rows of {channels}")))
}

fn maybe_reading<'py, T: numpy::Element>(
    array: Option<&Any<'py>>,
    name: &str,
) -> PyResult<Option<Reading<'py, T>>> {
    array.map(|a| reading(a, name)).transpose()
}

fn maybe_writing<'py, T: numpy::Element>(
    array: Option<&Any<'py>>,
    name: &str,
) -> PyResult<Option<Writing<'py, T>>> {
    array.map(|a| writing(a, name)).transpose()
}

/// The elements of an optional array of `len` elements.
fn maybe_elements<'a, T: numpy::Element>(
    array: Option<&'a Reading<'_, T>>,
    name: &str,
    len: usize,
) -> PyResult<Option<&'a [T]>> {
    let Some(array) = array else { return Ok(None) };
    let slice = array.elements();
    of_length(name, slice.len(), len)?;
    Ok(Some(slice))
}

fn maybe_elements_mut<'a, T: numpy::Element>(
    array: Option<&'a mut Writing<'_, T>>,
    name: &str,
    len: usize,
) -> PyResult<Option<&'a mut [T]>> {
    let Some(array) = array else { return Ok(None) };
    let slice = array.elements_mut();
    of_length(name, slice.len(), len)?;
    Ok(Some(slice))
}

/// `(samples, channels, space)`.
type ShapeArgs = (usize, usize, usize);
/// `(kind, count, place in memory, channel, detail)` of what a batch is refused for; Python has the words.
type Refused = (&'static str, usize, usize, usize, &'static str);

/// Runs the one of three bodies that fits the dtype of `array`; bfloat16 comes as its bits.
macro_rules! for_storage {
    ($array:expr, $f:ident($($argument:expr),*)) => {
        match kind_and_size(&$array) {
            (b'u', 2) => $f::<u16>($($argument),*),
            (b'f', 8) => $f::<f64>($($argument),*),
            _ => $f::<f32>($($argument),*),
        }
    };
}

fn shape_of((samples, channels, space): ShapeArgs) -> PyResult<Shape> {
    if channels == 0 || space == 0 {
        return Err(refused(format!("shape: got {channels} channels of {space} places, need at least 1 of each")));
    }
    match samples.checked_mul(channels).and_then(|n| n.checked_mul(space)) {
        Some(_) => Ok(Shape { samples, channels, space }),
        None => {
            Err(refused(format!("shape: got {samples} x {channels} x {space} values, more than there can be")))
        }
    }
}

fn activation_of((kind, slope): (u8, f64)) -> PyResult<Activation> {
    match kind {
        0 => Ok(Activation::Identity),
        1 => Ok(Activation::Relu),
        2 => Ok(Activation::LeakyRelu(slope)),
        _ => Err(refused(format!("activation: got {kind}, need 0 to 2"))),
    }
}

fn words(refusal: &Refusal) -> Refused {
    match *refusal {
        Refusal::NotFinite { count, at, channel, value } => ("not finite", count, at, channel, value),
        Refusal::TooLarge { channel, dtype } => ("too large", 0, 0, channel, dtype),
        Refusal::Running { name, channel } => ("running", 0, 0, channel, name),
        Refusal::TooFew(n) => ("too few", n, 0, 0, ""),
    }
}

/// The rows μ, σ² and 1/√(σ² + ε) of one array.
fn statistics_of(rows: &mut [f64], channels: usize) -> PyResult<Statistics<'_>> {
    of_length("statistics", rows.len(), channels.saturating_mul(3))?;
    let (mean, rest) = rows.split_at_mut(channels);
    let (var, invstd) = rest.split_at_mut(channels);
    Ok(Statistics { mean, var, invstd })
}

/// What is normalised, where it goes, γ and β, borrowed.
struct Batch<'py, E: Element + numpy::Element>
where
    E::Real: numpy::Element,
{
    x: Option<Reading<'py, E>>,
    out: Writing<'py, E>,
    weight: Option<Reading<'py, E::Real>>,
    bias: Option<Reading<'py, E::Real>>,
}

impl<'py, E: Element + numpy::Element> Batch<'py, E>
where
    E::Real: numpy::Element,
{
    fn new((x, out): &(Option<Any<'py>>, Any<'py>), (weight, bias): &AffineArgs<'py>) -> PyResult<Self> {
        Ok(Self {
            x: maybe_reading(x.as_ref(), "x")?,
            out: writing(out, "out")?,
            weight: maybe_reading(weight.as_ref(), "weight")?,
            bias: maybe_reading(bias.as_ref(), "bias")?,
        })
    }

    #[allow(clippy::type_complexity, reason = "a tuple of its parts")]
    fn parts(&mut self, shape: Shape) -> PyResult<(Option<&[E]>, &mut [E], Affine<'_, E::Real>)> {
        let x = maybe_elements(self.x.as_ref(), "x", shape.len())?;
        let out = self.out.elements_mut();
        of_length("out", out.len(), shape.len())?;
        let weight = maybe_elements(self.weight.as_ref(), "weight", shape.channels)?;
        let bias = maybe_elements(self.bias.as_ref(), "bias", shape.channels)?;
        Ok((x, out, Affine { weight, bias }))
    }
}

/// Normalises `x` into `out` (or `out` itself, when there is no `x`) by the batch's own statistics, which it fills in; moves the
/// running ones when there are some. `nonfinite`: 0 refuses, 1 leaves the running statistics, 2 lets everything through.
/// Returns whether all values were finite, and why the batch is refused, if it is.
#[pyfunction]
pub(crate) fn batch_norm_train(
    arrays: (Option<Any<'_>>, Any<'_>),
    shape: ShapeArgs,
    affine: AffineArgs<'_>,
    running: Option<RunningArgs<'_>>,
    statistics: Any<'_>,
    options: (f64, (u8, f64), u8),
    exec: ExecArgs,
) -> PyResult<(bool, Option<Refused>)> {
    let exec = resolve(exec)?;
    for_storage!(arrays.1, train(&arrays, shape, &affine, running.as_ref(), &statistics, options, exec))
}

fn train<E: Element + numpy::Element>(
    arrays: &(Option<Any<'_>>, Any<'_>),
    shape: ShapeArgs,
    affine: &AffineArgs<'_>,
    running: Option<&RunningArgs<'_>>,
    statistics: &Any<'_>,
    (eps, activation, nonfinite): (f64, (u8, f64), u8),
    exec: Exec,
) -> PyResult<(bool, Option<Refused>)>
where
    E::Real: numpy::Element,
{
    let (py, shape) = (arrays.1.py(), shape_of(shape)?);
    let mut batch = Batch::<E>::new(arrays, affine)?;
    let (x, out, affine) = batch.parts(shape)?;
    let mut statistics = writing::<f64>(statistics, "statistics")?;
    let mut statistics = statistics_of(statistics.elements_mut(), shape.channels)?;
    let nonfinite = match nonfinite {
        0 => NonFinite::Raise,
        1 => NonFinite::SkipUpdate,
        _ => NonFinite::Propagate,
    };
    let forward = Forward { exec: &exec, shape, x, affine, eps, activation: activation_of(activation)? };
    let mut moving = running.map(Moving::borrow).transpose()?;
    let (running, batches) = moving.as_mut().map(|m| m.parts(shape.channels)).transpose()?.unzip();
    match py.detach(|| forward.train(running, nonfinite, &mut statistics, out)) {
        Ok(finite) => {
            if let Some(batches) = batches.filter(|_| finite || nonfinite == NonFinite::Propagate) {
                *batches = batches.wrapping_add(1);
            }
            Ok((finite, None))
        }
        Err(refusal) => Ok((false, Some(words(&refusal)))),
    }
}

/// Running statistics and how often they moved, borrowed.
struct Moving<'py, T: numpy::Element> {
    mean: Writing<'py, T>,
    var: Writing<'py, T>,
    batches: Writing<'py, i64>,
    momentum: f64,
    unbiased: bool,
}

impl<'py, T: Real + numpy::Element> Moving<'py, T> {
    fn borrow(&(ref mean, ref var, ref batches, momentum, unbiased): &RunningArgs<'py>) -> PyResult<Self> {
        let (mean, var) = (writing(mean, "running_mean")?, writing(var, "running_var")?);
        Ok(Self { mean, var, batches: writing(batches, "num_batches_tracked")?, momentum, unbiased })
    }

    fn parts(&mut self, channels: usize) -> PyResult<(Running<'_, T>, &mut i64)> {
        let mean = self.mean.elements_mut();
        let var = self.var.elements_mut();
        of_length("running_mean", mean.len(), channels)?;
        of_length("running_var", var.len(), channels)?;
        let batches = self.batches.elements_mut();
        of_length("num_batches_tracked", batches.len(), 1)?;
        let running = Running { mean, var, momentum: self.momentum, unbiased: self.unbiased };
        Ok((running, &mut batches[0]))
    }
}

/// Normalises by the running statistics (of the layer, or any others), which go into `statistics`. With `raise`, returns why the
/// batch is refused, if it is.
#[pyfunction]
pub(crate) fn batch_norm_evaluate(
    arrays: (Option<Any<'_>>, Any<'_>),
    shape: ShapeArgs,
    affine: AffineArgs<'_>,
    running: (Any<'_>, Any<'_>),
    statistics: Any<'_>,
    options: (f64, (u8, f64), bool),
    exec: ExecArgs,
) -> PyResult<Option<Refused>> {
    let exec = resolve(exec)?;
    for_storage!(arrays.1, evaluate(&arrays, shape, &affine, &running, &statistics, options, exec))
}

fn evaluate<E: Element + numpy::Element>(
    arrays: &(Option<Any<'_>>, Any<'_>),
    shape: ShapeArgs,
    affine: &AffineArgs<'_>,
    (mean, var): &(Any<'_>, Any<'_>),
    statistics: &Any<'_>,
    (eps, activation, raise): (f64, (u8, f64), bool),
    exec: Exec,
) -> PyResult<Option<Refused>>
where
    E::Real: numpy::Element,
{
    let (py, shape) = (arrays.1.py(), shape_of(shape)?);
    let mut batch = Batch::<E>::new(arrays, affine)?;
    let (x, out, affine) = batch.parts(shape)?;
    let mut statistics = writing::<f64>(statistics, "statistics")?;
    let mut statistics = statistics_of(statistics.elements_mut(), shape.channels)?;
    let (mean, var) = (reading::<E::Real>(mean, "running_mean")?, reading::<E::Real>(var, "running_var")?);
    let running = (mean.elements(), var.elements());
    of_length("running_mean", running.0.len(), shape.channels)?;
    of_length("running_var", running.1.len(), shape.channels)?;
    let forward = Forward { exec: &exec, shape, x, affine, eps, activation: activation_of(activation)? };
    let done = py.detach(|| forward.evaluate(running, raise, &mut statistics, out));
    Ok(done.err().map(|refusal| words(&refusal)))
}

/// Fills `mean`, and `squares` with Σ(x − mean)², of each channel.
#[pyfunction]
pub(crate) fn batch_norm_moments(
    x: Any<'_>,
    shape: ShapeArgs,
    mean: Any<'_>,
    squares: Any<'_>,
    exec: ExecArgs,
) -> PyResult<()> {
    let exec = resolve(exec)?;
    for_storage!(x, moments(&x, shape, &mean, &squares, exec))
}

fn moments<E: Element + numpy::Element>(
    x: &Any<'_>,
    shape: ShapeArgs,
    mean: &Any<'_>,
    squares: &Any<'_>,
    exec: Exec,
) -> PyResult<()> {
    let (py, shape) = (x.py(), shape_of(shape)?);
    let x = reading::<E>(x, "x")?;
    let x = x.elements();
    of_length("x", x.len(), shape.len())?;
    if shape.is_empty() {
        return Err(refused("x: got no values, need at least one in each channel"));
    }
    let (mut mean, mut squares) = (writing::<f64>(mean, "mean")?, writing::<f64>(squares, "squares")?);
    let (mean, squares) = (mean.elements_mut(), squares.elements_mut());
    of_length("mean", mean.len(), shape.channels)?;
    of_length("squares", squares.len(), shape.channels)?;
    for (c, [m, s]) in py.detach(|| norm::moments(&exec, shape, x)).into_iter().enumerate() {
        mean[c] = m;
        squares[c] = s;
    }
    Ok(())
}

/// Fills `dx`, and adds to the gradients of γ and β.
#[pyfunction]
pub(crate) fn batch_norm_backward(
    arrays: (Any<'_>, Any<'_>, Any<'_>),
    shape: ShapeArgs,
    affine: AffineArgs<'_>,
    gradients: AffineArgs<'_>,
    statistics: Any<'_>,
    options: ((u8, f64), bool),
    exec: ExecArgs,
) -> PyResult<()> {
    let exec = resolve(exec)?;
    for_storage!(arrays.2, backward(&arrays, shape, &affine, &gradients, &statistics, options, exec))
}

fn backward<E: Element + numpy::Element>(
    (x, dy, dx): &(Any<'_>, Any<'_>, Any<'_>),
    shape: ShapeArgs,
    (weight, bias): &AffineArgs<'_>,
    (dweight, dbias): &AffineArgs<'_>,
    statistics: &Any<'_>,
    (activation, frozen): ((u8, f64), bool),
    exec: Exec,
) -> PyResult<()>
where
    E::Real: numpy::Element,
{
    let (py, shape) = (dx.py(), shape_of(shape)?);
    let (x, dy, mut dx) = (reading::<E>(x, "x")?, reading::<E>(dy, "dy")?, writing::<E>(dx, "dx")?);
    let (x, dy, dx) = (x.elements(), dy.elements(), dx.elements_mut());
    for (name, len) in [("x", x.len()), ("dy", dy.len()), ("dx", dx.len())] {
        of_length(name, len, shape.len())?;
    }
    let mut statistics = writing::<f64>(statistics, "statistics")?;
    let statistics = statistics_of(statistics.elements_mut(), shape.channels)?;
    let weight = maybe_reading::<E::Real>(weight.as_ref(), "weight")?;
    let bias = maybe_reading::<E::Real>(bias.as_ref(), "bias")?;
    let affine = Affine {
        weight: maybe_elements(weight.as_ref(), "weight", shape.channels)?,
        bias: maybe_elements(bias.as_ref(), "bias", shape.channels)?,
    };
    let mut dweight = maybe_writing::<E::Real>(dweight.as_ref(), "dweight")?;
    let mut dbias = maybe_writing::<E::Real>(dbias.as_ref(), "dbias")?;
    let gradients = Gradients {
        x: dx,
        weight: maybe_elements_mut(dweight.as_mut(), "dweight", shape.channels)?,
        bias: maybe_elements_mut(dbias.as_mut(), "dbias", shape.channels)?,
    };
    let pass = Backward { exec: &exec, shape, x, dy, affine, activation: activation_of(activation)?, frozen };
    py.detach(|| pass.run(&statistics, gradients));
    Ok(())
}

/// Adds the sum of each column of `x` to `into`.
#[pyfunction]
pub(crate) fn add_column_sums(x: Any<'_>, into: Any<'_>, exec: ExecArgs) -> PyResult<()> {
    let exec = resolve(exec)?;
    for_dtype!(x, column_sums(&x, &into, exec))
}

fn column_sums<T: Real + Element<Real = T> + numpy::Element>(
    x: &Any<'_>,
    into: &Any<'_>,
    exec: Exec,
) -> PyResult<()> {
    let py = x.py();
    let (x, mut into) = (reading::<T>(x, "x")?, writing::<T>(into, "into")?);
    let (x, into) = (x.elements(), into.elements_mut());
    whole_rows("x", x.len(), into.len())?;
    py.detach(|| norm::add_column_sums(&exec, x, into));
    Ok(())
}

/// `out = x·m`, with the mask of (seed, step).
#[pyfunction]
pub(crate) fn dropout(x: Any<'_>, out: Any<'_>, p: f64, seed: u64, step: u64, exec: ExecArgs) -> PyResult<()> {
    let exec = resolve(exec)?;
    for_dtype!(x, masked(&x, &out, p, Mask { seed, step }, exec))
}

fn masked<T: Real + numpy::Element>(x: &Any<'_>, out: &Any<'_>, p: f64, mask: Mask, exec: Exec) -> PyResult<()> {
    if !(0.0..=1.0).contains(&p) {
        return Err(refused(format!("p: got {p}, need 0 to 1")));
    }
    let py = x.py();
    let (x, mut out) = (reading::<T>(x, "x")?, writing::<T>(out, "out")?);
    let (x, out) = (x.elements(), out.elements_mut());
    of_length("out", out.len(), x.len())?;
    py.detach(|| core_dropout::dropout(&exec, x, p, mask, out));
    Ok(())
}

/// Fills row r of `out` with the rows of `table` that `ids[r]` names, one for each field of `sizes`.
#[pyfunction]
pub(crate) fn embedding_forward(
    table: Any<'_>,
    ids: Any<'_>,
    sizes: Vec<usize>,
    out: Any<'_>,
    exec: ExecArgs,
) -> PyResult<()> {
    let exec = resolve(exec)?;
    for_dtype!(table, look_up(&table, &ids, &sizes, &out, exec))
}

fn look_up<T: Real + numpy::Element>(
    table: &Any<'_>,
    ids: &Any<'_>,
    sizes: &[usize],
    out: &Any<'_>,
    exec: Exec,
) -> PyResult<()> {
    let py = table.py();
    let (table, ids) = (reading::<T>(table, "weight")?, reading::<i64>(ids, "x")?);
    let (table, ids) = (table.elements(), ids.elements());
    let mut out = writing_rows::<T>(out, "out")?;
    let dim = fitting(table.len(), ids.len(), sizes, out.dim())?;
    let mut out: Vec<_> = out.rows_mut().collect();
    py.detach(|| embedding::look_up(&exec, table, dim, sizes, ids, &mut out)).map_err(refused)
}

/// Adds row r of `dy` to the rows of `gradient` that `ids[r]` names.
#[pyfunction]
pub(crate) fn embedding_backward(
    dy: Any<'_>,
    ids: Any<'_>,
    sizes: Vec<usize>,
    gradient: Any<'_>,
    exec: ExecArgs,
) -> PyResult<()> {
    let exec = resolve(exec)?;
    for_dtype!(gradient, add_gradient(&dy, &ids, &sizes, &gradient, exec))
}

fn add_gradient<T: Real + numpy::Element>(
    dy: &Any<'_>,
    ids: &Any<'_>,
    sizes: &[usize],
    gradient: &Any<'_>,
    exec: Exec,
) -> PyResult<()> {
    let py = gradient.py();
    let (mut gradient, ids) = (writing::<T>(gradient, "gradient")?, reading::<i64>(ids, "x")?);
    let (gradient, ids) = (gradient.elements_mut(), ids.elements());
    let dy = reading_rows::<T>(dy, "dy")?;
    let dim = fitting(gradient.len(), ids.len(), sizes, dy.dim())?;
    let dy = dy.rows();
    py.detach(|| embedding::add_gradient(&exec, gradient, dim, sizes, ids, &dy)).map_err(refused)
}

/// The dimension of a table of `table` elements, when everything fits it.
fn fitting(table: usize, ids: usize, sizes: &[usize], (rows, width): (usize, usize)) -> PyResult<usize> {
    let entries: usize = sizes.iter().sum();
    if sizes.is_empty() || entries == 0 {
        return Err(refused(format!("sizes: got {sizes:?}, need at least one field with an entry")));
    }
    let dim = table / entries;
    of_length("weight", table, entries * dim)?;
    of_length("x", ids, rows * sizes.len())?;
    if width == sizes.len() * dim {
        return Ok(dim);
    }
    Err(refused(format!(
        "got rows of {width} values, need {} ({} fields of {dim})",
        sizes.len() * dim,
        sizes.len()
    )))
}
