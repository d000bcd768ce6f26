//! How one call runs: at which level, on how many threads, in which pieces.
//!
//! None of these changes a bit of a result. Tests set all four, so that short arrays reach every path.

use crate::isa::{IsaError, Level};
use crate::threads::{self, ThreadsError};

/// Elements of one piece of elementwise work: a multiple of every vector width, and of 64 bytes, whatever the dtype.
pub const CHUNK: usize = 1 << 14;

/// Below this many elements a call stays on the caller's thread: waking a helper costs more than it saves.
///
/// Adam in `f32`, in µs on one thread and on two (group `handover` of `cargo bench`, AMD EPYC, AVX-512, November 2026): 16 Ki
/// elements 2.3 and 2.5, 64 Ki 9.7 and 5.7, 256 Ki 46.9 and 26.6, 1 Mi 181 and 105. That is with a helper that is awake;
/// waking one costs more.
pub const SERIAL_BELOW: usize = 1 << 16;

/// How one call runs.
#[derive(Clone, Copy, Debug)]
pub struct Exec {
    /// The instruction level.
    pub level: Level,
    /// How many threads may work, the caller's included.
    pub threads: usize,
    /// Elements of one piece of elementwise work.
    pub chunk: usize,
    /// Below this many elements the call is serial.
    pub serial_below: usize,
}

/// A setting of the environment that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExecError {
    /// The level.
    Isa(IsaError),
    /// The number of threads.
    Threads(ThreadsError),
}

impl std::fmt::Display for ExecError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Isa(e) => e.fmt(f),
            Self::Threads(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for ExecError {}

impl Exec {
    /// What the environment and [`threads::set`] ask for.
    pub fn current() -> Result<Self, ExecError> {
        Ok(Self {
            level: Level::current().map_err(ExecError::Isa)?,
            threads: threads::count().map_err(ExecError::Threads)?,
            chunk: CHUNK,
            serial_below: SERIAL_BELOW,
        })
    }

    /// Threads for work over `elements`: one below the serial threshold.
    #[must_use]
    pub fn threads_for(&self, elements: usize) -> usize {
        if elements < self.serial_below { 1 } else { self.threads }
    }
}
