//! The one loop over state in fewer bits: decoded and encoded in registers.
//!
//! With a stage that decodes a block before the loop, and one that encodes it after, time was the sum of the three; here
//! the few operations more hide in part behind the root and the division. 8-bit codes need the largest number of their
//! block first: what the loop writes is kept beside for 256 elements, and coded after them.
//!
//! These forms are compiled for `f32` alone. Where a rule mixes widths, or state is flushed or watched, it is decoded by a
//! stage of `pass.rs` instead.

use crate::coding::{BLOCK8, Format, exponent, half_to, nearest_half, random_half};
use crate::isa::Kernel;
use crate::random::{Random, TURN, side_by_side, spread_side_by_side};
use crate::real::Real;
use crate::rule::{Form, FourStep, Frame, elements, framed, none, plain};
use crate::store::Bytes;

/// bfloat16; rounded to the nearest, or by a random number.
struct Half<const RANDOM: bool>;

impl<T: Real, const RANDOM: bool> Form<T> for Half<RANDOM> {
    type Cell = u16;

    #[inline(always)]
    fn read(cell: u16) -> T {
        half_to(cell)
    }

    #[inline(always)]
    fn write(x: T, random: u32) -> u16 {
        if RANDOM { random_half(x, random) } else { nearest_half(x) }
    }
}

/// The loop with all state in bfloat16. Gives whether some gradient is not finite.
pub(crate) struct HalfElements<'a, T, R, const S: usize> {
    pub(crate) rule: R,
    pub(crate) frame: Frame<T>,
    pub(crate) w: &'a mut [T],
    pub(crate) g: &'a [T],
    pub(crate) state: [&'a mut [u16]; S],
    pub(crate) random: Option<[Random; S]>,
}

impl<T: Real, R: FourStep<T, S>, const S: usize> Kernel for HalfElements<'_, T, R, S> {
    type Out = bool;

    #[inline(always)]
    fn run(self) -> bool {
        let Self { rule, frame, .. } = self;
        if frame.is_plain() { self.with(plain(rule, frame)) } else { self.with(framed(rule, frame)) }
    }
}

impl<T: Real, R, const S: usize> HalfElements<'_, T, R, S> {
    #[inline(always)]
    fn with(self, one: impl Fn(T, T, [T; S]) -> (T, [T; S]) + Copy) -> bool {
        let Self { w, g, state, random, .. } = self;
        match random {
            None => elements::<T, Half<false>, S>(w, g, state, none, one),
            Some(streams) => elements::<T, Half<true>, S>(
                w,
                g,
                state,
                #[inline(always)]
                |i| side_by_side(streams, i),
                one,
            ),
        }
    }
}

/// The loop with all state in 8-bit blocks, the first of which begins with the first element.
pub(crate) struct ByteElements<'a, T, R, const S: usize> {
    pub(crate) rule: R,
    pub(crate) frame: Frame<T>,
    pub(crate) w: &'a mut [T],
    pub(crate) g: &'a [T],
    pub(crate) state: [Bytes<'a>; S],
    pub(crate) random: [Random; S],
}

impl<T: Real, R: FourStep<T, S>, const S: usize> Kernel for ByteElements<'_, T, R, S> {
    type Out = bool;

    #[inline(always)]
    fn run(self) -> bool {
        let Self { rule, frame, .. } = self;
        if frame.is_plain() { self.with(plain(rule, frame)) } else { self.with(framed(rule, frame)) }
    }
}

