//! What memory allows: the bandwidth that a kernel stands beside, measured in the same run and on as many threads.
//!
//! Two ways to move memory, and the better one is the limit. A copy reads one array and writes another; where the C
//! library does not stream, the processor also reads each line that it is about to overwrite, and that is not counted. A
//! loop that reads w, g and the state and writes w and the state back has the mix of a kernel, and no arithmetic to wait
//! for but an addition.

use fourstep::isa::{Kernel, Level};
use fourstep::pool;
use fourstep::real::Real;
use fourstep::rule::MAX_STATE;

use crate::cases::Arrays;

/// Copies `from` to `to`: one memcpy for each thread.
pub fn copy<T: Real>(threads: usize, from: &[T], to: &mut [T]) {
    let piece = to.len().div_ceil(threads);
    let mut pieces: Vec<_> = to.chunks_mut(piece).zip(from.chunks(piece)).collect();
    pool::for_each(threads, &mut pieces, |(to, from)| to.copy_from_slice(from));
}

/// Adds g to w and to the first `states` state buffers: one loop for each thread.
pub fn plain<T: Real>(level: Level, threads: usize, states: usize, arrays: &mut Arrays<T>) {
    let piece = arrays.w.len().div_ceil(threads);
    let mut rest = arrays.state.each_mut().map(|s| s.chunks_mut(piece));
    let mut pieces: Vec<_> = (arrays.w.chunks_mut(piece))
        .zip(arrays.g.chunks(piece))
        .map(|(w, g)| (w, g, rest.each_mut().map(|chunks| chunks.next().unwrap_or_default())))
        .collect();
    pool::for_each(threads, &mut pieces, |(w, g, state)| {
        let [a, b, ..] = state;
        match states {
            0 => level.run(Plain { g, written: [w] }),
            1 => level.run(Plain { g, written: [w, a] }),
            2 => level.run(Plain { g, written: [w, a, b] }),
            _ => panic!("{states} state buffers: no measured rule has as many ({MAX_STATE} is the most of any)"),
        }
    });
}

struct Plain<'a, T, const W: usize> {
    g: &'a [T],
    written: [&'a mut [T]; W],
}

impl<T: Real, const W: usize> Kernel for Plain<'_, T, W> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        let n = self.g.len();
        let mut written = self.written.map(
            #[inline(always)]
            |w| &mut w[..n],
        );
        for i in 0..n {
            for w in &mut written {
                w[i] = w[i] + self.g[i];
            }
        }
    }
}
