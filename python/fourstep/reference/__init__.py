"""The readable twins of the kernels, in NumPy: the lesson, and the oracle of the tests.

The optimizers have the class names and arguments of `fourstep.optim`, over a plain dict of arrays, and give the same
bits: each is its four steps, written as the textbook writes them.

>>> import numpy as np
>>> from fourstep import reference
>>> w = np.array([1.0, -1.0], np.float32)
>>> reference.Adam({"w": w}, lr=0.1).step({"w": 2 * w})
>>> w.tolist()
[0.8999999761581421, -0.8999999761581421]
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fourstep.reference.adabelief import AdaBelief
from fourstep.reference.adadelta import AdaDelta
from fourstep.reference.adagrad import AdaGrad
from fourstep.reference.adam import Adam, AdamW
from fourstep.reference.adamax import Adamax
from fourstep.reference.adan import Adan
from fourstep.reference.ademamix import AdEMAMix
from fourstep.reference.adopt import ADOPT
from fourstep.reference.base import Optimizer
from fourstep.reference.batch_norm import BatchNorm
from fourstep.reference.dropout import dropout
from fourstep.reference.ftrl import FTRL
from fourstep.reference.lamb import LAMB
from fourstep.reference.lars import LARS
from fourstep.reference.lion import Lion
from fourstep.reference.nadam import Nadam
from fourstep.reference.radam import RAdam
from fourstep.reference.rmsprop import RMSProp
from fourstep.reference.rows import ByRows, LazyAdam, RowwiseAdagrad
from fourstep.reference.rprop import Rprop
from fourstep.reference.schedule_free import AdamWScheduleFree, SGDScheduleFree
from fourstep.reference.sgd import NAG, SGD, SGDW
from fourstep.reference.signum import Signum
from fourstep.reference.yogi import Yogi

Adagrad = AdaGrad
Adadelta = AdaDelta
RMSprop = RMSProp
NAdam = Nadam

if TYPE_CHECKING:
    from fourstep.reference.four_step import FourStep

__all__ = [
    "ADOPT",
    "FTRL",
    "LAMB",
    "LARS",
    "NAG",
    "SGD",
    "SGDW",
    "AdEMAMix",
    "AdaBelief",
    "AdaDelta",
    "AdaGrad",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "AdamWScheduleFree",
    "Adamax",
    "Adan",
    "BatchNorm",
    "ByRows",
    "FourStep",
    "LazyAdam",
    "Lion",
    "NAdam",
    "Nadam",
    "Optimizer",
    "RAdam",
    "RMSProp",
    "RMSprop",
    "RowwiseAdagrad",
    "Rprop",
    "SGDScheduleFree",
    "Signum",
    "Yogi",
    "dropout",
]


def __getattr__(name: str) -> Any:
    if name != "FourStep":  # it needs `fourstep.steps`, which needs this package
        raise AttributeError(f"module 'fourstep.reference' has no attribute {name!r}")
    value = import_module("fourstep.reference.four_step").FourStep
    globals()[name] = value
    return value
