//! What layers need beside matrix products: table look-ups with their gradient, and random masks.
//!
//! | file | what it holds |
//! |---|---|
//! | [`embedding`] | rows of a table by index, and their gradient |
//! | [`dropout`] | a random mask that is a function of (seed, step, position) |

pub mod dropout;
pub mod embedding;
