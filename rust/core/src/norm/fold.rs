//! Two sums over each channel, in one fixed order: the same bits in every layout, at every level, on any number of threads.
//!
//! ```text
//! The values of a channel are counted by position: sample first, then place within it.
//! block     2048 values, the last one what is left
//! strand    a quarter of a block: its values 0..h, h..2h, …, where h = 8·⌈length/32⌉
//! lane      value i of a strand is added to lane i mod 8 of that strand, in f64
//! fold      the 4·8 lanes are halved until one is left; blocks are merged pairwise, in index order
//! ```
//!
//! Why strands and lanes: where a channel's values lie side by side, the eight lanes are the parts of a register and the four
//! strands are independent chains, enough to hide the latency of an addition. Where channels lie side by side, the parts of a
//! register are channels, and a lane is every eighth row of a strand, whose sums of sixteen channels fit the registers. One
//! order, two fast loops.
//!
//! A block that does not lie in one piece (small images, or the end of one and the start of the next) is first copied
//! together: it then is in the first cache.

use super::{Element, Shape};
use crate::exec::Exec;
use crate::isa::{Kernel, prefetch};
use crate::pool;
use crate::real::Real;

/// Values of one channel in a block.
pub(crate) const BLOCK: usize = 2048;

const STRANDS: usize = 4;
const LANES: usize = 8;
const ALL: usize = STRANDS * LANES;

/// Channels whose sums are in registers at once.
const COLUMNS: usize = 16;

/// The most channels of a unit, where channels lie side by side.
const WIDTH: usize = 512;

/// Sums of values that take turns in the registers: 8 KiB of the first cache. Wide rows are not summed in order, but those of
/// some lanes first, which then are runs of about so many values; shorter runs are slow to come from memory.
const RUN: usize = 512;

/// Bytes of the rows that are summed before the next ones, which are fetched meanwhile: the first cache holds both.
const CHUNK: usize = 1 << 14;

/// In blocks of no more values the sums of a strand's lane never leave the registers, and rows are not read in order.
const SHORT: usize = 128;

/// The least channels of a unit that is made narrower to have one for each thread: rows of it are some cache lines.
const NARROW: usize = 64;

/// Shorter planes are copied together.
const LEAST_IN_PLACE: usize = 128;

/// Values of a job for one thread, about.
const JOB: usize = 1 << 15;

/// The length of a strand of a block of `len` values.
#[inline(always)]
fn strand_of(len: usize) -> usize {
    len.div_ceil(ALL) * LANES
}

/// Where the sums of each channel's blocks are.
pub(crate) struct Blocks {
    shape: Shape,
    /// Blocks of a channel.
    pub(crate) count: usize,
    /// Channels of a unit.
    width: usize,
    sums: Vec<f64>,
}

impl Blocks {
    fn new(shape: Shape, threads: usize) -> Self {
        let count = shape.values().div_ceil(BLOCK).max(1);
        let fair = (shape.channels * count / threads.max(1)).next_multiple_of(COLUMNS).clamp(NARROW, WIDTH);
        let width = if shape.space == 1 { fair.min(shape.channels) } else { 1 };
        let units = shape.channels.div_ceil(width) * count;
        Self { shape, count, width, sums: vec![0.0; units * 2 * width] }
    }

    /// The block and the first channel of a unit. Side by side, channels of one block follow each other; else blocks of one
    /// channel do: in both cases as they lie in memory.
    #[inline(always)]
    fn place(shape: Shape, count: usize, width: usize, unit: usize) -> (usize, usize) {
        if shape.space == 1 {
            let tiles = shape.channels.div_ceil(width);
            (unit / tiles, unit % tiles * width)
        } else {
            (unit % count, unit / count)
        }
    }

    /// Where the sums of a channel's first block stand, and how far on those of the next ones. The second sum stands `width`
    /// behind the first.
    fn places(&self, channel: usize) -> (usize, usize) {
        let unit = 2 * self.width;
        if self.shape.space == 1 {
            let tiles = self.shape.channels.div_ceil(self.width);
            (channel / self.width * unit + channel % self.width, tiles * unit)
        } else {
            (channel * self.count * unit, unit)
        }
    }

