"""The optimizers that `fourstep train` offers, by the names of its flag."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from fourstep import optim

#: Each takes an arena and the options of any optimizer.
KINDS: dict[str, Callable[..., optim.Optimizer]] = {
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "amsgrad": partial(optim.Adam, amsgrad=True),
    "nadam": optim.Nadam,
    "radam": optim.RAdam,
    "adamax": optim.Adamax,
    "adabelief": optim.AdaBelief,
    "yogi": optim.Yogi,
    "adan": optim.Adan,
    "adopt": optim.ADOPT,
    "ademamix": optim.AdEMAMix,
    "lion": optim.Lion,
    "lamb": optim.LAMB,
    "lars": optim.LARS,
    "rmsprop": optim.RMSProp,
    "adagrad": optim.AdaGrad,
    "adadelta": optim.AdaDelta,
    "sgd": optim.SGD,
    "momentum": partial(optim.SGD, momentum=0.9),
    "nag": partial(optim.NAG, momentum=0.9),
}

#: Those that can leave embeddings alone which a batch has not, and what they become.
SPARSE: dict[str, Callable[..., optim.Optimizer]] = {
    "adam": optim.LazyAdam,
    **{name: KINDS[name] for name in ("adagrad", "sgd", "momentum")},
}
