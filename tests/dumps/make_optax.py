"""Writes optax.npz. Run from anywhere with optax installed: python tests/dumps/make_optax.py"""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path

import jax
import numpy as np
import optax
import walks

from cases import OPTAX, Case

jax.config.update("jax_enable_x64", True)


def run(case: Case) -> walks.Array:
    """Take a walk with optax."""
    options = dict(case.options)
    if case.drop:
        lr = options["learning_rate"]
        options["learning_rate"] = lambda t: jax.numpy.where(t < walks.DROP, lr, lr / 10)
    optimizer = attrgetter(case.theirs)(optax)(**options)
    params = [jax.numpy.array(part) for part in walks.parts(walks.start())]
    state = optimizer.init(params)

    def step(t: int, g: list[walks.Array]) -> list[walks.Array]:
        nonlocal params, state
        updates, state = optimizer.update([jax.numpy.array(part) for part in g], state, params)
        params = optax.apply_updates(params, updates)
        return params

    return walks.walk(step)


#: Without a rate it climbs: `optax.adadelta()` adds the step that it should subtract.
climbs = {"adadelta_without_rate": run(Case("", "AdaDelta", "adadelta"))}
versions = {"optax": optax.__version__, "jax": jax.__version__, "numpy": np.__version__}
walks.write(
    Path(__file__).with_name("optax.npz"), {**{case.id: run(case) for case in OPTAX}, **climbs}, versions
)
