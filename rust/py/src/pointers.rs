//! Memory of other libraries by address. This is unsafe room 4: torch's tensors as DLPack describes them, NumPy's arrays as
//! their headers do.
//!
//! NumPy's: [`Lent`] checks how an array lies and takes out a [`Loan`] of its memory; its slices live no longer than that.
//!
//! torch publishes a C table (`torch.Tensor.__dlpack_c_exchange_api__`) with a function that says where a tensor lies,
//! in some 15 ns and without an allocation. Everything else about a tensor is checked here, at every step: that it is in
//! this machine's memory, of a dtype that we know, dense (in any order of its axes), aligned, and that nothing that is
//! written overlaps anything else. Only then does a slice come of it.
//!
//! What Rust cannot check is that the memory stays where it is while we are detached from the interpreter. The caller
//! holds the tensors for as long; it must not resize them, or give them other memory, from another thread meanwhile.
//! torch's own kernels ask the same.

use std::ffi::{c_int, c_void};
use std::marker::PhantomData;

use fourstep::pass::{Grad, Segment};
use fourstep::real::Real;
use fourstep::rule::MAX_STATE;
use fourstep::store::Store;
use numpy::npyffi::{_PyArray_GET_ITEM_DATA, NPY_ARRAY_WRITEABLE};
use numpy::{Element, PyArrayDyn, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::ffi::PyObject;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyCapsuleMethods};

use crate::loans::{Loan, Place};

/// `DLTensor` of dlpack.h, version 1.
#[repr(C)]
struct DlTensor {
    data: *mut c_void,
    device_type: i32,
    device_id: i32,
    ndim: i32,
    code: u8,
    bits: u8,
    lanes: u16,
    shape: *const i64,
    strides: *const i64,
    byte_offset: u64,
}

/// `DLPackExchangeAPI` of dlpack.h, version 1.
#[repr(C)]
struct Table {
    major: u32,
    minor: u32,
    previous: *const Table,
    allocate: *const c_void,
    managed_from: *const c_void,
    managed_to: *const c_void,
    describe: Option<unsafe extern "C" fn(*mut PyObject, *mut DlTensor) -> c_int>,
}

const CPU: i32 = 1;

/// What a tensor holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dtype {
    /// float32.
    Single,
    /// float64.
    Double,
    /// bfloat16; computed in `f32`.
    Half,
}

impl Dtype {
    fn name(self) -> &'static str {
        match self {
            Self::Single => f32::NAME,
            Self::Double => f64::NAME,
            Self::Half => "bfloat16",
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Single => 4,
            Self::Double => 8,
            Self::Half => 2,
        }
    }
}

/// The function that describes tensors.
#[derive(Clone, Copy)]
pub(crate) struct Reader(unsafe extern "C" fn(*mut PyObject, *mut DlTensor) -> c_int);

/// A tensor in this machine's memory: where, how long, of what. Lives no longer than the object that owns it.
#[derive(Clone, Copy)]
struct Tensor<'a> {
    start: *mut u8,
    len: usize,
    dtype: Dtype,
    shape: *const i64,
    strides: *const i64,
    ndim: usize,
    owner: PhantomData<&'a PyAny>,
}

impl Reader {
    /// The function of a table that a library publishes.
    pub(crate) fn of(capsule: &Bound<'_, PyCapsule>) -> PyResult<Self> {
        let mut table: *const Table =
            capsule.pointer_checked(Some(c"dlpack_exchange_api"))?.cast::<Table>().as_ptr().cast_const();
        loop {
            #[allow(unsafe_code, reason = "the table of another library")]
            // SAFETY: a capsule of this name holds such a table, which lives as long as the process; `previous` is
            // another or null. The header has been the same since it exists.
            let Some(here) = (unsafe { table.as_ref() }) else {
                return Err(PyRuntimeError::new_err("DLPack: need its exchange table of version 1"));
            };
            if here.major == 1 {
                return here.describe.map(Self).ok_or_else(|| {
                    PyRuntimeError::new_err("DLPack: need a table that describes tensors without owning them")
                });
            }
            table = here.previous;
        }
    }

