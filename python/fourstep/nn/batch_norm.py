"""Batch normalisation, over the kernels in ``rust/core/src/norm``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from operator import index
from types import EllipsisType
from typing import Any, NoReturn

import numpy as np

from fourstep import _core
from fourstep._runtime import execution
from fourstep.nn import _check
from fourstep.nn._conventions import CONVENTIONS
from fourstep.nn._layout import Layout, layout_of
from fourstep.nn._reuse import Reused
from fourstep.nn.module import Array, Module
from fourstep.nn.moments import Moments

_ACTIVATIONS = {None: 0, "relu": 1, "leaky_relu": 2}
_NONFINITE = {"raise": 0, "skip_update": 1, "propagate": 2}

Pair = tuple[Array | None, Array | None]


class BatchNorm(Module):
    """Normalise each channel over a batch and over space, then scale and shift it (B2).

    In training, over the n = N·space values of a channel in the batch::

        μ = Σx/n,  σ² = Σ(x − μ)²/n,  z = (x − μ)·γ/√(σ² + ε) + β,  y = activation(z)
        running_mean ← (1 − m)·running_mean + m·μ
        running_var  ← (1 − m)·running_var  + m·σ²·n/(n − 1)     ("biased": m·σ²)

    In evaluation the running statistics stand for μ and σ². Backward goes through the statistics after a forward in
    training, and treats them as constants ("frozen") after one in evaluation.

    Statistics are sums of differences in float64, in one fixed order: the same bits at every instruction level, thread
    count and memory layout. A constant channel comes out as exactly β.

    Parameters
    ----------
    num_features : int
        C, the length of the channel axis.
    eps : float, optional
        ε, above 0. Left out: of the convention.
    momentum : float or None, optional
        From 0 to 1, in the meaning of the convention: m, the weight of the new value, in torch's; the weight of the old
        one, 1 − m, in the others. None: the plain average over all batches. Left out: of the convention.
    affine : bool
        Whether there is γ, and β; without them they are 1 and 0.
    bias : bool, optional
        Whether there is β beside γ. Left out: as `affine`.
    track_running_stats : bool
        Whether there are running statistics; without them evaluation normalises by the batch's own too.
    axis : int, optional
        Where the channels are. Left out: of the convention.
    convention : {"torch", "keras", "flax", "onnx"}
        Whose defaults and whose meaning of momentum: 0.1, 1e-5, unbiased, axis 1 (torch); 0.99, 1e-3, biased, axis −1
        (Keras); 0.99, 1e-5, biased, axis −1 (Flax); 0.9, 1e-5, biased, axis 1 (ONNX).
    running_var : {"unbiased", "biased"}, optional
        Whether ``running_var`` follows Σ(x − μ)²/(n − 1) or /n. Left out: of the convention.
    activation : {None, "relu", "leaky_relu"}
        What stands behind, in the same pass forward and backward; its mask is computed again, not kept.
    negative_slope : float
        Of leaky ReLU, from 0 to 1.
    nonfinite : {"raise", "skip_update", "propagate"}
        What to do with NaN and infinities. "raise": an error, in training before anything is written, in evaluation after
        the pass. "skip_update": the output has them, the running statistics stay as they were for that batch, which is
        counted in ``skipped``. "propagate": they go everywhere.
    ghost : int, optional
        Samples (along axis 0) that are normalised together in training: the batch is cut into pieces of so many, with
        statistics of their own, and the running ones move once for each (Hoffer et al. 2017). `recalibrate` does not cut.
    renorm : (r_max, d_max), optional
        Batch renormalisation (Ioffe 2017): in training x̂·r + d stands for x̂, with r = σ/σ_running clipped to
        [1/r_max, r_max] and d = (μ − μ_running)/σ_running clipped to [−d_max, d_max], both constants in backward.
        (1, 0) is plain batch normalisation.
    dtype : {"float32", "float64", "bfloat16"}
        Of input and output. Parameters and statistics have it too, or float32 beside bfloat16 (which needs ml_dtypes).

    Attributes
    ----------
    params["weight"], params["bias"] : ndarray, shape (C,)
        γ and β.
    buffers["running_mean"], buffers["running_var"] : ndarray, shape (C,)
        What evaluation normalises by; 0 and 1 at first.
    buffers["num_batches_tracked"] : ndarray of int64, no dimensions
        Batches that moved the running statistics.
    zero_variance : ndarray of int
        The channels that were constant in the last batch.
    skipped : int
        Batches that "skip_update" left out since the layer was made. Nothing is computed from it, and `state_dict` has
        torch's names alone: copies and pickles keep it, a checkpoint of the state wants it beside.

    Raises
    ------
    ValueError
        x has another number of channels, or no axis `axis`. In training: fewer than two values in a channel. In
        evaluation without running statistics: a single one; none at all gives an empty result. Values that are not finite
        (see `nonfinite`): channel and first index are named. ``out`` overlaps itself, or an array that is still read,
        unless it is x itself.
    TypeError
        x is not a NumPy array of the layer's dtype, in native byte order.
    RuntimeError
        Backward before forward, twice, or after a forward in place.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> layer = nn.BatchNorm(2, dtype="float64")
    >>> y = layer.forward(np.array([[1.0, 50.0], [3.0, 50.0]]))
    >>> y.round(4).tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    >>> layer.buffers["running_mean"].tolist(), layer.buffers["running_var"].round(4).tolist()
    ([0.2, 5.0], [1.1, 0.9])
    >>> layer.zero_variance.tolist()
    [1]
    >>> layer.eval().forward(np.array([[0.2, 5.0]])).tolist()
    [[0.0, 0.0]]
    >>> images = np.random.default_rng(0).normal(5, 2, (8, 3, 16, 16)).astype(np.float32)
    >>> layer = nn.BatchNorm(3, activation="relu")
    >>> y = layer.forward(images)
    >>> y.shape, float(y.min())
    ((8, 3, 16, 16), 0.0)

    Notes
    -----
    Where others differ: ``docs/batch_norm.md``. The variance that normalises is the biased one in all of them.

    References
    ----------
    Ioffe and Szegedy 2015, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
    Shift". Hoffer, Hubara and Soudry 2017, "Train longer, generalize better". Ioffe 2017, "Batch Renormalization".
    """

    def __init__(
        self,
        num_features: int,
        eps: float | None = None,
        momentum: float | EllipsisType | None = ...,
        affine: bool = True,
        *,
        bias: bool | None = None,
        track_running_stats: bool = True,
        axis: int | None = None,
        convention: str = "torch",
        running_var: str | None = None,
        activation: str | None = None,
        negative_slope: float = 0.01,
        nonfinite: str = "raise",
        ghost: int | None = None,
        renorm: tuple[float, float] | None = None,
        dtype: Any = "float32",
    ) -> None:
        super().__init__()
        preset = _choice("convention", convention, CONVENTIONS)
        self.convention, self._of_old = convention, preset.of_old
        self.num_features = channels = _check.size("num_features", num_features)
        self.dtype, self._param_dtype = _dtypes(dtype)
        self.eps = _above_zero("eps", preset.eps if eps is None else eps)
        self.momentum = _momentum(preset.momentum if isinstance(momentum, EllipsisType) else momentum)
        affine = _check.flag("affine", affine)
        bias = None if bias is None else _check.flag("bias", bias)
        if bias and not affine:
            raise ValueError("bias: got True with affine=False, need γ (affine=True) for β to stand beside")
        self.affine = affine
        self.track_running_stats = _check.flag("track_running_stats", track_running_stats)
        self.bias = affine if bias is None else bias
        self.axis = preset.axis if axis is None else _axis(axis)
        self.running_var = preset.running_var if running_var is None else running_var
        _choice("running_var", self.running_var, {"unbiased": 0, "biased": 0})
        _choice("activation", activation, _ACTIVATIONS)
        self.activation, self.negative_slope = activation, _slope(negative_slope)
        self.nonfinite = nonfinite
        _choice("nonfinite", nonfinite, _NONFINITE)
        self.ghost = None if ghost is None else _check.size("ghost", ghost, least=2)
        self.renorm = _renorm(renorm, track_running_stats)
        self.skipped = 0
        if affine:
            self.add_parameter("weight", np.ones(channels, self._param_dtype))
            if self.bias:
                self.add_parameter("bias", np.zeros(channels, self._param_dtype))
        if track_running_stats:
            self.buffers["running_mean"] = np.zeros(channels, self._param_dtype)
            self.buffers["running_var"] = np.ones(channels, self._param_dtype)
            self.buffers["num_batches_tracked"] = np.array(0, np.int64)
        self._pieces = [_Piece(channels)]
        self._layout: tuple[Any, Layout] | None = None
        self._copies = Reused()
        self._results = Reused()
        #: What `recalibrate` gathers, while it does.
        self._pooled: Moments | None = None

    # Forward.

    def forward(self, x: Array, out: Array | None = None) -> Array:
        """Return the normalised batch, of the shape of x; in `out` if it is given, which may be x itself."""
        self.drop(spent=False)
        layout = self._layout_of(x)
        by_batch = self.training or not self.track_running_stats
        one = layout.values == 1 and self._pooled is not None
        if by_batch and layout.values < 2 and not one and (self.training or layout.values):
            self._refuse_few(x, layout)
        if out is None:
            y = target = self._fresh(x.shape, layout)
            source: Array | None = x
        elif out is x or _same(out, x):
            y = self._output(out, x)
            target, source = self._target(y, layout), None
            if target is not y:
                target[...] = x
        else:
            y = self._output(out, x, x)
            target, source = self._target(y, layout), x
        if source is not None and not layout.fits(source):
            source = self._fitting_copy(x, layout)
        ghosts = self.ghost is not None and self.training and self._pooled is None
        cuts = self._cut(len(y), layout) if ghosts else None
        if one:
            self._pool_one(source, target, layout)
        elif not y.size:
            pass
        elif not by_batch:
            self._evaluate(source, target, layout, self.buffers["running_mean"], self.buffers["running_var"])
        elif cuts is None:
            self._train(self._pieces[0], source, target, layout, layout.view)
        else:
            self._train_ghosts(source, target, layout, cuts)
        if target is not y:
            y[...] = target
        self.keep((source, x.shape, layout, not by_batch, cuts))
        return y

    def _train_ghosts(self, x: Array | None, y: Array, layout: Layout, cuts: list[slice]) -> None:
        views = [layout.part(rows.stop - rows.start, len(y)) for rows in cuts]
        if self.nonfinite == "raise":  # before any of them is worked on
            given = y if x is None else x
            self._check_finite(given, layout, layout.view)
            for rows, view in zip(cuts, views, strict=True):
                self._check_finite(given[rows], layout, view)
        for piece, rows, view in zip(self._pieces, cuts, views, strict=True):
            part = None if x is None else x[rows]
            self._train(piece, part, y[rows], layout, view)

    def _train(
        self, piece: _Piece, x: Array | None, y: Array, layout: Layout, view: tuple[int, int, int]
    ) -> None:
        piece.factors = None
        if self.renorm is not None and self.training:
            (flat,) = layout.flat(y if x is None else x)
            piece.factors = self._factors(_moments(flat, view), *self.renorm)
        running = self._running() if self.track_running_stats and self.training else None
        finite, refused = _core.batch_norm_train(
            layout.flat(x, y),
            view,
            piece.affine(self),
            running,
            piece.statistics,
            (self.eps, self._behind(), _NONFINITE[self.nonfinite]),
            execution(),
        )
        if refused is not None:
            self._refuse(refused, y if x is None else x, layout)
        if not finite and self.nonfinite == "skip_update":
            self.skipped += 1
            return
        if self._pooled is not None:
            self._pooled = self._pooled.merge(piece.moments(view[0] * view[2]))

    def _pool_one(self, x: Array | None, y: Array, layout: Layout) -> None:
        """Count a value of each channel, and normalise it by what was pooled so far: alone it has no variance."""
        assert self._pooled is not None
        given = y if x is None else x
        (flat,) = layout.flat(given)
        moments = _moments(flat, layout.view)
        if self.nonfinite == "propagate" or np.isfinite(moments.mean).all():
            self._pooled = self._pooled.merge(moments)
        var = self._pooled.var() if self._pooled.n else np.ones(self.num_features)
        with np.errstate(over="ignore"):
            mean, var = self._pooled.mean.astype(self._param_dtype), var.astype(self._param_dtype)
        beyond = np.flatnonzero(~(np.isfinite(mean) & np.isfinite(var)))
        if beyond.size and self.nonfinite == "raise":
            self._refuse(("too large", 0, 0, int(beyond[0]), str(self._param_dtype)), given, layout)
        self._evaluate(x, y, layout, mean, var)

    def _evaluate(self, x: Array | None, y: Array, layout: Layout, mean: Array, var: Array) -> None:
        # A piece of its own: threads may share a layer in evaluation.
        piece = _Piece(self.num_features)
        self._pieces = [piece]
        refused = _core.batch_norm_evaluate(
            layout.flat(x, y),
            layout.view,
            piece.affine(self),
            (mean, var),
            piece.statistics,
            (self.eps, self._behind(), self.nonfinite == "raise"),
            execution(),
        )
        if refused is not None:
            self._refuse(refused, y if x is None else x, layout)

    # Backward.

    def backward(self, dy: Array, out: Array | None = None) -> Array:
        """Add to the gradients of γ and β, and return dx, of the shape of x."""
        x, shape, layout, frozen, cuts = self.kept()
        dy = self._checked("dy", dy)
        if dy.shape != shape:
            raise ValueError(f"{self.label}: dy: got shape {dy.shape}, need {shape}")
        if x is None and not (frozen and self.activation is None and "weight" not in self.grads):
            raise RuntimeError(
                f"{self.label}: backward after a forward in place (out=x): it needs x, and y has taken its place. "
                "Give forward another array"
            )
        if out is None:
            dx = target = self._fresh(shape, layout)
        else:
            dx = self._output(out, dy, dy, *(() if x is None else (x,)))
            target = self._target(dx, layout)
        if not layout.fits(dy):
            dy = self._fitting_copy(dy, layout)
        arrays = (dy if x is None else x, dy, target)
        if cuts is None and dx.size:
            self._backward_piece(self._pieces[0], arrays, layout, layout.view, frozen)
        elif cuts is not None:
            for piece, rows in zip(self._pieces, cuts, strict=True):
                view = layout.part(rows.stop - rows.start, shape[0])
                parts = (arrays[0][rows], dy[rows], target[rows])
                self._backward_piece(piece, parts, layout, view, frozen)
        if target is not dx:
            dx[...] = target
        self.drop()
        return dx

    def _backward_piece(
        self,
        piece: _Piece,
        arrays: tuple[Array, Array, Array],
        layout: Layout,
        view: tuple[int, int, int],
        frozen: bool,
    ) -> None:
        mine = (self.grads.get("weight"), self.grads.get("bias"))
        into = mine if piece.factors is None else piece.blank(mine)
        _core.batch_norm_backward(
            layout.flat(*arrays),
            view,
            piece.affine(self),
            into,
            piece.statistics,
            (self._behind(), frozen),
            execution(),
        )
        if piece.factors is not None:
            piece.add(into, mine)

    # Statistics.

    @property
    def zero_variance(self) -> Array:
        """Return the channels that were constant in the last forward: they come out as β, and learn nothing."""
        constant: Array = np.any([piece.statistics[1] == 0 for piece in self._pieces], axis=0)
        return np.flatnonzero(constant)

    def recalibrate(self, batches: Iterable[Any]) -> int:
        """Make the running statistics anew, exactly those of all values of these batches: see `nn.recalibrate`.

        Examples
        --------
        >>> import numpy as np
        >>> from fourstep import nn
        >>> layer = nn.BatchNorm(1, dtype="float64")
        >>> layer.recalibrate([np.array([[1.0], [3.0]]), np.array([[5.0], [7.0], [9.0]])])
        2
        >>> layer.buffers["running_mean"].tolist(), layer.buffers["running_var"].tolist()
        ([5.0], [10.0])
        """
        from fourstep.nn.recalibration import recalibrate

        return recalibrate(self, batches)

    def _running(self) -> tuple[Array, Array, Array, float, bool]:
        buffers = self.buffers
        mean, var, batches = buffers["running_mean"], buffers["running_var"], buffers["num_batches_tracked"]
        weight = self.momentum
        if weight is None:
            weight = 1 / (int(batches) + 1)
        elif self._of_old:
            weight = 1 - weight
        return mean, var, batches, weight, self.running_var == "unbiased"

    def _factors(self, moments: Moments, r_max: float, d_max: float) -> tuple[Array, Array]:
        """Return r and d of batch renormalisation."""
        running_std = np.sqrt(self.buffers["running_var"].astype(np.float64) + self.eps)
        ratio = np.sqrt(moments.var() + self.eps) / running_std
        shift = (moments.mean - self.buffers["running_mean"]) / running_std
        return np.clip(ratio, 1 / r_max, r_max), np.clip(shift, -d_max, d_max)

    def _behind(self) -> tuple[int, float]:
        return _ACTIVATIONS[self.activation], self.negative_slope

    def _cut(self, samples: int, layout: Layout) -> list[slice]:
        """Return the rows of each ghost batch, and make a piece for each."""
        size = self.ghost or samples
        cuts = [slice(start, min(start + size, samples)) for start in range(0, samples, size)]
        few = layout.values // samples * (samples - cuts[-1].start)
        if few < 2:
            raise ValueError(
                f"{self.label}: ghost: {samples} samples in pieces of {size} leave {few} value in each channel for the "
                "last one, need at least 2"
            )
        while len(self._pieces) < len(cuts):
            self._pieces.append(_Piece(self.num_features))
        del self._pieces[len(cuts) :]
        return cuts

    # Arrays.

    def _checked(self, name: str, x: Any) -> Array:
        if type(x) is not np.ndarray:
            if not isinstance(x, np.ndarray):
                raise TypeError(f"{self.label}: {name}: got {type(x).__name__}, need a NumPy array")
            _check.unmasked(f"{self.label}: {name}", x)
        if x.dtype != self.dtype:
            order = "" if x.dtype.isnative else ", in native byte order"
            raise TypeError(f"{self.label}: {name}: got dtype {x.dtype}, need {self.dtype}{order}")
        return x

    def _layout_of(self, x: Array) -> Layout:
        """Return the layout of x, if it has the layer's dtype and channels."""
        known = self._layout
        if known is not None and type(x) is np.ndarray and known[0] == (x.dtype, x.shape, x.strides):
            return known[1]
        x = self._checked("x", x)
        least = 2 if self.axis in (1, -1) else max(self.axis + 1, -self.axis, 2)
        if x.ndim < least:
            need = (
                f"(rows, {self.num_features})" if least == 2 else f"at least {least} axes (axis={self.axis})"
            )
            raise ValueError(f"{self.label}: x: got shape {x.shape}, need {need}")
        axis = self.axis % x.ndim
        if x.shape[axis] != self.num_features:
            need = f"(rows, {self.num_features})" if x.ndim == 2 and axis == 1 else ""
            need = need or f"{self.num_features} channels along axis {self.axis}"
            raise ValueError(f"{self.label}: x: got shape {x.shape}, need {need}")
        if self.ghost is not None and axis == 0:
            raise ValueError(f"{self.label}: ghost: got channels along axis 0, where the samples are")
        layout = layout_of(x, axis)
        self._layout = ((x.dtype, x.shape, x.strides), layout)
        return layout

    def _fresh(self, shape: tuple[int, ...], layout: Layout) -> Array:
        """Return an array for a result; in training, if it is large, memory of the last ones."""
        if not self.training:
            self._results.clear()
        return layout.empty(shape, self.dtype, self._results if self.training and layout.large else None)

    def _output(self, out: Array, like: Array, *reads: Array) -> Array:
        """Return `out`, if a result of the shape of `like` can go there while `reads` are read."""
        found = self._checked("out", out)
        if found.shape != like.shape:
            raise ValueError(f"{self.label}: out: got shape {found.shape}, need {like.shape}")
        if not found.flags.writeable:
            raise ValueError(f"{self.label}: out: got a read-only array, need a writeable one")
        _check.spread(self.label, found)
        for read in reads:
            if _check.overlap(found, read):
                raise ValueError(
                    f"{self.label}: out: its memory overlaps an array that is still read, need another one"
                    " (forward also takes x itself)"
                )
        return found

    def _target(self, y: Array, layout: Layout) -> Array:
        """Return `y`, or what is copied to it afterwards."""
        return y if layout.fits(y) else self._like(y, layout)

    def _fitting_copy(self, x: Array, layout: Layout) -> Array:
        """Return a copy of `x` that the kernel can read."""
        copy = self._like(x, layout)
        copy[...] = x
        return copy

    def _like(self, x: Array, layout: Layout) -> Array:
        """Return an array of the shape of `x` that fits."""
        return layout.empty(x.shape, self.dtype, self._copies if self.training else None)

    def _release(self) -> None:
        self._copies.clear()
        self._results.clear()

    # Refusals.

    def _refuse_few(self, x: Array, layout: Layout) -> NoReturn:
        what = f"{len(x)} row{'s' * (len(x) != 1)}"
        if x.ndim > 2:
            what = f"shape {x.shape}, {layout.values} value{'s' * (layout.values != 1)} in each channel,"
        when = "in training" if self.training else "in evaluation without running statistics"
        start = f"{self.label}: x: got a batch of {what} {when}, need at least 2"
        if not layout.values:
            raise ValueError(start)
        if not self.training:
            raise ValueError(
                f"{start}: one value has no variance. Give it more rows, or track_running_stats=True"
            )
        raise ValueError(
            f"{start}: one value has no variance. "
            "The usual cause is the last batch of an epoch: drop it (drop_last=True), or choose a batch size that "
            "does not leave a single row. To use the running statistics instead, call eval() first"
        )

    def _refuse(self, refused: tuple[str, int, int, int, str], x: Array, layout: Layout) -> NoReturn:
        kind, count, at, channel, detail = refused
        if kind == "running":
            what = f"{detail}: channel {channel} holds no usable value (not finite, or a negative variance)"
        elif kind == "too large":
            what = f"x: the values of channel {channel} are finite, but their mean or variance is too large for {detail}"
        elif kind == "too few":
            what = "x: its values changed while they were read"
        else:
            where = f"row {at // self.num_features}"
            if x.ndim > 2 or layout.order is not None or layout.view[2] > 1:
                where = f"index {_index(at, x.shape, layout)}"
            what = f"x: {count} values are not finite, the first is {detail} at {where}, channel {channel}"
        raise ValueError(f"{self.label}: {what}")

    def _check_finite(self, x: Array, layout: Layout, view: tuple[int, int, int]) -> None:
        """Refuse what has no finite mean and variance in the layer's dtype."""
        (flat,) = layout.flat(x)
        moments = _moments(flat, view)
        with np.errstate(over="ignore"):
            held = [s.astype(self._param_dtype) for s in (moments.mean, moments.var())]
        if not all(np.isfinite(s).all() for s in held):
            none = (None, None)
            options = (self.eps, (0, 0.0), 0)
            statistics = _Piece(self.num_features).statistics
            _, refused = _core.batch_norm_train(
                (flat, np.empty_like(flat)), view, none, None, statistics, options, execution()
            )
            if refused is not None:
                self._refuse(refused, x, layout)

    def __repr__(self) -> str:
        """Return the arguments that it was made with, as far as they are not the convention's."""
        preset = CONVENTIONS[self.convention]
        given = f"eps={self.eps}, momentum={self.momentum}, affine={self.affine}"
        others = {
            "bias": (self.bias, self.affine),
            "track_running_stats": (self.track_running_stats, True),
            "axis": (self.axis, preset.axis),
            "convention": (self.convention, "torch"),
            "running_var": (self.running_var, preset.running_var),
            "activation": (self.activation, None),
            "nonfinite": (self.nonfinite, "raise"),
            "ghost": (self.ghost, None),
            "renorm": (self.renorm, None),
            "dtype": (str(self.dtype), "float32"),
        }
        rest = "".join(f", {name}={value!r}" for name, (value, usual) in others.items() if value != usual)
        return f"BatchNorm({self.num_features}, {given}{rest})"


