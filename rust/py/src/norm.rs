//! Batch normalisation and what else layers need: arrays in, arrays filled in place.

use fourstep::exec::Exec;
use fourstep::layers::dropout::{self as core_dropout, Mask};
use fourstep::layers::embedding;
use fourstep::norm::{self, Affine, Gradients, Running, Saved};
use fourstep::real::Real;
use numpy::ndarray::{ArrayView2, ArrayViewMut2};
use numpy::{Element, PyArray2, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyReadwriteArrayDyn};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::arrays::{elements, elements_mut, reading, writing};
use crate::exec::{ExecArgs, resolve};

type Any<'py> = Bound<'py, PyAny>;

/// `(weight, bias)`: γ and β.
type AffineArgs<'py> = (Option<Any<'py>>, Option<Any<'py>>);
/// `(running_mean, running_var, momentum)`; without a momentum they are what normalises.
type RunningArgs<'py> = Option<(Any<'py>, Any<'py>, Option<f64>)>;
/// `(mean, invstd)`, of float64.
type SavedArgs<'py> = (Any<'py>, Any<'py>);

/// Runs the one of two bodies that fits the dtype of `array`; of neither dtype, the first one refuses it.
macro_rules! for_dtype {
    ($array:expr, $f:ident($($argument:expr),*)) => {
        if $array.cast::<PyArrayDyn<f64>>().is_ok() { $f::<f64>($($argument),*) } else { $f::<f32>($($argument),*) }
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

fn maybe_reading<'py, T: Element>(
    array: Option<&Any<'py>>,
    name: &str,
) -> PyResult<Option<PyReadonlyArrayDyn<'py, T>>> {
    array.map(|a| reading(a, name)).transpose()
}

fn maybe_writing<'py, T: Element>(
    array: Option<&Any<'py>>,
    name: &str,
) -> PyResult<Option<PyReadwriteArrayDyn<'py, T>>> {
    array.map(|a| writing(a, name)).transpose()
}

/// The elements of an optional array of `len` elements.
fn maybe_elements<'a, T: Element>(
    array: Option<&'a PyReadonlyArrayDyn<'_, T>>,
    name: &str,
    len: usize,
) -> PyResult<Option<&'a [T]>> {
    let Some(array) = array else { return Ok(None) };
    let slice = elements(array, name)?;
    of_length(name, slice.len(), len)?;
    Ok(Some(slice))
}

fn maybe_elements_mut<'a, T: Element>(
    array: Option<&'a mut PyReadwriteArrayDyn<'_, T>>,
    name: &str,
    len: usize,
) -> PyResult<Option<&'a mut [T]>> {
    let Some(array) = array else { return Ok(None) };
    let slice = elements_mut(array, name)?;
    of_length(name, slice.len(), len)?;
    Ok(Some(slice))
}

/// Normalises `x` into `out` and fills `saved`: by the batch's own statistics, moving the running ones when there are some;
/// by the running ones when they come without a momentum.
#[pyfunction]
pub(crate) fn batch_norm_forward(
    x: Any<'_>,
    out: Any<'_>,
    affine: AffineArgs<'_>,
    running: RunningArgs<'_>,
    saved: SavedArgs<'_>,
    eps: f64,
    exec: ExecArgs,
) -> PyResult<()> {
    let exec = resolve(exec)?;
    for_dtype!(x, forward(&x, &out, &affine, running.as_ref(), &saved, eps, exec))
}