    /// A number for how `tensor` lies in memory, which is dense.
    pub(crate) fn layout(self, tensor: &Bound<'_, PyAny>) -> PyResult<u64> {
        let tensor = self.read(tensor)?;
        if !tensor.is_dense() {
            return Err(PyValueError::new_err("got a parameter with gaps or repeated elements, need a dense one"));
        }
        Ok(tensor.layout())
    }

    /// How many elements a parameter has that is the part from element `first` on of one flat tensor, with a gradient
    /// that is the same part of another; none, where they lie elsewhere or are not laid out as they were.
    pub(crate) fn parts(
        self,
        [w, g]: [&Bound<'_, PyAny>; 2],
        flat: [&Flat<'_>; 2],
        (first, layout): (usize, u64),
    ) -> Option<usize> {
        let (w, g) = (self.read(w).ok()?, self.read(g).ok()?);
        let fits = |tensor: &Tensor<'_>, flat: &Flat<'_>| {
            flat.part(first, tensor.len)
                .is_some_and(|part| part.start == tensor.start && part.dtype == tensor.dtype)
        };
        (w.layout() == layout && g.lies_as(&w) && fits(&w, flat[0]) && fits(&g, flat[1])).then_some(w.len)
    }

    /// Where `tensor` lies.
    fn read<'a>(self, tensor: &'a Bound<'_, PyAny>) -> PyResult<Tensor<'a>> {
        let mut raw = DlTensor {
            data: std::ptr::null_mut(),
            device_type: 0,
            device_id: 0,
            ndim: 0,
            code: 0,
            bits: 0,
            lanes: 0,
            shape: std::ptr::null(),
            strides: std::ptr::null(),
            byte_offset: 0,
        };
        #[allow(unsafe_code, reason = "the call into the other library")]
        // SAFETY: `raw` is a DLTensor to write to, the object is alive, and we are attached to the interpreter. The
        // function refuses an object that is no tensor of its library.
        let status = unsafe { (self.0)(tensor.as_ptr(), &raw mut raw) };
        if status != 0 {
            return Err(PyErr::take(tensor.py())
                .unwrap_or_else(|| PyValueError::new_err("DLPack: the tensor cannot be described")));
        }
        if raw.device_type != CPU {
            return Err(PyValueError::new_err("got a tensor of another device, need one in the CPU's memory"));
        }
        let dtype = match (raw.code, raw.bits, raw.lanes) {
            (2, 32, 1) => Dtype::Single,
            (2, 64, 1) => Dtype::Double,
            (4, 16, 1) => Dtype::Half,
            (code, bits, _) => {
                return Err(PyValueError::new_err(format!(
                    "got a tensor of DLPack's dtype ({code}, {bits} bits), need float32, float64 or bfloat16"
                )));
            }
        };
        let ndim = usize::try_from(raw.ndim).unwrap_or(0);
        let offset = usize::try_from(raw.byte_offset).unwrap_or(usize::MAX);
        let mut read = Tensor {
            start: raw.data.cast::<u8>().wrapping_add(offset),
            len: 1,
            dtype,
            shape: raw.shape,
            strides: raw.strides,
            ndim,
            owner: PhantomData,
        };
        read.len = read
            .sizes()
            .iter()
            .try_fold(1_usize, |n, &size| n.checked_mul(usize::try_from(size).ok()?))
            .filter(|n| n.checked_mul(dtype.bytes()).is_some_and(|bytes| isize::try_from(bytes).is_ok()))
            .ok_or_else(|| PyValueError::new_err("got a tensor of impossible size"))?;
        if read.len > 0 && (raw.data.is_null() || !read.start.addr().is_multiple_of(dtype.bytes())) {
            return Err(PyValueError::new_err("got a tensor without memory, or misaligned"));
        }
        Ok(read)
    }
}

impl<'a> Tensor<'a> {
    /// The bytes that it fills; it is dense.
    fn bytes(&self) -> (usize, usize) {
        (self.start.addr(), self.start.addr() + self.len * self.dtype.bytes())
    }

    fn sizes(&self) -> &[i64] {
        self.axes(self.shape)
    }

    fn axes(&self, first: *const i64) -> &[i64] {
        if self.ndim == 0 || first.is_null() {
            return &[];
        }
        #[allow(unsafe_code, reason = "two small arrays of the other library")]
        // SAFETY: DLPack promises `ndim` numbers at both, which live as long as the tensor, and no Python code that
        // could reshape it runs while this `Tensor` is used.
        let axes = unsafe { std::slice::from_raw_parts(first, self.ndim) };
        axes
    }

    /// Size and stride of the axes that matter: those longer than 1.
    fn steps(&self) -> impl DoubleEndedIterator<Item = (i64, i64)> + '_ {
        self.sizes().iter().copied().zip(self.axes(self.strides).iter().copied()).filter(|&(size, _)| size != 1)
    }

    /// Whether its elements fill a run of memory, each of its places once, in any order of the axes.
    fn is_dense(&self) -> bool {
        if self.len <= 1 || fills(self.steps().rev()) {
            return true;
        }
        let mut sorted: Vec<_> = self.steps().collect();
        sorted.sort_unstable_by_key(|&(_, stride)| stride);
        fills(sorted)
    }

    /// A number that differs where shape or strides do, and is never 0.
    fn layout(&self) -> u64 {
        let mix = |hash: u64, x: i64| (hash ^ x as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
        let sizes = self.sizes().iter().fold(self.ndim as u64 + 1, |hash, &size| mix(hash, size));
        if self.len <= 1 {
            return sizes | 1;
        }
        self.steps().fold(sizes, |hash, (_, stride)| mix(hash, stride)) | 1
    }

    /// Whether element by element it lies in memory as `other` does.
    fn lies_as(&self, other: &Tensor<'_>) -> bool {
        self.sizes() == other.sizes() && (self.len <= 1 || self.steps().eq(other.steps()))
    }

    /// Whether `next` begins where this one ends.
    fn meets(&self, next: &Tensor<'_>) -> bool {
        self.bytes().1 == next.bytes().0
    }
}

/// Whether these axes, innermost first, leave no gap.
fn fills(axes: impl IntoIterator<Item = (i64, i64)>) -> bool {
    let mut next = 1;
    axes.into_iter().all(|(size, stride)| {
        let fits = stride == next;
        next *= size;
        fits
    })
}

/// The tensors of one parameter, of one dtype and laid out alike: itself, its gradient, its state.
#[derive(Clone, Copy)]
pub(crate) struct Arrays<'a> {
    /// The parameter.
    w: Tensor<'a>,
    /// Its gradient.
    g: Tensor<'a>,
    /// Its state buffers.
    state: [Option<Tensor<'a>>; MAX_STATE],
    /// Whether they are parts of flat tensors.
    parts: bool,
}

impl<'a> Arrays<'a> {
    /// Reads them, or says which of them is not as it should be.
    pub(crate) fn read(
        reader: Reader,
        w: &'a Bound<'_, PyAny>,
        g: &'a Bound<'_, PyAny>,
        state: &'a [Bound<'_, PyAny>],
    ) -> PyResult<Self> {
        let w = reader.read(w)?;
        if !w.is_dense() {
            return Err(PyValueError::new_err("got a parameter with gaps or repeated elements, need a dense one"));
        }
        let g = like(&w, reader, g, "gradient")?;
        let mut buffers = [None; MAX_STATE];
        for (slot, tensor) in buffers.iter_mut().zip(state) {
            *slot = Some(like(&w, reader, tensor, "state")?);
        }
        Ok(Self { w, g, state: buffers, parts: false })
    }

    /// Reads a parameter and its gradient; its state is parts of flat tensors, from element `first` on, which were laid
    /// out for a parameter of this `layout`.
    pub(crate) fn read_with_parts(
        reader: Reader,
        w: &'a Bound<'_, PyAny>,
        g: &'a Bound<'_, PyAny>,
        state: &[Flat<'a>],
        (first, layout): (usize, u64),
    ) -> PyResult<Self> {
        let w = reader.read(w)?;
        if w.layout() != layout {
            return Err(PyValueError::new_err("state: got another shape or order in memory than the parameter's"));
        }
        let g = like(&w, reader, g, "gradient")?;
        let mut buffers = [None; MAX_STATE];
        for (slot, flat) in buffers.iter_mut().zip(state) {
            if flat.0.dtype != w.dtype {
                return Err(PyValueError::new_err("state: got another dtype than the parameter's"));
            }
            *slot = flat.part(first, w.len);
            if slot.is_none() {
                return Err(PyValueError::new_err("state: got less than the parameter needs"));
            }
        }
        Ok(Self { w, g, state: buffers, parts: true })
    }

    /// Flat tensors as one parameter with its gradient and its state, if they have one length and dtype.
    pub(crate) fn flat(w: Flat<'a>, g: Flat<'a>, state: &[Flat<'a>]) -> Option<Self> {
        let mut buffers = [None; MAX_STATE];
        for (slot, flat) in buffers.iter_mut().zip(state) {
            *slot = Some(flat.0);
        }
        state.iter().chain([&g]).all(|flat| flat.is_like(&w)).then_some(Self {
            w: w.0,
            g: g.0,
            state: buffers,
            parts: true,
        })
    }

    /// How many elements the parameter has.
    pub(crate) fn len(&self) -> usize {
        self.w.len
    }

    fn state(&self) -> impl Iterator<Item = &Tensor<'a>> {
        self.state.iter().flatten()
    }

    /// Whether each of `next` begins where its counterpart here ends.
    fn meet(&self, next: &Self) -> bool {
        self.w.meets(&next.w)
            && self.g.meets(&next.g)
            && self.state().zip(next.state()).all(|(here, there)| here.meets(there))
    }
}

fn like<'a>(w: &Tensor<'_>, reader: Reader, owner: &'a Bound<'_, PyAny>, what: &str) -> PyResult<Tensor<'a>> {
    let tensor = reader.read(owner)?;
    if tensor.dtype != w.dtype {
        return Err(PyValueError::new_err(format!("{what}: got another dtype than the parameter's")));
    }
    if !tensor.lies_as(w) {
        return Err(PyValueError::new_err(format!(
            "{what}: got another shape or order in memory than the parameter's"
        )));
    }
    Ok(tensor)
}

