//! Steps of some rows of tables.
//!
//! All tables of a call are borrowed, checked and sorted before the first one is written.

use fourstep::exec::Exec;
use fourstep::pass::Cautious;
use fourstep::real::Real;
use fourstep::rows::index::check;
use fourstep::rows::rules::{Arrays, PerRow};
use fourstep::rows::{Around, Duplicates, Named, OutOfRange, Rule};
use fourstep::rule::{Frame, Gradient, MAX_STATE};
use fourstep::rules;
use fourstep::rules::first_moments;
use numpy::{Element, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arrays::{Reading, Writing, reading, writing};
use crate::buffers::is;
use crate::exec::{ExecArgs, resolve};
use crate::hyper::Hyper;
use crate::optim::{Guard, Options};

/// `(name, rows, gradients of the rows)`.
type NamedArgs<'py> = (String, Bound<'py, PyAny>, Bound<'py, PyAny>);

/// `(table, state buffers in the rule's order, what is kept once a row, average)`.
type TableArgs<'py> =
    (Bound<'py, PyAny>, Vec<Bound<'py, PyAny>>, Option<Bound<'py, PyAny>>, Option<Bound<'py, PyAny>>);

/// `(rule, hyper-parameters)`.
type RuleArgs<'py> = (String, Bound<'py, PyDict>);

/// Checks rows and gradients against a table; gives Σg² over the gradients, summed by row if they are to be (with `finite`
/// over those that are), and how many are not finite. Without `measure` it only checks.
#[pyfunction]
pub(crate) fn rows_squares(
    py: Python<'_>,
    named: NamedArgs<'_>,
    table: &Bound<'_, PyAny>,
    duplicates: &str,
    measure: bool,
    finite: bool,
    exec: ExecArgs,
) -> PyResult<(f64, u64)> {
    let (exec, duplicates) = (resolve(exec)?, parse_duplicates(duplicates)?);
    let how = measure.then_some((duplicates, finite));
    if is::<f32>(table)? {
        squares(py, &exec, &Job::<f32>::borrow(named, table)?, how)
    } else {
        squares(py, &exec, &Job::<f64>::borrow(named, table)?, how)
    }
}

fn squares<T: Real + Element>(
    py: Python<'_>,
    exec: &Exec,
    job: &Job<'_, T>,
    how: Option<(Duplicates, bool)>,
) -> PyResult<(f64, u64)> {
    let given = job.given();
    let found = py.detach(|| {
        let Some((duplicates, finite)) = how else { return given.check().map(|()| (0.0, 0)) };
        let (_, squares) = given.sorted(exec, duplicates)?.measured(exec, finite);
        let count = if finite || !squares.is_finite() { given.not_finite() } else { 0 };
        Ok((squares, count))
    });
    found.map_err(|e| job.refuse(&e))
}

/// Takes one step over rows of some tables; gives how many gradients of each are not finite.
#[pyfunction]
pub(crate) fn step_rows(
    py: Python<'_>,
    tables: Vec<(NamedArgs<'_>, TableArgs<'_>, RuleArgs<'_>)>,
    duplicates: &str,
    options: Bound<'_, PyDict>,
    exec: ExecArgs,
) -> PyResult<Vec<u64>> {
    let (exec, duplicates) = (resolve(exec)?, parse_duplicates(duplicates)?);
    let options = Options::parse(&Hyper(options))?;
    let mut all = Vec::new();
    for (named, table, rule) in tables {
        all.push(if is::<f32>(&table.0)? {
            Any::Single(Stepped::<f32>::borrow(named, table, rule, &options)?)
        } else {
            Any::Double(Stepped::<f64>::borrow(named, table, rule, &options)?)
        });
    }
    let slices = all.iter_mut().map(|table| match table {
        Any::Single(table) => Any::Single(table.slices()),
        Any::Double(table) => Any::Double(table.slices()),
    });
    let slices: Vec<_> = slices.collect();
    let counts = py.detach(|| {
        let ready = slices.into_iter().map(|table| match table {
            Any::Single(table) => table.sorted(&exec, duplicates).map(Any::Single),
            Any::Double(table) => table.sorted(&exec, duplicates).map(Any::Double),
        });
        // From here on nothing can go wrong.
        let ready = ready.collect::<Result<Vec<_>, _>>()?;
        let step = ready.into_iter().map(|table| match table {
            Any::Single((table, named)) => table.step(&exec, &named),
            Any::Double((table, named)) => table.step(&exec, &named),
        });
        Ok(step.collect())
    });
    counts.map_err(|(name, error)| refuse(name, &error))
}

/// A table of either dtype.
enum Any<S, D> {
    Single(S),
    Double(D),
}

fn parse_duplicates(name: &str) -> PyResult<Duplicates> {
    match name {
        "sum" => Ok(Duplicates::Sum),
        "in_order" => Ok(Duplicates::InOrder),
        _ => Err(PyValueError::new_err(format!("duplicates: got {name:?}, need 'sum' or 'in_order'"))),
    }
}

macro_rules! rows_of {
    ($($kind:ident $t:ident),*) => {
        /// Rows of any integer dtype.
        enum Rows<'py> {
            $($kind(Reading<'py, $t>)),*
        }

        impl<'py> Rows<'py> {
            fn borrow(rows: &Bound<'py, PyAny>, name: &str) -> PyResult<Self> {
                $(if is::<$t>(rows)? {
                    return Ok(Self::$kind(reading(rows, format_args!("the rows of {name}"))?));
                })*
                let dtype = rows.getattr("dtype")?;
                Err(PyTypeError::new_err(format!(
                    "the rows of {name}: got dtype {dtype}, need a whole-number dtype such as int64"
                )))
            }

            fn shape(&self) -> &[usize] {
                match self {
                    $(Self::$kind(rows) => rows.shape()),*
                }
            }

            fn slice(&self) -> RowSlice<'_> {
                match self {
                    $(Self::$kind(rows) => RowSlice::$kind(rows.elements())),*
                }
            }
        }

        /// Their elements.
        #[derive(Clone, Copy)]
        enum RowSlice<'a> {
            $($kind(&'a [$t])),*
        }

        impl<'a, T: Real> Given<'a, T> {
            fn check(&self) -> Result<(), OutOfRange> {
                match self.rows {
                    $(RowSlice::$kind(rows) => check(rows, self.shape.0)),*
                }
            }

            fn sorted(&self, exec: &Exec, duplicates: Duplicates) -> Result<Named<'a, T>, OutOfRange> {
                match self.rows {
                    $(RowSlice::$kind(rows) => Named::new(exec, rows, self.grads, self.shape, duplicates)),*
                }
            }
        }
    };
}

rows_of!(I64 i64, I32 i32, U32 u32, U64 u64, I16 i16, U16 u16, I8 i8, U8 u8);

/// Rows and their gradients, and the (rows, elements of a row) of their table.
struct Given<'a, T> {
    rows: RowSlice<'a>,
    grads: &'a [T],
    shape: (usize, usize),
}