    /// The blocks of each channel merged as a balanced tree, `f(values of a, a, values of b, b)`.
    pub(crate) fn merged(&mut self, f: impl Fn(usize, [f64; 2], usize, [f64; 2]) -> [f64; 2]) -> Vec<[f64; 2]> {
        let (channels, width) = (self.shape.channels, self.width);
        let mut merged = Vec::with_capacity(channels);
        for channel in (0..channels).step_by(width) {
            let (start, apart) = self.places(channel);
            self.tree(start, apart, &f);
            let (firsts, seconds) = self.sums[start..start + 2 * width].split_at(width);
            let both = firsts.iter().zip(seconds).take(channels - channel);
            merged.extend(both.map(|(a, b)| [*a, *b]));
        }
        merged
    }

    /// The blocks of the channels of a unit, which lie side by side.
    fn tree(&mut self, start: usize, apart: usize, f: impl Fn(usize, [f64; 2], usize, [f64; 2]) -> [f64; 2]) {
        let (values, width) = (self.shape.values(), self.width);
        let mut step = 1;
        while step < self.count {
            for a in (0..self.count - step).step_by(2 * step) {
                let b = a + step;
                let n_b = (values - b * BLOCK).min(step * BLOCK);
                let (of_a, of_b) = self.sums[start + a * apart..].split_at_mut(step * apart);
                let ((first_a, second_a), (first_b, second_b)) = (of_a.split_at_mut(width), of_b.split_at(width));
                let of_a = first_a.iter_mut().zip(second_a);
                for ((a, more_a), (b, more_b)) in of_a.zip(first_b.iter().zip(second_b)) {
                    [*a, *more_a] = f(step * BLOCK, [*a, *more_a], n_b, [*b, *more_b]);
                }
            }
            step *= 2;
        }
    }
}

/// What the terms of a channel are relative to.
#[derive(Clone, Copy)]
pub(crate) enum About<'a> {
    /// The first value of each block, of the first input.
    First,
    /// A number for each channel.
    Given(&'a [f64]),
}

/// The sums over each block of `f(values of the inputs, what they are about, coefficients of the channel)`, and what `done` makes
/// of `(sums of a block, what they are about, how many values)`.
pub(crate) fn sums<E: Element, F, D, const I: usize, const K: usize>(
    exec: &Exec,
    shape: Shape,
    inputs: [&[E]; I],
    about: About<'_>,
    coefficients: [&[E::Real]; K],
    f: F,
    done: D,
) -> Blocks
where
    F: Fn([E::Real; I], f64, [E::Real; K]) -> [f64; 2] + Copy + Send + Sync,
    D: Fn([f64; 2], f64, f64) -> [f64; 2] + Copy + Send + Sync,
{
    let threads = exec.threads_for(shape.len());
    let mut blocks = Blocks::new(shape, threads);
    let Blocks { count, width, .. } = blocks;
    if threads <= 1 {
        exec.level.run(Units {
            shape,
            count,
            width,
            first: 0,
            inputs,
            about,
            coefficients,
            f,
            done,
            sums: &mut blocks.sums,
        });
        return blocks;
    }
    let values = shape.len() / (blocks.sums.len() / (2 * width)).max(1);
    let job = (JOB / values.max(1)).max(1);
    let mut jobs: Vec<_> = blocks.sums.chunks_mut(job * 2 * width).enumerate().collect();
    pool::for_each(threads, &mut jobs, |(i, sums)| {
        exec.level.run(Units { shape, count, width, first: *i * job, inputs, about, coefficients, f, done, sums });
    });
    blocks
}

