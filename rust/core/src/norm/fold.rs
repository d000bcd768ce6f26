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
//! register are channels, and one strand is rows read in order with eight accumulators each, which fit the registers. One
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

/// Channels whose accumulators are in registers at once.
const COLUMNS: usize = 16;

/// Channels of a unit, where channels lie side by side: rows of it are a kibibyte of `f32`, and are read in order.
const WIDTH: usize = 256;

/// Rows of a tile that are summed before the next ones, a multiple of the lanes: 16 KiB of `f32`, which the first cache holds.
const ROWS: usize = 128;

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
    fn new(shape: Shape) -> Self {
        let count = shape.values().div_ceil(BLOCK).max(1);
        let width = if shape.space == 1 { WIDTH.min(shape.channels) } else { 1 };
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
        (0..self.shape.channels).map(|channel| self.tree(channel, &f)).collect()
    }

    fn tree(&mut self, channel: usize, f: impl Fn(usize, [f64; 2], usize, [f64; 2]) -> [f64; 2]) -> [f64; 2] {
        let (values, width, (start, apart)) = (self.shape.values(), self.width, self.places(channel));
        let sums = &mut self.sums;
        let mut step = 1;
        while step < self.count {
            for a in (0..self.count - step).step_by(2 * step) {
                let b = a + step;
                let (at_a, at_b) = (start + a * apart, start + b * apart);
                let n_b = (values - b * BLOCK).min(step * BLOCK);
                let (of_a, of_b) = ([sums[at_a], sums[at_a + width]], [sums[at_b], sums[at_b + width]]);
                [sums[at_a], sums[at_a + width]] = f(step * BLOCK, of_a, n_b, of_b);
            }
            step *= 2;
        }
        [sums[start], sums[start + width]]
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
    let mut blocks = Blocks::new(shape);
    let Blocks { count, width, .. } = blocks;
    let threads = exec.threads_for(shape.len());
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
        let tiled = shape.space == 1 && width >= COLUMNS;
        // Short blocks are summed a group at a time; in long ones the groups take turns, so that rows are read in order.
        let together = if shape.values() > STRANDS * ROWS { width.div_ceil(COLUMNS) } else { 1 };
        let mut groups = vec![Group::NONE; if tiled { together } else { 0 }];
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
            if shape.space == 1 && width_here >= COLUMNS {
                let tile = Tile { channels: shape.channels, start, len, channel, width: width_here };
                let all = width_here.div_ceil(COLUMNS);
                for first in (0..all).step_by(together) {
                    let groups = &mut groups[..together.min(all - first)];
                    tile.sums(first, inputs, about, coefficients, f, groups);
                    for (g, group) in groups.iter().enumerate() {
                        let column = tile.column(first + g);
                        for c in 0..COLUMNS {
                            let two = [group.sums[0][0][c], group.sums[1][0][c]];
                            [firsts[column + c], seconds[column + c]] = done(two, group.center[c], len as f64);
                        }
                    }
                }
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

/// What is known of sixteen channels of a tile.
#[derive(Clone)]
struct Group {
    /// Both sums of each lane.
    sums: [[[f64; COLUMNS]; ALL]; 2],
    /// What the terms are about.
    center: [f64; COLUMNS],
}

impl Group {
    const NONE: Self = Self { sums: [[[0.0; COLUMNS]; ALL]; 2], center: [0.0; COLUMNS] };
}

/// One block of some channels that lie side by side.
#[derive(Clone, Copy)]
struct Tile {
    channels: usize,
    start: usize,
    len: usize,
    channel: usize,
    width: usize,
}

impl Tile {
    /// The first channel of a group, from the first one of the tile on. The last groups may overlap: what is in both is summed
    /// twice, with the same result.
    #[inline(always)]
    fn column(self, group: usize) -> usize {
        (group * COLUMNS).min(self.width - COLUMNS)
    }

    /// Both sums of every channel of some groups, in lane 0.
    #[inline(always)]
    fn sums<E: Element, F, const I: usize, const K: usize>(
        self,
        first_group: usize,
        x: [&[E]; I],
        about: About<'_>,
        coefficients: [&[E::Real]; K],
        f: F,
        groups: &mut [Group],
    ) where
        F: Fn([E::Real; I], f64, [E::Real; K]) -> [f64; 2] + Copy,
    {
        let Self { channels, start, len, channel, width } = self;
        for (g, group) in groups.iter_mut().enumerate() {
            let first = channel + self.column(first_group + g);
            match about {
                About::First => {
                    for (center, x) in group.center.iter_mut().zip(&x[0][start * channels + first..]) {
                        *center = x.load().to_f64();
                    }
                }
                About::Given(about) => group.center.copy_from_slice(&about[first..first + COLUMNS]),
            }
        }
        let (strand, rows) = (strand_of(len), if I == 1 { 2 * ROWS } else { ROWS });
        for s in 0..STRANDS {
            let (from, to) = ((s * strand).min(len), ((s + 1) * strand).min(len));
            if from == to {
                for lanes in groups.iter_mut().flat_map(|group| &mut group.sums) {
                    lanes[s * LANES..(s + 1) * LANES].fill([0.0; COLUMNS]);
                }
            }
            for first in (from..to).step_by(rows) {
                let end = (first + rows).min(to);
                let next = match (end == len, channel + width < channels) {
                    (false, _) => (start + end) * channels + channel,
                    (true, true) => start * channels + channel + width,
                    (true, false) => (start + len) * channels,
                };
                let mut ahead = AheadRows { x, channels, width, row: next, column: 0 };
                for (g, group) in groups.iter_mut().enumerate() {
                    let column = channel + self.column(first_group + g);
                    let mut rows = x;
                    for i in 0..I {
                        rows[i] = &x[i][(start + first) * channels + column..];
                    }
                    let mut k = [[E::Real::ZERO; COLUMNS]; K];
                    for j in 0..K {
                        k[j].copy_from_slice(&coefficients[j][column..column + COLUMNS]);
                    }
                    add_rows(rows, (channels, end - first), (s, first == from), k, f, group, &mut ahead);
                }
            }
        }
        for group in groups {
            let mut half = ALL / 2;
            while half > 0 {
                for lanes in &mut group.sums {
                    let (low, high) = lanes.split_at_mut(half);
                    for (low, high) in low.iter_mut().zip(high) {
                        for (low, high) in low.iter_mut().zip(high) {
                            *low += *high;
                        }
                    }
                }
                half /= 2;
            }
        }
    }
}

/// The rows of a tile that will be needed next, to be asked for in the order in which they lie.
struct AheadRows<'a, E, const I: usize> {
    x: [&'a [E]; I],
    channels: usize,
    width: usize,
    /// Where the row starts, and how far it was asked for.
    row: usize,
    column: usize,
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
                self.row += self.channels;
            }
        }
    }
}

