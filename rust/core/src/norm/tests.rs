//! Batch normalisation against a one-value-at-a-time fold and the formulas in plain `f64`, and against itself in other layouts,
//! at other levels and thread counts.

use super::*;
use crate::exec::Exec;
use crate::isa::Level;
use proptest::prelude::*;

const EPS: f64 = 1e-5;
const ACTIVATIONS: [Activation; 3] = [Activation::Identity, Activation::Relu, Activation::LeakyRelu(0.1)];

fn noise<E: Element>(n: usize, mean: f64, seed: u32) -> Vec<E> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        mean + 4.0 * (f64::from(state) / f64::from(u32::MAX) - 0.5)
    };
    (0..n).map(|_| E::store(E::Real::from_f64(next()))).collect()
}

fn exec(level: Level, threads: usize) -> Exec {
    Exec { level, threads, chunk: 100, serial_below: 0 }
}

fn best() -> Exec {
    exec(Level::detect(), 2)
}

fn shape(samples: usize, channels: usize, space: usize) -> Shape {
    Shape { samples, channels, space }
}

/// The values of each channel, by position.
fn channels_of<E: Element>(shape: Shape, x: &[E]) -> Vec<Vec<f64>> {
    let Shape { samples, channels, space } = shape;
    let at = |n: usize, c: usize, s: usize| x[(n * channels + c) * space + s].load().to_f64();
    (0..channels)
        .map(|c| (0..samples).flat_map(|n| (0..space).map(move |s| (n, s))).map(|(n, s)| at(n, c, s)).collect())
        .collect()
}

/// The same array with channels last, and its shape.
fn channels_last<E: Element>(shape: Shape, x: &[E]) -> (Shape, Vec<E>) {
    let Shape { samples, channels, space } = shape;
    let mut last = vec![E::default(); x.len()];
    for (i, v) in x.iter().enumerate() {
        let (n, c, s) = (i / space / channels, i / space % channels, i % space);
        last[(n * space + s) * channels + c] = *v;
    }
    (Shape { samples: samples * space, channels, space: 1 }, last)
}

/// The fold as its page says it, one value at a time.
fn naive_sums(terms: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let blocks = terms.chunks(2048).map(|block| {
        let strand = 8 * block.len().div_ceil(32);
        let mut lanes = [[0.0; 2]; 32];
        for (i, term) in block.iter().enumerate() {
            let lane = &mut lanes[i / strand * 8 + i % strand % 8];
            *lane = [lane[0] + term[0], lane[1] + term[1]];
        }
        for half in [16, 8, 4, 2, 1] {
            for i in 0..half {
                let high = lanes[i + half];
                lanes[i] = [lanes[i][0] + high[0], lanes[i][1] + high[1]];
            }
        }
        lanes[0]
    });
    blocks.collect()
}

fn naive_moments(x: &[f64]) -> (f64, Moments) {
    let mut parts: Vec<_> = x
        .chunks(2048)
        .map(|block| {
            let n = block.len() as f64;
            let terms: Vec<_> = block.iter().map(|v| v - block[0]).map(|d| [d, d * d]).collect();
            let [sum, squares] = naive_sums(&terms)[0];
            (n, [block[0] + sum / n, (squares - sum * (sum / n)).max(0.0)])
        })
        .collect();
    while parts.len() > 1 {
        let merged = parts.chunks(2).map(|pair| match *pair {
            [(n_a, a), (n_b, b)] => (n_a + n_b, moments::merge(n_a, a, n_b, b)),
            [one] => one,
            _ => unreachable!("chunks of two"),
        });
        parts = merged.collect();
    }
    parts[0]
}

