//! Every rule at every level, in cache and above it, beside the measured limit.
//!
//! | group | what is measured |
//! |---|---|
//! | `4Ki` | in cache, f32 and f64, one thread: here the width of the registers counts |
//! | `16Mi` | above the cache, f32, one thread and two: here memory counts |
//! | `handover` | what it costs to give small work to the pool |
//!
//! Ids are `family_dtype_level/threads`; beside the levels stands `naive`, the scalar first rung of the ladder naive →
//! level → level on two threads. `copy_f32_memcpy` and `loop_f32_r4w3` (reads 4 arrays, writes 3: Adam's mix) are the
//! limit. Throughput counts the bytes that a step must move.
//!
//! Every benchmark checks its answer first: the bits of the naive rung. With `--test` that is all, on fewer elements.

use std::cell::LazyCell;
use std::hint::black_box;
use std::ops::Deref;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput};
use fourstep::isa::Level;
use fourstep::real::Real;
use fourstep::rules::Rule;
use fourstep_benches::cases::{Arrays, bytes, exec, rules};
use fourstep_benches::{limit, naive};

type Group<'a> = BenchmarkGroup<'a, WallTime>;

const CACHE: usize = 1 << 12;
const THREADS: [usize; 2] = [1, 2];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    in_cache(&mut criterion);
    above_cache(&mut criterion);
    handover(&mut criterion);
    criterion.final_summary();
}

fn in_cache(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(size(CACHE));
    group.sample_size(30).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    limits::<f32>(&mut group, CACHE, &[1]);
    limits::<f64>(&mut group, CACHE, &[1]);
    for (name, rule) in rules() {
        ladder::<f32>(&mut group, name, &rule, CACHE, &[1]);
        ladder::<f64>(&mut group, name, &rule, CACHE, &[1]);
    }
}

fn above_cache(criterion: &mut Criterion) {
    let only_check = std::env::args().any(|arg| arg == "--test");
    let n = if only_check { 1 << 20 } else { 1 << 24 };
    let mut group = criterion.benchmark_group(size(n));
    group
        .sampling_mode(SamplingMode::Flat)
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    limits::<f32>(&mut group, n, &THREADS);
    for (name, rule) in rules() {
        ladder::<f32>(&mut group, name, &rule, n, &THREADS);
    }
}

/// Adam over so few elements that the pool may cost more than it saves: where `exec::SERIAL_BELOW` comes from.
fn handover(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("handover");
    group.sample_size(30).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    let level = Level::detect();
    for (name, rule) in rules().into_iter().filter(|(name, _)| *name == "adam") {
        for n in [1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20] {
            let case = Case { rule, n };
            let want = LazyCell::new(|| case.after::<f32>(|arrays| naive::step(&rule, arrays)));
            for threads in THREADS {
                let id = BenchmarkId::new(format!("{name}_f32_{level}_{}", size(n)), threads);
                case.measure(&mut group, id, &want, |arrays| arrays.step(&exec(level, threads), &rule));
            }
        }
    }
}

/// naive → each level → each level on more threads.
fn ladder<T: Real>(group: &mut Group<'_>, name: &str, rule: &Rule, n: usize, threads: &[usize]) {
    let (case, family) = (Case { rule: *rule, n }, format!("{name}_{}", T::NAME));
    let by_kernel = LazyCell::new(|| case.after::<T>(|arrays| arrays.step(&exec(Level::BASELINE, 1), rule)));
    let id = BenchmarkId::new(format!("{family}_naive"), 1);
    case.measure(group, id, &by_kernel, |arrays| naive::step(rule, arrays));
    drop(by_kernel);
    let by_hand = LazyCell::new(|| case.after::<T>(|arrays| naive::step(rule, arrays)));
    for level in Level::available() {
        for &threads in threads {
            let id = BenchmarkId::new(format!("{family}_{level}"), threads);
            case.measure(group, id, &by_hand, |arrays| arrays.step(&exec(level, threads), rule));
        }
    }
}

/// A rule over `n` elements.
struct Case {
    rule: Rule,
    n: usize,
}

impl Case {
    /// The arrays after one step from the common start.
    fn after<T: Real>(&self, step: impl Fn(&mut Arrays<T>)) -> Arrays<T> {
        let mut arrays = Arrays::new(self.n, self.rule.states().len());
        step(&mut arrays);
        arrays
    }

    /// One rung: checks its first step, then measures the steps from there on.
    ///
    /// What is lazy here is computed, and takes memory, only for the benchmarks that were asked for.
    fn measure<T: Real>(
        &self,
        group: &mut Group<'_>,
        id: BenchmarkId,
        want: &impl Deref<Target = Arrays<T>>,
        step: impl Fn(&mut Arrays<T>),
    ) {
        let mut checked = None;
        group.throughput(Throughput::BytesDecimal(bytes::<T>(self.n, self.rule.states().len())));
        group.bench_function(id, |b| {
            let arrays = checked.get_or_insert_with(|| {
                let arrays = self.after(&step);
                assert!(arrays.same_bits(want), "{:?} over {} {}: a wrong answer", self.rule, self.n, T::NAME);
                arrays
            });
            b.iter(|| step(black_box(arrays)));
        });
    }
}

/// memcpy, and the plain loop with the mix of each number of state buffers.
fn limits<T: Real>(group: &mut Group<'_>, n: usize, threads: &[usize]) {
    let (dtype, level) = (T::NAME, Level::detect());
    for &threads in threads {
        group.throughput(Throughput::BytesDecimal((2 * n * size_of::<T>()) as u64));
        let mut checked = None;
        group.bench_function(BenchmarkId::new(format!("copy_{dtype}_memcpy"), threads), |b| {
            let Arrays { w, g, .. } = checked.get_or_insert_with(|| {
                let mut arrays = Arrays::<T>::new(n, 0);
                limit::copy(threads, &arrays.g, &mut arrays.w);
                assert!(arrays.w == arrays.g, "copy_{dtype}_memcpy/{threads}: a wrong answer");
                arrays
            });
            b.iter(|| limit::copy(threads, black_box(&*g), black_box(w)));
        });
        for states in 0..=2 {
            group.throughput(Throughput::BytesDecimal(bytes::<T>(n, states)));
            let (reads, writes) = (states + 2, states + 1);
            let id = BenchmarkId::new(format!("loop_{dtype}_r{reads}w{writes}"), threads);
            let mut checked = None;
            group.bench_function(id, |b| {
                let arrays = checked.get_or_insert_with(|| {
                    let mut arrays = Arrays::<T>::new(n, states);
                    limit::plain(level, threads, states, &mut arrays);
                    assert!(
                        arrays.same_bits(&sums(n, states)),
                        "loop_{dtype}_r{reads}w{writes}/{threads}: a wrong answer"
                    );
                    arrays
                });
                b.iter(|| limit::plain(level, threads, states, black_box(arrays)));
            });
        }
    }
}

/// What [`limit::plain`] must leave, in plain iterators.
fn sums<T: Real>(n: usize, states: usize) -> Arrays<T> {
    let Arrays { w, g, state } = Arrays::<T>::new(n, states);
    let plus = |buffer: Vec<T>| buffer.into_iter().zip(&g).map(|(x, &g)| x + g).collect();
    Arrays { w: plus(w), state: state.map(plus), g: g.clone() }
}

/// `4Ki`, `16Mi`.
fn size(n: usize) -> String {
    if n >= 1 << 20 { format!("{}Mi", n >> 20) } else { format!("{}Ki", n >> 10) }
}