impl<T: Real, R, const S: usize> ByteElements<'_, T, R, S> {
    /// Whole blocks in place, the rest in a copy that is filled up: loops of a fixed length need no checks.
    #[inline(always)]
    fn with(self, one: impl Fn(T, T, [T; S]) -> (T, [T; S]) + Copy) -> bool {
        let Self { w, g, mut state, random, .. } = self;
        assert!(w.len() == g.len() && state.iter().all(|s| s.codes.len() == g.len()), "buffers of one length");
        let (blocks, last_w) = w.as_chunks_mut::<BLOCK8>();
        let (gradients, last_g) = g.as_chunks::<BLOCK8>();
        let (last, n) = (blocks.len(), last_w.len());
        let mut alarm = T::Alarm::default();
        let mut beside = [[T::ZERO; BLOCK8]; S];
        let mut copies = [[0; BLOCK8]; S];
        for (b, (w, g)) in blocks.iter_mut().zip(gradients).enumerate() {
            let mut formats = Formats::of(&state, b);
            let mut codes = copies.each_mut();
            for (codes, s) in codes.iter_mut().zip(&mut state) {
                if let Some(block) = s.codes[b * BLOCK8..].first_chunk_mut() {
                    *codes = block;
                }
            }
            alarm = alarm | advance(w, g, &codes, formats.all(), &mut beside, one);
            formats.encode(&beside, BLOCK8, &mut codes, random, b * BLOCK8);
            formats.keep(&mut state, b);
        }
        if n > 0 {
            let mut formats = Formats::of(&state, last);
            let (mut w, mut g) = ([T::ZERO; BLOCK8], [T::ZERO; BLOCK8]);
            w[..n].copy_from_slice(last_w);
            g[..n].copy_from_slice(last_g);
            for (copy, s) in copies.iter_mut().zip(&state) {
                copy[..n].copy_from_slice(&s.codes[last * BLOCK8..]);
            }
            let mut codes = copies.each_mut();
            alarm = alarm | advance(&mut w, &g, &codes, formats.all(), &mut beside, one);
            formats.encode(&beside, n, &mut codes, random, last * BLOCK8);
            formats.keep(&mut state, last);
            last_w.copy_from_slice(&w[..n]);
            for (copy, s) in copies.iter().zip(&mut state) {
                s.codes[last * BLOCK8..].copy_from_slice(&copy[..n]);
            }
        }
        T::alarmed(alarm)
    }
}

/// The loop over one block: new state is kept beside.
#[inline(always)]
fn advance<T: Real, const S: usize>(
    w: &mut [T; BLOCK8],
    g: &[T; BLOCK8],
    codes: &[&mut [u8; BLOCK8]; S],
    formats: [Format; S],
    beside: &mut [[T; BLOCK8]; S],
    one: impl Fn(T, T, [T; S]) -> (T, [T; S]),
) -> T::Alarm {
    let mut alarm = T::Alarm::default();
    for i in 0..BLOCK8 {
        alarm = alarm | g[i].alarm();
        let mut s = [T::ZERO; S];
        for k in 0..S {
            s[k] = formats[k].decode(codes[k][i]);
        }
        let (new, s) = one(w[i], g[i], s);
        w[i] = new;
        for k in 0..S {
            beside[k][i] = s[k];
        }
    }
    alarm
}

/// The formats of one block of each buffer.
#[derive(Clone, Copy)]
struct Formats<const S: usize> {
    exponents: [u8; S],
    signed: [bool; S],
}

impl<const S: usize> Formats<S> {
    #[inline(always)]
    fn of(state: &[Bytes<'_>; S], b: usize) -> Self {
        let mut formats = Self { exponents: [0; S], signed: [false; S] };
        for (k, s) in state.iter().enumerate() {
            (formats.exponents[k], formats.signed[k]) = (s.exponents[b], s.signed);
        }
        formats
    }

    #[inline(always)]
    fn keep(self, state: &mut [Bytes<'_>; S], b: usize) {
        for (s, exponent) in state.iter_mut().zip(self.exponents) {
            s.exponents[b] = exponent;
        }
    }

    #[inline(always)]
    fn all(self) -> [Format; S] {
        let mut all = [Format::new(0, false); S];
        for (k, format) in all.iter_mut().enumerate() {
            *format = Format::new(self.exponents[k], self.signed[k]);
        }
        all
    }

    /// Codes one block: the exponents become those of the first `n` elements; the random numbers begin at `first`.
    #[inline(always)]
    fn encode<T: Real>(
        &mut self,
        from: &[[T; BLOCK8]; S],
        n: usize,
        codes: &mut [&mut [u8; BLOCK8]; S],
        random: [Random; S],
        first: usize,
    ) {
        for (e, from) in self.exponents.iter_mut().zip(from) {
            *e = exponent(&from[..n]);
        }
        let formats = self.all(); // by value: a code could be written over them, for all that the compiler knows
        let mut turn = (first as u32).wrapping_mul(TURN);
        for i in 0..BLOCK8 {
            let random = spread_side_by_side(random, turn);
            turn = turn.wrapping_add(TURN);
            for k in 0..S {
                codes[k][i] = formats[k].encode(from[k][i], random[k] >> 12);
            }
        }
    }
}
