//! The four steps of every optimizer, exact AUC and batch normalisation: pure Rust, knows nothing of Python.
//!
//! | room | what lives there |
//! |---|---|
//! | [`real`] | the dtype seam: what a kernel may do with an `f32` or `f64` |
//! | [`isa`] | instruction levels: detection, override, one body compiled for each (unsafe room 1) |
//! | [`threads`] | how many threads a call may use |
//! | [`pool`] | our own threads: lazy, quick to start, fork-aware (unsafe room 2) |
//! | `pages` | large buffers on huge pages (unsafe room 3) |
//! | [`exec`] | how one call runs: level, threads, chunk length, serial threshold |
//! | [`lanes`] | reductions over fixed virtual lanes |
//! | [`elementary`] | exp, ln, ln(1 + x), softplus, the logistic function, without a C library |
//! | [`activations`] | ELU, SiLU, GELU and the slopes of what is made of exp, in those alone |
//! | [`coefficients`] | β^t and the other scalars, in `f64`, without a C library |
//! | [`rule`] | the four-step trait and the one loop |
//! | `narrow` | the one loop over state in fewer bits |
//! | [`pass`] | what else a pass does: decoding, averages, copies, counts; how it is split over threads |
//! | [`measure`] | a dry run of a rule that sums over its steps: norms before anything is written |
//! | [`segment`] | what a pass runs over: parameters, gradient, state and what else hangs on them |
//! | [`coding`] | bfloat16 and 8-bit blocks, an element at a time |
//! | [`random`] | random numbers for rounding |
//! | [`store`] | how a buffer is stored: in full, as bfloat16, as 8-bit blocks |
//! | [`rules`] | one rule family a file |
//! | [`rows`] | the same steps over some rows of a table |
//! | [`norm`] | batch normalisation |
//! | [`layers`] | table look-ups and random masks |
//! | [`metrics`] | AUC, grouped AUC, confusion counts, log loss |
//!
//! Three promises hold throughout. An elementwise kernel gives the same bits at every level, thread count and
//! chunking. A reduction gives the same bits at every level and thread count. Nothing here allocates for each element.
#![deny(unsafe_code)]

pub mod activations;
pub mod coding;
pub mod coefficients;
pub mod elementary;
pub mod exec;
pub mod isa;
pub mod lanes;
pub mod layers;
pub mod measure;
pub mod metrics;
pub(crate) mod narrow;
pub mod norm;
pub(crate) mod pages;
pub mod pass;
pub mod pool;
pub mod random;
pub mod real;
pub mod rows;
pub mod rule;
pub mod rules;
pub mod segment;
pub mod store;
pub mod threads;

#[cfg(test)]
mod naive;
