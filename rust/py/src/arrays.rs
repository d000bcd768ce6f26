//! Borrowing NumPy arrays: what is refused, and in which words.
//!
//! An array that another call is writing, or that overlaps another argument and one of them is written, is refused here and
//! never raced on: `loans` knows what is in use, also by threads that are detached.

use std::fmt::Display;

use numpy::{Element, PyArrayDescrMethods, PyArrayDyn, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::pointers::{Lent, Unfit};

/// An array that is read while this lives.
pub(crate) type Reading<'py, T> = Lent<'py, T, false>;
/// An array that is written while this lives.
pub(crate) type Writing<'py, T> = Lent<'py, T, true>;

/// The array `name` of dtype `T`, C-contiguous and aligned, for reading.
pub(crate) fn reading<'py, T: Element>(
    array: &Bound<'py, PyAny>,
    name: impl Display,
) -> PyResult<Reading<'py, T>> {
    let array = typed(array, &name)?;
    Lent::whole(array).map_err(|unfit| refusal(&unfit, array, name))
}

/// The array `name` of dtype `T`, C-contiguous, aligned and writeable, for writing.
pub(crate) fn writing<'py, T: Element>(
    array: &Bound<'py, PyAny>,
    name: impl Display,
) -> PyResult<Writing<'py, T>> {
    let array = typed(array, &name)?;
    Lent::whole(array).map_err(|unfit| refusal(&unfit, array, name))
}

/// The matrix `name` of dtype `T`, for reading; its rows may lie apart, so that a layer can read a part of a wider one.
pub(crate) fn reading_rows<'py, T: Element>(
    array: &Bound<'py, PyAny>,
    name: impl Display,
) -> PyResult<Reading<'py, T>> {
    let array = typed(array, &name)?;
    Lent::by_rows(array).map_err(|unfit| refusal_of_rows(&unfit, array, name))
}

/// The same, for writing.
pub(crate) fn writing_rows<'py, T: Element>(
    array: &Bound<'py, PyAny>,
    name: impl Display,
) -> PyResult<Writing<'py, T>> {
    let array = typed(array, &name)?;
    Lent::by_rows(array).map_err(|unfit| refusal_of_rows(&unfit, array, name))
}

/// Of what kind the elements are (`f`, `u`, ...) and how many bytes each has, for choosing what to run; `reading` and
/// `writing` look closer. (0, 0) is no array.
pub(crate) fn kind_and_size(array: &Bound<'_, PyAny>) -> (u8, usize) {
    array.cast::<PyUntypedArray>().map_or((0, 0), |array| (array.dtype().kind(), array.dtype().itemsize()))
}

fn typed<'a, 'py, T: Element>(
    array: &'a Bound<'py, PyAny>,
    name: impl Display,
) -> PyResult<&'a Bound<'py, PyArrayDyn<T>>> {
    array.cast::<PyArrayDyn<T>>().map_err(|_| match array.cast::<PyUntypedArray>() {
        Ok(untyped) => {
            let (got, want) = (untyped.dtype(), T::get_dtype(array.py()));
            PyTypeError::new_err(format!("{name}: got dtype {got}, need native-endian {want}"))
        }
        Err(_) => PyTypeError::new_err(format!("{name}: got {}, need a NumPy array", array.get_type())),
    })
}

fn refusal<T>(unfit: &Unfit, array: &Bound<'_, PyArrayDyn<T>>, name: impl Display) -> PyErr {
    match unfit {
        Unfit::Scattered => PyValueError::new_err(format!(
            "{name}: got an array of shape {:?} and strides {:?}, need a C-contiguous one (np.ascontiguousarray)",
            array.shape(),
            array.strides()
        )),
        Unfit::Misaligned => {
            PyValueError::new_err(format!("{name}: got a misaligned array, need an aligned one (a copy is)"))
        }
        Unfit::ReadOnly => PyValueError::new_err(format!("{name}: got a read-only array, need a writeable one")),
        Unfit::InUse => PyRuntimeError::new_err(format!(
            "{name}: its memory is in use, by another argument of this call that overlaps it or by another thread"
        )),
    }
}

fn refusal_of_rows<T>(unfit: &Unfit, array: &Bound<'_, PyArrayDyn<T>>, name: impl Display) -> PyErr {
    match unfit {
        Unfit::Scattered => PyValueError::new_err(format!(
            "{name}: got an array of shape {:?} and strides {:?}, need a matrix with rows whose elements lie side by side",
            array.shape(),
            array.strides()
        )),
        _ => refusal(unfit, array, name),
    }
}
