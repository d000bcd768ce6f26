//! Every rule × dtype × dim × duplicates × level × threads gives the bits of a loop over the rows as they were named, with
//! the one-line oracles of `naive.rs` for the elements.

use super::rules::PerRow;
use super::*;
use crate::isa::Level;
use crate::naive;
use crate::rule::Gradient;
use crate::rules::adagrad::AdaGrad;
use crate::rules::adam::Adam;
use crate::rules::sgd::{Form, Momentum, Sgd};
use crate::rules::{self};

const SIZE: usize = 23;

const NONE: [bool; MAX_STATE] = [false; MAX_STATE];

/// One of each rule and option; a new rule is a new line.
fn all_rules() -> Vec<Rule> {
    let momentum = |form| {
        let rule = Momentum { lr: 0.03, momentum: 0.9, dampening: 0.0, form };
        Rule::Each(rules::Rule::Momentum { rule, first: false })
    };
    let adagrad = |eps_inside| AdaGrad { lr: 0.1, lr_decay: 1e-3, eps: 1e-10, eps_inside };
    let adam = Adam::new(1e-3, 0.9, 0.999, 1e-8);
    let each = Rule::Each;
    vec![
        each(rules::Rule::Sgd(Sgd { lr: 0.03 })),
        momentum(Form::Torch),
        momentum(Form::Ema),
        momentum(Form::LrInside),
        momentum(Form::Nesterov),
        each(rules::Rule::AdaGrad(adagrad(false))),
        Rule::RowwiseAdaGrad(adagrad(false)),
        Rule::RowwiseAdaGrad(adagrad(true)),
        each(rules::Rule::Adam(adam)),
        Rule::AdamByRows(adam),
    ]
}

fn sgd() -> Rule {
    Rule::Each(rules::Rule::Sgd(Sgd { lr: 1.0 }))
}

fn noise<T: Real>(seed: u64, n: usize) -> Vec<T> {
    let mut state = seed.wrapping_mul(2) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
    };
    (0..n + 9).map(|_| T::from_f64(next())).skip(9).collect()
}

#[derive(Clone, PartialEq, Debug)]
struct Arrays<T> {
    w: Vec<T>,
    state: [Vec<T>; MAX_STATE],
    number: Vec<T>,
    steps: Vec<i64>,
    average: Vec<T>,
}

impl<T: Real> Arrays<T> {
    fn new(dim: usize) -> Self {
        Self {
            w: noise(1, SIZE * dim),
            state: std::array::from_fn(|_| vec![T::ZERO; SIZE * dim]),
            number: vec![T::ZERO; SIZE],
            steps: vec![0; SIZE],
            average: noise(2, SIZE * dim),
        }
    }

    fn run(&mut self, exec: &Exec, rule: &Rule, t: u64, around: Around<T>, named: &Named<'_, T>) {
        let state = self.state.each_mut().map(Vec::as_mut_slice);
        let per_row = match rule {
            Rule::RowwiseAdaGrad(_) => PerRow::Number(&mut self.number),
            Rule::AdamByRows(_) => PerRow::Steps(&mut self.steps),
            _ => PerRow::Nothing(SIZE),
        };
        let _ = rule.step(exec, t, around, (&mut self.w, state, per_row, &mut self.average), named);
    }

    /// One row takes one step.
    fn row(&mut self, rule: &Rule, t: u64, around: Around<T>, row: usize, g: &[T]) {
        let t = if let Rule::AdamByRows(_) = rule { self.steps[row] as u64 + 1 } else { t };
        let places = row * g.len()..(row + 1) * g.len();
        let dense = match *rule {
            Rule::Each(rule) => Some(rule),
            Rule::AdamByRows(r) => Some(rules::Rule::Adam(r)),
            Rule::RowwiseAdaGrad(r) => {
                self.rowwise(r, t, around, row, g);
                None
            }
        };
        for (i, &g) in places.clone().zip(g) {
            if let Some(dense) = dense {
                let state = self.state.each_ref().map(|s| s[i]);
                let (w, state) = naive::step(&dense, t, around.frame, self.w[i], g, state);
                self.w[i] = w;
                let firsts = around.first_moments;
                for ((s, x), first) in self.state.iter_mut().zip(state).zip(firsts) {
                    s[i] = if around.flush { x.flushed(first) } else { x };
                }
            }
        }
        for i in places {
            let [d, rest] = around.average;
            self.average[i] = d * self.average[i] + rest * self.w[i];
        }
        if let Rule::AdamByRows(_) = rule {
            self.steps[row] += 1;
        }
    }

