//! Batch normalisation against the formulas in plain `f64`, and against itself at other levels and thread counts.

use super::*;
use crate::isa::Level;

const EPS: f64 = 1e-5;

fn noise<T: Real>(n: usize, mean: f64, seed: u32) -> Vec<T> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        mean + 4.0 * (f64::from(state) / f64::from(u32::MAX) - 0.5)
    };
    (0..n).map(|_| T::from_f64(next())).collect()
}

fn exec(level: Level, threads: usize) -> Exec {
    Exec { level, threads, chunk: 100, serial_below: 0 }
}

fn plain<T>() -> Affine<'static, T> {
    Affine { weight: None, bias: None }
}

/// All that a forward and a backward pass write.
#[derive(PartialEq, Debug)]
struct Everything<T> {
    mean: Vec<f64>,
    invstd: Vec<f64>,
    running_mean: Vec<T>,
    running_var: Vec<T>,
    y: Vec<T>,
    dx: Vec<T>,
    dweight: Vec<T>,
    dbias: Vec<T>,
}

impl<T: Real> Everything<T> {
    fn bits(&self) -> Vec<u64> {
        let wide = [&self.mean, &self.invstd].into_iter().flatten().map(|v| v.to_bits());
        let own = [&self.running_mean, &self.running_var, &self.y, &self.dx, &self.dweight, &self.dbias];
        wide.chain(own.into_iter().flatten().map(|v| v.bits())).collect()
    }
}

fn run<T: Real>(exec: &Exec, x: &[T], dy: &[T], channels: usize, training: bool) -> Everything<T> {
    let weight = noise::<T>(channels, 1.0, 3);
    let bias = noise::<T>(channels, 0.5, 4);
    let mut all = Everything {
        mean: vec![0.0; channels],
        invstd: vec![0.0; channels],
        running_mean: noise(channels, 0.0, 5),
        running_var: noise(channels, 3.0, 6),
        y: vec![T::ZERO; x.len()],
        dx: vec![T::ZERO; x.len()],
        dweight: vec![T::ONE; channels],
        dbias: vec![T::ONE; channels],
    };
    let affine = Affine { weight: Some(&weight[..]), bias: Some(&bias[..]) };
    let saved = Saved { mean: &mut all.mean, invstd: &mut all.invstd };
    if training {
        let running = Running { mean: &mut all.running_mean, var: &mut all.running_var, momentum: 0.1 };
        train(exec, x, affine, EPS, Some(running), saved, &mut all.y).unwrap();
    } else {
        evaluate(exec, x, affine, EPS, (&all.running_mean, &all.running_var), saved, &mut all.y).unwrap();
    }
    let gradients = Gradients { x: &mut all.dx, weight: Some(&mut all.dweight), bias: Some(&mut all.dbias) };
    backward(exec, [x, dy], affine.weight, (&all.mean, &all.invstd), !training, gradients);
    all
}

fn same_bits<T: Real>() {
    for (n, channels) in [(2, 1), (3, 5), (31, 32), (33, 31), (64, 33), (1023, 3), (1025, 70), (2 * 1024 + 5, 2)] {
        let (x, dy) = (noise::<T>(n * channels, 3.0, 1), noise::<T>(n * channels, 0.1, 2));
        for training in [true, false] {
            let want = run(&exec(Level::BASELINE, 1), &x, &dy, channels, training).bits();
            for level in Level::available() {
                for threads in [1, 2, 3, 7] {
                    let got = run(&exec(level, threads), &x, &dy, channels, training).bits();
                    assert!(got == want, "{n} x {channels} {} at {level} on {threads} threads", T::NAME);
                }
            }
        }
    }
}

#[test]
fn every_level_and_thread_count_gives_the_same_bits() {
    same_bits::<f32>();
    same_bits::<f64>();
}

#[test]
fn a_channel_does_not_see_its_neighbours() {
    let (n, channels) = (1500, 37);
    let x = noise::<f32>(n * channels, 3.0, 1);
    let (mean, squares) = moments::moments(&exec(Level::detect(), 2), &x, channels);
    for c in [0, 31, 32, 36] {
        let alone: Vec<f32> = x.iter().skip(c).step_by(channels).copied().collect();
        let (m, s) = moments::moments(&exec(Level::BASELINE, 1), &alone, 1);
        assert_eq!((m[0].to_bits(), s[0].to_bits()), (mean[c].to_bits(), squares[c].to_bits()), "channel {c}");
    }
}

