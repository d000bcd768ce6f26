//! Shared pieces of the benchmarks: the rules and their arrays, the naive rung of the ladder, the limit.
//!
//! | room | what lives there |
//! |---|---|
//! | [`cases`] | the table of rules, and the arrays that a step moves |
//! | [`naive`] | the textbook's scalar loop: the first rung, and the answer that every other rung must give |
//! | [`limit`] | what memory allows: memcpy, and a plain loop with the kernel's own mix of reads and writes |

pub mod cases;
pub mod limit;
pub mod naive;