    fn rowwise(&mut self, r: AdaGrad, t: u64, around: Around<T>, row: usize, raw: &[T]) {
        let w = &mut self.w[row * raw.len()..(row + 1) * raw.len()];
        let g: Vec<T> = w.iter().zip(raw).map(|(&w, &g)| around.frame.gradient.of(w, g)).collect();
        let exec = Exec { level: Level::BASELINE, threads: 1, chunk: 16, serial_below: 0 };
        let squares = crate::lanes::sum_of_squares(&exec, &g);
        let v = self.number[row] + T::from_f64(squares / g.len() as f64);
        let v = if around.flush { v.flushed(false) } else { v };
        self.number[row] = v;
        let eps = T::from_f64(r.eps);
        let root = if r.eps_inside { (v + eps).sqrt() } else { v.sqrt() + eps };
        let lr = T::from_f64(r.lr / (1.0 + (t - 1) as f64 * r.lr_decay));
        for (w, g) in w.iter_mut().zip(g) {
            let eta = lr * g / root;
            let agrees = around.frame.cautious.is_none() || eta * g > T::ZERO;
            *w = around.frame.keep * *w - if agrees { eta } else { T::ZERO };
        }
    }
}

/// Nothing around the steps, and everything.
fn all_around<T: Real>() -> [Around<T>; 2] {
    let gradient = Gradient { scale: T::from_f64(-0.7), limit: T::from_f64(0.2), weight_decay: T::from_f64(0.01) };
    let frame = Frame { gradient, keep: T::from_f64(0.99), cautious: Some(T::ONE), skip: true };
    [Around::new(Frame::plain(), 0.9, false, NONE), Around::new(frame, 0.5, true, [true, false, true, false])]
}

fn same_bits<T: Real>() {
    let named: [&[i32]; 5] = [&[], &[4], &[0, 3, 4, 9, 22], &[22, 3, 22, 0, 3, 22, 5, 17], &[9; 40]];
    for dim in [1, 2, 3, 4, 15, 16, 17, 32, 37, 5000] {
        for (rule, around) in all_rules().iter().flat_map(|r| all_around().map(|around| (r, around))) {
            for duplicates in [Duplicates::Sum, Duplicates::InOrder] {
                let mut want = Arrays::<T>::new(dim);
                let grads: Vec<Vec<T>> = named.iter().map(|r| noise(7 + r.len() as u64, r.len() * dim)).collect();
                for (t, (rows, grads)) in (1..).zip(named.iter().zip(&grads)) {
                    for row in 0..SIZE {
                        let mine = rows.iter().zip(grads.chunks(dim)).filter(|(r, _)| **r as usize == row);
                        let mine: Vec<&[T]> = mine.map(|(_, g)| g).collect();
                        match (duplicates, mine.split_first()) {
                            (_, None) => {}
                            (Duplicates::InOrder, _) => {
                                mine.iter().for_each(|g| want.row(rule, t, around, row, g));
                            }
                            (Duplicates::Sum, Some((first, rest))) => {
                                let mut sum = first.to_vec();
                                let add = |(a, &b): (&mut T, &T)| *a = *a + b;
                                rest.iter().for_each(|g| sum.iter_mut().zip(*g).for_each(add));
                                want.row(rule, t, around, row, &sum);
                            }
                        }
                    }
                }
                let levels = if dim == 5000 { vec![Level::detect()] } else { Level::available() };
                for (level, threads) in levels.into_iter().flat_map(|l| [1, 2, 3, 7].map(|n| (l, n))) {
                    let exec = Exec { level, threads, chunk: 2 * dim, serial_below: 0 };
                    for measured in [false, true] {
                        let mut got = Arrays::<T>::new(dim);
                        for (t, (rows, grads)) in (1..).zip(named.iter().zip(&grads)) {
                            let named = Named::new(&exec, rows, grads, (SIZE, dim), duplicates).unwrap();
                            let named = if measured { named.measured(&exec, false).0 } else { named };
                            got.run(&exec, rule, t, around, &named);
                        }
                        let what = format!("{rule:?} {} dim {dim}, {duplicates:?}", T::NAME);
                        assert!(got == want, "{what}, {level} on {threads} threads, measured: {measured}");
                    }
                }
            }
        }
    }
}

