"""Print how far the statistics and the output of batch normalisation are from exact ones, beside torch's in two layouts.

    python benches/python/accuracy_norm.py

float32 input, against statistics in exact arithmetic (`math.fsum`). Columns: the error of the mean, in units in the last
place of the float32 nearest to it; the relative error of 1/√(σ² + ε); the largest error of y. Ours are the same bits in
both layouts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from harness import Array, module

EPS = 1e-5


def main() -> None:
    """Print the table."""
    print(f"{'case':34}{'who':26}{'mean, ulp':>12}{'invstd, rel':>13}{'y, abs':>11}")
    for name, x in _inputs():
        mean, invstd, y = _exact(x)
        for who, (got_mean, got_invstd, got_y) in _answers(x).items():
            ulp = np.spacing(np.float32(abs(mean)))
            errors = (
                abs(float(got_mean) - mean) / float(ulp),
                abs(float(got_invstd) / invstd - 1),
                float(np.abs(got_y.astype(np.float64) - y).max()),
            )
            print(f"{name:34}{who:26}{errors[0]:12.3g}{errors[1]:13.2e}{errors[2]:11.2e}")


def _inputs() -> Iterator[tuple[str, Array]]:
    """Yield arrays of (samples, 1, height, width)."""
    rng = np.random.default_rng(0)
    for mean in (1e4, 1e6):
        yield f"mean {mean:.0e}, std 1, 100 k values", _images(rng.normal(mean, 1, 102_400))
    yield "constant 1e7", _images(np.full(102_400, 1e7))
    yield "uniform, 3.2 M values", _images(rng.random(3_276_800))
    yield "mean 1e4, std 1, 3.2 M values", _images(rng.normal(1e4, 1, 3_276_800))


def _images(values: Array) -> Array:
    return values.astype(np.float32).reshape(-1, 1, 64, 64)


def _exact(x: Array) -> tuple[float, float, Array]:
    wide = x.ravel().astype(np.float64)
    mean = math.fsum(wide) / wide.size
    var = math.fsum((wide - mean) ** 2) / wide.size
    invstd = 1 / math.sqrt(var + EPS)
    return mean, invstd, ((wide - mean) * invstd).reshape(x.shape)


def _answers(x: Array) -> dict[str, tuple[Any, Any, Array]]:
    torch = module("torch")
    layer = module("fourstep.nn").BatchNorm(1, eps=EPS, momentum=1.0)
    y = layer.forward(x)
    mean, _, invstd = layer._pieces[0].statistics
    answers = {"fourstep": (np.float32(mean[0]), np.float32(invstd[0]), y)}
    # Two channels, as one alone is both layouts at once.
    two = torch.from_numpy(np.concatenate([x, x], 1))
    for name, format in (("torch", torch.contiguous_format), ("torch channels-last", torch.channels_last)):
        laid_out = two.to(memory_format=format)
        y, mean, invstd = torch.native_batch_norm(laid_out, None, None, None, None, True, 0.1, EPS)
        answers[name] = (mean[0], invstd[0], y[:, :1].numpy())
    return answers


if __name__ == "__main__":
    main()