/// Some units, one after the other.
struct Units<'a, E: Element, F, D, const I: usize, const K: usize> {
    shape: Shape,
    count: usize,
    width: usize,
    first: usize,
    inputs: [&'a [E]; I],
    about: About<'a>,
    coefficients: [&'a [E::Real]; K],
    f: F,
    done: D,
    sums: &'a mut [f64],
}

impl<E: Element, F, D, const I: usize, const K: usize> Kernel for Units<'_, E, F, D, I, K>
where
    F: Fn([E::Real; I], f64, [E::Real; K]) -> [f64; 2] + Copy,
    D: Fn([f64; 2], f64, f64) -> [f64; 2] + Copy,
{
    type Out = ();

    #[inline(always)]
    fn run(self) {
        let Self { shape, count, width, first, inputs, about, coefficients, f, done, sums } = self;
        let mut gathered = [[E::default(); BLOCK]; I];
        let tiled = shape.space == 1 && shape.channels >= COLUMNS;
        let long = tiled && shape.values() > SHORT;
        let mut lanes = vec![NOTHING; if long { ALL * width.div_ceil(COLUMNS) } else { 0 }];
        // Planes of whole steps can be read where they lie; where they are short, ends of planes would come too often.
        let in_place = shape.space % LANES == 0 && shape.space >= LEAST_IN_PLACE;
        for (i, sums) in sums.chunks_exact_mut(2 * width).enumerate() {
            let (block, channel) = Blocks::place(shape, count, width, first + i);
            let start = block * BLOCK;
            let len = (shape.values() - start).min(BLOCK);
            if len == 0 {
                continue;
            }
            let width_here = width.min(shape.channels - channel);
            let (firsts, seconds) = sums.split_at_mut(width);
            if tiled {
                let Shape { channels, .. } = shape;
                let tile =
                    Tile { x: inputs, about, k: coefficients, channels, start, len, channel, width: width_here };
                tile.sums(
                    f,
                    &mut lanes,
                    #[inline(always)]
                    |first, [a, b], center| {
                        for c in channel.saturating_sub(first)..COLUMNS {
                            let at = first + c - channel;
                            [firsts[at], seconds[at]] = done([a[c], b[c]], center[c], len as f64);
                        }
                    },
                );
                continue;
            }
            let starts = Starts::new(shape.space, start, len);
            for c in channel..channel + width_here {
                let center = match about {
                    About::First => {
                        let (sample, place) = starts.at[0];
                        inputs[0][(sample * shape.channels + c) * shape.space + place].load().to_f64()
                    }
                    About::Given(about) => about[c],
                };
                let mut k = [E::Real::ZERO; K];
                for j in 0..K {
                    k[j] = coefficients[j][c];
                }
                let last = block + 1 == count;
                let next = if last { (0, 0) } else { (starts.end / shape.space, starts.end % shape.space) };
                let ahead = Ahead { x: inputs, shape, channel: c + usize::from(last), next };
                let two = if in_place {
                    block_sums(Planes { x: inputs, shape, channel: c, starts }, starts, ahead, center, k, f)
                } else {
                    let mut x = [[&[] as &[E]; STRANDS]; I];
                    for ((x, input), gathered) in x.iter_mut().zip(inputs).zip(&mut gathered) {
                        *x = starts.read(shape, input, c, gathered);
                    }
                    block_sums(Together { x }, starts, ahead, center, k, f)
                };
                [firsts[c - channel], seconds[c - channel]] = done(two, center, len as f64);
            }
        }
    }
}

/// The block that will be needed next, to be asked for while this one is summed: the memory finds no pattern in planes.
#[derive(Clone, Copy)]
struct Ahead<'a, E, const I: usize> {
    x: [&'a [E]; I],
    shape: Shape,
    channel: usize,
    /// Sample and place.
    next: (usize, usize),
}

impl<E, const I: usize> Ahead<'_, E, I> {
    /// Asks for as many values as a step sums.
    #[inline(always)]
    fn step(&mut self) {
        let Shape { channels, space, .. } = self.shape;
        let (sample, place) = self.next;
        let at = (sample * channels + self.channel) * space + place;
        for x in self.x {
            for value in (0..ALL).step_by(64 / size_of::<E>()) {
                prefetch(x, at + value);
            }
        }
        self.next = if place + ALL < space { (sample, place + ALL) } else { (sample + 1, 0) };
    }
}