impl<T: Real> Given<'_, T> {
    fn not_finite(&self) -> u64 {
        self.grads.iter().filter(|g| !g.is_finite()).count() as u64
    }
}

/// Rows and their gradients, borrowed, of the shape that a table needs.
struct Job<'py, T: Element> {
    name: String,
    rows: Rows<'py>,
    grads: Reading<'py, T>,
    /// Rows of the table, elements of a row.
    shape: (usize, usize),
}

impl<'py, T: Element> Job<'py, T> {
    fn borrow((name, rows, grads): NamedArgs<'py>, table: &Bound<'py, PyAny>) -> PyResult<Self> {
        let table = table.cast::<numpy::PyUntypedArray>()?.shape().to_vec();
        let [size, row @ ..] = table.as_slice() else {
            return Err(PyValueError::new_err(format!("{name}: got a 0-d array, need a table of rows")));
        };
        let rows = Rows::borrow(&rows, &name)?;
        let grads = reading(&grads, format_args!("the gradient of rows of {name}"))?;
        let &[count] = rows.shape() else {
            return Err(PyValueError::new_err(format!(
                "the rows of {name}: got shape {:?}, need one dimension",
                rows.shape()
            )));
        };
        let want = [&[count], row].concat();
        if grads.shape() != want {
            return Err(PyValueError::new_err(format!(
                "the gradient of rows of {name}: got shape {:?}, need {want:?}, a gradient for each row",
                grads.shape()
            )));
        }
        let shape = (*size, row.iter().product());
        Ok(Self { name, rows, grads, shape })
    }

    fn given(&self) -> Given<'_, T> {
        Given { rows: self.rows.slice(), grads: self.grads.elements(), shape: self.shape }
    }

    fn refuse(&self, error: &OutOfRange) -> PyErr {
        refuse(&self.name, error)
    }
}

fn refuse(name: &str, error: &OutOfRange) -> PyErr {
    PyValueError::new_err(format!("the rows of {name}: {error}"))
}

/// A table, its rule and the rows that step, borrowed.
struct Stepped<'py, T: Element> {
    job: Job<'py, T>,
    w: Writing<'py, T>,
    state: Vec<Writing<'py, T>>,
    numbers: Option<Writing<'py, T>>,
    steps: Option<Writing<'py, i64>>,
    average: Option<Writing<'py, T>>,
    rule: Rule,
    t: u64,
    around: Around<T>,
}