/// All memory that a step touches: where it writes, and where it only reads; start and end.
#[derive(Default)]
pub(crate) struct Touched {
    writes: Vec<(usize, usize)>,
    reads: Vec<(usize, usize)>,
}

/// The evidence that of all that a step touches nothing that it writes overlaps anything else.
pub(crate) struct Apart(());

/// Parameters that follow each other in memory, with all that belongs to them: the first, the last, their elements.
/// It is neither copied nor made but by [`Touched::run`], so that its memory becomes a slice once.
pub(crate) struct Run<'a> {
    first: Arrays<'a>,
    last: Arrays<'a>,
    len: usize,
}

impl Touched {
    /// Room for so many parameters.
    pub(crate) fn reserve(&mut self, parameters: usize) {
        self.writes.reserve(parameters);
        self.reads.reserve(parameters);
    }

    /// A run of one parameter; `None` if it is empty. Its state is part of what was [`Self::flat`], or is noted here.
    pub(crate) fn run<'a>(&mut self, arrays: Arrays<'a>) -> Option<Run<'a>> {
        if arrays.w.len == 0 {
            return None;
        }
        self.writes.push(arrays.w.bytes());
        self.reads.push(arrays.g.bytes());
        if !arrays.parts {
            self.writes.extend(arrays.state().map(Tensor::bytes));
        }
        Some(Run { first: arrays, last: arrays, len: arrays.w.len })
    }

    /// A counter, which the step raises.
    pub(crate) fn counter(&mut self, counter: &Scalar<'_>) {
        self.writes.push(counter.0.bytes());
    }

    /// A tensor, parts of which the step writes.
    pub(crate) fn flat(&mut self, flat: &Flat<'_>) {
        if flat.0.len > 0 {
            self.writes.push(flat.0.bytes());
        }
    }

    /// Checks that what is written overlaps nothing else.
    pub(crate) fn check(self) -> PyResult<Apart> {
        let Self { mut writes, mut reads } = self;
        // Mostly they are in order already, which the sort finds in one look.
        writes.sort_unstable();
        reads.sort_unstable();
        let twice = writes.windows(2).any(|pair| pair[1].0 < pair[0].1);
        let mut later = writes.iter().peekable();
        let under = |&(start, end): &(usize, usize)| {
            while later.next_if(|written| written.1 <= start).is_some() {}
            later.peek().is_some_and(|written| written.0 < end)
        };
        if twice || reads.iter().any(under) {
            return Err(PyValueError::new_err(
                "two tensors of the step overlap in memory, and one of them is written",
            ));
        }
        Ok(Apart(()))
    }
}