fn forward<T: Real + Element>(
    x: &Any<'_>,
    out: &Any<'_>,
    (weight, bias): &AffineArgs<'_>,
    running: Option<&(Any<'_>, Any<'_>, Option<f64>)>,
    (mean, invstd): &SavedArgs<'_>,
    eps: f64,
    exec: Exec,
) -> PyResult<()> {
    let py = x.py();
    let (x, mut out) = (reading::<T>(x, "x")?, writing::<T>(out, "out")?);
    let (x, out) = (elements(&x, "x")?, elements_mut(&mut out, "out")?);
    let (mut mean, mut invstd) = (writing::<f64>(mean, "saved mean")?, writing::<f64>(invstd, "saved invstd")?);
    let mean = elements_mut(&mut mean, "saved mean")?;
    let channels = mean.len();
    let invstd = elements_mut(&mut invstd, "saved invstd")?;
    of_length("saved invstd", invstd.len(), channels)?;
    whole_rows("x", x.len(), channels)?;
    of_length("out", out.len(), x.len())?;
    let saved = Saved { mean, invstd };
    let weight = maybe_reading::<T>(weight.as_ref(), "weight")?;
    let bias = maybe_reading::<T>(bias.as_ref(), "bias")?;
    let affine = Affine {
        weight: maybe_elements(weight.as_ref(), "weight", channels)?,
        bias: maybe_elements(bias.as_ref(), "bias", channels)?,
    };
    let Some((running_mean, running_var, momentum)) = running else {
        return py.detach(|| norm::train(&exec, x, affine, eps, None, saved, out)).map_err(refused);
    };
    if let Some(momentum) = *momentum {
        let mut mean = writing::<T>(running_mean, "running_mean")?;
        let mut var = writing::<T>(running_var, "running_var")?;
        let mean = elements_mut(&mut mean, "running_mean")?;
        let var = elements_mut(&mut var, "running_var")?;
        of_length("running_mean", mean.len(), channels)?;
        of_length("running_var", var.len(), channels)?;
        let running = Some(Running { mean, var, momentum });
        return py.detach(|| norm::train(&exec, x, affine, eps, running, saved, out)).map_err(refused);
    }
    let (mean, var) = (reading::<T>(running_mean, "running_mean")?, reading::<T>(running_var, "running_var")?);
    let running = (elements(&mean, "running_mean")?, elements(&var, "running_var")?);
    of_length("running_mean", running.0.len(), channels)?;
    of_length("running_var", running.1.len(), channels)?;
    py.detach(|| norm::evaluate(&exec, x, affine, eps, running, saved, out)).map_err(refused)
}

/// Fills `dx`, and adds to the gradients of γ and β.
#[pyfunction]
pub(crate) fn batch_norm_backward(
    inputs: (Any<'_>, Any<'_>),
    dx: Any<'_>,
    weight: Option<Any<'_>>,
    gradients: AffineArgs<'_>,
    saved: SavedArgs<'_>,
    frozen: bool,
    exec: ExecArgs,
) -> PyResult<()> {
    let exec = resolve(exec)?;
    for_dtype!(dx, backward(&inputs, &dx, weight.as_ref(), &gradients, &saved, frozen, exec))
}

fn backward<T: Real + Element>(
    (x, dy): &(Any<'_>, Any<'_>),
    dx: &Any<'_>,
    weight: Option<&Any<'_>>,
    (dweight, dbias): &AffineArgs<'_>,
    (mean, invstd): &SavedArgs<'_>,
    frozen: bool,
    exec: Exec,
) -> PyResult<()> {
    let py = dx.py();
    let (x, dy, mut dx) = (reading::<T>(x, "x")?, reading::<T>(dy, "dy")?, writing::<T>(dx, "dx")?);
    let (x, dy, dx) = (elements(&x, "x")?, elements(&dy, "dy")?, elements_mut(&mut dx, "dx")?);
    let (mean, invstd) = (reading::<f64>(mean, "saved mean")?, reading::<f64>(invstd, "saved invstd")?);
    let saved = (elements(&mean, "saved mean")?, elements(&invstd, "saved invstd")?);
    let channels = saved.0.len();
    of_length("saved invstd", saved.1.len(), channels)?;
    whole_rows("x", x.len(), channels)?;
    of_length("dy", dy.len(), x.len())?;
    of_length("dx", dx.len(), x.len())?;
    let weight = maybe_reading::<T>(weight, "weight")?;
    let weight = maybe_elements(weight.as_ref(), "weight", channels)?;
    let mut dweight = maybe_writing::<T>(dweight.as_ref(), "dweight")?;
    let mut dbias = maybe_writing::<T>(dbias.as_ref(), "dbias")?;
    let gradients = Gradients {
        x: dx,
        weight: maybe_elements_mut(dweight.as_mut(), "dweight", channels)?,
        bias: maybe_elements_mut(dbias.as_mut(), "dbias", channels)?,
    };
    py.detach(|| norm::backward(&exec, [x, dy], weight, saved, frozen, gradients));
    Ok(())
}

/// Adds the sum of each column of `x` to `into`.
#[pyfunction]
pub(crate) fn add_column_sums(x: Any<'_>, into: Any<'_>, exec: ExecArgs) -> PyResult<()> {
    let exec = resolve(exec)?;
    for_dtype!(x, column_sums(&x, &into, exec))
}