/// Where the strands of a block start: sample and place.
#[derive(Clone, Copy)]
struct Starts {
    strand: usize,
    len: usize,
    /// The position behind the block.
    end: usize,
    at: [(usize, usize); STRANDS],
}

impl Starts {
    #[inline(always)]
    fn new(space: usize, start: usize, len: usize) -> Self {
        let strand = strand_of(len);
        let mut at = [(start / space, start % space); STRANDS];
        for s in 1..STRANDS {
            let (sample, place) = at[s - 1];
            let next = place + strand;
            // Divisions are slow; most strands start in the sample of the one before.
            at[s] = if next < space { (sample, next) } else { (sample + next / space, next % space) };
        }
        Self { strand, len, end: start + len, at }
    }

    /// How many values a strand has.
    #[inline(always)]
    fn len_of(self, s: usize) -> usize {
        self.len.saturating_sub(s * self.strand).min(self.strand)
    }

    /// Each strand where it lies, or copied together.
    #[inline(always)]
    fn read<'a, E: Element>(
        self,
        shape: Shape,
        x: &'a [E],
        channel: usize,
        gathered: &'a mut [E; BLOCK],
    ) -> [&'a [E]; STRANDS] {
        let mut strands = [&[] as &[E]; STRANDS];
        for (s, (to, gathered)) in strands.iter_mut().zip(gathered.chunks_mut(self.strand)).enumerate() {
            *to = run_of(shape, x, channel, self.at[s], &mut gathered[..self.len_of(s)]);
        }
        strands
    }
}

/// As many values of a channel as `gathered` holds, from a sample and place on: where they lie, or copied there.
#[inline(always)]
fn run_of<'a, E: Element>(
    shape: Shape,
    x: &'a [E],
    channel: usize,
    (mut sample, mut place): (usize, usize),
    gathered: &'a mut [E],
) -> &'a [E] {
    let (Shape { channels, space, .. }, len) = (shape, gathered.len());
    if place + len <= space {
        let at = (sample * channels + channel) * space + place;
        return if len == 0 { &[] } else { &x[at..at + len] };
    }
    if space == 1 {
        let rows = x[sample * channels + channel..].iter().step_by(channels);
        for (to, from) in gathered.iter_mut().zip(rows) {
            *to = *from;
        }
        return gathered;
    }
    let mut done = 0;
    while done < len {
        let piece = (space - place).min(len - done);
        let at = (sample * channels + channel) * space + place;
        gathered[done..done + piece].copy_from_slice(&x[at..at + piece]);
        done += piece;
        sample += 1;
        place = 0;
    }
    gathered
}

/// Eight values of each step of the strands, of some inputs.
type Steps<'a, E, const I: usize> = [[&'a [[E; LANES]]; STRANDS]; I];

/// Where the strands of a block are read.
trait Source<'a, E: Element, const I: usize> {
    /// The steps from `step` on that are side by side in every strand, at most `most`, at least one.
    fn steps(&mut self, step: usize, most: usize) -> Steps<'a, E, I>;
    /// Value `p` of a strand.
    fn value(&self, i: usize, s: usize, p: usize) -> E::Real;
}

/// Strands that are in one piece each.
struct Together<'a, E, const I: usize> {
    x: [[&'a [E]; STRANDS]; I],
}

impl<'a, E: Element, const I: usize> Source<'a, E, I> for Together<'a, E, I> {
    #[inline(always)]
    fn steps(&mut self, step: usize, most: usize) -> Steps<'a, E, I> {
        self.x.map(
            #[inline(always)]
            |x| {
                x.map(
                    #[inline(always)]
                    |strand| &strand.as_chunks().0[step..step + most],
                )
            },
        )
    }

    #[inline(always)]
    fn value(&self, i: usize, s: usize, p: usize) -> E::Real {
        self.x[i][s][p].load()
    }
}