class _Piece:
    """What one piece of a batch was normalised by."""

    def __init__(self, channels: int) -> None:
        #: μ, σ² and 1/√(σ² + ε): a row for each.
        self.statistics = np.ones((3, channels))
        #: r and d of batch renormalisation.
        self.factors: tuple[Array, Array] | None = None

    def affine(self, layer: BatchNorm) -> Pair:
        """Return what the kernel takes for γ and β: γ·r and β + γ·d in batch renormalisation."""
        weight, bias = layer.params.get("weight"), layer.params.get("bias")
        if self.factors is None:
            return weight, bias
        r, d = self.factors
        dtype = layer._param_dtype
        scaled, shifted = (r, d) if weight is None else (weight * r, weight * d)
        return scaled.astype(dtype), (shifted if bias is None else bias + shifted).astype(dtype)

    def moments(self, n: int) -> Moments:
        """Return those of the n values in each channel."""
        mean, var, _ = self.statistics
        return Moments(n, mean.copy(), var * n)

    def blank(self, gradients: Pair) -> Pair:
        """Return zeros, for both sums."""
        like = next((g for g in gradients if g is not None), None)
        return (None, None) if like is None else (np.zeros_like(like), np.zeros_like(like))

    def add(self, sums: Pair, gradients: Pair) -> None:
        """Add Σ dz·(x̂·r + d) and Σ dz to the gradients, from those by γ·r and β + γ·d."""
        if self.factors is None or sums[0] is None or sums[1] is None:
            return
        r, d = self.factors
        weight, bias = gradients
        if weight is not None:
            weight += (sums[0] * r + sums[1] * d).astype(weight.dtype)
        if bias is not None:
            bias += sums[1]


