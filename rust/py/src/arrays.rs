//! Borrowing NumPy arrays: what is refused, and in which words.
//!
//! rust-numpy tracks borrows for each base allocation, also across threads while we are detached: an array that another
//! call is writing, or that overlaps another argument, is refused here and never raced on.

use std::fmt::Display;

use numpy::{
    BorrowError, Element, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyReadwriteArrayDyn, PyUntypedArray,
    PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;

/// The array `name` of dtype `T`, C-contiguous and aligned, for reading.
pub(crate) fn reading<'py, T: Element>(
    array: &Bound<'py, PyAny>,
    name: impl Display,
) -> PyResult<PyReadonlyArrayDyn<'py, T>> {
    typed::<T>(array, &name)?.try_readonly().map_err(|e| refusal(e, name))
}

/// The array `name` of dtype `T`, C-contiguous, aligned and writeable, for writing.
pub(crate) fn writing<'py, T: Element>(
    array: &Bound<'py, PyAny>,
    name: impl Display,
) -> PyResult<PyReadwriteArrayDyn<'py, T>> {
    typed::<T>(array, &name)?.try_readwrite().map_err(|e| refusal(e, name))
}

fn typed<'a, 'py, T: Element>(
    array: &'a Bound<'py, PyAny>,
    name: impl Display,
) -> PyResult<&'a Bound<'py, PyArrayDyn<T>>> {
    let untyped = array
        .cast::<PyUntypedArray>()
        .map_err(|_| PyTypeError::new_err(format!("{name}: got {}, need a NumPy array", array.get_type())))?;
    let typed = array.cast::<PyArrayDyn<T>>().map_err(|_| {
        let (got, want) = (untyped.dtype(), T::get_dtype(array.py()));
        PyTypeError::new_err(format!("{name}: got dtype {got}, need native-endian {want}"))
    })?;
    if !untyped.is_c_contiguous() {
        return Err(PyValueError::new_err(format!(
            "{name}: got an array of shape {:?} and strides {:?}, need a C-contiguous one (np.ascontiguousarray)",
            untyped.shape(),
            untyped.strides()
        )));
    }
    if !array.getattr("flags")?.getattr("aligned")?.is_truthy()? {
        return Err(PyValueError::new_err(format!(
            "{name}: got a misaligned array, need an aligned one (a copy is)"
        )));
    }
    Ok(typed)
}

fn refusal(error: BorrowError, name: impl Display) -> PyErr {
    match error {
        BorrowError::NotWriteable => {
            PyValueError::new_err(format!("{name}: got a read-only array, need a writeable one"))
        }
        _ => PyRuntimeError::new_err(format!(
            "{name}: its memory is in use, by another argument of this call that overlaps it or by another thread"
        )),
    }
}

/// The elements of a contiguous array.
pub(crate) fn elements<'a, T: Element>(
    array: &'a PyReadonlyArrayDyn<'_, T>,
    name: impl Display,
) -> PyResult<&'a [T]> {
    array.as_slice().map_err(|_| misaligned(name))
}

/// The elements of a contiguous array, to write.
pub(crate) fn elements_mut<'a, T: Element>(
    array: &'a mut PyReadwriteArrayDyn<'_, T>,
    name: impl Display,
) -> PyResult<&'a mut [T]> {
    array.as_slice_mut().map_err(|_| misaligned(name))
}

fn misaligned(name: impl Display) -> PyErr {
    PyValueError::new_err(format!("{name}: got a misaligned array, need an aligned one (a copy is)"))
}