/// Adds some rows of sixteen channels to the lanes of their strand, which start at 0 when `fresh`; `x` starts at the first value of
/// the first row.
#[inline(always)]
fn add_rows<E: Element, F, const I: usize, const K: usize>(
    x: [&[E]; I],
    (channels, len): (usize, usize),
    (strand, fresh): (usize, bool),
    k: [[E::Real; COLUMNS]; K],
    f: F,
    group: &mut Group,
    ahead: &mut AheadRows<'_, E, I>,
) where
    F: Fn([E::Real; I], f64, [E::Real; K]) -> [f64; 2] + Copy,
{
    let about = group.center;
    // Half of the lanes at a time: their sums fit the registers, and rows are read once all the same.
    for half in [0, LANES / 2] {
        let first = strand * LANES + half;
        // Never indexed by what is not a constant, so that it is registers.
        let mut lanes = [[[0.0; COLUMNS]; LANES / 2]; 2];
        if !fresh {
            for (lanes, sums) in lanes.iter_mut().zip(&group.sums) {
                lanes.copy_from_slice(&sums[first..first + LANES / 2]);
            }
        }
        let mut row = half;
        while row + LANES / 2 <= len {
            for l in 0..LANES / 2 {
                ahead.step();
                add_row(x, (row + l) * channels, &about, &k, f, &mut lanes, l);
            }
            row += LANES;
        }
        let mut ends = lanes;
        for l in 0..len.saturating_sub(row) {
            add_row(x, (row + l) * channels, &about, &k, f, &mut ends, l);
        }
        for (lanes, sums) in ends.iter().zip(&mut group.sums) {
            sums[first..first + LANES / 2].copy_from_slice(lanes);
        }
    }
}

#[inline(always)]
fn add_row<E: Element, F, const I: usize, const K: usize>(
    x: [&[E]; I],
    at: usize,
    about: &[f64; COLUMNS],
    k: &[[E::Real; COLUMNS]; K],
    f: F,
    sums: &mut [[[f64; COLUMNS]; LANES / 2]; 2],
    lane: usize,
) where
    F: Fn([E::Real; I], f64, [E::Real; K]) -> [f64; 2] + Copy,
{
    let mut rows = x;
    for i in 0..I {
        rows[i] = &x[i][at..at + COLUMNS];
    }
    for c in 0..COLUMNS {
        let mut values = [E::Real::ZERO; I];
        for i in 0..I {
            values[i] = rows[i][c].load();
        }
        let mut coefficients = [E::Real::ZERO; K];
        for j in 0..K {
            coefficients[j] = k[j][c];
        }
        let [a, b] = f(values, about[c], coefficients);
        sums[0][lane][c] += a;
        sums[1][lane][c] += b;
    }
}