/// A dense tensor that holds the state, or a counter, of many parameters, one after another.
#[derive(Clone, Copy)]
pub(crate) struct Flat<'a>(Tensor<'a>);

impl<'a> Flat<'a> {
    /// Where it lies.
    pub(crate) fn read(reader: Reader, tensor: &'a Bound<'_, PyAny>) -> PyResult<Self> {
        let tensor = reader.read(tensor)?;
        if !tensor.is_dense() {
            return Err(PyValueError::new_err("got state with gaps, need one array"));
        }
        Ok(Self(tensor))
    }

    fn part(&self, first: usize, len: usize) -> Option<Tensor<'a>> {
        if first.checked_add(len).is_none_or(|end| end > self.0.len) {
            return None;
        }
        let start = self.0.start.wrapping_add(first * self.0.dtype.bytes());
        Some(Tensor { start, len, ndim: 0, ..self.0 })
    }

    /// How many elements it has.
    pub(crate) fn len(&self) -> usize {
        self.0.len
    }

    /// Whether it has as many elements as another, of the same dtype.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        (self.0.len, self.0.dtype) == (other.0.len, other.0.dtype)
    }

    /// Whether it holds so many numbers, all equal.
    pub(crate) fn is_uniform(&self, count: usize) -> bool {
        let first = self.counter(0).map(|c| c.get());
        self.0.len == count && (1..count).all(|i| self.counter(i).map(|c| c.get()) == first)
    }

    /// The `i`th number of a flat counter.
    pub(crate) fn counter(&self, i: usize) -> Option<Scalar<'a>> {
        self.part(i, 1).map(Scalar)
    }
}