def _moments(flat: Array, view: tuple[int, int, int]) -> Moments:
    mean, squares = np.empty(view[1]), np.empty(view[1])
    _core.batch_norm_moments(flat, view, mean, squares, execution())
    return Moments(view[0] * view[2], mean, squares)


def _same(a: Any, b: Array) -> bool:
    """Whether two arrays are views of the same elements."""
    return (
        isinstance(a, np.ndarray)
        and a.shape == b.shape
        and a.strides == b.strides
        and np.may_share_memory(a, b)  # cheaper, and mostly the end
        and a.__array_interface__["data"][0] == b.__array_interface__["data"][0]
    )


def _index(at: int, shape: tuple[int, ...], layout: Layout) -> tuple[int, ...]:
    """Return the index of what stands at `at` in memory."""
    order = range(len(shape)) if layout.order is None else layout.order
    places = np.unravel_index(at, [shape[i] for i in order])
    found = dict(zip(order, places, strict=True))
    return tuple(int(found[i]) for i in range(len(shape)))


# Arguments.


def _choice(name: str, got: Any, known: Mapping[Any, Any]) -> Any:
    try:
        return known[got]
    except (KeyError, TypeError):
        raise ValueError(f"{name}: got {got!r}, need one of {', '.join(map(repr, known))}") from None