const SHAPES: [(usize, usize, usize); 21] = [
    (2, 1, 1),
    (3, 5, 1),
    (33, 15, 1),
    (33, 16, 1),
    (64, 31, 1),
    (257, 70, 1),
    (2049, 3, 1),
    (2 * 2048 + 5, 18, 1),
    (9000, 2, 1),
    (1, 2, 2),
    (3, 4, 3),
    (5, 7, 16),
    (50, 3, 49),
    (7, 2, 1000),
    (1, 3, 5000),
    (3, 1, 2048),
    (9, 2, 999),
    (1, 257, 130),
    (2, 530, 70),
    (3, 17, 700),
    (2, 2100, 17),
];

#[test]
fn statistics_are_those_of_the_naive_fold() {
    for (samples, channels, space) in SHAPES {
        let shape = shape(samples, channels, space);
        let x = noise::<f32>(shape.len(), 3.0, 1);
        let got = moments(&best(), shape, &x);
        for (got, x) in got.iter().zip(channels_of(shape, &x)) {
            let (_, want) = naive_moments(&x);
            assert_eq!(got.map(f64::to_bits), want.map(f64::to_bits), "{shape:?}: {got:?} {want:?}");
        }
    }
}

#[test]
fn statistics_of_rows_of_any_number_and_width_are_those_of_the_naive_fold() {
    let rows = (2..70).chain(127..131).chain(511..516).chain(2047..2051).chain([4097]);
    let widths = [16, 17, 31, 32, 33, 255, 256, 257, 300, 513, 1100];
    for (i, samples) in rows.enumerate() {
        // Three widths for each, so that all come with short and long blocks.
        for channels in [0, 3, 7].map(|k| widths[(i + k) % widths.len()]) {
            let shape = shape(samples, channels, 1);
            let x = noise::<f32>(shape.len(), 3.0, 1);
            let want: Vec<_> =
                channels_of(shape, &x).iter().map(|x| naive_moments(x).1.map(f64::to_bits)).collect();
            for (level, threads) in Level::available().into_iter().zip([3, 7, 1]) {
                let got = moments(&exec(level, threads), shape, &x);
                let got: Vec<_> = got.iter().map(|m| m.map(f64::to_bits)).collect();
                assert!(got == want, "{shape:?} at {level} on {threads} threads");
            }
        }
    }
}

/// All that a forward and a backward pass write.
struct Everything<E: Element> {
    mean: Vec<f64>,
    var: Vec<f64>,
    invstd: Vec<f64>,
    running_mean: Vec<E::Real>,
    running_var: Vec<E::Real>,
    y: Vec<E>,
    dx: Vec<E>,
    dweight: Vec<E::Real>,
    dbias: Vec<E::Real>,
}

impl<E: Element> Everything<E> {
    /// Of each channel, and of each value.
    fn bits(&self) -> (Vec<u64>, [Vec<u64>; 2]) {
        let wide = [&self.mean, &self.var, &self.invstd].into_iter().flatten().map(|v| v.to_bits());
        let own = [&self.running_mean, &self.running_var, &self.dweight, &self.dbias];
        let channels = wide.chain(own.into_iter().flatten().map(|v| v.bits())).collect();
        (channels, [&self.y, &self.dx].map(|v| v.iter().map(|v| v.load().bits()).collect()))
    }
}