impl<'a> Run<'a> {
    /// What its tensors hold.
    pub(crate) fn dtype(&self) -> Dtype {
        self.first.w.dtype
    }

    /// Takes `next` in, if each of its tensors begins where the one here ends; else gives it back.
    pub(crate) fn join(&mut self, next: Self) -> Option<Self> {
        if !self.last.meet(&next.first) {
            return Some(next);
        }
        self.last = next.last;
        self.len += next.len;
        None
    }

    /// Its elements, for the loop.
    ///
    /// # Panics
    /// When `T` is not what its tensors hold, or are computed in.
    pub(crate) fn segment<T: Real>(self, _: &Apart) -> Segment<'a, T> {
        let Self { first: Arrays { w, g, state, .. }, len, .. } = self;
        let half = w.dtype == Dtype::Half;
        assert!(T::NAME == if half { f32::NAME } else { w.dtype.name() }, "the element type is the tensors'");
        let write = |tensor: Tensor<'a>| {
            if half { Store::Half(write(tensor, len)) } else { Store::Full(write(tensor, len)) }
        };
        Segment {
            w: write(w),
            g: if half { Grad::ReadHalf(read(g, len)) } else { Grad::Read(read(g, len)) },
            state: state.map(|s| s.map_or_else(Store::default, write)),
            ..Segment::new(&mut [], &[], Default::default())
        }
    }
}

/// `len` elements that begin where a tensor does: of a [`Run`], whose dtype `T` stores.
fn read<'a, T>(tensor: Tensor<'a>, len: usize) -> &'a [T] {
    #[allow(unsafe_code, reason = "where an address becomes a slice")]
    // SAFETY: `len` elements lie there, aligned: the tensor's own, or with those of its neighbours. Their owners live for
    // 'a; nothing resizes them while they do (the caller's duty, above). Nothing that the step writes overlaps them
    // (`Apart`).
    let elements = unsafe { std::slice::from_raw_parts(tensor.start.cast(), len) };
    elements
}

/// The same, to write.
fn write<'a, T>(tensor: Tensor<'a>, len: usize) -> &'a mut [T] {
    #[allow(unsafe_code, reason = "where an address becomes a slice")]
    // SAFETY: as in `read`; nothing else that the step touches overlaps them either, and a run becomes a segment once.
    let elements = unsafe { std::slice::from_raw_parts_mut(tensor.start.cast(), len) };
    elements
}