def _dtypes(dtype: Any) -> tuple[np.dtype[Any], np.dtype[Any]]:
    """Return the dtypes of arrays and of parameters."""
    if getattr(dtype, "__name__", None) == "bfloat16" or str(dtype) == "bfloat16":
        try:
            import ml_dtypes
        except ImportError as error:
            raise ImportError("dtype: bfloat16 needs ml_dtypes: pip install 'fourstep[bf16]'") from error
        return np.dtype(ml_dtypes.bfloat16), np.dtype(np.float32)
    try:
        own = _check.float_dtype(dtype)
    except TypeError:
        raise TypeError(f"dtype: got {dtype!r}, need 'float32' or 'float64', or 'bfloat16'") from None
    return own, own


def _above_zero(name: str, value: Any) -> float:
    need = "a finite number above 0"
    found = _check.number(name, value, need)
    if not (found > 0 and math.isfinite(found)):
        raise ValueError(f"{name}: got {value!r}, need {need}")
    return found


def _momentum(value: Any) -> float | None:
    need = "0 to 1, or None for the plain average"
    if value is None:
        return None
    found = _check.number("momentum", value, need)
    if not 0 <= found <= 1:
        raise ValueError(f"momentum: got {value!r}, need {need}")
    return found


def _axis(value: Any) -> int:
    try:
        return index(value)
    except TypeError:
        raise TypeError(f"axis: got {value!r}, need a whole number") from None


def _slope(value: Any) -> float:
    need = "a number from 0 to 1"
    found = _check.number("negative_slope", value, need)
    if not 0 <= found <= 1:
        raise ValueError(f"negative_slope: got {value!r}, need {need}")
    return found


def _renorm(value: Any, tracked: bool) -> tuple[float, float] | None:
    if value is None:
        return None
    need = "(r_max, d_max), at least 1 and at least 0"
    if not isinstance(value, tuple) or len(value) != 2:
        raise TypeError(f"renorm: got {value!r}, need {need}")
    r_max, d_max = (_check.number("renorm", part, need) for part in value)
    if not (r_max >= 1 and d_max >= 0 and math.isfinite(r_max) and math.isfinite(d_max)):
        raise ValueError(f"renorm: got {value!r}, need {need}")
    if not tracked:
        raise ValueError("renorm: needs running statistics, got track_running_stats=False")
    return r_max, d_max
