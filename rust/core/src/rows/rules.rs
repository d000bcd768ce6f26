//! The rules that can step rows alone, and the two that look at a row as a whole.
//!
//! ```text
//! rowwise AdaGrad    V_r ← V_r + mean(g_r²)           one number a row; FBGEMM's convention: the mean, not the sum
//!                    η = α_t · g / (√V_r + ε)
//! Adam by rows       t_r ← t_r + 1, then Adam with t = t_r
//! ```
//!
//! The mean is folded over fixed lanes (`lanes.rs`) in `f64`, and rounded once.

use super::{Around, Each, Named, RowRule, Table, step};
use crate::exec::Exec;
use crate::lanes;
use crate::real::Real;
use crate::rule::{FourStep, Frame, MAX_STATE};
use crate::rules;
use crate::rules::adagrad::AdaGrad;
use crate::rules::adam::Adam;
use crate::rules::epsilon::Epsilon;
use crate::rules::triple::{MomentOverRoot, Root, Visitor};

/// A rule for rows, with its hyper-parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Rule {
    /// A rule of single elements that has rows; steps are counted for the table.
    Each(rules::Rule),
    /// AdaGrad with one V for each row, in the table's own dtype.
    RowwiseAdaGrad(AdaGrad),
    /// Adam without AMSGrad; steps are counted for each row.
    AdamByRows(Adam),
}