fn run<E: Element>(
    exec: &Exec,
    shape: Shape,
    (x, dy): (&[E], &[E]),
    activation: Activation,
    training: bool,
    in_place: bool,
) -> Everything<E> {
    let channels = shape.channels;
    let weight = noise::<E>(channels, 1.0, 3).into_iter().map(E::load).collect::<Vec<_>>();
    let bias = noise::<E>(channels, 0.5, 4).into_iter().map(E::load).collect::<Vec<_>>();
    let mut all = Everything {
        mean: vec![0.0; channels],
        var: vec![0.0; channels],
        invstd: vec![0.0; channels],
        running_mean: noise::<E>(channels, 0.0, 5).into_iter().map(E::load).collect(),
        running_var: noise::<E>(channels, 3.0, 6).into_iter().map(E::load).collect(),
        y: if in_place { x.to_vec() } else { vec![E::default(); x.len()] },
        dx: vec![E::default(); x.len()],
        dweight: vec![E::Real::ONE; channels],
        dbias: vec![E::Real::ONE; channels],
    };
    let affine = Affine { weight: Some(&weight[..]), bias: Some(&bias[..]) };
    let mut statistics = Statistics { mean: &mut all.mean, var: &mut all.var, invstd: &mut all.invstd };
    let forward = Forward { exec, shape, x: (!in_place).then_some(x), affine, eps: EPS, activation };
    if training {
        let (mean, var) = (&mut all.running_mean[..], &mut all.running_var[..]);
        let running = Running { mean, var, momentum: 0.1, unbiased: true };
        let done = forward.train(Some(running), NonFinite::Raise, &mut statistics, &mut all.y);
        assert_eq!(done, Ok(true), "finite values");
    } else {
        let running = (&all.running_mean[..], &all.running_var[..]);
        assert_eq!(forward.evaluate(running, true, &mut statistics, &mut all.y), Ok(()), "finite values");
    }
    let gradients = Gradients { x: &mut all.dx, weight: Some(&mut all.dweight), bias: Some(&mut all.dbias) };
    Backward { exec, shape, x, dy, affine, activation, frozen: !training }.run(&statistics, gradients);
    all
}

fn same_bits<E: Element>() {
    for (i, (samples, channels, space)) in SHAPES.into_iter().enumerate() {
        let shape = shape(samples, channels, space);
        let (x, dy) = (noise::<E>(shape.len(), 3.0, 1), noise::<E>(shape.len(), 0.1, 2));
        let (last, last_x) = channels_last(shape, &x);
        let (_, last_dy) = channels_last(shape, &dy);
        let activation = ACTIVATIONS[i % 3];
        for training in [true, false] {
            let want = run(&exec(Level::BASELINE, 1), shape, (&x, &dy), activation, training, false).bits();
            let want_last = want.1.each_ref().map(|v| {
                let values: Vec<_> = v.iter().map(|v| f64::from_bits(*v)).collect();
                channels_last(shape, &values).1.iter().map(|v| v.to_bits()).collect::<Vec<_>>()
            });
            for level in Level::available() {
                for threads in [1, 2, 3, 7] {
                    let exec = exec(level, threads);
                    let what = format!("{shape:?} {} at {level} on {threads} threads", E::NAME);
                    for in_place in [false, true] {
                        let got = run(&exec, shape, (&x, &dy), activation, training, in_place).bits();
                        assert!(got == want, "{what}, in place: {in_place}");
                    }
                    let got = run(&exec, last, (&last_x, &last_dy), activation, training, false).bits();
                    assert!(got.0 == want.0, "{what}, channels last");
                    assert!(got.1 == want_last, "{what}, values with channels last");
                }
            }
        }
    }
}

#[test]
fn every_layout_level_and_thread_count_gives_the_same_bits() {
    same_bits::<f32>();
    same_bits::<f64>();
    same_bits::<u16>();
}

/// The textbook formulas, in two passes of `f64`: y, dx, dγ, dβ of one channel.
fn textbook(x: &[f64], dy: &[f64], (weight, bias): (f64, f64), activation: Activation) -> [Vec<f64>; 4] {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let var = x.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
    let normal: Vec<f64> = x.iter().map(|v| (v - mean) / (var + EPS).sqrt()).collect();
    let z: Vec<f64> = normal.iter().map(|v| v * weight + bias).collect();
    let slope = |z: f64| match activation {
        Activation::LeakyRelu(slope) if z <= 0.0 => slope,
        Activation::Relu if z <= 0.0 => 0.0,
        _ => 1.0,
    };
    let dz: Vec<f64> = z.iter().zip(dy).map(|(z, dy)| dy * slope(*z)).collect();
    let dbias = dz.iter().sum::<f64>();
    let dweight = dz.iter().zip(&normal).map(|(a, b)| a * b).sum::<f64>();
    let dx =
        dz.iter().zip(&normal).map(|(dz, x)| weight / (var + EPS).sqrt() * (dz - dbias / n - x * dweight / n));
    [z.iter().map(|z| z * slope(*z)).collect(), dx.collect(), vec![1.0 + dweight], vec![1.0 + dbias]]
}

