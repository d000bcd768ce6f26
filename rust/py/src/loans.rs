//! Memory that calls in progress use, by address: what one of them writes, nothing else may touch.
//!
//! A call takes out a loan for each of its arrays before it lets go of the interpreter, and gives it back at its end. Where
//! an array lies decides, not which object owns the memory: two arrays over one buffer, from wherever they come, are known
//! to overlap. A loan is refused, never waited for.
//!
//! A call has a dozen arrays, and few calls run at a time: the last loans are a short list, looked at one by one. Where there
//! are more, the older ones are kept in order of where they start, each with the furthest end up to it: one search finds
//! whether any of them might reach into a range, also where those that are read overlap.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Loans that are looked at one by one.
const RECENT: usize = 64;

#[derive(Clone, Copy)]
struct Run {
    start: usize,
    /// 0: it was given back.
    end: usize,
    /// The furthest end of this one and all before, in the order of `Runs::sorted`.
    reach: usize,
}

struct Runs {
    recent: Vec<Run>,
    sorted: Vec<Run>,
    /// How many of `sorted` were given back.
    gone: usize,
}

struct InUse {
    read: Runs,
    written: Runs,
}

static IN_USE: Mutex<InUse> = Mutex::new(InUse { read: Runs::NONE, written: Runs::NONE });

/// Memory that one call may read, or write, until this is dropped.
pub(crate) struct Loan {
    start: usize,
    end: usize,
    written: bool,
}

impl Loan {
    /// The bytes from `start` to before `end`; `None` if they are in use. Readers share.
    pub(crate) fn new(start: usize, end: usize, written: bool) -> Option<Self> {
        if start < end {
            let mut in_use = in_use();
            if in_use.written.reach_into(start, end) || written && in_use.read.reach_into(start, end) {
                return None;
            }
            in_use.runs(written).insert(start, end);
        }
        Some(Self { start, end, written })
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if self.start < self.end {
            in_use().runs(self.written).remove(self.start, self.end);
        }
    }
}

/// Held for nanoseconds, and never while Python runs.
fn in_use() -> MutexGuard<'static, InUse> {
    IN_USE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl InUse {
    fn runs(&mut self, written: bool) -> &mut Runs {
        if written { &mut self.written } else { &mut self.read }
    }
}

impl Run {
    fn overlaps(&self, start: usize, end: usize) -> bool {
        self.start < end && start < self.end
    }
}

impl Runs {
    const NONE: Self = Self { recent: Vec::new(), sorted: Vec::new(), gone: 0 };

    fn reach_into(&self, start: usize, end: usize) -> bool {
        let overlap = |runs: &[Run]| runs.iter().any(|run| run.overlaps(start, end));
        let before = &self.sorted[..self.sorted.partition_point(|run| run.start < end)];
        // `reach` is what it was before some were given back.
        overlap(&self.recent) || before.last().is_some_and(|run| run.reach > start) && overlap(before)
    }

    fn insert(&mut self, start: usize, end: usize) {
        if self.recent.len() == RECENT {
            self.sort();
        }
        self.recent.push(Run { start, end, reach: 0 });
    }

    /// Empties `recent`.
    fn sort(&mut self) {
        self.sorted.retain(|run| run.end > 0);
        self.sorted.append(&mut self.recent);
        self.sorted.sort_by_key(|run| run.start);
        self.gone = 0;
        let mut reach = 0;
        for run in &mut self.sorted {
            reach = reach.max(run.end);
            run.reach = reach;
        }
    }

    fn remove(&mut self, start: usize, end: usize) {
        let is = |run: &Run| (run.start, run.end) == (start, end);
        if let Some(at) = self.recent.iter().position(is) {
            self.recent.swap_remove(at);
            return;
        }
        let first = self.sorted.partition_point(|run| run.start < start);
        if let Some(run) = self.sorted[first..].iter_mut().find(|run| is(run)) {
            run.end = 0;
            self.gone += 1;
        }
        if self.gone == self.sorted.len() {
            self.sorted.clear();
            self.gone = 0;
        }
    }
}