impl<'py, T: Real + Element> Stepped<'py, T> {
    fn borrow(
        named: NamedArgs<'py>,
        table: TableArgs<'py>,
        (rule, hyper): RuleArgs<'py>,
        options: &Options,
    ) -> PyResult<Self> {
        let (w, state, per_row, average) = table;
        let hyper = Hyper(hyper);
        let rule = parse(&hyper, &rule)?;
        let job = Job::borrow(named, &w)?;
        let name = &job.name;
        let w = writing::<T>(&w, name)?;
        let state = state.iter().map(|s| writing::<T>(s, format_args!("the state of {name}")));
        let state = state.collect::<PyResult<Vec<_>>>()?;
        let average =
            average.as_ref().map(|a| writing::<T>(a, format_args!("the average of {name}"))).transpose()?;
        let (mut numbers, mut steps) = (None, None);
        let of_rows = format!("the state of rows of {name}");
        match (&rule, &per_row) {
            (Rule::RowwiseAdaGrad(_), Some(array)) => numbers = Some(writing(array, &of_rows)?),
            (Rule::AdamByRows(_), Some(array)) => steps = Some(writing(array, &of_rows)?),
            (Rule::RowwiseAdaGrad(_) | Rule::AdamByRows(_), None) | (_, Some(_)) => {
                return Err(PyValueError::new_err(format!("{of_rows}: this rule needs another")));
            }
            (_, None) => {}
        }
        let (size, want) = (job.shape.0, rule.states().len());
        let sizes = [numbers.as_ref().map(|a| a.elements().len()), steps.as_ref().map(|a| a.elements().len())];
        if state.len() != want
            || state.iter().chain(&average).any(|s| s.shape() != w.shape())
            || sizes.into_iter().flatten().any(|n| n != size)
        {
            return Err(PyValueError::new_err(format!(
                "the state of {name}: need {want} arrays of shape {:?}, and one value for each row where there is one",
                w.shape()
            )));
        }
        let t = hyper.get("step")?;
        if t == 0 {
            return Err(PyValueError::new_err("step: got 0, need a count from 1"));
        }
        let sign = if hyper.get("maximize")? { -1.0 } else { 1.0 };
        let coefficient = hyper.get::<f64>("coefficient")?;
        let limit = hyper.get::<Option<f64>>("clip_value")?.unwrap_or(f64::INFINITY);
        let frame = Frame {
            gradient: Gradient {
                scale: T::from_f64(sign * coefficient / options.grad_scale),
                limit: T::from_f64(limit),
                weight_decay: T::from_f64(hyper.get("weight_decay")?),
            },
            keep: T::from_f64(hyper.get("keep")?),
            cautious: (options.cautious == Cautious::Mask).then_some(T::ONE),
            skip: options.guard == Guard::Element,
        };
        let around = Around::new(frame, options.average, options.flush, first_moments(rule.states()));
        Ok(Self { rule, t, around, job, w, state, numbers, steps, average })
    }

    fn slices(&mut self) -> Slices<'_, T> {
        let name = &self.job.name;
        let mut state: [&mut [T]; MAX_STATE] = Default::default();
        for (slot, array) in state.iter_mut().zip(&mut self.state) {
            *slot = array.elements_mut();
        }
        let per_row = match (&mut self.numbers, &mut self.steps) {
            (Some(array), _) => PerRow::Number(array.elements_mut()),
            (_, Some(array)) => PerRow::Steps(array.elements_mut()),
            _ => PerRow::Nothing(self.job.shape.0),
        };
        let average = self.average.as_mut().map(Writing::elements_mut).unwrap_or_default();
        Slices {
            name,
            rule: self.rule,
            t: self.t,
            around: self.around,
            arrays: (self.w.elements_mut(), state, per_row, average),
            given: self.job.given(),
        }
    }
}

/// What is left when everything is checked but the rows themselves.
struct Slices<'a, T> {
    name: &'a str,
    rule: Rule,
    t: u64,
    around: Around<T>,
    arrays: Arrays<'a, T>,
    given: Given<'a, T>,
}

impl<'a, T: Real> Slices<'a, T> {
    fn sorted(self, exec: &Exec, duplicates: Duplicates) -> Result<(Self, Named<'a, T>), (&'a str, OutOfRange)> {
        let named = self.given.sorted(exec, duplicates).map_err(|e| (self.name, e))?;
        Ok((self, named))
    }

    fn step(self, exec: &Exec, named: &Named<'_, T>) -> u64 {
        let noticed = self.rule.step(exec, self.t, self.around, self.arrays, named);
        if noticed { self.given.not_finite() } else { 0 }
    }
}

/// The rule of that name for rows.
fn parse(hyper: &Hyper<'_>, name: &str) -> PyResult<Rule> {
    let dense = match name {
        "rowwise_adagrad" => "adagrad",
        "adam_by_rows" => "adam",
        _ => name,
    };
    Ok(match (name, hyper.rule(dense)?) {
        ("rowwise_adagrad", rules::Rule::AdaGrad(r)) => Rule::RowwiseAdaGrad(r),
        ("adam_by_rows", rules::Rule::Adam(r)) => Rule::AdamByRows(r),
        (_, rule) if rule.has_rows() => Rule::Each(rule),
        (name, _) => return Err(PyValueError::new_err(format!("rule: got {name:?}, which has no rows"))),
    })
}