#[test]
fn training_is_the_textbook() {
    for (samples, channels, space) in SHAPES {
        let shape = shape(samples, channels, space);
        let (x, dy) = (noise::<f64>(shape.len(), 3.0, 1), noise::<f64>(shape.len(), 0.1, 2));
        let (weight, bias) = (noise::<f64>(channels, 1.0, 3), noise::<f64>(channels, 0.5, 4));
        for activation in ACTIVATIONS {
            let got = run(&best(), shape, (&x, &dy), activation, true, false);
            let [y, dx] = [&got.y, &got.dx].map(|v| channels_of(shape, v));
            let [x, dy] = [&x, &dy].map(|v| channels_of(shape, v));
            for c in 0..channels {
                let want = textbook(&x[c], &dy[c], (weight[c], bias[c]), activation);
                let (dweight, dbias) = (vec![got.dweight[c]], vec![got.dbias[c]]);
                for (got, want) in [&y[c], &dx[c], &dweight, &dbias].into_iter().zip(&want) {
                    let scale = want.iter().fold(1.0, |m: f64, v| m.max(v.abs()));
                    let worst = got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                    assert!(worst <= 1e-10 * scale, "{shape:?} {activation:?}: {worst} of {scale}");
                }
            }
        }
    }
}

fn bare<'a, E: Element>(exec: &'a Exec, shape: Shape, x: Option<&'a [E]>) -> Forward<'a, E> {
    let affine = Affine { weight: None, bias: None };
    Forward { exec, shape, x, affine, eps: EPS, activation: Activation::Identity }
}

/// Statistics of their own.
struct Own([Vec<f64>; 3]);

impl Own {
    fn new(channels: usize) -> Self {
        Self([(); 3].map(|()| vec![7.0; channels]))
    }

    fn lent(&mut self) -> Statistics<'_> {
        let [mean, var, invstd] = &mut self.0;
        Statistics { mean, var, invstd }
    }
}

#[test]
fn a_large_mean_costs_no_digits() {
    let n = 100_000;
    for mean in [1e4, 1e6] {
        let x = noise::<f32>(n, mean, 1);
        let wide: Vec<f64> = x.iter().map(|v| f64::from(*v)).collect();
        let mut y = vec![0.0; n];
        let done =
            bare(&best(), shape(n, 1, 1), Some(&x)).train(None, NonFinite::Raise, &mut Own::new(1).lent(), &mut y);
        assert_eq!(done, Ok(true), "finite values");
        let [want, ..] = textbook(&wide, &wide, (1.0, 0.0), Activation::Identity);
        let worst = y.iter().zip(&want).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
        assert!(worst <= 4e-7, "mean {mean}: {worst}");
    }
}

#[test]
fn a_constant_channel_comes_out_as_exactly_zero() {
    fn check<E: Element>(value: f64) {
        for (samples, space) in [(2, 1), (33, 1), (5000, 1), (3, 999)] {
            let x = vec![E::store(E::Real::from_f64(value)); samples * space];
            let mut y = noise::<E>(x.len(), 7.0, 1);
            let mut own = Own::new(1);
            let shape = shape(samples, 1, space);
            let done = bare(&best(), shape, Some(&x)).train(None, NonFinite::Raise, &mut own.lent(), &mut y);
            assert_eq!(done, Ok(true), "finite values");
            assert!(y.iter().all(|v| v.load() == E::Real::ZERO), "{} {value}, {shape:?}", E::NAME);
            assert_eq!(own.0[1], [0.0], "no variance");
        }
    }
    for value in [1e7, 0.1, -3e-5, 3e10] {
        check::<f32>(value);
        check::<f64>(value);
        check::<u16>(value);
    }
}

