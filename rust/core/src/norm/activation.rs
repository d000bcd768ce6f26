//! What may stand behind the normalisation, in the same pass.
//!
//! ```text
//! relu         z > 0: z     else 0             dz = dy     or 0
//! leaky relu   z > 0: z     else α·z           dz = dy     or α·dy
//! ```
//!
//! Backward recomputes z by the expression of forward, the same bits, so no mask is kept: writing one would cost more than the
//! three operations. A NaN stays a NaN.

use crate::real::Real;

/// The function behind the normalisation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// None.
    Identity,
    /// max(z, 0).
    Relu,
    /// z above 0, and this multiple of z at and below it.
    LeakyRelu(f64),
}

/// The kinds, as constants that kernels are compiled for.
pub(crate) const IDENTITY: u8 = 0;
pub(crate) const RELU: u8 = 1;
pub(crate) const LEAKY: u8 = 2;

impl Activation {
    /// α, rounded once.
    pub(crate) fn slope<T: Real>(self) -> T {
        match self {
            Self::LeakyRelu(slope) => T::from_f64(slope),
            _ => T::ZERO,
        }
    }
}

/// The activation of z.
#[inline(always)]
pub(crate) fn value<T: Real, const KIND: u8>(z: T, slope: T) -> T {
    match KIND {
        IDENTITY => z,
        RELU if z <= T::ZERO => T::ZERO,
        LEAKY if z <= T::ZERO => z * slope,
        _ => z,
    }
}

/// dy times the derivative at z.
#[inline(always)]
pub(crate) fn chained<T: Real, const KIND: u8>(z: T, dy: T, slope: T) -> T {
    match KIND {
        IDENTITY => dy,
        RELU if z <= T::ZERO => T::ZERO,
        LEAKY if z <= T::ZERO => dy * slope,
        _ => dy,
    }
}

/// Calls `$f` with the constant of the activation in front of its other constants.
macro_rules! for_activation {
    ($activation:expr, $f:ident::<$e:ty>($($argument:expr),* $(,)?)) => {
        match $activation {
            Activation::Identity => $f::<$e, { activation::IDENTITY }>($($argument),*),
            Activation::Relu => $f::<$e, { activation::RELU }>($($argument),*),
            Activation::LeakyRelu(_) => $f::<$e, { activation::LEAKY }>($($argument),*),
        }
    };
}
pub(crate) use for_activation;