/// A number that torch keeps in a tensor of one element: `step`, `mu_product`.
#[derive(Clone, Copy)]
pub(crate) struct Scalar<'a>(Tensor<'a>);

impl<'a> Scalar<'a> {
    /// The number in a tensor.
    pub(crate) fn read(reader: Reader, name: &str, tensor: &'a Bound<'_, PyAny>) -> PyResult<Self> {
        let tensor = reader.read(tensor)?;
        if tensor.len != 1 {
            return Err(PyValueError::new_err(format!("{name}: got {} numbers, need one", tensor.len)));
        }
        Ok(Self(tensor))
    }

    /// Its value; NaN in bfloat16, in which nothing counts beyond 256.
    pub(crate) fn get(&self) -> f64 {
        match self.0.dtype {
            #[allow(unsafe_code, reason = "one number")]
            // SAFETY: one aligned f32 lies there, and we are attached to the interpreter.
            Dtype::Single => f64::from(unsafe { self.0.start.cast::<f32>().read() }),
            #[allow(unsafe_code, reason = "one number")]
            // SAFETY: one aligned f64 lies there, and we are attached to the interpreter.
            Dtype::Double => unsafe { self.0.start.cast::<f64>().read() },
            Dtype::Half => f64::NAN,
        }
    }

    /// Stores a value, rounded to its dtype.
    pub(crate) fn set(&self, value: f64) {
        match self.0.dtype {
            #[allow(unsafe_code, reason = "one number")]
            // SAFETY: one aligned f32 lies there, and we are attached to the interpreter.
            Dtype::Single => unsafe { self.0.start.cast::<f32>().write(value as f32) },
            #[allow(unsafe_code, reason = "one number")]
            // SAFETY: one aligned f64 lies there, and we are attached to the interpreter.
            Dtype::Double => unsafe { self.0.start.cast::<f64>().write(value) },
            Dtype::Half => {}
        }
    }

    /// The largest whole number up to which it can count.
    pub(crate) fn last(&self) -> f64 {
        match self.0.dtype {
            Dtype::Single => f64::from(1_u32 << 24),
            Dtype::Double => (1_u64 << 53) as f64,
            Dtype::Half => 0.0,
        }
    }
}

/// Why the memory of a NumPy array cannot be lent.
pub(crate) enum Unfit {
    /// Its elements, or those of a row, do not lie side by side; or its rows overlap.
    Scattered,
    /// An element does not begin at a multiple of its alignment.
    Misaligned,
    /// It is to be written and is read-only.
    ReadOnly,
    /// Something else of this process reads or writes there.
    InUse,
}

/// Rows of elements that lie side by side; an array without gaps is one.
struct Rows {
    count: usize,
    width: usize,
    /// Elements from the start of one to that of the next.
    step: isize,
}

/// The memory of a NumPy array, lent to one call for as long as this lives: to read, or to write (and read).
pub(crate) struct Lent<'py, T: Element, const WRITTEN: bool> {
    array: Bound<'py, PyArrayDyn<T>>,
    start: *mut T,
    rows: Rows,
    _loan: Loan,
}

impl<'py, T: Element, const WRITTEN: bool> Lent<'py, T, WRITTEN> {
    /// A C-contiguous array.
    pub(crate) fn whole(array: &Bound<'py, PyArrayDyn<T>>) -> Result<Self, Unfit> {
        if !array.is_c_contiguous() {
            return Err(Unfit::Scattered);
        }
        Self::new(array, Rows { count: 1, width: array.len(), step: 0 })
    }

    /// A matrix whose rows may lie apart.
    pub(crate) fn by_rows(array: &Bound<'py, PyArrayDyn<T>>) -> Result<Self, Unfit> {
        let (&[count, width], &[step, inner]) = (array.shape(), array.strides()) else {
            return Err(Unfit::Scattered);
        };
        let size = size_of::<T>().cast_signed();
        // NumPy gives axes that nobody walks along any stride.
        let step = if count > 1 && width > 0 { step } else { 0 };
        let inner = if count > 0 && width > 1 { inner } else { size };
        let overlap = WRITTEN && count > 1 && step.unsigned_abs() < width * size_of::<T>();
        if inner != size || step % size != 0 || overlap {
            return Err(Unfit::Scattered);
        }
        Self::new(array, Rows { count, width, step: step / size })
    }

