//! Memory that calls in progress use, by address: what one of them writes, nothing else may touch.
//!
//! A call takes out a loan for each of its arrays before it lets go of the interpreter, and gives it back at its end. Where
//! an array lies decides, not which object owns the memory: two arrays over one buffer, from wherever they come, are known
//! to overlap. A loan is refused, never waited for.
//!
//! A call has a dozen arrays, and few calls run at a time: the last loans are a short list, looked at one by one. Where there
//! are more, the older ones are in sorted lists, each at least twice as long as the next one, with the furthest end up to each
//! place: one search in each finds whether any loan might reach into a range, also where those that are read overlap; and a
//! loan is sorted again only when a list as long as its own has come: log n times.
//!
//! A forked child has none of its parent's other threads, which never give back: it starts without loans.

use std::sync::{Mutex, MutexGuard, PoisonError};

use fourstep::pool;

/// Loans that are looked at one by one.
const RECENT: usize = 64;

/// Where an array lies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its first byte.
    pub(crate) start: usize,
    /// Behind its last byte.
    pub(crate) end: usize,
    /// Bytes from one row to the next where rows lie apart, else 0; and of a row: another array of such rows may lie between.
    pub(crate) step: usize,
    pub(crate) width: usize,
}

#[derive(Clone, Copy)]
struct Run {
    place: Place,
    gone: bool,
    /// The furthest end of this one and all before it in its list.
    reach: usize,
}

struct Runs {
    recent: Vec<Run>,
    lists: Vec<List>,
}

/// Loans in the order of where they start.
struct List {
    runs: Vec<Run>,
    /// How many were given back.
    gone: usize,
}

struct InUse {
    /// Of the process that took these loans out.
    generation: usize,
    read: Runs,
    written: Runs,
}

static IN_USE: Mutex<InUse> = Mutex::new(InUse::none(0));

/// Memory that one call may read, or write, until this is dropped.
pub(crate) struct Loan {
    place: Place,
    written: bool,
}

impl Loan {
    /// That of a place; `None` if it is in use. Readers share.
    pub(crate) fn new(place: Place, written: bool) -> Option<Self> {
        if place.start < place.end {
            let mut in_use = in_use();
            if in_use.written.touch(place) || written && in_use.read.touch(place) {
                return None;
            }
            in_use.runs(written).insert(place);
        }
        Some(Self { place, written })
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if self.place.start < self.place.end {
            in_use().runs(self.written).remove(self.place);
        }
    }
}

/// Held for a moment, and never while Python runs: so a fork, which Python does, leaves it open.
fn in_use() -> MutexGuard<'static, InUse> {
    let mut in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
    let generation = pool::generation();
    if in_use.generation != generation {
        *in_use = InUse::none(generation);
    }
    in_use
}

impl InUse {
    const fn none(generation: usize) -> Self {
        Self { generation, read: Runs::NONE, written: Runs::NONE }
    }

    fn runs(&mut self, written: bool) -> &mut Runs {
        if written { &mut self.written } else { &mut self.read }
    }
}

impl Place {
    fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end && !self.lies_between(other)
    }

    /// Whether both are rows as far apart, and those of each lie between those of the other.
    fn lies_between(self, other: Self) -> bool {
        let step = self.step;
        step > 0 && step == other.step && {
            let ahead = (other.start % step + step - self.start % step) % step;
            ahead >= self.width && (step - ahead) % step >= other.width
        }
    }
}

impl Run {
    fn overlaps(&self, place: Place) -> bool {
        !self.gone && self.place.overlaps(place)
    }
}

impl Runs {
    const NONE: Self = Self { recent: Vec::new(), lists: Vec::new() };

    fn touch(&self, place: Place) -> bool {
        self.recent.iter().any(|run| run.overlaps(place)) || self.lists.iter().any(|list| list.touches(place))
    }

    fn insert(&mut self, place: Place) {
        if self.recent.len() == RECENT {
            self.sort();
        }
        self.recent.push(Run { place, gone: false, reach: 0 });
    }

    /// Empties `recent` into a list, with those lists that are no longer than it.
    fn sort(&mut self) {
        let mut runs = std::mem::take(&mut self.recent);
        while let Some(mut shorter) = self.lists.pop_if(|list| list.runs.len() < 2 * runs.len()) {
            shorter.runs.retain(|run| !run.gone);
            runs.append(&mut shorter.runs);
        }
        self.lists.push(List::new(runs));
    }

    fn remove(&mut self, place: Place) {
        if let Some(at) = self.recent.iter().position(|run| run.place == place) {
            self.recent.swap_remove(at);
        } else if self.lists.iter_mut().any(|list| list.remove(place)) {
            self.lists.retain(|list| list.gone < list.runs.len());
        }
    }
}

impl List {
    fn new(mut runs: Vec<Run>) -> Self {
        runs.sort_by_key(|run| run.place.start);
        let mut reach = 0;
        for run in &mut runs {
            reach = reach.max(run.place.end);
            run.reach = reach;
        }
        Self { runs, gone: 0 }
    }

    fn touches(&self, place: Place) -> bool {
        let before = &self.runs[..self.runs.partition_point(|run| run.place.start < place.end)];
        // `reach` is what it was before some were given back.
        before.last().is_some_and(|run| run.reach > place.start) && before.iter().any(|run| run.overlaps(place))
    }

    /// Whether it was here.
    fn remove(&mut self, place: Place) -> bool {
        let first = self.runs.partition_point(|run| run.place.start < place.start);
        let same = self.runs[first..].iter_mut().take_while(|run| run.place.start == place.start);
        let Some(run) = same.into_iter().find(|run| !run.gone && run.place == place) else { return false };
        run.gone = true;
        self.gone += 1;
        true
    }
}
