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
| `Nadam` | w, looking ahead | EMA of g | EMA of g² | α·(m̂ and g mixed)/(√V̂ + ε) |

Names and defaults are PyTorch's. torch's spellings (`Adagrad`, `Adadelta`, `RMSprop`, `NAdam`) work too.
"""

from __future__ import annotations

from fourstep.optim.adadelta import AdaDelta
from fourstep.optim.adagrad import AdaGrad
from fourstep.optim.adam import Adam
from fourstep.optim.base import Optimizer
from fourstep.optim.groups import ParamGroup
from fourstep.optim.nadam import Nadam
from fourstep.optim.report import Last, NonFiniteWarning
from fourstep.optim.rmsprop import RMSProp
from fourstep.optim.sgd import NAG, SGD

Adagrad = AdaGrad
Adadelta = AdaDelta
RMSprop = RMSProp
NAdam = Nadam

__all__ = [
    "NAG",
    "SGD",
    "AdaDelta",
    "AdaGrad",
    "Adadelta",
    "Adagrad",
    "Adam",
    "Last",
    "NAdam",
    "Nadam",
    "NonFiniteWarning",
    "Optimizer",
    "ParamGroup",
    "RMSProp",
    "RMSprop",
]
