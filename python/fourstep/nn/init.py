"""Initial values: fill an array in place, and return it.

    Xavier (Glorot and Bengio 2010)   uniform in ±g·√(6/(fan_in + fan_out)), or normal with σ = g·√(2/(fan_in + fan_out))
    He / MSRA (He et al. 2015)        uniform in ±g·√(3/fan), or normal with σ = g/√fan,   g = √2 for ReLU
    LeCun (LeCun et al. 1998)         uniform in ±√(3/fan_in), or normal with σ = 1/√fan_in
    orthogonal (Saxe et al. 2014)     g·Q with QᵀQ = I: no vector grows or shrinks on its way through the layer

A matrix has torch's layout, (out, in): fan_in is its second dimension. Xavier keeps the variance of activations and
gradients the same from layer to layer where the activation is about linear; He makes up for the half that ReLU cuts off
(G4). Numbers are drawn in float64 and rounded, so a float32 layer starts as the rounded float64 one of the same seed.

>>> import numpy as np
>>> from fourstep import nn
>>> layer = nn.Linear(400, 100)
>>> _ = nn.init.he_normal(layer.params["weight"], seed=0)
>>> print(f"{layer.params['weight'].std():.3f}, expected {(2 / 400) ** 0.5:.3f}")
0.071, expected 0.071
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from fourstep.nn import _check
from fourstep.nn.module import Array

Fan = Literal["fan_in", "fan_out"]


def generator(seed: int | None, rng: np.random.Generator | None) -> np.random.Generator:
    """Return `rng`, or a new generator from `seed`; giving both is an error."""
    if rng is None:
        return np.random.default_rng(seed)
    if seed is not None:
        raise ValueError(f"got both seed={seed} and rng, need one of them")
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng: got {type(rng).__name__}, need a numpy.random.Generator")
    return rng


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return what an activation asks the initial weights to be multiplied by, as torch does.

    Parameters
    ----------
    nonlinearity : {"linear", "sigmoid", "tanh", "relu", "leaky_relu"}
        The activation after the layer.
    param : float, optional
        The slope of leaky ReLU's negative side; 0.01 by default.

    Examples
    --------
    >>> from fourstep import nn
    >>> nn.init.calculate_gain("tanh")
    1.6666666666666667
    """
    slope = 0.01 if param is None else _finite("param", param)
    gains: dict[str, float] = {
        "linear": 1.0,
        "sigmoid": 1.0,
        "tanh": 5 / 3,
        "relu": 2**0.5,
        "leaky_relu": (2 / (1 + slope**2)) ** 0.5,
    }
    if nonlinearity not in gains:
        raise ValueError(f"nonlinearity: got {nonlinearity!r}, need one of {', '.join(gains)}")
    return gains[nonlinearity]


def constant(array: Array, value: float) -> Array:
    """Fill `array` with one value.

    A matrix of one value makes all units of a layer alike, and they stay alike: for biases and scales.
    """
    _check_floating(array)
    array[...] = value
    return array


def zeros(array: Array) -> Array:
    """Fill `array` with 0."""
    return constant(array, 0.0)


def ones(array: Array) -> Array:
    """Fill `array` with 1."""
    return constant(array, 1.0)


def uniform(
    array: Array,
    low: float = 0.0,
    high: float = 1.0,
    *,
    seed: int | None = None,
    rng: np.random.Generator | None = None,
) -> Array:
    """Fill `array` uniformly between `low` and `high`, which is no less."""
    _check_floating(array)
    low, high = _finite("low", low), _finite("high", high)
    if low > high:
        raise ValueError(f"low, high: got {low} and {high}, need low <= high")
    array[...] = generator(seed, rng).uniform(low, high, array.shape)
    return array


def normal(
    array: Array,
    mean: float = 0.0,
    std: float = 1.0,
    *,
    seed: int | None = None,
    rng: np.random.Generator | None = None,
) -> Array:
    """Fill `array` normally, with this mean and standard deviation."""
    _check_floating(array)
    array[...] = generator(seed, rng).normal(_finite("mean", mean), _least_zero("std", std), array.shape)
    return array


def xavier_uniform(
    array: Array, gain: float = 1.0, *, seed: int | None = None, rng: np.random.Generator | None = None
) -> Array:
    """Fill `array` uniformly in ±gain·√(6/(fan_in + fan_out))."""
    fan_in, fan_out = _fans(array)
    bound = _least_zero("gain", gain) * (6 / (fan_in + fan_out)) ** 0.5
    return uniform(array, -bound, bound, seed=seed, rng=rng)


def xavier_normal(
    array: Array, gain: float = 1.0, *, seed: int | None = None, rng: np.random.Generator | None = None
) -> Array:
    """Fill `array` normally with σ = gain·√(2/(fan_in + fan_out))."""
    fan_in, fan_out = _fans(array)
    return normal(array, 0.0, _least_zero("gain", gain) * (2 / (fan_in + fan_out)) ** 0.5, seed=seed, rng=rng)


