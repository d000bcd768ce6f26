//! The arrays of one buffer of parameters, borrowed and checked: w, g, state, average, copy.

use fourstep::pass::Grad;
use fourstep::real::Real;
use fourstep::rule::MAX_STATE;
use fourstep::store::{Bytes, Store};
use numpy::{Element, PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::arrays::{Reading, Writing, reading, writing};

/// `(name, w, g, state buffers, average, copy)`: arrays of one size. A state buffer is an array of w's dtype, one of
/// uint16 (bfloat16), or a tuple `(codes, exponents, signed)`.
pub(crate) type BufferArgs<'py> = (
    String,
    Bound<'py, PyAny>,
    Bound<'py, PyAny>,
    Vec<Bound<'py, PyAny>>,
    Option<Bound<'py, PyAny>>,
    Option<Bound<'py, PyAny>>,
);

/// Whether an array has the dtype of `T`.
pub(crate) fn is<T: Element>(array: &Bound<'_, PyAny>) -> PyResult<bool> {
    let untyped =
        array.cast::<PyUntypedArray>().map_err(|_| PyTypeError::new_err("parameters are NumPy arrays"))?;
    Ok(untyped.dtype().is_equiv_to(&T::get_dtype(array.py())))
}

/// A gradient, borrowed as the pass needs it.
enum Borrowed<'py, T: Element> {
    Read(Reading<'py, T>),
    Write(Writing<'py, T>),
}

/// A state buffer, borrowed.
enum State<'py, T: Element> {
    Full(Writing<'py, T>),
    Half(Writing<'py, u16>),
    Byte(Writing<'py, u8>, Writing<'py, u8>, bool),
}

/// The arrays of one buffer, borrowed.
pub(crate) struct Buffer<'py, T: Element> {
    index: usize,
    name: String,
    w: Writing<'py, T>,
    g: Borrowed<'py, T>,
    state: Vec<State<'py, T>>,
    average: Option<Writing<'py, T>>,
    copy: Option<Writing<'py, u16>>,
}

/// Their elements.
pub(crate) struct Slices<'a, T> {
    pub(crate) index: usize,
    pub(crate) w: &'a mut [T],
    pub(crate) g: Grad<'a, T>,
    pub(crate) state: [Store<'a, T>; MAX_STATE],
    pub(crate) average: &'a mut [T],
    pub(crate) copy: &'a mut [u16],
}

impl<'py, T: Element> State<'py, T> {
    fn borrow(state: &Bound<'py, PyAny>, name: &str) -> PyResult<Self> {
        let what = format_args!("the state of {name}");
        if let Ok((codes, exponents, signed)) = state.extract::<(Bound<'py, PyAny>, Bound<'py, PyAny>, bool)>() {
            return Ok(Self::Byte(writing(&codes, what)?, writing(&exponents, what)?, signed));
        }
        if is::<u16>(state)? {
            return Ok(Self::Half(writing(state, what)?));
        }
        Ok(Self::Full(writing(state, what)?))
    }

    fn shape(&self) -> &[usize] {
        match self {
            Self::Full(a) => a.shape(),
            Self::Half(a) => a.shape(),
            Self::Byte(a, ..) => a.shape(),
        }
    }

    fn store(&mut self) -> Store<'_, T> {
        match self {
            Self::Full(a) => Store::Full(a.elements_mut()),
            Self::Half(a) => Store::Half(a.elements_mut()),
            Self::Byte(codes, exponents, signed) => Store::Byte(Bytes {
                codes: codes.elements_mut(),
                exponents: exponents.elements_mut(),
                signed: *signed,
            }),
        }
    }
}

impl<'py, T: Real + Element> Buffer<'py, T> {
    pub(crate) fn borrow(index: usize, args: &BufferArgs<'py>, zero: bool) -> PyResult<Self> {
        let (name, w, g, state, average, copy) = args;
        if state.len() > MAX_STATE {
            let got = state.len();
            return Err(PyValueError::new_err(format!(
                "{name}: got {got} state buffers, need at most {MAX_STATE}"
            )));
        }
        let w = writing(w, name)?;
        let what = format_args!("the gradient of {name}");
        let g = if zero { Borrowed::Write(writing(g, what)?) } else { Borrowed::Read(reading(g, what)?) };
        let state = state.iter().map(|s| State::borrow(s, name)).collect::<PyResult<Vec<_>>>()?;
        let average = average.as_ref().map(|a| writing(a, format_args!("the average of {name}"))).transpose()?;
        let copy = copy.as_ref().map(|a| writing(a, format_args!("the copy of {name}"))).transpose()?;
        let buffer = Self { index, name: name.clone(), w, g, state, average, copy };
        buffer.check_sizes()?;
        Ok(buffer)
    }

    fn check_sizes(&self) -> PyResult<()> {
        let want = self.w.shape();
        let of_gradient = match &self.g {
            Borrowed::Read(g) => g.shape(),
            Borrowed::Write(g) => g.shape(),
        };
        let others = (self.state.iter().map(|s| ("state", s.shape())))
            .chain(self.average.iter().map(|a| ("average", a.shape())))
            .chain(self.copy.iter().map(|a| ("copy", a.shape())));
        match std::iter::once(("gradient", of_gradient)).chain(others).find(|(_, shape)| *shape != want) {
            Some((what, shape)) => Err(PyValueError::new_err(format!(
                "the {what} of {}: got shape {shape:?}, need {want:?}, the shape of its parameters",
                self.name
            ))),
            None => Ok(()),
        }
    }

    pub(crate) fn slices(&mut self) -> Slices<'_, T> {
        let mut state: [Store<'_, T>; MAX_STATE] = Default::default();
        for (slot, array) in state.iter_mut().zip(&mut self.state) {
            *slot = array.store();
        }
        Slices {
            index: self.index,
            w: self.w.elements_mut(),
            g: match &mut self.g {
                Borrowed::Read(g) => Grad::Read(g.elements()),
                Borrowed::Write(g) => Grad::Write(g.elements_mut()),
            },
            state,
            average: self.average.as_mut().map(Writing::elements_mut).unwrap_or_default(),
            copy: self.copy.as_mut().map(Writing::elements_mut).unwrap_or_default(),
        }
    }
}

impl<T: Real> Slices<'_, T> {
    /// The elements of a range, which [`check_ranges`] has seen.
    pub(crate) fn gradient(&self, start: usize, stop: usize) -> &[T] {
        match &self.g {
            Grad::Read(g) => &g[start..stop],
            Grad::Write(g) => &g[start..stop],
            Grad::ReadHalf(_) | Grad::WriteHalf(_) => &[],
        }
    }
}