/// The textbook formulas, in two passes of `f64`.
fn textbook(x: &[f64], dy: &[f64], channels: usize, weight: &[f64], bias: &[f64]) -> [Vec<f64>; 4] {
    let n = (x.len() / channels) as f64;
    let [mut y, mut dx] = [vec![0.0; x.len()], vec![0.0; x.len()]];
    let [mut dweight, mut dbias] = [vec![1.0; channels], vec![1.0; channels]];
    for c in 0..channels {
        let column = |v: &[f64]| v.iter().skip(c).step_by(channels).copied().collect::<Vec<_>>();
        let (xs, dys) = (column(x), column(dy));
        let mean = xs.iter().sum::<f64>() / n;
        let var = xs.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
        let normal: Vec<f64> = xs.iter().map(|v| (v - mean) / (var + EPS).sqrt()).collect();
        let sum_dy: f64 = dys.iter().sum();
        let sum_dy_normal: f64 = dys.iter().zip(&normal).map(|(a, b)| a * b).sum();
        dweight[c] += sum_dy_normal;
        dbias[c] += sum_dy;
        for r in 0..xs.len() {
            y[r * channels + c] = normal[r] * weight[c] + bias[c];
            dx[r * channels + c] =
                weight[c] / (var + EPS).sqrt() / n * (n * dys[r] - sum_dy - normal[r] * sum_dy_normal);
        }
    }
    [y, dx, dweight, dbias]
}

#[test]
fn training_is_the_textbook() {
    for (n, channels) in [(2, 1), (7, 3), (1025, 33), (3000, 4)] {
        let (x, dy) = (noise::<f64>(n * channels, 3.0, 1), noise::<f64>(n * channels, 0.1, 2));
        let got = run(&exec(Level::detect(), 2), &x, &dy, channels, true);
        let want = textbook(&x, &dy, channels, &noise(channels, 1.0, 3), &noise(channels, 0.5, 4));
        for (got, want) in [&got.y, &got.dx, &got.dweight, &got.dbias].into_iter().zip(&want) {
            let scale = want.iter().fold(1.0, |m: f64, v| m.max(v.abs()));
            let worst = got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(worst <= 1e-11 * scale, "{n} x {channels}: {worst} of {scale}");
        }
    }
}

#[test]
fn a_large_mean_costs_no_digits() {
    let n = 100_000;
    for mean in [1e4, 1e6] {
        let x = noise::<f32>(n, mean, 1);
        let wide: Vec<f64> = x.iter().map(|v| f64::from(*v)).collect();
        let mut saved = ([0.0], [0.0]);
        let mut y = vec![0.0; n];
        let to = Saved { mean: &mut saved.0, invstd: &mut saved.1 };
        train(&exec(Level::detect(), 2), &x, plain(), EPS, None, to, &mut y).unwrap();
        let [want, ..] = textbook(&wide, &wide, 1, &[1.0], &[0.0]);
        let worst = y.iter().zip(&want).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
        assert!(worst <= 4e-7, "mean {mean}: {worst}");
    }
}

#[test]
fn a_constant_channel_comes_out_as_exactly_zero() {
    for value in [1e7, 0.1, -3e-5] {
        for n in [2, 33, 5000] {
            let single = vec![value as f32; n];
            let double = vec![value; n];
            let mut saved = ([0.0], [0.0]);
            let mut y = vec![7.0_f32; n];
            let to = Saved { mean: &mut saved.0, invstd: &mut saved.1 };
            train(&exec(Level::detect(), 2), &single, plain(), EPS, None, to, &mut y).unwrap();
            assert!(y.iter().all(|&v| v == 0.0), "f32 {value}, {n} rows");
            let mut y = vec![7.0_f64; n];
            let to = Saved { mean: &mut saved.0, invstd: &mut saved.1 };
            train(&exec(Level::detect(), 2), &double, plain(), EPS, None, to, &mut y).unwrap();
            assert!(y.iter().all(|&v| v == 0.0), "f64 {value}, {n} rows");
        }
    }
}