def he_uniform(
    array: Array,
    a: float = 0.0,
    mode: Fan = "fan_in",
    nonlinearity: str = "leaky_relu",
    *,
    seed: int | None = None,
    rng: np.random.Generator | None = None,
) -> Array:
    """Fill `array` uniformly in ±gain·√(3/fan).

    Parameters
    ----------
    array : ndarray
        Two dimensions or more, (out, in, …).
    a : float
        The slope of leaky ReLU's negative side; 0, the default, makes it ReLU.
    mode : {"fan_in", "fan_out"}
        Keep the variance of the activations going forward, or of the gradients going back.
    nonlinearity : str
        As `calculate_gain` has it.
    seed, rng : int, numpy.random.Generator
        Where the numbers come from.
    """
    bound = calculate_gain(nonlinearity, a) * (3 / _fan(array, mode)) ** 0.5
    return uniform(array, -bound, bound, seed=seed, rng=rng)


def he_normal(
    array: Array,
    a: float = 0.0,
    mode: Fan = "fan_in",
    nonlinearity: str = "leaky_relu",
    *,
    seed: int | None = None,
    rng: np.random.Generator | None = None,
) -> Array:
    """Fill `array` normally with σ = gain/√fan; the arguments are those of `he_uniform`."""
    return normal(array, 0.0, calculate_gain(nonlinearity, a) / _fan(array, mode) ** 0.5, seed=seed, rng=rng)


#: torch's names, and those of the notes.
kaiming_uniform = msra_uniform = he_uniform
kaiming_normal = msra_normal = he_normal


def lecun_uniform(array: Array, *, seed: int | None = None, rng: np.random.Generator | None = None) -> Array:
    """Fill `array` uniformly in ±√(3/fan_in): the variance of x·Wᵀ is that of x."""
    bound = (3 / _fan(array, "fan_in")) ** 0.5
    return uniform(array, -bound, bound, seed=seed, rng=rng)


def lecun_normal(array: Array, *, seed: int | None = None, rng: np.random.Generator | None = None) -> Array:
    """Fill `array` normally with σ = 1/√fan_in.

    Where others differ: Keras' and Flax's functions of this name cut the normal off at two deviations.
    """
    return normal(array, 0.0, 1 / _fan(array, "fan_in") ** 0.5, seed=seed, rng=rng)


def orthogonal(
    array: Array, gain: float = 1.0, *, seed: int | None = None, rng: np.random.Generator | None = None
) -> Array:
    """Fill `array` with gain·Q, Q a random matrix whose rows (or columns, where they are fewer) are orthonormal.

    Q is that of the QR decomposition of a normal matrix, with the signs that make R's diagonal positive, so that it is
    uniform among all orthogonal matrices. Dimensions behind the first are taken as one: (out, in, …) is
    (out, in·…).

    Raises
    ------
    ValueError
        Fewer than two dimensions, or one of them is 0.
    TypeError
        The array is not one of floats.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> w = nn.init.orthogonal(np.empty((2, 3)), gain=2.0, seed=0)
    >>> bool(np.allclose(w @ w.T, [[4, 0], [0, 4]]))
    True

    References
    ----------
    Saxe, McClelland and Ganguli 2014, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks".
    """
    _fans(array)  # refuses a shape without
    rows, columns = len(array), array.size // len(array)
    drawn = generator(seed, rng).normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(drawn)
    gain = _finite("gain", gain)
    q *= np.where(np.diag(r) < 0, -gain, gain)
    array[...] = (q if rows >= columns else q.T).reshape(array.shape)
    return array


def _check_floating(array: Array) -> None:
    """Refuse an array in which random numbers would lose their fractions."""
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
        got = f"dtype {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
        raise TypeError(f"array: got {got}, need an array of floats")
    if not array.flags.writeable:
        raise ValueError("array: got a read-only array, need a writeable one")


def _finite(name: str, value: float) -> float:
    found = _check.number(name, value, "a finite number")
    if not math.isfinite(found):
        raise ValueError(f"{name}: got {value!r}, need a finite number")
    return found


def _least_zero(name: str, value: float) -> float:
    found = _finite(name, value)
    if found < 0:
        raise ValueError(f"{name}: got {value!r}, need a finite number, 0 or above")
    return found


def _fans(array: Array) -> tuple[int, int]:
    _check_floating(array)
    if array.ndim < 2 or 0 in array.shape:
        raise ValueError(
            f"array: got shape {array.shape}, need at least two dimensions, (out, in, …), none of them 0"
        )
    per_weight = int(np.prod(array.shape[2:]))
    return array.shape[1] * per_weight, array.shape[0] * per_weight


def _fan(array: Array, mode: str) -> int:
    fans = dict(zip(("fan_in", "fan_out"), _fans(array), strict=True))
    if mode not in fans:
        raise ValueError(f"mode: got {mode!r}, need 'fan_in' or 'fan_out'")
    return fans[mode]
