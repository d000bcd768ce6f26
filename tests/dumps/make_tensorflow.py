"""Writes tensorflow.npz. Run from anywhere with TensorFlow installed: python tests/dumps/make_tensorflow.py"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow
import walks

from cases import TENSORFLOW, Case


def run(case: Case) -> walks.Array:
    """Take a walk with TensorFlow's kernels."""
    optimizer = getattr(tensorflow.compat.v1.train, case.theirs)(**case.options)
    variables = [tensorflow.Variable(part) for part in walks.parts(walks.start())]

    def step(t: int, g: list[walks.Array]) -> list[walks.Array]:
        grads = [tensorflow.constant(part) for part in g]
        optimizer.apply_gradients(zip(grads, variables, strict=True))
        return [variable.numpy() for variable in variables]

    return walks.walk(step)


versions = {"tensorflow": tensorflow.__version__, "numpy": np.__version__}
walks.write(Path(__file__).with_name("tensorflow.npz"), {case.id: run(case) for case in TENSORFLOW}, versions)
