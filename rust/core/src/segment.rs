//! What a pass runs over: a stretch of one parameter with its gradient, its state, and what else hangs on it.

use std::ops::Range;

use crate::coding::from_half;
use crate::isa::Level;
use crate::lanes;
use crate::real::Real;
use crate::rule::MAX_STATE;
use crate::store::Store;

/// Sums of one block of [`lanes::BLOCK`] elements: Σg², Σw² before, Σ(Δw)², and how many gradients are not finite.
pub type Sums = [f64; 4];

/// The gradient of a run of elements.
#[derive(Debug)]
pub enum Grad<'a, T> {
    /// Only read.
    Read(&'a [T]),
    /// Read, and set to 0 if the pass says so.
    Write(&'a mut [T]),
    /// bfloat16, only read.
    ReadHalf(&'a [u16]),
    /// bfloat16, read, and set to 0 if the pass says so.
    WriteHalf(&'a mut [u16]),
}

impl<'a, T: Real> Grad<'a, T> {
    /// Elements.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Read(g) => g.len(),
            Self::Write(g) => g.len(),
            Self::ReadHalf(g) => g.len(),
            Self::WriteHalf(g) => g.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn is_full(&self) -> bool {
        matches!(self, Self::Read(_) | Self::Write(_))
    }

    fn split(self, at: usize) -> (Self, Self) {
        match self {
            Self::Read(g) => {
                let (a, b) = g.split_at(at);
                (Self::Read(a), Self::Read(b))
            }
            Self::Write(g) => {
                let (a, b) = g.split_at_mut(at);
                (Self::Write(a), Self::Write(b))
            }
            Self::ReadHalf(g) => {
                let (a, b) = g.split_at(at);
                (Self::ReadHalf(a), Self::ReadHalf(b))
            }
            Self::WriteHalf(g) => {
                let (a, b) = g.split_at_mut(at);
                (Self::WriteHalf(a), Self::WriteHalf(b))
            }
        }
    }

    /// The same gradient, borrowed for a shorter time.
    pub fn reborrow(&mut self) -> Grad<'_, T> {
        match self {
            Self::Read(g) => Grad::Read(g),
            Self::Write(g) => Grad::Write(g),
            Self::ReadHalf(g) => Grad::ReadHalf(g),
            Self::WriteHalf(g) => Grad::WriteHalf(g),
        }
    }

    /// Some of the elements in full: in place, or decoded into `scratch`.
    pub(crate) fn view<'s>(&'s self, range: Range<usize>, scratch: &'s mut [T]) -> &'s [T] {
        let halves = match self {
            Self::Read(g) => return &g[range],
            Self::Write(g) => return &g[range],
            Self::ReadHalf(g) => &g[range],
            Self::WriteHalf(g) => &g[range],
        };
        let to = &mut scratch[..halves.len()];
        for (to, &half) in to.iter_mut().zip(halves) {
            *to = T::from_f64(f64::from(from_half(half)));
        }
        to
    }

    /// Sets some of it to 0, where it may be written.
    pub fn zero(&mut self, range: Range<usize>) {
        match self {
            Self::Write(g) => g[range].fill(T::ZERO),
            Self::WriteHalf(g) => g[range].fill(0),
            Self::Read(_) | Self::ReadHalf(_) => {}
        }
    }
}

/// A run of elements of one array with its gradient and state; the unused buffers are empty.
#[derive(Debug)]
pub struct Segment<'a, T> {
    /// Parameters, updated in place.
    pub w: Store<'a, T>,
    /// Gradients.
    pub g: Grad<'a, T>,
    /// State buffers, in the rule's order.
    pub state: [Store<'a, T>; MAX_STATE],
    /// The moving average of w.
    pub average: &'a mut [T],
    /// w as bfloat16.
    pub copy: &'a mut [u16],
    /// What the pass saw, for each block of [`lanes::BLOCK`] elements.
    pub sums: &'a mut [Sums],
    /// g_t and η of each element, for those who watch.
    pub probe: [&'a mut [T]; 2],
    /// Which parameter this is, and which of its elements is the first here: for counts of what is not finite and for random numbers.
    pub origin: Origin,
}

/// Where a segment begins.
#[derive(Clone, Copy, Debug, Default)]
pub struct Origin {
    /// The parameter, in the caller's count.
    pub parameter: usize,
    /// The element of it.
    pub first: usize,
}

impl Origin {
    /// So many elements later.
    #[must_use]
    pub fn after(self, elements: usize) -> Self {
        Self { first: self.first + elements, ..self }
    }
}

impl<'a, T: Real> Segment<'a, T> {
    /// A run with gradient and state in full, and nothing else.
    #[must_use]
    pub fn new(w: &'a mut [T], g: &'a [T], state: [&'a mut [T]; MAX_STATE]) -> Self {
        Self {
            w: Store::Full(w),
            g: Grad::Read(g),
            state: state.map(Store::Full),
            average: &mut [],
            copy: &mut [],
            sums: &mut [],
            probe: Default::default(),
            origin: Origin::default(),
        }
    }

    /// Elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.w.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The two parts of `self`, cut before element `at`: between blocks, where something is kept by block.
    #[must_use]
    pub fn split(self, at: usize) -> (Self, Self) {
        let (w0, w1) = self.w.split(at);
        let (g0, g1) = self.g.split(at);
        let mut state = (<[Store<'a, T>; MAX_STATE]>::default(), <[Store<'a, T>; MAX_STATE]>::default());
        for (k, s) in self.state.into_iter().enumerate() {
            (state.0[k], state.1[k]) = s.split(at);
        }
        let (average0, average1) = self.average.split_at_mut(at.min(self.average.len()));
        let (copy0, copy1) = self.copy.split_at_mut(at.min(self.copy.len()));
        let [(seen0, seen1), (eta0, eta1)] = self.probe.map(|p| {
            let at = at.min(p.len());
            p.split_at_mut(at)
        });
        let (sums0, sums1) = self.sums.split_at_mut(at.div_ceil(lanes::BLOCK).min(self.sums.len()));
        let origin = self.origin.after(at);
        (
            Self {
                w: w0,
                g: g0,
                state: state.0,
                average: average0,
                copy: copy0,
                sums: sums0,
                probe: [seen0, eta0],
                origin: self.origin,
            },
            Self {
                w: w1,
                g: g1,
                state: state.1,
                average: average1,
                copy: copy1,
                sums: sums1,
                probe: [seen1, eta1],
                origin,
            },
        )
    }

    /// The same run with only these of its state buffers, in this order.
    #[must_use]
    pub fn with_state(mut self, which: &[usize]) -> Self {
        let mut state: [Store<'a, T>; MAX_STATE] = Default::default();
        for (slot, &k) in state.iter_mut().zip(which) {
            *slot = std::mem::take(&mut self.state[k]);
        }
        Self { state, ..self }
    }

    /// The same run, borrowed for a shorter time.
    pub fn reborrow(&mut self) -> Segment<'_, T> {
        Segment {
            w: self.w.reborrow(),
            g: self.g.reborrow(),
            state: self.state.each_mut().map(Store::reborrow),
            average: self.average,
            copy: self.copy,
            sums: self.sums,
            probe: self.probe.each_mut().map(|p| &mut **p),
            origin: self.origin,
        }
    }

    /// Whether everything is stored as it is computed.
    pub(crate) fn is_full(&self) -> bool {
        self.w.is_full() && self.g.is_full() && self.state.iter().all(Store::is_full)
    }

    /// Whether nothing but the loop is to be done, of which only the state may be stored in fewer bits.
    pub(crate) fn is_alone(&self) -> bool {
        let nothing =
            self.average.is_empty() && self.copy.is_empty() && self.sums.is_empty() && self.probe[0].is_empty();
        nothing && self.w.is_full() && self.g.is_full()
    }

    /// Whether, besides, all state is stored as it is computed.
    pub(crate) fn is_bare(&self) -> bool {
        self.is_alone() && self.state.iter().all(Store::is_full)
    }

    /// Gives the elements of a range in full to `f`: w, g and the first `states` state buffers. For those who only read.
    pub(crate) fn read<R>(
        &self,
        level: Level,
        range: Range<usize>,
        states: usize,
        f: impl FnOnce(&[T], &[T], [&[T]; MAX_STATE]) -> R,
    ) -> R {
        let mut scratch = vec![vec![T::ZERO; range.len()]; if self.is_full() { 0 } else { states + 2 }];
        let mut scratch = scratch.iter_mut().map(Vec::as_mut_slice);
        let mut next = || scratch.next().unwrap_or_default();
        let w = self.w.view(level, range.clone(), next());
        let g = self.g.view(range.clone(), next());
        let mut state: [&[T]; MAX_STATE] = Default::default();
        for (view, store) in state.iter_mut().zip(&self.state).take(states) {
            *view = store.view(level, range.clone(), next());
        }
        f(w, g, state)
    }

    pub(crate) fn check(&self, states: usize) {
        let n = self.len();
        assert_eq!(self.g.len(), n, "a gradient has the length of its parameters");
        assert!(
            self.state[..states].iter().all(|b| b.len() == n),
            "a state buffer has the length of its parameters"
        );
        for (what, len) in
            [("average", self.average.len()), ("copy", self.copy.len()), ("probe", self.probe[0].len())]
        {
            assert!(len == 0 || len == n, "the {what} has the length of its parameters");
        }
        let blocks = self.sums.len();
        assert!(blocks == 0 || blocks == n.div_ceil(lanes::BLOCK), "there are sums for each block");
    }
}
