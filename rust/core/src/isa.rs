//! Instruction levels: detection, override, and one body compiled for each. This is unsafe room 1.
//!
//! | level | registers | x86-64 features that it uses, each one checked |
//! |---|---|---|
//! | `baseline` | 128 bits | what the target guarantees (SSE2 on x86-64, NEON on aarch64) |
//! | `v3` | 256 bits | AVX2, BMI1, BMI2 |
//! | `v4` | 512 bits | those and AVX-512 F, BW, CD, DQ, VL |
//!
//! A kernel is written once, as an `#[inline(always)]` body behind [`Kernel`]; [`Level::run`] calls it through a shell
//! that has the level's target features, and LLVM vectorises it there. FMA is left out of every level on purpose: no
//! compiler can contract `a * b + c` with an instruction that it does not have.
//!
//! Owning a [`Level`] is the proof that the CPU has it: the only ways to one are detection and a checked name.

use std::fmt;
use std::sync::OnceLock;

/// The environment variable that picks a level by name.
pub const VARIABLE: &str = "FOURSTEP_ISA";

/// A computation to be compiled once for each level.
pub trait Kernel {
    /// What it returns.
    type Out;
    /// The body. Implementations, and all that they call, must be `#[inline(always)]`: what is not inlined into the
    /// level's shell is compiled for the baseline.
    fn run(self) -> Self::Out;
}

/// An instruction level that this CPU has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Level(Name);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Name {
    Baseline,
    V3,
    V4,
}

const NAMES: [(&str, Name); 3] = [("baseline", Name::Baseline), ("v3", Name::V3), ("v4", Name::V4)];

/// Why a level cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum IsaError {
    /// No level has this name.
    Unknown(String),
    /// The CPU lacks these features of the level.
    Missing(&'static str, Vec<&'static str>),
}

impl fmt::Display for IsaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => {
                write!(f, "{VARIABLE}: unknown level {name:?}; it is one of baseline, v3, v4")
            }
            Self::Missing(name, features) => write!(
                f,
                "{VARIABLE}: this CPU cannot run level {name:?}: it lacks {}; the best level that it has is {}",
                features.join(", "),
                Level::detect()
            ),
        }
    }
}

impl std::error::Error for IsaError {}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Level {
    /// What every CPU of the target has.
    pub const BASELINE: Self = Self(Name::Baseline);

    /// The level called `name`, if this CPU has every feature of it.
    pub fn named(name: &str) -> Result<Self, IsaError> {
        let &(name, level) =
            NAMES.iter().find(|(n, _)| *n == name).ok_or_else(|| IsaError::Unknown(name.to_owned()))?;
        let missing = missing(level);
        if missing.is_empty() { Ok(Self(level)) } else { Err(IsaError::Missing(name, missing)) }
    }

    /// The best level of this CPU.
    #[must_use]
    pub fn detect() -> Self {
        *Self::available().last().unwrap_or(&Self::BASELINE)
    }

    /// Every level of this CPU, lowest first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        NAMES.iter().filter(|(_, level)| missing(*level).is_empty()).map(|(_, level)| Self(*level)).collect()
    }

    /// The level to use: `FOURSTEP_ISA` if it is set, else the best one. Read once, at first use.
    pub fn current() -> Result<Self, IsaError> {
        Self::current_and_forced().map(|(level, _)| level)
    }

    /// The level to use, and whether `FOURSTEP_ISA` says so.
    pub fn current_and_forced() -> Result<(Self, bool), IsaError> {
        static CURRENT: OnceLock<Result<(Level, bool), IsaError>> = OnceLock::new();
        CURRENT
            .get_or_init(|| match std::env::var_os(VARIABLE) {
                Some(name) if !name.is_empty() => Self::named(&name.to_string_lossy()).map(|level| (level, true)),
                _ => Ok((Self::detect(), false)),
            })
            .clone()
    }

    /// `baseline`, `v3` or `v4`.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES[self.0 as usize].0
    }

    /// Runs the body as compiled for this level.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Out {
        match self.0 {
            Name::Baseline => kernel.run(),
            #[cfg(target_arch = "x86_64")]
            #[allow(unsafe_code, reason = "the one call of a shell; its features were detected")]
            // SAFETY: a `Level` above the baseline is built only after each feature of the shell was detected.
            Name::V3 => unsafe { shell::v3(kernel) },
            #[cfg(target_arch = "x86_64")]
            #[allow(unsafe_code, reason = "the one call of a shell; its features were detected")]
            // SAFETY: as above.
            Name::V4 => unsafe { shell::v4(kernel) },
            #[cfg(not(target_arch = "x86_64"))]
            _ => kernel.run(),
        }
    }
}

/// Asks for the cache line of `x[at]`, which will be read soon; nothing where there is no such element.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub fn prefetch<T>(x: &[T], at: usize) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    if let Some(element) = x.get(at) {
        #[allow(unsafe_code, reason = "the instruction has no safe form on this toolchain")]
        // SAFETY: SSE is part of x86-64, and a prefetch never faults, nor reads or writes what the program sees.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(element).cast());
        }
    }
}

/// Asks for the cache line of `x[at]`: not on this architecture.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub fn prefetch<T>(_: &[T], _: usize) {}

#[cfg(target_arch = "x86_64")]
mod shell {
    use super::Kernel;

    #[target_feature(enable = "avx2,bmi1,bmi2")]
    pub(super) fn v3<K: Kernel>(kernel: K) -> K::Out {
        kernel.run()
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,avx512f,avx512bw,avx512cd,avx512dq,avx512vl")]
    pub(super) fn v4<K: Kernel>(kernel: K) -> K::Out {
        kernel.run()
    }
}

/// The features of `level` that this CPU lacks.
#[cfg(target_arch = "x86_64")]
fn missing(level: Name) -> Vec<&'static str> {
    macro_rules! lacks {
        ($($feature:tt),*) => { [$(($feature, is_x86_feature_detected!($feature))),*] };
    }
    let v3 = lacks!("avx2", "bmi1", "bmi2");
    let v4 = lacks!("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl");
    let needed = v3.iter().filter(|_| level >= Name::V3).chain(v4.iter().filter(|_| level >= Name::V4));
    needed.filter(|(_, has)| !has).map(|(feature, _)| *feature).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn missing(level: Name) -> Vec<&'static str> {
    if level == Name::Baseline { Vec::new() } else { vec!["x86-64"] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn baseline_is_always_there_and_first() {
        assert_eq!(Level::available()[0], Level::BASELINE, "every CPU has the baseline");
        assert_eq!(Level::named("baseline"), Ok(Level::BASELINE), "by name");
    }

    #[test]
    fn the_forced_level_can_run() {
        let level = Level::current().unwrap_or_else(|e| panic!("{e}"));
        assert!(Level::available().contains(&level), "{level}");
    }

    #[test]
    fn an_unknown_level_is_named_with_its_variable() {
        let error = Level::named("v9").unwrap_err().to_string();
        assert!(error.contains("FOURSTEP_ISA") && error.contains("v9") && error.contains("baseline"), "{error}");
    }

    #[test]
    fn a_missing_level_lists_what_is_missing() {
        let error = IsaError::Missing("v4", vec!["avx512f"]).to_string();
        assert!(error.contains("FOURSTEP_ISA") && error.contains("avx512f"), "{error}");
    }
}