/// Strands where they lie, in planes of whole steps.
struct Planes<'a, E, const I: usize> {
    x: [&'a [E]; I],
    shape: Shape,
    channel: usize,
    /// Where the strands are read next.
    starts: Starts,
}

impl<'a, E: Element, const I: usize> Source<'a, E, I> for Planes<'a, E, I> {
    #[inline(always)]
    fn steps(&mut self, _: usize, most: usize) -> Steps<'a, E, I> {
        let Shape { channels, space, .. } = self.shape;
        let mut count = most;
        for (_, place) in self.starts.at {
            count = count.min((space - place) / LANES);
        }
        let mut steps = [[&[] as &[[E; LANES]]; STRANDS]; I];
        for (s, (sample, place)) in self.starts.at.iter_mut().enumerate() {
            let at = (*sample * channels + self.channel) * space + *place;
            for (steps, x) in steps.iter_mut().zip(self.x) {
                steps[s] = x[at..at + count * LANES].as_chunks().0;
            }
            *place += count * LANES;
            if *place == space {
                (*sample, *place) = (*sample + 1, 0);
            }
        }
        steps
    }

    #[inline(always)]
    fn value(&self, i: usize, s: usize, p: usize) -> E::Real {
        let Shape { channels, space, .. } = self.shape;
        let position = self.starts.end - self.starts.len + s * self.starts.strand + p;
        self.x[i][(position / space * channels + self.channel) * space + position % space].load()
    }
}

/// Both sums over the strands of one block.
#[allow(clippy::needless_range_loop, reason = "a step of all strands of all inputs is what the loop is over")]
#[inline(always)]
fn block_sums<'a, E: Element, F, const I: usize, const K: usize>(
    mut x: impl Source<'a, E, I>,
    starts: Starts,
    mut ahead: Ahead<'_, E, I>,
    about: f64,
    k: [E::Real; K],
    f: F,
) -> [f64; 2]
where
    F: Fn([E::Real; I], f64, [E::Real; K]) -> [f64; 2] + Copy,
{
    // Steps in which every strand has eight values: the last one is the shortest.
    let steps = starts.len_of(STRANDS - 1) / LANES;
    // Never indexed by what is not a constant, so that it is registers.
    let mut lanes = [[0.0; ALL]; 2];
    let mut step = 0;
    while step < steps {
        let strands = x.steps(step, steps - step);
        let count = strands[0][0].len();
        let mut equal = strands;
        for i in 0..I {
            for s in 0..STRANDS {
                equal[i][s] = &strands[i][s][..count];
            }
        }
        for j in 0..count {
            ahead.step();
            let mut values = [[E::default(); ALL]; I];
            for i in 0..I {
                for s in 0..STRANDS {
                    values[i][s * LANES..(s + 1) * LANES].copy_from_slice(&equal[i][s][j]);
                }
            }
            for l in 0..ALL {
                let mut at = [E::Real::ZERO; I];
                for i in 0..I {
                    at[i] = values[i][l].load();
                }
                let [a, b] = f(at, about, k);
                lanes[0][l] += a;
                lanes[1][l] += b;
            }
        }
        step += count.max(1);
    }
    let mut sums = lanes;
    for s in 0..STRANDS {
        for p in steps * LANES..starts.len_of(s) {
            let mut values = [E::Real::ZERO; I];
            for (i, value) in values.iter_mut().enumerate() {
                *value = x.value(i, s, p);
            }
            let [a, b] = f(values, about, k);
            sums[0][s * LANES + p % LANES] += a;
            sums[1][s * LANES + p % LANES] += b;
        }
    }
    let mut half = ALL / 2;
    while half > 0 {
        for sums in &mut sums {
            for l in 0..half {
                sums[l] += sums[l + half];
            }
        }
        half /= 2;
    }
    [sums[0][0], sums[1][0]]
}

/// Both sums of sixteen channels.
type Two = [[f64; COLUMNS]; 2];

