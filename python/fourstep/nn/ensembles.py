"""Several models instead of one (R2).

    bagging     members fitted to bootstrap samples, averaged:            less variance
    boosting    F_m = F_{m−1} + ν·h_m, h_m fitted to −∂L/∂F_{m−1}:        less bias
    snapshots   one run, the weights at the end of each cycle of the rate, outputs averaged
    SWA         one run, the weights themselves averaged:                 one model in use

An exponential average of the weights is ``ema_decay`` of every optimizer, in its pass.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from fourstep.nn import _check, _rows
from fourstep.nn.losses import Loss
from fourstep.nn.module import Array, Module, modes_kept
from fourstep.nn.recalibration import recalibrate
from fourstep.state import check_state

#: Makes a member from its seed.
Make = Callable[[int], Module]

#: Fits a member: (model, x, target, seed).
Fit = Callable[[Module, Any, Any, int], Any]

#: What is averaged is a function of the outputs: such as `functional.sigmoid`.
Link = Callable[[Array], Array]


class Bagging:
    """Members fitted to bootstrap samples of the rows; the prediction is their mean.

    Parameters
    ----------
    make : callable
        ``make(seed)`` returns a new member.
    members : int
    seed : int
        Of the samples. Member i is made and fitted with seed + i.
    link : callable, optional
        What to average: ``nn.functional.sigmoid`` averages probabilities instead of logits.

    Attributes
    ----------
    models : list of Module
    rows : list of ndarray
        The rows of each member, with repetitions.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(200, 2))
    >>> target = x[:, :1] * x[:, 1:] > 0
    >>> def make(seed):
    ...     hidden = nn.block(2, 8, activation="tanh", batch_norm=False, dtype="float64", seed=seed)
    ...     return nn.Sequential(hidden, nn.Linear(8, 1, dtype="float64", seed=seed))
    >>> def fit(model, x, target, seed):
    ...     nn.fit(model, nn.BCEWithLogitsLoss(), x, target, optimizer=("Adam", {"lr": 0.05}), epochs=100)
    >>> bag = nn.Bagging(make, members=5, link=nn.functional.sigmoid).fit(x, target, fit)
    >>> bool(((bag.predict(x) > 0.5) == target).mean() > 0.95)
    True

    References
    ----------
    Breiman 1996, "Bagging predictors".
    """

    def __init__(self, make: Make, members: int = 10, *, seed: int = 0, link: Link | None = None) -> None:
        self.make, self.members = make, _check.size("members", members)
        self.seed, self.link = _check.size("seed", seed, least=0), link
        self.models: list[Module] = []
        self.rows: list[Array] = []

    def fit(self, x: Any, target: Any, fit: Fit) -> Bagging:
        """Fit every member anew, each to as many rows as there are, drawn with replacement."""
        rows = _rows.count((x, target), "x, target")
        if not rows:
            raise ValueError("x: got no rows, need at least one")
        draw = np.random.default_rng(self.seed)
        self.models, self.rows = [], []
        for i in range(self.members):
            chosen = draw.integers(0, rows, rows)
            model = self.make(self.seed + i)
            fit(model, _rows.take(x, chosen), _rows.take(target, chosen), self.seed + i)
            self.models.append(model.eval())
            self.rows.append(chosen)
        return self

    def predictions(self, x: Any) -> Array:
        """Return what each member says, of shape (members, rows, …)."""
        if not self.models:
            raise RuntimeError("Bagging: predict before fit")
        return np.stack([_linked(self.link, model.forward(x)) for model in self.models])

    def predict(self, x: Any) -> Array:
        """Return the mean of the members."""
        mean: Array = self.predictions(x).mean(axis=0)
        return mean


class Boosting:
    """A sum of small networks, each fitted to the gradient of the loss where the ones before it are.

    F_0 = 0;  r = −∂ΣL/∂F at F_{m−1};  h_m fitted to r by least squares;  F_m = F_{m−1} + shrinkage·h_m.

    Each stage corrects the bias that the ones before it left; many stages fit the noise, which is what a small shrinkage
    and `EarlyStopping` over the stages are against: ``predict(x, stages=m)``.

    Parameters
    ----------
    make : callable
        ``make(seed)`` returns a small network whose output has the shape of the targets.
    loss : Loss
        With ``reduction="mean"``.
    stages : int
    shrinkage : float
        ν, above 0 and at most 1.
    seed : int
        Stage m is made and fitted with seed + m.

    Attributes
    ----------
    models : list of Module
    losses : list of float
        The training loss before the first stage and after each.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(200, 2))
    >>> target = x[:, :1] * x[:, 1:] > 0
    >>> def make(seed):
    ...     hidden = nn.block(2, 3, activation="tanh", batch_norm=False, dtype="float64", seed=seed)
    ...     return nn.Sequential(hidden, nn.Linear(3, 1, dtype="float64", seed=seed))
    >>> def fit(model, x, residual, seed):
    ...     nn.fit(model, nn.SquaredError(), x, residual, optimizer=("Adam", {"lr": 0.05}), epochs=60)
    >>> boosted = nn.Boosting(make, nn.BCEWithLogitsLoss(), stages=8, shrinkage=1.0).fit(x, target, fit)
    >>> boosted.losses[0] > boosted.losses[1] > boosted.losses[-1]
    True

    Notes
    -----
    Where others differ: Friedman starts from the best constant, and scales each stage by a line search.

    References
    ----------
    Friedman 2001, "Greedy function approximation: a gradient boosting machine".
    """

    def __init__(
        self, make: Make, loss: Loss, stages: int = 10, *, shrinkage: float = 0.3, seed: int = 0
    ) -> None:
        self.make, self.loss, self.stages = make, loss, _check.size("stages", stages)
        self.shrinkage = _check.number("shrinkage", shrinkage, "above 0, at most 1")
        if not 0 < self.shrinkage <= 1:
            raise ValueError(f"shrinkage: got {shrinkage!r}, need above 0, at most 1")
        if loss.reduction != "mean":
            raise ValueError(f"loss: got reduction={loss.reduction!r}, need 'mean'")
        self.seed = _check.size("seed", seed, least=0)
        self.models: list[Module] = []
        self.losses: list[float] = []

    def fit(self, x: Any, target: Array, fit: Fit) -> Boosting:
        """Fit the stages anew, one after another."""
        self.models, self.losses = [], []
        each = copy.copy(self.loss)  # the mean divides by elements, rows or weights; a residual is of one row
        each.reduction = "sum"
        total: Array | None = None
        for m in range(self.stages):
            model = self.make(self.seed + m)
            if total is None:
                total = np.zeros_like(model.eval().forward(x))
                self.losses.append(self.loss.forward(total, target))
            each.forward(total, target)
            fit(model, x, -each.backward(), self.seed + m)
            total = total + total.dtype.type(self.shrinkage) * model.eval().forward(x)
            self.models.append(model)
            self.losses.append(self.loss.forward(total, target))
        return self

    def predict(self, x: Any, stages: int | None = None) -> Array:
        """Return F of each row, after all stages or the first so many."""
        if not self.models:
            raise RuntimeError("Boosting: predict before fit")
        used = self.models if stages is None else self.models[: _check.size("stages", stages)]
        total: Array = np.zeros_like(used[0].forward(x))
        for model in used:
            total += total.dtype.type(self.shrinkage) * model.forward(x)
        return total


class Snapshots:
    """The states of one model at several times of its training; the prediction is the mean of their outputs.

    Take one at the end of each cycle of a learning rate with restarts (`fourstep.schedules`), where the model sits in a
    minimum.

    Parameters
    ----------
    model : Module
    link : callable, optional
        What to average: ``nn.functional.sigmoid`` averages probabilities instead of logits.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> model = nn.Linear(1, 1, bias=False, dtype="float64", seed=0)
    >>> snapshots = nn.Snapshots(model)
    >>> for weight in (1.0, 3.0):
    ...     model.params["weight"][...] = weight
    ...     snapshots.take()
    >>> snapshots.predict(np.array([[1.0]])).tolist(), model.params["weight"].tolist()
    ([[2.0]], [[3.0]])

    References
    ----------
    Huang et al. 2017, "Snapshot ensembles: train 1, get M for free".
    """

    def __init__(self, model: Module, *, link: Link | None = None) -> None:
        self.model, self.link = model, link
        self.states: list[dict[str, Array]] = []

    def take(self) -> None:
        """Keep the model as it is now."""
        self.states.append(self.model.state_dict())

    def predictions(self, x: Any) -> Array:
        """Return what the model said at each time, of shape (snapshots, rows, …); it is afterwards as it was."""
        if not self.states:
            raise RuntimeError("Snapshots: predict before take")
        before = self.model.state_dict()
        said = []
        try:
            with modes_kept(self.model):
                self.model.eval()
                for state in self.states:
                    self.model.load_state_dict(state)
                    # An output may lie in the input's memory; ours must outlive the next snapshot.
                    said.append(np.array(_linked(self.link, self.model.forward(x))))
        finally:
            self.model.load_state_dict(before)
        return np.stack(said)

    def predict(self, x: Any) -> Array:
        """Return the mean over the snapshots."""
        mean: Array = self.predictions(x).mean(axis=0)
        return mean


class SWA:
    """Stochastic weight averaging: the plain mean of the parameters at several times.

    ``average ← average + (w − average)/(n + 1)`` in float64. Batch normalisation has no statistics of the averaged
    network: `update_batch_norm` makes them.

    Parameters
    ----------
    params : Arena, Module, or mapping of str to ndarray
        What to average.

    Attributes
    ----------
    count : int
        Updates so far.

    Raises
    ------
    RuntimeError
        The average is asked for before the first update.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> from fourstep import nn
    >>> arena = fs.Arena({"w": np.array([0.0, 4.0])})
    >>> swa = nn.SWA(arena)
    >>> for value in (1.0, 2.0, 6.0):
    ...     arena["w"][0] = value
    ...     swa.update()
    >>> swa.average["w"].tolist()
    [3.0, 4.0]
    >>> with swa.applied():
    ...     arena["w"].tolist()
    [3.0, 4.0]
    >>> arena["w"].tolist()
    [6.0, 4.0]

    References
    ----------
    Izmailov et al. 2018, "Averaging weights leads to wider optima and better generalization".
    """

    def __init__(self, params: Any) -> None:
        self._source = params
        if not self._params:
            raise ValueError("params: got no arrays, need at least one")
        for name, array in self._params.items():
            _check.floats("SWA", name, array)
        self._sum = {name: np.zeros(array.shape) for name, array in self._params.items()}
        self.count = 0

    @property
    def _params(self) -> dict[str, Array]:
        """Looked up each time: an arena may have put other arrays behind a module's parameters."""
        source = self._source
        return source.named_parameters() if isinstance(source, Module) else dict(source)

    def update(self) -> None:
        """Take the parameters as they are now into the average."""
        self.count += 1
        for name, w in self._params.items():
            mean = self._sum[name]
            mean += (w - mean) / self.count

    @property
    def average(self) -> dict[str, Array]:
        """The average by name, in the dtype of the parameters."""
        if not self.count:
            raise RuntimeError("SWA: no update yet: there is nothing to average")
        return {name: self._sum[name].astype(w.dtype) for name, w in self._params.items()}

    def apply(self) -> None:
        """Write the average into the parameters."""
        for name, value in self.average.items():
            self._params[name][...] = value

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Return a context in which the parameters are the average."""
        before = {name: w.copy() for name, w in self._params.items()}
        self.apply()
        try:
            yield
        finally:
            for name, value in before.items():
                self._params[name][...] = value

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of the average in float64, and the number of updates."""
        return {"count": self.count, "average": {name: mean.copy() for name, mean in self._sum.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`.

        Raises
        ------
        StateError
            It is of other parameters: lists every difference; nothing is changed then.
        """
        check_state(self._sum, state["average"], "SWA.load_state_dict")
        self.count = _check.size("count", state["count"], least=0)
        for name, mean in self._sum.items():
            mean[...] = state["average"][name]


def update_batch_norm(model: Module, batches: Iterable[Any]) -> int:
    """Make the running statistics of every `BatchNorm` anew, from these batches of inputs: after averaging weights.

    It is `recalibrate`, by the name that torch has for it; torch averages the statistics of batches, which is not exact.

    Parameters
    ----------
    model : Module
    batches : iterable
        Of what ``model.forward`` takes; training rows, without labels.

    Returns
    -------
    int
        How many batches there were.

    Raises
    ------
    ValueError
        The model has no BatchNorm, or there is no batch. After any error the statistics are as before.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> model = nn.BatchNorm(1, dtype="float64")
    >>> nn.update_batch_norm(model, [np.array([[1.0], [3.0]]), np.array([[5.0], [7.0]])])
    2
    >>> model.buffers["running_mean"].tolist(), model.buffers["running_var"].round(4).tolist()
    ([4.0], [6.6667])
    """
    return recalibrate(model, batches)


def _linked(link: Link | None, y: Array) -> Array:
    return y if link is None else link(y)
