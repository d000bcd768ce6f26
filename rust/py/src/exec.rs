//! How a call runs, as Python says it.

use fourstep::exec::{Exec, ExecError};
use fourstep::isa::Level;
use fourstep::threads::{self, ThreadsSource};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

/// `(level, threads, chunk, serial_below)`, each `None` for the default.
pub(crate) type ExecArgs = (Option<String>, Option<usize>, Option<usize>, Option<usize>);

/// The execution that `args` ask for, over what the environment says.
pub(crate) fn resolve((level, threads, chunk, serial_below): ExecArgs) -> PyResult<Exec> {
    let mut exec = Exec::current().map_err(|e| environment_error(&e))?;
    if let Some(name) = level {
        exec.level = Level::named(&name).map_err(|e| PyRuntimeError::new_err(e.to_string()))?;
    }
    if let Some(n) = threads {
        exec.threads = threads::check("num_threads", n).map_err(|e| PyValueError::new_err(e.to_string()))?;
    }
    exec.chunk = chunk.unwrap_or(exec.chunk).max(1);
    exec.serial_below = serial_below.unwrap_or(exec.serial_below);
    Ok(exec)
}

fn environment_error(error: &ExecError) -> PyErr {
    match error {
        ExecError::Isa(_) => PyRuntimeError::new_err(error.to_string()),
        ExecError::Threads(_) => PyValueError::new_err(error.to_string()),
    }
}

type Runtime = (&'static str, String, Vec<&'static str>, usize, String, &'static str);

/// `(level, why, available levels, threads, why, version)` of this process.
#[pyfunction]
pub(crate) fn runtime() -> PyResult<Runtime> {
    let exec = Exec::current().map_err(|e| environment_error(&e))?;
    let (threads, source) = threads::count_and_source().map_err(|e| PyValueError::new_err(e.to_string()))?;
    let forced = Level::current_and_forced().is_ok_and(|(_, forced)| forced);
    let why_level = if forced {
        format!("{}={}", fourstep::isa::VARIABLE, exec.level)
    } else {
        "the best that this CPU has".to_owned()
    };
    let why_threads = match source {
        ThreadsSource::Call => "set_num_threads".to_owned(),
        ThreadsSource::Variable(name) => format!("{name}={threads}"),
        ThreadsSource::Available => "the CPUs that this process may use".to_owned(),
    };
    let available = Level::available().into_iter().map(Level::name).collect();
    Ok((exec.level.name(), why_level, available, threads, why_threads, env!("CARGO_PKG_VERSION")))
}

/// Uses `n` threads from the next call on; 0 goes back to the default.
#[pyfunction]
pub(crate) fn set_num_threads(n: usize) -> PyResult<()> {
    threads::set(n).map_err(|e| PyValueError::new_err(e.to_string()))
}
