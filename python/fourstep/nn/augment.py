"""More rows from the ones there are: arrays in, arrays out, all random choices from a seed (R2).

    gaussian_noise    x + σ·ε
    flip              an axis the other way round, each row with probability p
    crop              a random window of each row, with zeros around it if asked for
    rotate            by a random angle (needs SciPy)
    mixup             λ·x_i + (1 − λ)·x_j, and the targets likewise, λ ~ Beta(α, α)

Rows are the first axis. Augment training rows only, anew in each epoch (``seed=`` with the epoch, or one ``rng=``), and
only in ways that leave the label as it is: a 6 that is turned round is a 9.

`Standardise` stands here because the notes list it; it is no augmentation, as it makes no new rows. It is fitted on
training rows, once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fourstep.nn import _check
from fourstep.nn.init import generator
from fourstep.nn.module import Array


class Standardise:
    """Bring each column to mean 0 and standard deviation 1, by the statistics of the training rows.

    x ← (x − mean)/std, with the standard deviation over n. A constant column becomes 0, and is named in `constant`.

    Attributes
    ----------
    mean, std : ndarray of float64, shape of a row
        std is 1 where a column is constant.
    constant : ndarray of bool, shape of a row

    Raises
    ------
    RuntimeError
        `transform` before `fit`, or a second `fit`: statistics of other rows than those of the training are leakage.
    ValueError
        No rows; a value that is not finite; rows of another shape than those of the fit.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> train, test = np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([[4.0, 6.0]])
    >>> scale = nn.augment.Standardise().fit(train)
    >>> scale.transform(test).tolist(), scale.inverse(scale.transform(test)).tolist()
    ([[2.0, 1.0]], [[4.0, 6.0]])
    >>> scale.fit(test)
    Traceback (most recent call last):
    RuntimeError: Standardise: fitted already; statistics of other rows would leak them. Make another one
    """

    def __init__(self) -> None:
        self._fitted: tuple[Array, Array, Array] | None = None

    def fit(self, x: Array) -> Standardise:
        """Take mean and standard deviation of these rows, in float64."""
        if self._fitted is not None:
            raise RuntimeError(
                "Standardise: fitted already; statistics of other rows would leak them. Make another one"
            )
        x = _check.floats("Standardise", "x", _rows("Standardise", x, 1))
        if not len(x):
            raise ValueError("Standardise: x: got no rows, need at least one")
        _check.refuse("Standardise", "x", x, ~np.isfinite(x), "values are not finite")
        wide = x.astype(np.float64)
        mean = wide.mean(axis=0)
        # Not by std == 0: the mean of equal values may be off by a rounding.
        constant = (wide == wide[0]).all(axis=0)
        mean = np.where(constant, wide[0], mean)
        std = np.where(constant, 1.0, np.sqrt(((wide - mean) ** 2).mean(axis=0)))
        self._fitted = mean, std, constant
        return self

    @property
    def mean(self) -> Array:
        """Mean of each column."""
        return self._get()[0]

    @property
    def std(self) -> Array:
        """Standard deviation of each column; 1 where it is constant."""
        return self._get()[1]

    @property
    def constant(self) -> Array:
        """Which columns are constant."""
        return self._get()[2]

    def transform(self, x: Array) -> Array:
        """Return (x − mean)/std, in the dtype of x."""
        return ((self._rows(x) - self.mean) / self.std).astype(x.dtype)

    def inverse(self, x: Array) -> Array:
        """Return x·std + mean, in the dtype of x."""
        return (self._rows(x) * self.std + self.mean).astype(x.dtype)

    def state_dict(self) -> dict[str, Array]:
        """Return copies of the statistics."""
        return {"mean": self.mean.copy(), "std": self.std.copy(), "constant": self.constant.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the statistics from a `state_dict`."""
        mean, std, constant = (np.array(state[key]) for key in ("mean", "std", "constant"))
        self._fitted = mean, std, constant

    def _get(self) -> tuple[Array, Array, Array]:
        if self._fitted is None:
            raise RuntimeError("Standardise: not fitted yet; fit it to the training rows")
        return self._fitted

    def _rows(self, x: Array) -> Array:
        x = _check.floats("Standardise", "x", x)
        if x.shape[1:] != self.mean.shape:
            raise ValueError(f"Standardise: x: got rows of shape {x.shape[1:]}, need {self.mean.shape}")
        return x


