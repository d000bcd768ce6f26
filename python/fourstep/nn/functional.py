"""Activations and their derivatives as plain functions: ``f`` and ``df``.

Each takes a float32 or float64 array (anything else becomes float64) and an ``out=`` array. None of them overflows, at
any finite or infinite input; NaN stays NaN. What is made of the exponential and the logarithm is our own
(``rust/core/src/elementary.rs``, ``activations.rs``): computed in float64 and rounded once, with the same bits on every
machine. The hyperbolic tangent is NumPy's.

    of each element     sigmoid, tanh, relu, leaky_relu, elu, gelu, silu, softplus
    along an axis       softmax, log_softmax (their derivatives are Jacobians), maxout (its derivative is a mask)
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from fourstep.nn import _check
from fourstep.nn._elementary import elementary, floats
from fourstep.nn.module import Array

Gelu: TypeAlias = Literal["none", "tanh"]


def exp(x: ArrayLike, out: Array | None = None) -> Array:
    """Return e^x.

    Examples
    --------
    >>> from fourstep.nn import functional as F
    >>> F.exp([-1000.0, 0.0, 1.0]).tolist()
    [0.0, 1.0, 2.718281828459045]
    """
    return elementary("exp", x, out)


def log(x: ArrayLike, out: Array | None = None) -> Array:
    """Return ln x: −∞ at 0, NaN below.

    Examples
    --------
    >>> from fourstep.nn import functional as F
    >>> F.log([0.0, 1.0, 10.0]).tolist()
    [-inf, 0.0, 2.302585092994046]
    """
    return elementary("log", x, out)


def log1p(x: ArrayLike, out: Array | None = None) -> Array:
    """Return ln(1 + x): −∞ at −1, NaN below; small values keep all digits.

    Examples
    --------
    >>> from fourstep.nn import functional as F
    >>> F.log1p([-1.0, 0.0, 1e-20]).tolist()
    [-inf, 0.0, 1e-20]
    """
    return elementary("log1p", x, out)


def sigmoid(x: ArrayLike, out: Array | None = None) -> Array:
    """Return 1/(1 + e^−x).

    With e = e^−|x|, which lies in [0, 1], it is 1/(1 + e) for x >= 0 and e/(1 + e) below: small values keep all digits.
    Computed in float64 and rounded once.

    Examples
    --------
    >>> from fourstep.nn import functional as F
    >>> F.sigmoid([-1000.0, -40.0, 0.0, 40.0]).tolist()
    [0.0, 4.248354255291589e-18, 0.5, 1.0]
    """
    return elementary("sigmoid", x, out)


def dsigmoid(x: ArrayLike, out: Array | None = None) -> Array:
    """Return the derivative of `sigmoid`, e/(1 + e)² with e = e^−|x|: at most ¼ (A3).

    Examples
    --------
    >>> from fourstep.nn import functional as F
    >>> F.dsigmoid([0.0, 40.0]).tolist()
    [0.25, 4.248354255291589e-18]
    """
    return elementary("dsigmoid", x, out)


def tanh(x: ArrayLike, out: Array | None = None) -> Array:
    """Return (e^x − e^−x)/(e^x + e^−x)."""
    return np.asarray(np.tanh(floats(x), out=out))


def dtanh(x: ArrayLike, out: Array | None = None) -> Array:
    """Return the derivative of `tanh`, 4e/(1 + e)² with e = e^−2|x|: at most 1.

    Examples
    --------
    >>> from fourstep.nn import functional as F
    >>> F.dtanh([0.0, 20.0]).tolist()
    [1.0, 1.6993417021166355e-17]
    """
    return elementary("dtanh", x, out)


def relu(x: ArrayLike, out: Array | None = None) -> Array:
    """Return max(x, 0)."""
    return np.asarray(np.maximum(floats(x), 0, out=out))


def drelu(x: ArrayLike, out: Array | None = None) -> Array:
    """Return the derivative of `relu`: 1 above 0, and 0 at and below it, as torch has it.

    Examples
    --------
    >>> from fourstep.nn import functional as F
    >>> F.drelu([-1.0, 0.0, 2.0]).tolist()
    [0.0, 0.0, 1.0]
    """
    return _steps(floats(x), 0.0, out)


def leaky_relu(x: ArrayLike, negative_slope: float = 0.01, out: Array | None = None) -> Array:
    """Return max(αx, x), α = `negative_slope` from 0 to 1: what is below 0 keeps a small gradient (A2).

    Examples
    --------
    >>> from fourstep.nn import functional as F
    >>> F.leaky_relu([-2.0, 0.0, 2.0]).tolist()
    [-0.02, 0.0, 2.0]
    """
    x = floats(x)
    slope = x.dtype.type(_slope(negative_slope))
    if slope == 0:  # 0·∞ is NaN, where max(0, x) is meant
        return relu(x, out)
    return np.asarray(np.maximum(x * slope, x, out=out))


def dleaky_relu(x: ArrayLike, negative_slope: float = 0.01, out: Array | None = None) -> Array:
    """Return the derivative of `leaky_relu`: 1 above 0, and α at and below it, as torch has it.

    Examples
    --------
    >>> from fourstep.nn import functional as F
    >>> F.dleaky_relu([-2.0, 0.0, 2.0]).tolist()
    [0.01, 0.01, 1.0]
    """
    return _steps(floats(x), _slope(negative_slope), out)


def elu(x: ArrayLike, alpha: float = 1.0, out: Array | None = None) -> Array:
    """Return x above 0, and α(e^x − 1) below, α = `alpha` > 0.

    Clevert, Unterthiner and Hochreiter 2015, "Fast and Accurate Deep Network Learning by Exponential Linear Units".

    Examples
    --------
    >>> from fourstep.nn import functional as F
    >>> F.elu([-1000.0, -1e-20, 0.0, 1000.0]).tolist()
    [-1.0, -1e-20, 0.0, 1000.0]
    """
    x = floats(x)
    alpha = _scale(alpha, x)  # before `out`, which may be x, is written
    y = elementary("elu", x, out)
    if alpha != 1:
        low = np.minimum(y, 0)
        low *= alpha
        np.maximum(y, 0, out=y)
        y += low
    return y


def delu(x: ArrayLike, alpha: float = 1.0, out: Array | None = None) -> Array:
    """Return the derivative of `elu`: 1 above 0, and αe^x at and below it.

    Examples
    --------
    >>> from fourstep.nn import functional as F
    >>> F.delu([-1000.0, 0.0, 1.0], alpha=0.5).tolist()
    [0.0, 0.5, 1.0]
    """
    x = floats(x)
    alpha = _scale(alpha, x)
    low = exp(np.minimum(x, 0))
    if alpha == 1:  # and e^0 is 1
        return _copied(low, out)
    low *= alpha
    return _copied(np.where(x > 0, x.dtype.type(1), low), out)


def _scale(alpha: float, x: Array) -> float:
    found = _positive("alpha", alpha)
    if found > float(np.finfo(x.dtype).max):
        raise ValueError(f"alpha: got {alpha}, need a number that {x.dtype} can hold")
    return found


def gelu(x: ArrayLike, approximate: Gelu = "none", out: Array | None = None) -> Array:
    """Return x·Φ(x), Φ the normal distribution; or its ``"tanh"`` form, x·½(1 + tanh(√(2/π)(x + 0.044715x³))).

    The second is computed as x·σ(2√(2/π)(x + 0.044715x³)), which is the same. They differ by at most 5e-4. The first is
    within 6 ulps of the exact value in float64, and within 0.501 in float32, also far out on the left, where
    x·½(1 + erf(x/√2)) has lost all digits.

    Hendrycks and Gimpel 2016, "Gaussian Error Linear Units (GELUs)".

    Examples
    --------
    >>> from fourstep.nn import functional as F
    >>> F.gelu([-1000.0, -1.0, 0.0, 1000.0]).round(6).tolist()
    [-0.0, -0.158655, 0.0, 1000.0]
    >>> F.gelu([-1.0, 1.0], approximate="tanh").round(6).tolist()
    [-0.158808, 0.841192]
    """
    return elementary("gelu_tanh" if _form(approximate) == "tanh" else "gelu", x, out)


def dgelu(x: ArrayLike, approximate: Gelu = "none", out: Array | None = None) -> Array:
    """Return the derivative of `gelu`: Φ(x) + xφ(x); of the tanh form, σ(u) + xσ′(u)u′, u = 2√(2/π)(x + 0.044715x³).

    It is above 1 between about 0.75 and 3 (at most 1.129), and below 0 from −0.75 on.

    Examples
    --------
    >>> from fourstep.nn import functional as F
    >>> F.dgelu([-1000.0, 0.0, 2**0.5, 1000.0]).round(4).tolist()
    [0.0, 0.5, 1.1289, 1.0]
    """
    return elementary("dgelu_tanh" if _form(approximate) == "tanh" else "dgelu", x, out)


def silu(x: ArrayLike, out: Array | None = None) -> Array:
    """Return x·σ(x), also called swish.

    Examples
    --------
    >>> from fourstep.nn import functional as F
    >>> F.silu([-1000.0, -1.0, 0.0, 1000.0]).round(6).tolist()
    [-0.0, -0.268941, 0.0, 1000.0]
    """
    return elementary("silu", x, out)


def dsilu(x: ArrayLike, out: Array | None = None) -> Array:
    """Return the derivative of `silu`, σ(x) + xσ(x)(1 − σ(x)): at most 1.0998.

    Examples
    --------
    >>> from fourstep.nn import functional as F
    >>> F.dsilu([-1000.0, 0.0, 1000.0]).tolist()
    [0.0, 0.5, 1.0]
    """
    return elementary("dsilu", x, out)


def softplus(x: ArrayLike, out: Array | None = None) -> Array:
    """Return ln(1 + e^x) as max(x, 0) + ln(1 + e^−|x|); its derivative is `sigmoid`.

    Examples
    --------
    >>> from fourstep.nn import functional as F
    >>> F.softplus([-1000.0, 0.0, 1000.0]).tolist()
    [0.0, 0.6931471805599453, 1000.0]
    """
    return elementary("softplus", x, out)


#: The derivative of `softplus`: σ.
dsoftplus = sigmoid


# Along an axis.


def softmax(x: ArrayLike, axis: int = -1, out: Array | None = None) -> Array:
    """Return e^z_j/Σ_k e^z_k along an axis (A6), as e^(z_j − max z)/Σ_k e^(z_k − max z).

    So no exponential is above 1, and at least one is 1. Logits of −∞ get 0; a row with NaN or +∞, or of −∞ alone, has no
    softmax: NaN.

    Raises
    ------
    ValueError
        The axis is not there, or has no elements.

    Examples
    --------
    >>> from fourstep.nn import functional as F
    >>> F.softmax([[0.0, 0.0], [1000.0, 0.0]]).tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    """
    e = exp(_below_max(x, axis))
    e /= e.sum(axis=axis, keepdims=True)
    return _copied(e, out)


def dsoftmax(x: ArrayLike, axis: int = -1) -> Array:
    """Return the Jacobian of `softmax`, ∂p_i/∂z_j = p_i(δ_ij − p_j): one row and one column for each class, at the end.

    Examples
    --------
    >>> from fourstep.nn import functional as F
    >>> F.dsoftmax([0.0, 0.0]).tolist()
    [[0.25, -0.25], [-0.25, 0.25]]
    """
    p = np.moveaxis(softmax(x, axis), axis, -1)
    return np.asarray(p[..., :, None] * (np.eye(p.shape[-1], dtype=p.dtype) - p[..., None, :]))


def log_softmax(x: ArrayLike, axis: int = -1, out: Array | None = None) -> Array:
    """Return the logarithm of `softmax`, z_j − max z − ln Σ_k e^(z_k − max z): never the logarithm of 0 (N3).

    The largest logit gives a 1 in the sum, so its logarithm is ln(1 + the others): a share near 1 keeps all digits.

    Raises
    ------
    ValueError
        The axis is not there, or has no elements.

    Examples
    --------
    >>> from fourstep.nn import functional as F
    >>> F.log_softmax([1000.0, 0.0]).tolist(), float(F.log_softmax([40.0, 0.0])[0])
    ([0.0, -1000.0], -4.248354255291589e-18)
    """
    x = floats(x)
    below = _below_max(x, axis)
    others = exp(below)
    first = np.expand_dims(x.argmax(axis=axis), axis)
    np.put_along_axis(others, first, np.take_along_axis(others, first, axis) - 1, axis)
    below -= log1p(others.sum(axis=axis, keepdims=True))
    return _copied(below, out)


def dlog_softmax(x: ArrayLike, axis: int = -1) -> Array:
    """Return the Jacobian of `log_softmax`, ∂ ln p_i/∂z_j = δ_ij − p_j, as `dsoftmax` does.

    Examples
    --------
    >>> from fourstep.nn import functional as F
    >>> F.dlog_softmax([0.0, 0.0]).tolist()
    [[0.5, -0.5], [-0.5, 0.5]]
    """
    p = np.moveaxis(softmax(x, axis), axis, -1)
    return np.asarray(np.eye(p.shape[-1], dtype=p.dtype) - p[..., None, :])


def maxout(x: ArrayLike, pieces: int = 2, out: Array | None = None) -> Array:
    """Return the largest of each `pieces` numbers that lie side by side in the last axis (A2).

    Behind a linear layer this is max(w₁ᵀx + b₁, w₂ᵀx + b₂, …). Goodfellow et al. 2013, "Maxout Networks".

    Raises
    ------
    ValueError
        The last axis is no multiple of `pieces`.

    Examples
    --------
    >>> from fourstep.nn import functional as F
    >>> F.maxout([1.0, 2.0, -4.0, -3.0]).tolist()
    [2.0, -3.0]
    """
    return _copied(_pieces(floats(x), pieces).max(axis=-1), out)


def dmaxout(x: ArrayLike, pieces: int = 2) -> Array:
    """Return 1 where an element is the first of the largest of its pieces, else 0: of the shape of x.

    Examples
    --------
    >>> from fourstep.nn import functional as F
    >>> F.dmaxout([1.0, 2.0, 5.0, 5.0]).tolist()
    [0.0, 1.0, 1.0, 0.0]
    """
    x = floats(x)
    groups = _pieces(x, pieces)
    first = groups.argmax(axis=-1)[..., None]
    return np.asarray((first == np.arange(pieces)).astype(x.dtype).reshape(x.shape))


# What they are made of.


def _slope(value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"negative_slope: got {value!r}, need 0 to 1: max(αx, x) is αx below 0 only then")
    return value


def _positive(name: str, value: float) -> float:
    if not 0 < value < float("inf"):
        raise ValueError(f"{name}: got {value!r}, need a finite number above 0")
    return value


def _form(approximate: Gelu) -> Gelu:
    if approximate not in ("none", "tanh"):
        raise ValueError(f"approximate: got {approximate!r}, need 'none' or 'tanh'")
    return approximate


def _steps(x: Array, slope: float, out: Array | None) -> Array:
    """Return 1 above 0, `slope` at and below it, and NaN at NaN."""
    y = np.asarray(np.sign(x, out=out))
    return np.asarray(np.maximum(y, slope, out=y))


def _below_max(x: ArrayLike, axis: int) -> Array:
    """Return x − max x along an axis, which is at most 0."""
    x, axis = floats(x), _check.whole("axis", axis)
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"axis: got {axis}, need an axis of x, of shape {x.shape}")
    if x.shape[axis] == 0:
        raise ValueError(f"x: got shape {x.shape}: no elements along axis {axis} to compare")
    with np.errstate(over="ignore", invalid="ignore"):  # −∞ is what is meant; ∞ − ∞ is NaN, as documented
        return np.asarray(x - x.max(axis=axis, keepdims=True))


def _pieces(x: Array, pieces: int) -> Array:
    if x.ndim == 0 or x.shape[-1] % _check.size("pieces", pieces):
        raise ValueError(f"x: got shape {x.shape}, need a last axis that is a multiple of pieces, {pieces}")
    return x.reshape(*x.shape[:-1], x.shape[-1] // pieces, pieces)


def _copied(y: Array, out: Array | None) -> Array:
    return np.asarray(y) if out is None else np.asarray(np.positive(y, out=out))