#[test]
fn same_bits_f32() {
    same_bits::<f32>();
}

#[test]
fn same_bits_f64() {
    same_bits::<f64>();
}

#[test]
fn only_named_rows_decay_and_average() {
    let exec = Exec { level: Level::detect(), threads: 2, chunk: 1, serial_below: 0 };
    let mut arrays = Arrays::<f64>::new(2);
    let before = arrays.clone();
    let named = Named::new(&exec, &[3i64, 1], &[0.0; 4], (SIZE, 2), Duplicates::Sum).unwrap();
    let around = Around::new(Frame { keep: 0.5, ..Frame::plain() }, 0.0, false, NONE);
    arrays.run(&exec, &sgd(), 1, around, &named);
    for i in 0..SIZE * 2 {
        let touched = matches!(i / 2, 1 | 3);
        assert_eq!(arrays.w[i], if touched { 0.5 * before.w[i] } else { before.w[i] }, "element {i}");
        assert_eq!(arrays.average[i], if touched { arrays.w[i] } else { before.average[i] }, "average {i}");
    }
}

#[test]
fn a_gradient_that_is_not_finite_is_noticed_and_can_be_left_out() {
    let exec = Exec { level: Level::detect(), threads: 1, chunk: 1, serial_below: 0 };
    for (rule, dim) in all_rules().iter().flat_map(|r| [1, 4, 16, 37].map(|dim| (r, dim))) {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut grads = noise::<f32>(5, 2 * dim);
            grads[2 * dim - 1] = bad;
            let run = |grads: &[f32], skip| {
                let mut arrays = Arrays::<f32>::new(dim);
                let around = Around::new(Frame { skip, ..Frame::plain() }, 0.9, false, NONE);
                let named = Named::new(&exec, &[2i32, 9], grads, (SIZE, dim), Duplicates::Sum).unwrap();
                let state = arrays.state.each_mut().map(Vec::as_mut_slice);
                let per_row = match rule {
                    Rule::RowwiseAdaGrad(_) => PerRow::Number(&mut arrays.number),
                    Rule::AdamByRows(_) => PerRow::Steps(&mut arrays.steps),
                    _ => PerRow::Nothing(SIZE),
                };
                let noticed = rule.step(&exec, 1, around, (&mut arrays.w, state, per_row, &mut []), &named);
                (noticed, arrays)
            };
            assert!(run(&grads, false).0, "{rule:?} notices {bad} in the last of {dim}");
            let (noticed, arrays) = run(&grads, true);
            assert!(noticed, "also where it is left out");
            let last = 10 * dim - 1;
            assert_eq!(arrays.w[last], Arrays::<f32>::new(dim).w[last], "{rule:?}: left alone");
            assert!(arrays.w.iter().all(|x| x.is_finite()), "{rule:?}: nothing else is spoilt");
            grads[2 * dim - 1] = 1.0;
            assert!(!run(&grads, false).0, "{rule:?}: finite");
        }
    }
}

#[test]
fn every_row_of_a_large_table_is_stepped_once_whatever_the_threads() {
    let (size, dim) = (10_000, 5);
    let mut rows: Vec<u32> = (0..size as u32).map(|i| i * 7919 % size as u32).collect();
    rows.extend_from_slice(&[17; 300]);
    let grads = noise::<f32>(3, rows.len() * dim);
    let run = |threads| {
        let exec = Exec { level: Level::detect(), threads, chunk: 16, serial_below: 0 };
        let mut w = vec![0.0f32; size * dim];
        let named = Named::new(&exec, &rows, &grads, (size, dim), Duplicates::Sum).unwrap();
        let around = Around::new(Frame::plain(), 0.0, false, NONE);
        let table = (w.as_mut_slice(), Default::default(), PerRow::Nothing(size), Default::default());
        sgd().step(&exec, 1, around, table, &named);
        w
    };
    let serial = run(1);
    assert_eq!(serial[7919 * dim], -grads[dim], "the second row named");
    for threads in [2, 3, 7] {
        assert!(run(threads) == serial, "{threads} threads");
    }
}