proptest! {
    /// The bound of the page on moments: an outlier at the front of a block enlarges rounding by no more than its length.
    #[test]
    fn the_shift_costs_no_more_than_the_bound(
        first in -1e30..1e30f64,
        rest in proptest::collection::vec(-1.0..1.0f64, 1..3000),
    ) {
        let x: Vec<f64> = std::iter::once(first).chain(rest).collect();
        let n = x.len() as f64;
        let [_, squares] = moments(&best(), shape(x.len(), 1, 1), &x)[0];
        let mean = x.iter().sum::<f64>() / n;
        let want: f64 = x.iter().map(|v| (v - mean) * (v - mean)).sum();
        prop_assert!((squares - want).abs() <= 5e-11 * want, "{squares} {want}");
    }
}

#[test]
fn what_is_not_finite_is_named_before_anything_is_written() {
    let shape = shape(40, 3, 60);
    for (bad, value) in [(f32::NAN, "nan"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        let mut x = noise::<f32>(shape.len(), 0.0, 1);
        let at = (25 * 3 + 2) * 60 + 7;
        for i in [at, (25 * 3) * 60 + 8, (39 * 3) * 60] {
            x[i] = bad;
        }
        let want = Refusal::NotFinite { count: 3, at, channel: 2, value };
        let (last, last_x) = channels_last(shape, &x);
        for (shape, x, at) in [(shape, &x, at), (last, &last_x, (25 * 60 + 7) * 3 + 2)] {
            let mut y = vec![7.0; x.len()];
            let (mut mean, mut var) = ([1.0_f32; 3], [2.0; 3]);
            let mut own = Own::new(3);
            let running = Running { mean: &mut mean, var: &mut var, momentum: 0.1, unbiased: true };
            let exec = best();
            let forward = bare(&exec, shape, Some(x));
            let error = forward.train(Some(running), NonFinite::Raise, &mut own.lent(), &mut y).unwrap_err();
            let want = match want.clone() {
                Refusal::NotFinite { count, channel, value, .. } => {
                    Refusal::NotFinite { count, at, channel, value }
                }
                other => other,
            };
            assert_eq!(error, want, "{error}");
            assert!(y.iter().all(|&v| v == 7.0) && mean == [1.0; 3] && var == [2.0; 3], "untouched");
            assert!(own.0.iter().flatten().all(|&v| v == 7.0), "untouched");
            let error = forward.evaluate((&mean, &var), true, &mut own.lent(), &mut y).unwrap_err();
            assert_eq!(error, want, "in evaluation: {error}");
            let mut y = x.clone();
            let in_place = bare(&exec, shape, None);
            let error = in_place.evaluate((&mean, &var), true, &mut own.lent(), &mut y).unwrap_err();
            assert_eq!(error, want, "in place: {error}");
            assert!(y.iter().zip(x).all(|(a, b)| a.to_bits() == b.to_bits()), "x is still there");
        }
    }
}

#[test]
fn what_is_not_finite_may_be_left_out_of_the_running_statistics_or_go_everywhere() {
    let shape = shape(4, 2, 5);
    let mut x = noise::<f32>(shape.len(), 0.0, 1);
    x[7] = f32::NAN;
    for (mode, moves) in [(NonFinite::SkipUpdate, false), (NonFinite::Propagate, true)] {
        let mut y = vec![7.0; x.len()];
        let (mut mean, mut var) = ([1.0_f32; 2], [2.0; 2]);
        let running = Running { mean: &mut mean, var: &mut var, momentum: 0.1, unbiased: true };
        let done = bare(&best(), shape, Some(&x)).train(Some(running), mode, &mut Own::new(2).lent(), &mut y);
        assert_eq!(done, Ok(false), "not all are finite");
        let y = channels_of(shape, &y);
        assert!(y[0].iter().all(|v| v.is_finite()) && y[1].iter().all(|v| v.is_nan()), "channel 1 is spoiled");
        assert_eq!(mean[1].is_nan() && var[1].is_nan(), moves, "{mode:?}");
        assert_eq!(mean[0] != 1.0 && var[0] != 2.0, moves, "{mode:?}");
    }
}

#[test]
fn the_running_variance_may_be_the_biased_one() {
    let x = [0.0, 2.0];
    for (unbiased, want) in [(true, 0.5 + 0.5 * 2.0), (false, 0.5 + 0.5 * 1.0)] {
        let (mut mean, mut var) = ([0.0], [1.0]);
        let running = Running { mean: &mut mean, var: &mut var, momentum: 0.5, unbiased };
        let forward = bare(&best(), shape(2, 1, 1), Some(&x)).train(
            Some(running),
            NonFinite::Raise,
            &mut Own::new(1).lent(),
            &mut [0.0; 2],
        );
        assert_eq!((forward, var[0]), (Ok(true), want), "unbiased: {unbiased}");
    }
}

#[test]
fn statistics_that_the_dtype_cannot_hold_are_refused() {
    let exec = best();
    let small = bare(&exec, shape(2, 2, 1), Some(&[0.0_f32, 1e20, 1.0, -1e20]));
    let mut y = [7.0; 4];
    let error = small.train(None, NonFinite::Raise, &mut Own::new(2).lent(), &mut y).unwrap_err();
    assert_eq!(error, Refusal::TooLarge { channel: 1, dtype: "f32" }, "{error}");
    assert_eq!(y, [7.0; 4], "untouched");
    let large = bare(&exec, shape(2, 2, 1), Some(&[0.0_f64, 1e300, 1.0, -1e300]));
    let error = large.train(None, NonFinite::Raise, &mut Own::new(2).lent(), &mut [7.0; 4]).unwrap_err();
    assert_eq!(error, Refusal::TooLarge { channel: 1, dtype: "f64" }, "{error}");
}

#[test]
fn one_value_and_broken_running_statistics_are_refused() {
    let exec = best();
    let forward = bare(&exec, shape(1, 2, 1), Some(&[0.0_f32, 1.0]));
    let mut own = Own::new(2);
    let error = forward.train(None, NonFinite::Propagate, &mut own.lent(), &mut [7.0; 2]).unwrap_err();
    assert_eq!(error, Refusal::TooFew(1), "{error}");
    for (mean, var, name) in
        [([0.0, f32::NAN], [1.0, 1.0], "running_mean"), ([0.0, 0.0], [1.0, -1.0], "running_var")]
    {
        let got = forward.evaluate((&mean, &var), true, &mut own.lent(), &mut [7.0; 2]);
        assert_eq!(got, Err(Refusal::Running { name, channel: 1 }), "{name}");
    }
}

#[test]
fn an_empty_batch_leaves_nothing_to_do_in_evaluation() {
    let got = run::<f32>(&best(), shape(0, 3, 1), (&[], &[]), Activation::Relu, false, false);
    assert_eq!((got.dweight, got.dbias), (vec![1.0; 3], vec![1.0; 3]), "nothing was added");
}

#[test]
fn sums_of_columns_are_added_to_what_is_there() {
    let (n, channels) = (4130, 35);
    let x = noise::<f32>(n * channels, 0.0, 1);
    let mut want = vec![1.0_f64; channels];
    for (i, v) in x.iter().enumerate() {
        want[i % channels] += f64::from(*v);
    }
    let mut got = vec![1.0_f32; channels];
    add_column_sums(&exec(Level::detect(), 3), &x, &mut got);
    for (got, want) in got.iter().zip(&want) {
        assert!((f64::from(*got) - want).abs() <= 1e-5, "{got} against {want}");
    }
}