#[test]
fn what_is_not_finite_is_named_before_anything_is_written() {
    let (n, channels) = (1100, 3);
    for (bad, value) in [(f32::NAN, "nan"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        let mut x = noise::<f32>(n * channels, 0.0, 1);
        x[1050 * channels + 2] = bad;
        x[1070 * channels] = bad;
        let mut y = vec![7.0; x.len()];
        let (mut mean, mut var) = ([1.0_f32; 3], [2.0; 3]);
        let mut saved = ([5.0; 3], [6.0; 3]);
        let running = Running { mean: &mut mean, var: &mut var, momentum: 0.1 };
        let to = Saved { mean: &mut saved.0, invstd: &mut saved.1 };
        let error = train(&exec(Level::detect(), 2), &x, plain(), EPS, Some(running), to, &mut y).unwrap_err();
        assert_eq!(error, Refusal::NotFinite { count: 2, row: 1050, channel: 2, value }, "{error}");
        assert!(y.iter().all(|&v| v == 7.0) && mean == [1.0; 3] && var == [2.0; 3], "untouched");
        assert!(saved == ([5.0; 3], [6.0; 3]), "untouched");
        let to = Saved { mean: &mut saved.0, invstd: &mut saved.1 };
        let error = evaluate(&exec(Level::detect(), 2), &x, plain(), EPS, (&mean, &var), to, &mut y).unwrap_err();
        assert_eq!(error, Refusal::NotFinite { count: 2, row: 1050, channel: 2, value }, "in evaluation: {error}");
    }
}

#[test]
fn statistics_that_the_dtype_cannot_hold_are_refused() {
    let mut saved = ([0.0; 2], [0.0; 2]);
    let mut y = [7.0_f32; 4];
    let to = Saved { mean: &mut saved.0, invstd: &mut saved.1 };
    let error =
        train(&exec(Level::detect(), 1), &[0.0, 1e20, 1.0, -1e20], plain(), EPS, None, to, &mut y).unwrap_err();
    assert_eq!(error, Refusal::TooLarge { channel: 1, dtype: "f32" }, "{error}");
    assert_eq!(y, [7.0; 4], "untouched");
    let mut y = [7.0_f64; 4];
    let to = Saved { mean: &mut saved.0, invstd: &mut saved.1 };
    let error =
        train(&exec(Level::detect(), 1), &[0.0, 1e300, 1.0, -1e300], plain(), EPS, None, to, &mut y).unwrap_err();
    assert_eq!(error, Refusal::TooLarge { channel: 1, dtype: "f64" }, "{error}");
}

#[test]
fn one_row_and_broken_running_statistics_are_refused() {
    let mut saved = ([0.0; 2], [0.0; 2]);
    let mut y = [7.0_f32; 2];
    let to = Saved { mean: &mut saved.0, invstd: &mut saved.1 };
    assert_eq!(
        train(&exec(Level::detect(), 1), &[0.0, 1.0], plain(), EPS, None, to, &mut y),
        Err(Refusal::OneRow),
        "n = 1"
    );
    for (running, name) in
        [((&[0.0, f32::NAN], &[1.0, 1.0]), "running_mean"), ((&[0.0, 0.0], &[1.0, -1.0]), "running_var")]
    {
        let to = Saved { mean: &mut saved.0, invstd: &mut saved.1 };
        let running: (&[f32], &[f32]) = (running.0, running.1);
        let got = evaluate(&exec(Level::detect(), 1), &[0.0, 1.0], plain(), EPS, running, to, &mut y);
        assert_eq!(got, Err(Refusal::Running { name, channel: 1 }), "{name}");
    }
}

#[test]
fn sums_of_columns_are_added_to_what_is_there() {
    let (n, channels) = (1030, 35);
    let x = noise::<f32>(n * channels, 0.0, 1);
    let mut want = vec![1.0_f64; channels];
    for (i, v) in x.iter().enumerate() {
        want[i % channels] += f64::from(*v);
    }
    let mut got = vec![1.0_f32; channels];
    columns::add_sums(&exec(Level::detect(), 3), &x, &mut got);
    for (got, want) in got.iter().zip(&want) {
        assert!((f64::from(*got) - want).abs() <= 4e-6, "{got} against {want}");
    }
}
