//! Dropout: y = x·m, where m is 0 with probability p and 1/(1 − p) otherwise.
//!
//! The mask is a function of (seed, step, position), never stored: backward makes it again, a resumed run makes the same
//! ones, and pieces of an array can be made in any order on any thread. The function is Philox 4×32 with ten rounds (Salmon
//! et al. 2011), which turns a 128-bit counter and a 64-bit key into four random words:
//!
//! ```text
//! (c₀, c₁, c₂, c₃) ← (hi(M₁·c₂) ⊕ c₁ ⊕ k₀, lo(M₁·c₂), hi(M₀·c₀) ⊕ c₃ ⊕ k₁, lo(M₀·c₀));  k₀ += W₀, k₁ += W₁
//! ```
//!
//! Key = seed; counter = (block, step), 64 bits each. A group of 128 elements uses 32 blocks: element `32·w + j` of group `g`
//! is word `w` of block `32·g + j`, so that 32 blocks are made side by side and no word has to be moved. An element is
//! dropped when its word is below p·2³².

use crate::exec::Exec;
use crate::isa::Kernel;
use crate::pool;
use crate::real::Real;

/// Blocks made side by side.
const SIDE: usize = 32;

/// Elements of a group.
pub const GROUP: usize = 4 * SIDE;

const M0: u32 = 0xD251_1F53;
const M1: u32 = 0xCD9E_8D57;
const W0: u32 = 0x9E37_79B9;
const W1: u32 = 0xBB67_AE85;

/// Which mask: one for each layer (seed) and training step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mask {
    /// Of the layer.
    pub seed: u64,
    /// Of the training.
    pub step: u64,
}

/// `out = x·m`. Forward and backward alike: the gradient goes through the same mask.
///
/// # Panics
/// When `x` and `out` differ in length, or `p` is not in 0..=1.
pub fn dropout<T: Real>(exec: &Exec, x: &[T], p: f64, mask: Mask, out: &mut [T]) {
    assert_eq!(x.len(), out.len(), "the output has the shape of x");
    assert!((0.0..=1.0).contains(&p), "p is a probability");
    // Of p = 1 nothing is left to be scaled.
    let scale = if p < 1.0 { T::from_f64(1.0 / (1.0 - p)) } else { T::ZERO };
    let below = (p * 4_294_967_296.0).round() as u64;
    let work = Work { mask, below, scale };
    let threads = exec.threads_for(x.len());
    if threads <= 1 {
        return exec.level.run(Piece { x, out, first: 0, work });
    }
    let piece = exec.chunk.next_multiple_of(GROUP);
    let mut pieces: Vec<_> = x.chunks(piece).zip(out.chunks_mut(piece)).enumerate().collect();
    pool::for_each(threads, &mut pieces, |(i, (x, out))| {
        exec.level.run(Piece { x, out, first: *i * (piece / GROUP), work });
    });
}

#[derive(Clone, Copy)]
struct Work<T> {
    mask: Mask,
    below: u64,
    scale: T,
}

struct Piece<'a, T> {
    x: &'a [T],
    out: &'a mut [T],
    first: usize,
    work: Work<T>,
}

impl<T: Real> Kernel for Piece<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        let Self { x, out, first, work: Work { mask, below, scale } } = self;
        let (xs, x_rest) = x.as_chunks::<GROUP>();
        let (outs, out_rest) = out.as_chunks_mut::<GROUP>();
        let mut group = first as u64;
        for (x, out) in xs.iter().zip(outs) {
            let words = words(mask, group);
            for i in 0..GROUP {
                out[i] = x[i] * if u64::from(words[i]) < below { T::ZERO } else { scale };
            }
            group += 1;
        }
        if !x_rest.is_empty() {
            let words = words(mask, group);
            for ((out, &x), &word) in out_rest.iter_mut().zip(x_rest).zip(&words) {
                *out = x * if u64::from(word) < below { T::ZERO } else { scale };
            }
        }
    }
}

