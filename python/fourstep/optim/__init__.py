"""Optimizers, in order of complexity. Each takes the same four steps; they differ in the first two (O1, O2).

    1  gradient     g_t = ∇f(w_t)                       clipped, negated, plus λ·w_t
    2  moments      m_t = φ(g_1..g_t), V_t = ψ(g_1..g_t)
    3  direction    η_t = α · m_t / √V_t
    4  update       w_{t+1} = w_t − η_t

| class | gradient taken at | φ | ψ | direction |
|---|---|---|---|---|
| `SGD` | w | g | | α·g |
| `SGD(momentum=)` | w | γ·m + g | | α·m |
| `NAG` | w − α·γ·m | γ·m + g | | α·m |
| `AdaGrad` | w | g | Σg² | α·g/(√V + ε) |
| `AdaDelta` | w | g | EMA of g² | α·g·√(U + ε)/√(V + ε), U = EMA of past updates² |
| `RMSProp` | w | g | EMA of g² | α·g/(√V + ε) |
| `Adam` | w | EMA of g | EMA of g² | α·m̂/(√V̂ + ε) |
| `Adam(amsgrad=)` | w | EMA of g | largest EMA of g² | α·m̂/(√V̂ + ε) |
| `Adamax` | w | EMA of g | infinity norm | α·m̂/u |
| `Nadam` | w, looking ahead | EMA of g | EMA of g² | α·(m̂ and g mixed)/(√V̂ + ε) |
| `RAdam` | w | EMA of g | EMA of g² | α·r·m̂/(√V̂ + ε), at first α·m̂ |
| `AdaBelief` | w | EMA of g | EMA of (g − m)² | α·m̂/(√V̂ + ε) |
| `Yogi` | w | EMA of g | V − (1 − β₂)·sign(V − g²)·g² | α·m/(√V + ε) |

Where the frame leaks:

| class | leak |
|---|---|
| `Signum` | none: the direction is a sign |
| `Lion` | its sign needs the moment of the step before |
| `Rprop` | signs alone; the state holds the step |
| `Adan` | the difference of gradients stands for a look-ahead |
| `ADOPT` | momentum of g/√V, with the V of the step before |
| `AdEMAMix` | two φ; their coefficients are functions of the step |
| `LAMB`, `LARS` | the step has the size of the array: norms first |
| `FTRL` | w is solved for, not moved |
| `SGDScheduleFree`, `AdamWScheduleFree` | gradients at y, steps of z, results in their average x |

For tables of which a batch touches few rows (`Optimizer.step_rows`): `SGD`, `AdaGrad`, `RowwiseAdagrad`, `LazyAdam`.

Names and defaults are PyTorch's, or where it has none those of the authors' code. torch's spellings (`Adagrad`,
`Adadelta`, `RMSprop`, `NAdam`) work too.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fourstep.optim.adabelief import AdaBelief
from fourstep.optim.adadelta import AdaDelta
from fourstep.optim.adagrad import AdaGrad
from fourstep.optim.adam import Adam, AdamW
from fourstep.optim.adamax import Adamax
from fourstep.optim.adan import Adan
from fourstep.optim.ademamix import AdEMAMix
from fourstep.optim.adopt import ADOPT
from fourstep.optim.base import Optimizer
from fourstep.optim.four_steps import FourSteps, Leak
from fourstep.optim.ftrl import FTRL
from fourstep.optim.groups import ParamGroup
from fourstep.optim.lamb import LAMB
from fourstep.optim.lars import LARS
from fourstep.optim.lazy_adam import LazyAdam
from fourstep.optim.lion import Lion
from fourstep.optim.nadam import Nadam
from fourstep.optim.radam import RAdam
from fourstep.optim.report import Last, NonFiniteWarning
from fourstep.optim.rmsprop import RMSProp
from fourstep.optim.rowwise_adagrad import RowwiseAdagrad
from fourstep.optim.rprop import Rprop
from fourstep.optim.schedule_free import AdamWScheduleFree, SGDScheduleFree
from fourstep.optim.sgd import NAG, SGD, SGDW
from fourstep.optim.signum import Signum
from fourstep.optim.state import HyperParameterWarning
from fourstep.optim.yogi import Yogi

if TYPE_CHECKING:
    from fourstep.optim.compare import compare
    from fourstep.optim.compose import FourStep
    from fourstep.optim.written import SlowStep

Adagrad = AdaGrad
Adadelta = AdaDelta
RMSprop = RMSProp
NAdam = Nadam

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
    "FourStep",
    "FourSteps",
    "HyperParameterWarning",
    "Last",
    "LazyAdam",
    "Leak",
    "Lion",
    "NAdam",
    "Nadam",
    "NonFiniteWarning",
    "Optimizer",
    "ParamGroup",
    "RAdam",
    "RMSProp",
    "RMSprop",
    "RowwiseAdagrad",
    "Rprop",
    "SGDScheduleFree",
    "Signum",
    "SlowStep",
    "Yogi",
    "compare",
]

_LATER = {"FourStep": "compose", "SlowStep": "written", "compare": "compare"}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'fourstep.optim' has no attribute {name!r}")
    value = getattr(import_module(f"fourstep.optim.{_LATER[name]}"), name)
    globals()[name] = value
    return value