/// What a table keeps once for each row.
#[derive(Debug)]
pub enum PerRow<'a, T> {
    /// Nothing, of this many rows.
    Nothing(usize),
    /// A number.
    Number(&'a mut [T]),
    /// Steps.
    Steps(&'a mut [i64]),
}

/// A table: its parameters, their state, what it keeps for each row, and the moving average or nothing.
pub type Arrays<'a, T> = (&'a mut [T], [&'a mut [T]; MAX_STATE], PerRow<'a, T>, &'a mut [T]);

impl Rule {
    /// The names of the state buffers that have an element for each parameter, in the order of a [`Table`].
    #[must_use]
    pub fn states(&self) -> &'static [&'static str] {
        match self {
            Self::Each(rule) => rule.states(),
            Self::RowwiseAdaGrad(_) => &[],
            Self::AdamByRows(_) => &["exp_avg", "exp_avg_sq"],
        }
    }

    /// Takes step `t` of the table, counted from 1, over the rows that `named` names. Gives whether some gradient is not
    /// finite.
    ///
    /// # Panics
    /// When `per_row` is not what this rule keeps.
    pub fn step<T: Real>(
        &self,
        exec: &Exec,
        t: u64,
        around: Around<T>,
        table: Arrays<'_, T>,
        named: &Named<'_, T>,
    ) -> bool {
        let (w, state, per_row, average) = table;
        match (self, per_row) {
            (Self::RowwiseAdaGrad(r), PerRow::Number(rows)) => {
                step(exec, RowwiseAdaGrad::at(r, t), around, Table { w, state, rows, average }, named)
            }
            (Self::AdamByRows(r), PerRow::Steps(rows)) => {
                step(exec, AdamByRows::new(*r), around, Table { w, state, rows, average }, named)
            }
            (Self::Each(rule), PerRow::Nothing(rows)) => {
                // No memory: its elements have no size.
                let table = Table { w, state, rows: &mut vec![(); rows], average };
                rule.visit_rows(t, Step { exec, around, table, named })
            }
            (rule, _) => panic!("{rule:?} keeps something else for each row"),
        }
    }
}

/// A step over rows by whichever kernel it is.
struct Step<'a, 'b, T: Clone> {
    exec: &'a Exec,
    around: Around<T>,
    table: Table<'a, T, ()>,
    named: &'a Named<'b, T>,
}

impl<T: Real> Visitor<T> for Step<'_, '_, T> {
    type Out = bool;

    fn with<R: FourStep<T, S>, const S: usize>(self, rule: R) -> bool {
        step(self.exec, Each(rule), self.around, self.table, self.named)
    }
}

/// The coefficients of one step of rowwise AdaGrad.
#[derive(Clone, Copy, Debug)]
struct RowwiseAdaGrad<T> {
    lr: T,
    root: Root<T>,
}

impl<T: Real> RowwiseAdaGrad<T> {
    fn at(rule: &AdaGrad, t: u64) -> Self {
        Self {
            lr: T::from_f64(rule.rate(t)),
            root: Epsilon::placed(rule.eps, rule.eps_inside).over(1.0).rounded(),
        }
    }
}

impl<T: Real> RowRule<T, 0> for RowwiseAdaGrad<T> {
    type Row = T;
    type Rule = Divided<T>;

    #[inline(always)]
    fn of_row(&mut self, around: Around<T>, w: &[T], g: &[T], v: &mut T) -> Divided<T> {
        *v = *v + T::from_f64(sum_of_squares(around.frame, w, g) / g.len() as f64);
        if around.flush {
            *v = v.flushed(false);
        }
        Divided { lr: self.lr, root: self.root.of(*v) }
    }
}

/// η = α·g / root.
#[derive(Clone, Copy, Debug)]
struct Divided<T> {
    lr: T,
    root: T,
}

impl<T: Real> FourStep<T, 0> for Divided<T> {
    #[inline(always)]
    fn moments(self, _: T, _: T, state: [T; 0]) -> [T; 0] {
        state
    }

    #[inline(always)]
    fn direction(self, _: T, g: T, _: &mut [T; 0]) -> T {
        (self.lr * g) / self.root
    }
}

/// Σg² after step 1, of the elements that step, folded as `lanes.rs` does.
#[inline(always)]
fn sum_of_squares<T: Real>(frame: Frame<T>, w: &[T], g: &[T]) -> f64 {
    if g.len() <= lanes::BLOCK {
        return block_of_squares(frame, w, g);
    }
    let blocks = w.chunks(lanes::BLOCK).zip(g.chunks(lanes::BLOCK));
    let sums: Vec<f64> = blocks
        .map(
            #[inline(always)]
            |(w, g)| block_of_squares(frame, w, g),
        )
        .collect();
    lanes::pairwise(&sums)
}

#[inline(always)]
fn block_of_squares<T: Real>(frame: Frame<T>, w: &[T], g: &[T]) -> f64 {
    let mut sums = [0.0; lanes::LANES];
    let (w32, w1) = w.as_chunks::<{ lanes::LANES }>();
    let (g32, g1) = g.as_chunks::<{ lanes::LANES }>();
    for (w, g) in w32.iter().zip(g32) {
        for i in 0..lanes::LANES {
            sums[i] += square(frame, w[i], g[i]);
        }
    }
    for (sum, (&w, &g)) in sums.iter_mut().zip(w1.iter().zip(g1)) {
        *sum += square(frame, w, g);
    }
    lanes::fold(sums)
}

/// g² of one element after step 1; 0 where the element is left alone.
#[inline(always)]
fn square<T: Real>(frame: Frame<T>, w: T, raw: T) -> f64 {
    let x = frame.gradient.of(w, raw).to_f64();
    if frame.skip && !raw.is_finite() { 0.0 } else { x * x }
}

/// Steps of which the coefficients are remembered: rows that were touched as often share them.
const REMEMBERED: usize = 64;

/// Adam with the number of steps that each row has taken.
#[derive(Clone, Copy, Debug)]
struct AdamByRows<T> {
    rule: Adam,
    /// (t, coefficients) at place t mod [`REMEMBERED`].
    known: [(i64, MomentOverRoot<T>); REMEMBERED],
}

impl<T: Real> AdamByRows<T> {
    fn new(rule: Adam) -> Self {
        Self { rule, known: [(1, Self::at(rule, 1)); REMEMBERED] }
    }

    fn at(rule: Adam, t: i64) -> MomentOverRoot<T> {
        let triple = Adam { amsgrad: None, ..rule }.composed().at(t as u64);
        triple.moment_over_root().unwrap_or_else(|| unreachable!("Adam divides m by the root of v"))
    }
}

impl<T: Real> RowRule<T, 2> for AdamByRows<T> {
    type Row = i64;
    type Rule = MomentOverRoot<T>;

    #[inline(always)]
    fn of_row(&mut self, _: Around<T>, _: &[T], _: &[T], t: &mut i64) -> MomentOverRoot<T> {
        *t += 1;
        let (known, coefficients) = &mut self.known[*t as usize % REMEMBERED];
        if *known != *t {
            (*known, *coefficients) = (*t, Self::at(self.rule, *t));
        }
        *coefficients
    }
}
