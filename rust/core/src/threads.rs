//! How many threads a call may use: what [`set`] was given, else the environment, else what this process may run on.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The environment variables that set the number of threads, first one set wins.
pub const VARIABLES: [&str; 2] = ["FOURSTEP_NUM_THREADS", "RAYON_NUM_THREADS"];

/// The most threads that can be asked for.
pub const MAX_THREADS: usize = 256;

/// A thread count outside 1..=[`MAX_THREADS`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ThreadsError {
    /// Who asked: a variable's or an argument's name.
    pub source: &'static str,
    /// What was asked for.
    pub got: String,
}

impl fmt::Display for ThreadsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: got {:?}, need a whole number from 1 to {MAX_THREADS}", self.source, self.got)
    }
}

impl std::error::Error for ThreadsError {}

/// What [`set`] was given; 0 = nothing yet.
static CHOSEN: AtomicUsize = AtomicUsize::new(0);

/// Where the number of threads comes from, for `runtime()`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ThreadsSource {
    /// [`set`] was called.
    Call,
    /// This variable.
    Variable(&'static str),
    /// What the operating system lets this process use.
    Available,
}

/// The number of threads to use, and who says so.
pub fn count_and_source() -> Result<(usize, ThreadsSource), ThreadsError> {
    static DEFAULT: OnceLock<Result<(usize, ThreadsSource), ThreadsError>> = OnceLock::new();
    match CHOSEN.load(Ordering::Relaxed) {
        0 => DEFAULT.get_or_init(default_threads).clone(),
        n => Ok((n, ThreadsSource::Call)),
    }
}

/// The number of threads to use.
pub fn count() -> Result<usize, ThreadsError> {
    count_and_source().map(|(n, _)| n)
}

fn default_threads() -> Result<(usize, ThreadsSource), ThreadsError> {
    for name in VARIABLES {
        if let Some(text) = std::env::var_os(name)
            && !text.is_empty()
        {
            let text = text.to_string_lossy().into_owned();
            let n = text.parse().map_err(|_| ThreadsError { source: name, got: text })?;
            // rayon reads 0 as "choose for me".
            if n == 0 && name == "RAYON_NUM_THREADS" {
                continue;
            }
            return check(name, n).map(|n| (n, ThreadsSource::Variable(name)));
        }
    }
    let n = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
    Ok((n, ThreadsSource::Available))
}

/// `n`, if it is a thread count that can be used.
pub fn check(source: &'static str, n: usize) -> Result<usize, ThreadsError> {
    if (1..=MAX_THREADS).contains(&n) { Ok(n) } else { Err(ThreadsError { source, got: n.to_string() }) }
}

/// Uses `n` threads from the next call on; 0 goes back to the default.
pub fn set(n: usize) -> Result<(), ThreadsError> {
    if n != 0 {
        check("num_threads", n)?;
    }
    CHOSEN.store(n, Ordering::Relaxed);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_out_of_range_names_its_source() {
        for n in [0, MAX_THREADS + 1] {
            let error = check("FOURSTEP_NUM_THREADS", n).unwrap_err().to_string();
            assert!(error.contains("FOURSTEP_NUM_THREADS") && error.contains(&n.to_string()), "{error}");
        }
    }
}
