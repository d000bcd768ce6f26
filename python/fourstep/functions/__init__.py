"""Test functions: small frozen objects with a value, a gradient, a minimum and the window of a picture.

| function | what it shows |
|---|---|
| `Quadratic` | rates and stability in closed form (O9, O10) |
| `Ravine` | oscillation across, slowness along (O6) |
| `Saddle` | a place without gradient that is no minimum (O6) |
| `Rosenbrock` | a bent ravine |
| `Beale` | plains between steep walls |
| `DoubleWell` | a local minimum behind a hill |
| `RingedBasin` | a basin ringed by low hills (O11) |

`fourstep.minimize` walks on them, `escape_rate` counts who leaves the last two, `fourstep.plot.trajectories` draws.
`convergence_by_batch_size` and `escape_by_batch_size` take them as the mean of many rows (D2, D3).
"""

from __future__ import annotations

from fourstep.functions.base import Surface, Trap
from fourstep.functions.batch_size import (
    BatchSizes,
    Convergence,
    convergence_by_batch_size,
    escape_by_batch_size,
)
from fourstep.functions.escape import Escape, escape_rate
from fourstep.functions.quadratic import Quadratic, recurrence, stability
from fourstep.functions.surfaces import Beale, DoubleWell, Ravine, RingedBasin, Rosenbrock, Saddle

__all__ = [
    "BatchSizes",
    "Beale",
    "Convergence",
    "DoubleWell",
    "Escape",
    "Quadratic",
    "Ravine",
    "RingedBasin",
    "Rosenbrock",
    "Saddle",
    "Surface",
    "Trap",
    "convergence_by_batch_size",
    "escape_by_batch_size",
    "escape_rate",
    "recurrence",
    "stability",
]
