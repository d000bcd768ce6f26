//! exp, log and their kin, and activations, on arrays.

use fourstep::elementary::{Function, apply};
use fourstep::exec::Exec;
use fourstep::real::Real;
use numpy::Element;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::arrays::{kind_and_size, reading, writing};
use crate::exec::{ExecArgs, resolve};

/// out ← f(x), computed in float64 and rounded once; f is one of [`Function::ALL`] by name.
#[pyfunction]
pub(crate) fn elementary<'py>(
    py: Python<'py>,
    function: &str,
    x: &Bound<'py, PyAny>,
    out: &Bound<'py, PyAny>,
    exec: ExecArgs,
) -> PyResult<()> {
    let exec = resolve(exec)?;
    let f = Function::named(function).ok_or_else(|| {
        let names = Function::ALL.map(|(name, _)| name).join(", ");
        PyValueError::new_err(format!("function: got {function:?}, need one of {names}"))
    })?;
    match kind_and_size(x) {
        (b'f', 4) => run::<f32>(py, &exec, f, x, out),
        (b'f', 8) => run::<f64>(py, &exec, f, x, out),
        _ => Err(PyTypeError::new_err("x: need a NumPy array of float32 or float64")),
    }
}

fn run<'py, T: Real + Element>(
    py: Python<'py>,
    exec: &Exec,
    function: Function,
    x: &Bound<'py, PyAny>,
    out: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let (x, mut out) = (reading::<T>(x, "x")?, writing::<T>(out, "out")?);
    let (x, out) = (x.elements(), out.elements_mut());
    if x.len() != out.len() {
        return Err(PyValueError::new_err(format!(
            "out: got {} elements, need {}, as many as x",
            out.len(),
            x.len()
        )));
    }
    py.detach(|| apply(exec, function, x, out));
    Ok(())
}