fn column_sums<T: Real + Element>(x: &Any<'_>, into: &Any<'_>, exec: Exec) -> PyResult<()> {
    let py = x.py();
    let (x, mut into) = (reading::<T>(x, "x")?, writing::<T>(into, "into")?);
    let (x, into) = (elements(&x, "x")?, elements_mut(&mut into, "into")?);
    whole_rows("x", x.len(), into.len())?;
    py.detach(|| norm::columns::add_sums(&exec, x, into));
    Ok(())
}

/// `out = x·m`, with the mask of (seed, step).
#[pyfunction]
pub(crate) fn dropout(x: Any<'_>, out: Any<'_>, p: f64, seed: u64, step: u64, exec: ExecArgs) -> PyResult<()> {
    let exec = resolve(exec)?;
    for_dtype!(x, masked(&x, &out, p, Mask { seed, step }, exec))
}

fn masked<T: Real + Element>(x: &Any<'_>, out: &Any<'_>, p: f64, mask: Mask, exec: Exec) -> PyResult<()> {
    if !(0.0..=1.0).contains(&p) {
        return Err(refused(format!("p: got {p}, need 0 to 1")));
    }
    let py = x.py();
    let (x, mut out) = (reading::<T>(x, "x")?, writing::<T>(out, "out")?);
    let (x, out) = (elements(&x, "x")?, elements_mut(&mut out, "out")?);
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

fn look_up<T: Real + Element>(
    table: &Any<'_>,
    ids: &Any<'_>,
    sizes: &[usize],
    out: &Any<'_>,
    exec: Exec,
) -> PyResult<()> {
    let py = table.py();
    let (table, ids) = (reading::<T>(table, "weight")?, reading::<i64>(ids, "x")?);
    let (table, ids) = (elements(&table, "weight")?, elements(&ids, "x")?);
    let mut out = matrix::<T>(out, "out")?.try_readwrite().map_err(|e| refused(format!("out: {e}")))?;
    let mut out = out.as_array_mut();
    let dim = fitting(table.len(), ids.len(), sizes, out.dim())?;
    let mut out = rows_mut(&mut out, "out")?;
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

fn add_gradient<T: Real + Element>(
    dy: &Any<'_>,
    ids: &Any<'_>,
    sizes: &[usize],
    gradient: &Any<'_>,
    exec: Exec,
) -> PyResult<()> {
    let py = gradient.py();
    let (mut gradient, ids) = (writing::<T>(gradient, "gradient")?, reading::<i64>(ids, "x")?);
    let (gradient, ids) = (elements_mut(&mut gradient, "gradient")?, elements(&ids, "x")?);
    let dy = matrix::<T>(dy, "dy")?.try_readonly().map_err(|e| refused(format!("dy: {e}")))?;
    let dy = dy.as_array();
    let dim = fitting(gradient.len(), ids.len(), sizes, dy.dim())?;
    let dy = rows(dy, "dy")?;
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

/// A matrix whose rows may lie apart, so that a layer can write into a part of a wider one.
fn matrix<'a, 'py, T: Element>(array: &'a Any<'py>, name: &str) -> PyResult<&'a Bound<'py, PyArray2<T>>> {
    let matrix = array.cast::<PyArray2<T>>().map_err(|_| {
        PyTypeError::new_err(format!("{name}: need a matrix of native-endian {}", T::get_dtype(array.py())))
    })?;
    if array.getattr("flags")?.getattr("aligned")?.is_truthy()? {
        return Ok(matrix);
    }
    Err(refused(format!("{name}: got a misaligned array, need an aligned one (a copy is)")))
}

fn rows<'a, T>(matrix: ArrayView2<'a, T>, name: &str) -> PyResult<Vec<&'a [T]>> {
    let rows: Option<_> = matrix.into_outer_iter().map(|row| row.to_slice()).collect();
    rows.ok_or_else(|| refused(format!("{name}: need rows whose elements lie side by side")))
}

fn rows_mut<'a, T>(matrix: &'a mut ArrayViewMut2<'_, T>, name: &str) -> PyResult<Vec<&'a mut [T]>> {
    let rows: Option<_> = matrix.outer_iter_mut().map(|row| row.into_slice()).collect();
    rows.ok_or_else(|| refused(format!("{name}: need rows whose elements lie side by side")))
}