const NOTHING: Two = [[0.0; COLUMNS]; 2];

#[inline(always)]
fn plus(a: &Two, b: &Two) -> Two {
    let mut sum = *a;
    for (sum, b) in sum.iter_mut().zip(b) {
        for (sum, b) in sum.iter_mut().zip(b) {
            *sum += *b;
        }
    }
    sum
}

/// All lanes halved until one is left; `strands_of` a lane are its sums in each strand, which are what the first two halvings add.
#[inline(always)]
fn folded(strands_of: impl Fn(usize) -> [Two; STRANDS]) -> Two {
    let mut lanes = [NOTHING; LANES];
    for (l, lane) in lanes.iter_mut().enumerate() {
        let [a, b, c, d] = strands_of(l);
        *lane = plus(&plus(&a, &c), &plus(&b, &d));
    }
    let [a, b, c, d, e, f, g, h] = &lanes;
    plus(&plus(&plus(a, e), &plus(c, g)), &plus(&plus(b, f), &plus(d, h)))
}

/// One block of some channels that lie side by side, of at least sixteen.
#[derive(Clone, Copy)]
struct Tile<'a, E: Element, const I: usize, const K: usize> {
    x: [&'a [E]; I],
    about: About<'a>,
    k: [&'a [E::Real]; K],
    /// Of a row.
    channels: usize,
    start: usize,
    len: usize,
    channel: usize,
    width: usize,
}

impl<'a, E: Element, const I: usize, const K: usize> Tile<'a, E, I, K> {
    /// Both sums of every channel, sixteen at a time: `done(the first one, their sums, what they are about)`. The last ones may
    /// overlap: what is in both is summed twice, with the same result.
    #[inline(always)]
    fn sums<F>(self, f: F, lanes: &mut [Two], mut done: impl FnMut(usize, &Two, &[f64; COLUMNS]))
    where
        F: Fn([E::Real; I], f64, [E::Real; K]) -> [f64; 2] + Copy,
    {
        let (strand, all) = (strand_of(self.len), self.width.div_ceil(COLUMNS));
        let short = self.len <= SHORT;
        if !short {
            self.add_in_runs(f, lanes);
        }
        for group in 0..all {
            let columns = self.columns(group);
            let sums = folded(
                #[inline(always)]
                |lane| {
                    let mut strands = [NOTHING; STRANDS];
                    for (s, sums) in strands.iter_mut().enumerate() {
                        let end = ((s + 1) * strand).min(self.len);
                        *sums = if short {
                            columns.add(s * strand + lane, end, NOTHING, f, || ())
                        } else {
                            lanes[(s * LANES + lane) * all + group]
                        };
                    }
                    strands
                },
            );
            done(columns.first, &sums, &columns.about);
        }
    }

    /// Fills the sums of each lane, of all channels one after the other.
    #[inline(always)]
    fn add_in_runs<F>(self, f: F, lanes: &mut [Two])
    where
        F: Fn([E::Real; I], f64, [E::Real; K]) -> [f64; 2] + Copy,
    {
        let Self { x, channels, start, len, channel, width, .. } = self;
        let (strand, all) = (strand_of(len), width.div_ceil(COLUMNS));
        let together = match RUN / width {
            8.. => 8,
            4.. => 4,
            2.. => 2,
            _ => 1,
        };
        let rows = (CHUNK / (together * width * size_of::<E>() * I)).max(1) * LANES;
        for s in 0..STRANDS {
            let (from, to) = ((s * strand).min(len), ((s + 1) * strand).min(len));
            if from == to {
                lanes[s * LANES * all..(s + 1) * LANES * all].fill(NOTHING);
            }
            for lane in (0..LANES).step_by(together) {
                for first in (from..to).step_by(rows) {
                    let end = (first + rows).min(to);
                    let (last, behind) = (lane + together == LANES, channel + width < channels);
                    let next = match (end == to, last, to == len) {
                        (false, ..) => (start + end + lane) * channels + channel,
                        (true, false, _) => (start + from + lane + together) * channels + channel,
                        (true, true, false) => (start + to) * channels + channel,
                        (true, true, true) if behind => start * channels + channel + width,
                        (true, true, true) => (start + len) * channels,
                    };
                    let mut ahead = AheadRows { x, channels, width, together, row: next, column: 0, lane: 0 };
                    for group in 0..all {
                        let columns = self.columns(group);
                        for lane in lane..lane + together {
                            let sums = &mut lanes[(s * LANES + lane) * all + group];
                            let before = if first == from { NOTHING } else { *sums };
                            *sums = columns.add(first + lane, end, before, f, || ahead.step());
                        }
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn columns(self, group: usize) -> Columns<'a, E, I, K> {
        let first = (self.channel + group * COLUMNS).min(self.channels - COLUMNS);
        let mut x = self.x;
        for x in &mut x {
            *x = &x[self.start * self.channels + first..];
        }
        let mut about = [0.0; COLUMNS];
        match self.about {
            About::First => {
                for (about, x) in about.iter_mut().zip(&x[0][..COLUMNS]) {
                    *about = x.load().to_f64();
                }
            }
            About::Given(all) => about.copy_from_slice(&all[first..][..COLUMNS]),
        }
        let mut k = [[E::Real::ZERO; COLUMNS]; K];
        for (k, all) in k.iter_mut().zip(self.k) {
            k.copy_from_slice(&all[first..][..COLUMNS]);
        }
        Columns { x, channels: self.channels, first, about, k }
    }
}

/// Sixteen channels of a tile.
struct Columns<'a, E: Element, const I: usize, const K: usize> {
    /// From their first value on.
    x: [&'a [E]; I],
    channels: usize,
    /// Which they are.
    first: usize,
    about: [f64; COLUMNS],
    k: [[E::Real; COLUMNS]; K],
}

impl<E: Element, const I: usize, const K: usize> Columns<'_, E, I, K> {
    /// `sums` and what every eighth row adds to them.
    #[allow(
        clippy::needless_range_loop,
        reason = "a channel of all inputs and coefficients is what the loop is over"
    )]
    #[inline(always)]
    fn add<F>(&self, first: usize, end: usize, mut sums: Two, f: F, mut at_each: impl FnMut()) -> Two
    where
        F: Fn([E::Real; I], f64, [E::Real; K]) -> [f64; 2] + Copy,
    {
        for row in (first..end).step_by(LANES) {
            at_each();
            let mut rows = self.x;
            for x in &mut rows {
                *x = &x[row * self.channels..][..COLUMNS];
            }
            for c in 0..COLUMNS {
                let mut values = [E::Real::ZERO; I];
                for i in 0..I {
                    values[i] = rows[i][c].load();
                }
                let mut k = [E::Real::ZERO; K];
                for j in 0..K {
                    k[j] = self.k[j][c];
                }
                let [a, b] = f(values, self.about[c], k);
                sums[0][c] += a;
                sums[1][c] += b;
            }
        }
        sums
    }
}

/// The rows of a tile that will be needed next, to be asked for in the order in which they lie.
struct AheadRows<'a, E, const I: usize> {
    x: [&'a [E]; I],
    channels: usize,
    width: usize,
    /// Lanes of a run.
    together: usize,
    /// Where the row starts, how far it was asked for, and which one of the run it is.
    row: usize,
    column: usize,
    lane: usize,
}

impl<E, const I: usize> AheadRows<'_, E, I> {
    /// Asks for as many values as one row of sums takes.
    #[inline(always)]
    fn step(&mut self) {
        for _ in 0..(COLUMNS * size_of::<E>()).div_ceil(64) {
            for x in self.x {
                prefetch(x, self.row + self.column);
            }
            self.column += 64 / size_of::<E>();
            if self.column >= self.width {
                self.column = 0;
                self.lane += 1;
                self.row += self.channels;
                if self.lane == self.together {
                    self.lane = 0;
                    self.row += (LANES - self.together) * self.channels;
                }
            }
        }
    }
}