    fn new(array: &Bound<'py, PyArrayDyn<T>>, rows: Rows) -> Result<Self, Unfit> {
        if !array.is_aligned() {
            return Err(Unfit::Misaligned);
        }
        if WRITTEN && !is_writeable(array) {
            return Err(Unfit::ReadOnly);
        }
        let start = array.data();
        let loan = Loan::new(place(start, &rows), WRITTEN).ok_or(Unfit::InUse)?;
        Ok(Self { array: array.clone(), start, rows, _loan: loan })
    }

    /// The array's shape.
    pub(crate) fn shape(&self) -> &[usize] {
        self.array.shape()
    }

    /// The elements of a whole array.
    pub(crate) fn elements(&self) -> &[T] {
        self.row(0)
    }

    /// Rows and elements of each.
    pub(crate) fn dim(&self) -> (usize, usize) {
        (self.rows.count, self.rows.width)
    }

    /// The elements of each row.
    pub(crate) fn rows(&self) -> Vec<&[T]> {
        (0..self.rows.count).map(|r| self.row(r)).collect()
    }

    fn row(&self, r: usize) -> &[T] {
        let Some(start) = self.at(r) else { return &[] };
        #[allow(unsafe_code, reason = "where an address becomes a slice")]
        // SAFETY: `width` elements of an array of `T` lie there side by side, aligned. The array is held, and nothing
        // resizes it meanwhile (the caller's duty, above). The loan says that nothing writes there but who has
        // `&mut self`.
        let row = unsafe { std::slice::from_raw_parts(start, self.rows.width) };
        row
    }

    /// Where row `r` begins; `None` if there is nothing.
    fn at(&self, r: usize) -> Option<*mut T> {
        (r < self.rows.count && self.rows.width > 0)
            .then(|| self.start.wrapping_offset(r.cast_signed() * self.rows.step))
    }
}

impl<T: Element> Lent<'_, T, true> {
    /// The elements of a whole array, to write.
    pub(crate) fn elements_mut(&mut self) -> &mut [T] {
        self.rows_mut().next().unwrap_or_default()
    }

    /// The elements of each row, to write.
    pub(crate) fn rows_mut(&mut self) -> impl Iterator<Item = &mut [T]> {
        let width = self.rows.width;
        (0..self.rows.count).filter_map(|r| self.at(r)).map(move |start| {
            #[allow(unsafe_code, reason = "where an address becomes a slice")]
            // SAFETY: as in `row`. Nothing else of the process uses the memory, says the loan; nothing else of the call,
            // says `&mut self`; and rows that are written do not overlap (`by_rows`).
            let row = unsafe { std::slice::from_raw_parts_mut(start, width) };
            row
        })
    }
}

/// The bytes of rows that begin at `start`, downwards too.
fn place<T>(start: *mut T, rows: &Rows) -> Place {
    if rows.count * rows.width == 0 {
        return Place { start: 0, end: 0, step: 0, width: 0 };
    }
    let last = start.wrapping_offset((rows.count - 1).cast_signed() * rows.step);
    Place {
        start: start.min(last).addr(),
        end: start.max(last).wrapping_add(rows.width).addr(),
        step: rows.step.unsigned_abs() * size_of::<T>(),
        width: rows.width * size_of::<T>(),
    }
}

/// What NumPy says in `flags.writeable`.
fn is_writeable<T>(array: &Bound<'_, PyArrayDyn<T>>) -> bool {
    #[allow(unsafe_code, reason = "the header of an array")]
    // SAFETY: it is an array, alive, and we are attached to the interpreter.
    let header = unsafe { _PyArray_GET_ITEM_DATA(array.as_array_ptr()) };
    #[allow(unsafe_code, reason = "the header of an array")]
    // SAFETY: as above.
    let flags = unsafe { (*header).flags };
    flags & NPY_ARRAY_WRITEABLE != 0
}