/// The words of a group's elements, in their order.
#[inline(always)]
fn words(mask: Mask, group: u64) -> [u32; GROUP] {
    let mut blocks = [0; SIDE];
    for (j, block) in blocks.iter_mut().enumerate() {
        *block = group * SIDE as u64 + j as u64;
    }
    let mut c = [blocks.map(low), blocks.map(high), [low(mask.step); SIDE], [high(mask.step); SIDE]];
    let mut key = [low(mask.seed), high(mask.seed)];
    for _ in 0..10 {
        let [c0, c1, c2, c3] = &mut c;
        for j in 0..SIDE {
            let a = u64::from(M0) * u64::from(c0[j]);
            let b = u64::from(M1) * u64::from(c2[j]);
            c0[j] = high(b) ^ c1[j] ^ key[0];
            c1[j] = low(b);
            c2[j] = high(a) ^ c3[j] ^ key[1];
            c3[j] = low(a);
        }
        key = [key[0].wrapping_add(W0), key[1].wrapping_add(W1)];
    }
    let mut words = [0; GROUP];
    words.copy_from_slice(c.as_flattened());
    words
}

#[inline(always)]
fn low(x: u64) -> u32 {
    x as u32
}

#[inline(always)]
fn high(x: u64) -> u32 {
    (x >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Level;

    /// Philox with ten rounds, a block at a time, as the paper writes it.
    fn philox(mut c: [u32; 4], mut k: [u32; 2]) -> [u32; 4] {
        for _ in 0..10 {
            let a = u64::from(M0) * u64::from(c[0]);
            let b = u64::from(M1) * u64::from(c[2]);
            c = [(b >> 32) as u32 ^ c[1] ^ k[0], b as u32, (a >> 32) as u32 ^ c[3] ^ k[1], a as u32];
            k = [k[0].wrapping_add(W0), k[1].wrapping_add(W1)];
        }
        c
    }

    #[test]
    fn philox_gives_the_published_answers() {
        // Known answers of the Random123 distribution: counter, key, words.
        let known = [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, want) in known {
            assert_eq!(philox(counter, key), want, "counter {counter:x?}");
        }
    }

    #[test]
    fn words_are_philox_of_block_and_step_under_the_seed() {
        let mask = Mask { seed: 0x0123_4567_89ab_cdef, step: 0xfedc_ba98_7654_3210 };
        for group in [0_u64, 1, 1 << 31] {
            let words = words(mask, group);
            for j in 0..SIDE {
                let block = group * SIDE as u64 + j as u64;
                let counter = [block as u32, (block >> 32) as u32, 0x7654_3210, 0xfedc_ba98];
                let want = philox(counter, [0x89ab_cdef, 0x0123_4567]);
                let got = [0, 1, 2, 3].map(|w| words[SIDE * w + j]);
                assert_eq!(got, want, "block {block}");
            }
        }
    }

    #[test]
    fn every_level_thread_count_and_piece_gives_the_same_bits() {
        let mask = Mask { seed: 5, step: 9 };
        for n in [0, 1, 127, 128, 129, 1000, 4099] {
            let x: Vec<f32> = (0..n).map(|i| i as f32 - 50.0).collect();
            let mut want = vec![7.0; n];
            let exec = Exec { level: Level::BASELINE, threads: 1, chunk: 1 << 14, serial_below: 0 };
            dropout(&exec, &x, 0.3, mask, &mut want);
            for level in Level::available() {
                for (threads, chunk) in [(1, 64), (2, 1), (3, 128), (7, 300)] {
                    let mut got = vec![7.0; n];
                    dropout(&Exec { level, threads, chunk, ..exec }, &x, 0.3, mask, &mut got);
                    let same = got.iter().zip(&want).all(|(a, b)| a.to_bits() == b.to_bits());
                    assert!(same, "{n} elements at {level} on {threads} threads in pieces of {chunk}");
                }
            }
        }
    }

    #[test]
    fn the_share_of_dropped_elements_is_p() {
        let exec = Exec { level: Level::detect(), threads: 1, chunk: 64, serial_below: 0 };
        let n = 100_000;
        for p in [0.0, 0.1, 0.5, 0.9, 1.0] {
            let mut y = vec![7.0_f64; n];
            dropout(&exec, &vec![1.0; n], p, Mask { seed: 1, step: 2 }, &mut y);
            let dropped = y.iter().filter(|&&v| v == 0.0).count() as f64;
            let deviation = (n as f64 * p * (1.0 - p)).sqrt();
            assert!((dropped - n as f64 * p).abs() <= 4.0 * deviation, "{dropped} of {n} at p = {p}");
            let kept = y.iter().find(|&&v| v != 0.0);
            assert!(kept.is_none_or(|&v| v == 1.0 / (1.0 - p)), "{kept:?} at p = {p}");
        }
    }
}
