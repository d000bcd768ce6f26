//! How a value is stored, and the real that is computed with: bfloat16 is stored in 16 bits and computed in `f32`.

use crate::coding::{from_half, to_half};
use crate::real::Real;

/// A stored value.
pub trait Element: Copy + Default + Send + Sync + 'static {
    /// What is computed with; also the dtype of parameters and running statistics.
    type Real: Real;
    /// Its name in errors.
    const NAME: &'static str;
    /// The value, exactly.
    fn load(self) -> Self::Real;
    /// The nearest stored value.
    fn store(x: Self::Real) -> Self;
}

macro_rules! itself {
    ($t:ident) => {
        impl Element for $t {
            type Real = $t;
            const NAME: &'static str = stringify!($t);
            #[inline(always)]
            fn load(self) -> $t {
                self
            }
            #[inline(always)]
            fn store(x: $t) -> $t {
                x
            }
        }
    };
}

itself!(f32);
itself!(f64);

/// bfloat16, by its bits.
impl Element for u16 {
    type Real = f32;
    const NAME: &'static str = "bf16";
    #[inline(always)]
    fn load(self) -> f32 {
        from_half(self)
    }
    #[inline(always)]
    fn store(x: f32) -> u16 {
        to_half(x)
    }
}
