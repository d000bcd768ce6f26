"""The walk of an optimizer over a function of few variables: points, losses, gradients.

w_0, then `steps` times: the optimizer calls for the gradient where it wants it, and moves
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from fourstep import optim
from fourstep.arena import Arena, Array

#: Makes an optimizer over an arena; or the name of one; or its name and options.
Choice = Callable[[Arena], optim.Optimizer] | str | tuple[str, Mapping[str, Any]]


class Function(Protocol):
    """What can be minimised: see `fourstep.functions`."""

    def value(self, x: Array, /) -> Any:
        """Return f(x)."""

    def gradient(self, x: Array, /) -> Any:
        """Return ∇f(x), in the shape of x."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Where an optimizer went.

    Attributes
    ----------
    points : ndarray, shape (steps + 1, *shape of x0)
        w, before the first step and after each; of a Schedule-Free optimizer, the average that it would return.
    losses : ndarray, shape (steps + 1, ...)
        f of each point.
    gradients, evaluated_at : ndarray, shape (steps, *shape of x0)
        ∇f, and where it was taken: at w, or where the optimizer looked ahead.
    optimizer : str
        Its name, with the options that it was asked for by.
    function : str
    """

    points: Array
    losses: Array
    gradients: Array
    evaluated_at: Array
    optimizer: str
    function: str

    @property
    def end(self) -> Array:
        """The last point."""
        last: Array = self.points[-1]
        return last

    @property
    def diverged(self) -> int | None:
        """The first step after which the loss was not finite; None if it always was."""
        bad = ~np.isfinite(self.losses).reshape(len(self.losses), -1).all(1)
        return int(bad.argmax()) if bad.any() else None

    def rate(self, minimum: Any = 0.0) -> float:
        """Return the measured factor a step by which the distance to `minimum` shrinks in the second half of the walk.

        The largest distances of its third and its last quarter are compared, which oscillation does not disturb much:
        compare with `functions.Quadratic.rate`.
        """
        away = np.linalg.norm((self.points - np.asarray(minimum)).reshape(len(self.points), -1), axis=1)
        quarter = len(away) // 4
        if quarter < 1:
            raise ValueError(f"rate: got a walk of {len(away) - 1} steps, need at least 3")
        late, last = away[-2 * quarter : -quarter].max(), away[-quarter:].max()
        return float((last / late) ** (1 / quarter)) if late > 0 else 0.0

    def __len__(self) -> int:
        """Count the steps."""
        return len(self.points) - 1

    def __repr__(self) -> str:
        """Return a line: who walked, how far, from which loss to which."""
        first, last = (f"{float(np.mean(self.losses[i])):.6g}" for i in (0, -1))
        return f"Trajectory({self.optimizer} on {self.function}: {len(self)} steps, loss {first} to {last})"


def minimize(
    f: Function | tuple[Callable[[Array], Any], Callable[[Array], Any]],
    x0: Any,
    optimizer: Choice,
    steps: int,
) -> Trajectory:
    """Walk downhill: the optimizers are those that train, on the same kernels.

    Parameters
    ----------
    f : one of `fourstep.functions`, or (value, gradient)
        An object with `value(x)` and `gradient(x)`, or a pair of such functions.
    x0 : array_like
        The start, of any shape. float32 stays float32; all else is walked in float64.
    optimizer : callable, str or (str, dict)
        ``lambda arena: fs.optim.Adam(arena, lr=0.1)``, or ``"Adam"``, or ``("Adam", {"lr": 0.1})``.
    steps : int
        How many, >= 0; a walk that diverges goes on to its end.

    Returns
    -------
    Trajectory

    Raises
    ------
    TypeError
        f is no function with its gradient; the optimizer is given in another form.
    ValueError
        x0 is no array of finite numbers; a gradient of another shape than x0; an optimizer of that name does not exist;
        steps < 0.

    Examples
    --------
    >>> import fourstep as fs
    >>> ravine = fs.functions.Ravine(25)
    >>> fs.minimize(ravine, ravine.start, ("SGD", {"lr": 0.07}), steps=100)
    Trajectory(SGD(lr=0.07) on ravine: 100 steps, loss 78.125 to 2.48634e-05)
    >>> walk = fs.minimize(ravine, ravine.start, lambda arena: fs.optim.NAG(arena, lr=0.03), steps=100)
    >>> walk.optimizer, bool((walk.evaluated_at[1:] != walk.points[1:-1]).any())  # it looks ahead
    ('NAG', True)
    """
    value, gradient = _both(f)
    start = _start(x0)
    if isinstance(steps, bool) or not hasattr(steps, "__index__") or steps < 0:
        raise ValueError(f"steps: got {steps!r}, need a whole number >= 0")
    arena = Arena({"x": start})
    x, grad = arena["x"], arena.grad["x"]
    made, name = make(optimizer, arena)

    points = np.empty((steps + 1, *start.shape), start.dtype)
    gradients = np.empty((steps, *start.shape), start.dtype)
    evaluated_at = np.empty_like(gradients)
    step = 0

    def closure() -> None:
        found = np.asarray(gradient(x))
        if found.shape != x.shape:
            raise ValueError(f"f: its gradient has shape {found.shape}, need {x.shape}, the shape of x0")
        grad[...] = gradients[step] = found
        evaluated_at[step] = x

    with np.errstate(all="ignore"):  # a walk that diverges is a result, too
        points[0] = x
        for step in range(steps):
            made.step(closure)
            with _result(made):
                points[step + 1] = x
        losses = np.stack([np.asarray(value(point)) for point in points])
    return Trajectory(points, losses, gradients, evaluated_at, name, _called(f))


def _both(f: Any) -> tuple[Callable[[Array], Any], Callable[[Array], Any]]:
    pair = f if isinstance(f, tuple) else (getattr(f, "value", None), getattr(f, "gradient", None))
    if len(pair) != 2 or not all(map(callable, pair)):
        raise TypeError(
            f"f: got {f!r}, need one of fourstep.functions, an object with value(x) and gradient(x), or two functions "
            "(value, gradient)"
        )
    return pair


def _start(x0: Any) -> Array:
    start = np.asarray(x0)
    if start.dtype.kind not in "fiu" or start.ndim == 0 or not np.isfinite(start).all():
        raise ValueError(f"x0: got {x0!r}, need an array of finite numbers, one for each variable")
    return start if start.dtype == np.float32 else start.astype(np.float64)


def _result(made: optim.Optimizer) -> AbstractContextManager[Any]:
    """Return a context in which the parameters are what the optimizer has found: with Schedule-Free, an average."""
    averaged = getattr(made, "averaged", None)
    return nullcontext() if averaged is None else averaged()


def make(choice: Choice, arena: Arena) -> tuple[optim.Optimizer, str]:
    """Return the optimizer over the arena, and its name."""
    if callable(choice):
        made = choice(arena)
        if not isinstance(made, optim.Optimizer):
            raise TypeError(f"optimizer: made {type(made).__name__}, need an optimizer of fourstep.optim")
        return made, type(made).__name__
    name, options = (choice, {}) if isinstance(choice, str) else _named(choice)
    known = [n for n in optim.__all__ if isinstance(c := getattr(optim, n), type) and _steps(c)]
    if name not in known:
        raise ValueError(f"optimizer: got {name!r}, need one of {', '.join(known)}")
    told = ", ".join(f"{key}={value!r}" for key, value in options.items())
    return getattr(optim, name)(arena, **options), f"{name}({told})" if told else name


def _named(choice: Any) -> tuple[str, Mapping[str, Any]]:
    if isinstance(choice, tuple) and len(choice) == 2 and isinstance(choice[1], Mapping):
        return choice
    raise TypeError(
        f"optimizer: got {choice!r}, need a name, a name with its options such as ('Adam', {{'lr': 0.1}}), or a function "
        "that makes one over an arena"
    )


def _steps(kind: type) -> bool:
    return issubclass(kind, optim.Optimizer) and kind is not optim.Optimizer


def _called(f: Any) -> str:
    """Return the name of a function for a picture."""
    if isinstance(f, tuple):
        return str(getattr(f[0], "__name__", "f"))
    return str(f)