def gaussian_noise(
    x: Array, std: float, *, seed: int | None = None, rng: np.random.Generator | None = None
) -> Array:
    """Return x plus normal noise.

    Parameters
    ----------
    x : ndarray of float32 or float64
    std : float
        σ, 0 or above.
    seed, rng : int, numpy.random.Generator
        Where the numbers come from.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> noisy = nn.augment.gaussian_noise(np.zeros(10_000), 0.5, seed=0)
    >>> f"{noisy.std():.2f}"
    '0.50'
    """
    x = _check.floats("gaussian_noise", "x", x)
    std = _range("std", std, 0.0, np.inf)
    noisy: Array = x + (std * generator(seed, rng).normal(size=x.shape)).astype(x.dtype)
    return noisy


def flip(
    x: Array,
    axis: int = -1,
    p: float = 0.5,
    *,
    seed: int | None = None,
    rng: np.random.Generator | None = None,
) -> Array:
    """Return x with each row turned round along `axis` with probability `p`.

    Parameters
    ----------
    x : ndarray, shape (rows, …)
        Two dimensions or more.
    axis : int
        Not that of the rows. −1 of (rows, height, width) mirrors left and right.
    p : float
    seed, rng : int, numpy.random.Generator
        Where the choice comes from.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> nn.augment.flip(np.array([[1.0, 2.0, 3.0]]), p=1.0, seed=0).tolist()
    [[3.0, 2.0, 1.0]]
    """
    x = _rows("flip", x, 2)
    own = _axis("flip", x, axis)
    turned = generator(seed, rng).random(len(x)) < _range("p", p, 0.0, 1.0)
    y = x.copy()
    y[turned] = np.flip(x[turned], axis=own)
    return y


def crop(
    x: Array,
    size: int | Sequence[int],
    pad: int = 0,
    *,
    seed: int | None = None,
    rng: np.random.Generator | None = None,
) -> Array:
    """Return a random window of each row.

    Parameters
    ----------
    x : ndarray, shape (rows, …)
    size : int or sequence of int
        Of the window, in the last axes: two numbers for (rows, height, width). One number is for the last axis alone.
    pad : int
        Zeros to put at both ends of those axes first.
    seed, rng : int, numpy.random.Generator
        Where the places come from.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> x = np.arange(4 * 10).reshape(4, 10)
    >>> nn.augment.crop(x, 3, seed=0).tolist()
    [[6, 7, 8], [15, 16, 17], [24, 25, 26], [32, 33, 34]]
    """
    sizes = _check.shape("size", size, least=1)
    if not sizes:
        raise ValueError("crop: size: got no numbers, need at least one")
    x = _rows("crop", x, 1 + len(sizes))
    pad = _check.size("pad", pad, least=0)
    first = x.ndim - len(sizes)
    if pad:
        x = np.pad(x, [(0, 0)] * first + [(pad, pad)] * len(sizes))
    room = [x.shape[first + i] - s for i, s in enumerate(sizes)]
    if min(room) < 0:
        raise ValueError(f"crop: size: got {sizes}, need at most {x.shape[first:]}, padding included")
    draw = generator(seed, rng)
    places = np.stack([draw.integers(0, r + 1, len(x)) for r in room], axis=1)
    y = np.empty((*x.shape[:first], *sizes), x.dtype)
    for i, place in enumerate(places):
        window: Any = (i, ..., *(slice(at, at + s) for at, s in zip(place, sizes, strict=True)))
        y[i] = x[window]
    return y


def rotate(
    x: Array,
    degrees: float,
    *,
    axes: tuple[int, int] = (-2, -1),
    seed: int | None = None,
    rng: np.random.Generator | None = None,
) -> Array:
    """Return each row turned by a random angle in ±degrees, of the same shape, with zeros where nothing was.

    Parameters
    ----------
    x : ndarray of float32 or float64, shape (rows, …, height, width)
    degrees : float
        The largest angle, from 0 to 180.
    axes : tuple of int
        The plane.
    seed, rng : int, numpy.random.Generator
        Where the angles come from.

    Raises
    ------
    ImportError
        SciPy is not installed; the extra ``fourstep[images]`` brings it.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> image = np.zeros((1, 9, 9))
    >>> image[0, 2:7, 4] = 1.0
    >>> turned = nn.augment.rotate(image, 90.0, seed=0)
    >>> turned.shape, bool((turned != image).any())
    ((1, 9, 9), True)

    Notes
    -----
    Between pixels it is linear: no value goes beyond those of the image.
    """
    x = _check.floats("rotate", "x", _rows("rotate", x, 3))
    plane = _axis("rotate", x, axes[0]), _axis("rotate", x, axes[1])
    if plane[0] == plane[1]:
        raise ValueError(f"rotate: axes: got {axes!r}, need two different ones")
    degrees = _range("degrees", degrees, 0.0, 180.0)
    angles = generator(seed, rng).uniform(-degrees, degrees, len(x))
    turn = _scipy_rotate()
    y = np.empty_like(x)
    for i, angle in enumerate(angles):
        turn(x[i], angle, axes=(plane[0] - 1, plane[1] - 1), reshape=False, order=1, output=y[i])
    return y


