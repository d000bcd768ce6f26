"""Writes keras.npz. Run from anywhere with Keras and JAX installed: python tests/dumps/make_keras.py

On JAX, because on TensorFlow Keras rounds 0.9 and its like to float32 also where everything is float64.
"""

from __future__ import annotations

import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np
import walks

from cases import KERAS, Case

jax.config.update("jax_enable_x64", True)
keras.config.set_floatx("float64")


def run(case: Case) -> walks.Array:
    """Take a walk with Keras."""
    optimizer = getattr(keras.optimizers, case.theirs)(**case.options)
    variables = [keras.Variable(part, dtype="float64") for part in walks.parts(walks.start())]
    optimizer.build(variables)
    lr = float(optimizer.learning_rate)

    def step(t: int, g: list[walks.Array]) -> list[walks.Array]:
        optimizer.learning_rate = walks.rate(lr, case.drop, t)
        optimizer.apply([jax.numpy.array(part) for part in g])
        return [variable.numpy() for variable in variables]

    return walks.walk(step)


versions = {"keras": keras.__version__, "jax": jax.__version__, "numpy": np.__version__}
walks.write(Path(__file__).with_name("keras.npz"), {case.id: run(case) for case in KERAS}, versions)