class Mixed(NamedTuple):
    """What `mixup` returns: the mixed rows and targets, the share of the first, and which rows were the second."""

    x: Array
    target: Array
    share: Array
    partner: Array


def mixup(
    x: Array,
    target: Array,
    alpha: float = 0.2,
    *,
    seed: int | None = None,
    rng: np.random.Generator | None = None,
) -> Mixed:
    """Return rows λ·x_i + (1 − λ)·x_j with targets λ·t_i + (1 − λ)·t_j, j a random order of the rows.

    Parameters
    ----------
    x : ndarray of float32 or float64, shape (rows, …)
    target : ndarray, shape (rows, …)
        Numbers between which a mean makes sense: 0 and 1, or one-hot rows; whole numbers become floats.
    alpha : float
        λ ~ Beta(α, α), one for each row: near 0 the rows stay as they are, 1 is uniform.
    seed, rng : int, numpy.random.Generator
        Where λ and the order come from.

    Returns
    -------
    Mixed

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> mixed = nn.augment.mixup(np.array([[0.0], [10.0]]), np.array([0, 1]), alpha=1.0, seed=0)
    >>> bool(np.allclose(mixed.x[:, 0], 10 * mixed.target))
    True

    Notes
    -----
    Where others differ: the paper's code draws one λ for a batch.

    References
    ----------
    Zhang, Cissé, Dauphin and Lopez-Paz 2018, "mixup: Beyond Empirical Risk Minimization".
    """
    x = _check.floats("mixup", "x", _rows("mixup", x, 1))
    target = np.asarray(target)
    if target.shape[:1] != x.shape[:1]:
        raise ValueError(f"mixup: target: got shape {target.shape}, need {len(x)} rows")
    if target.dtype.kind not in "biuf":
        raise TypeError(f"mixup: target: got dtype {target.dtype}, need numbers")
    alpha = _check.number("alpha", alpha, need := "a finite number above 0")
    if not 0 < alpha < np.inf:
        raise ValueError(f"alpha: got {alpha!r}, need {need}")
    draw = generator(seed, rng)
    share, partner = draw.beta(alpha, alpha, len(x)), draw.permutation(len(x))
    wide = target if target.dtype.kind == "f" else target.astype(x.dtype)
    return Mixed(_between(x, share, partner), _between(wide, share, partner), share, partner)


def _between(a: Array, share: Array, partner: Array) -> Array:
    lam = share.reshape(-1, *[1] * (a.ndim - 1)).astype(a.dtype)
    mixed: Array = lam * a + (1 - lam) * a[partner]
    return mixed


def _scipy_rotate() -> Any:
    try:
        from scipy.ndimage import rotate as turn
    except ImportError as error:
        raise ImportError(
            "rotate needs SciPy, which is not installed: pip install 'fourstep[images]'"
        ) from error
    return turn


def _rows(label: str, x: Any, dimensions: int) -> Array:
    if not isinstance(x, np.ndarray):
        raise TypeError(f"{label}: x: got {type(x).__name__}, need a NumPy array")
    if x.ndim < dimensions:
        raise ValueError(f"{label}: x: got shape {x.shape}, need {dimensions} dimensions or more, rows first")
    return x


def _axis(label: str, x: Array, axis: int) -> int:
    axis = _check.whole("axis", axis)
    own = axis + x.ndim if axis < 0 else axis
    if not 1 <= own < x.ndim:
        raise ValueError(f"{label}: axis: got {axis!r}, need one of {x.ndim} that is not that of the rows")
    return own


def _range(name: str, value: float, low: float, high: float) -> float:
    need = f"{low:g} to {high:g}" if np.isfinite(high) else f"a finite number, {low:g} or above"
    found = _check.number(name, value, need)
    if not (low <= found <= high and np.isfinite(found)):
        raise ValueError(f"{name}: got {value!r}, need {need}")
    return found
