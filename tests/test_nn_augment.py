"""More rows from the ones there are; each function against NumPy, and the same for the same seed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import fourstep as fs
from fourstep import nn
from fourstep.nn import augment

Array = np.ndarray[Any, Any]

each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def images(rows: int = 30, dtype: str = "float64") -> Array:
    return np.random.default_rng(0).normal(size=(rows, 6, 8)).astype(dtype)


CASES: dict[str, Any] = {
    "gaussian_noise": lambda x, **o: augment.gaussian_noise(x, 0.3, **o),
    "flip": lambda x, **o: augment.flip(x, **o),
    "crop": lambda x, **o: augment.crop(x, (4, 5), pad=1, **o),
    "rotate": lambda x, **o: augment.rotate(x, 30, **o),
    "mixup": lambda x, **o: augment.mixup(x, np.arange(len(x)), **o).x,
}
each_case = pytest.mark.parametrize("name", CASES)


@each_case
@each_dtype
def test_seeds_dtypes_and_inputs(name: str, dtype: str) -> None:
    if name == "rotate":
        pytest.importorskip("scipy", reason="SciPy is not installed: rotation was not tested")
    x = images(dtype=dtype)
    before = x.copy()
    y = CASES[name](x, seed=1)
    assert y.dtype == x.dtype
    assert len(y) == len(x)
    assert (x == before).all(), "the input stays as it is"
    assert not np.shares_memory(x, y)
    assert (
        y.tobytes()
        == CASES[name](x, seed=1).tobytes()
        == CASES[name](x, rng=np.random.default_rng(1)).tobytes()
    )
    assert y.tobytes() != CASES[name](x, seed=2).tobytes()
    assert CASES[name](x[:0], seed=1).shape[0] == 0
    with pytest.raises(ValueError, match="got both seed=1 and rng"):
        CASES[name](x, seed=1, rng=np.random.default_rng(1))


def test_standardise_takes_statistics_of_the_training_rows_alone() -> None:
    train, test = images(50).reshape(50, -1) * 3 + 7, images(20).reshape(20, -1)
    train[:, 4] = test[:, 4] = 0.1
    scale = augment.Standardise().fit(train)
    y = scale.transform(train)
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(np.delete(y.std(0), 4), 1, rtol=1e-12)
    assert scale.constant.tolist() == [i == 4 for i in range(48)]
    assert (y[:, 4] == 0).all() and (scale.transform(test)[:, 4] == 0).all()
    varied = np.delete(np.arange(48), 4)
    np.testing.assert_allclose(
        scale.transform(test)[:, varied],
        ((test - train.mean(0)) / np.where(train.std(0) > 0, train.std(0), 1))[:, varied],
    )
    np.testing.assert_allclose(scale.inverse(scale.transform(test)), test, rtol=1e-12)


def test_standardise_is_scikit_learn_s() -> None:
    preprocessing = pytest.importorskip(
        "sklearn.preprocessing", reason="scikit-learn is the oracle of this test"
    )
    x = images(40).reshape(40, -1)
    np.testing.assert_allclose(
        augment.Standardise().fit(x).transform(x), preprocessing.StandardScaler().fit_transform(x), rtol=1e-12
    )


def test_standardise_of_large_float32_values_and_its_state(tmp_path: Path) -> None:
    x = (np.random.default_rng(0).normal(size=(1000, 2)) + np.array([1e6, 0])).astype(np.float32)
    scale = augment.Standardise().fit(x)
    y = scale.transform(x)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.std(0, dtype=np.float64), 1, rtol=1e-5)
    fs.save(tmp_path / "scale.npz", scale.state_dict())
    again = augment.Standardise()
    again.load_state_dict(fs.load(tmp_path / "scale.npz"))
    assert again.transform(x).tobytes() == y.tobytes()
    with pytest.raises(RuntimeError, match="fitted already"):
        again.fit(x)


def test_noise_has_its_deviation_and_none_is_none() -> None:
    x = np.zeros((200, 300))
    y = augment.gaussian_noise(x, 0.3, seed=0)
    assert abs(y.mean()) < 4 * 0.3 / y.size**0.5
    assert y.std() == pytest.approx(0.3, rel=0.02)
    assert (augment.gaussian_noise(x, 0, seed=0) == x).all()


@pytest.mark.parametrize("axis", [1, 2, -1, -2])
def test_flip_turns_about_a_share_of_the_rows_and_no_other(axis: int) -> None:
    x = images(400)
    y = augment.flip(x, axis, p=0.25, seed=0)
    turned = [
        (row == np.flip(old, axis if axis < 0 else axis - 1)).all() for row, old in zip(y, x, strict=True)
    ]
    same = [(row == old).all() for row, old in zip(y, x, strict=True)]
    assert all(a != b for a, b in zip(turned, same, strict=True))
    assert abs(np.mean(turned) - 0.25) < 4 * (0.25 * 0.75 / 400) ** 0.5
    assert (augment.flip(x, axis, p=0, seed=0) == x).all()


def test_crops_are_windows_and_every_place_comes() -> None:
    x = images(500)
    seen = set()
    for row, window in zip(x, augment.crop(x, (4, 5), seed=0), strict=True):
        places = [(i, j) for i in range(3) for j in range(4) if (row[i : i + 4, j : j + 5] == window).all()]
        assert len(places) == 1
        seen.add(places[0])
    assert len(seen) == 12
    padded = augment.crop(x, (6, 8), pad=2, seed=0)
    assert padded.shape == x.shape
    assert (padded == 0).any(axis=(1, 2)).mean() > 0.8
    assert augment.crop(x, (6, 8), seed=0).tobytes() == x.tobytes()
    assert augment.crop(x, 3, seed=0).shape == (500, 6, 3)


def test_rotation_is_scipy_s_by_the_drawn_angles() -> None:
    ndimage = pytest.importorskip("scipy.ndimage", reason="SciPy is not installed: rotation was not tested")
    x = images(5)
    angles = np.random.default_rng(3).uniform(-40, 40, 5)
    y = augment.rotate(x, 40, seed=3)
    for row, old, angle in zip(y, x, angles, strict=True):
        np.testing.assert_allclose(
            row, ndimage.rotate(old, angle, axes=(0, 1), reshape=False, order=1), atol=1e-12
        )
    assert y.min() >= min(x.min(), 0) and y.max() <= max(x.max(), 0)
    np.testing.assert_allclose(augment.rotate(x, 0, seed=3), x)


def test_rotation_without_scipy_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.ndimage", None)
    with pytest.raises(
        ImportError, match=r"rotate needs SciPy, which is not installed: pip install 'fourstep\[images\]'"
    ):
        augment.rotate(images(2), 10)


@each_dtype
def test_mixup_mixes_rows_and_targets_by_the_same_shares(dtype: str) -> None:
    x, target = images(60, dtype), np.random.default_rng(1).integers(0, 2, (60, 1))
    mixed = augment.mixup(x, target, 0.4, seed=0)
    assert mixed.target.dtype == x.dtype
    assert sorted(mixed.partner.tolist()) == list(range(60))
    for i in range(60):
        lam, j = mixed.share[i], mixed.partner[i]
        np.testing.assert_allclose(mixed.x[i], lam * x[i] + (1 - lam) * x[j], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(
            mixed.target[i], lam * target[i] + (1 - lam) * target[j], rtol=1e-5, atol=1e-6
        )
    many = augment.mixup(np.zeros((4000, 1)), np.zeros(4000), 0.4, seed=0).share
    # Beta(α, α) has mean ½ and variance 1/(4·(2α + 1)).
    assert many.mean() == pytest.approx(0.5, abs=0.03)
    assert many.var() == pytest.approx(1 / (4 * 1.8), rel=0.05)


def test_a_loss_takes_mixed_targets() -> None:
    mixed = augment.mixup(np.ones((8, 3)), np.arange(8)[:, None] % 2, 1.0, seed=0)
    model = nn.Linear(3, 1, dtype="float64", seed=0)
    assert nn.BCEWithLogitsLoss().forward(model.forward(mixed.x), mixed.target) > 0


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda x: augment.Standardise().transform(x), RuntimeError, "not fitted yet"),
        (lambda x: augment.Standardise().fit(x[:0]), ValueError, "x: got no rows"),
        (
            lambda x: augment.Standardise().fit(x * np.inf),
            ValueError,
            r"x: \d+ values are not finite, the first is ",
        ),
        (lambda x: augment.Standardise().fit(x.astype(int)), TypeError, "x: got dtype int64"),
        (
            lambda x: augment.Standardise().fit(x).transform(x[:, :2]),
            ValueError,
            r"got rows of shape \(2, 8\), need \(6, 8\)",
        ),
        (
            lambda x: augment.gaussian_noise(x, -1),
            ValueError,
            "std: got -1, need a finite number, 0 or above",
        ),
        (lambda x: augment.flip(x, p=1.5), ValueError, "p: got 1.5, need 0 to 1"),
        (lambda x: augment.flip(x, 0), ValueError, "axis: got 0, need one of 3 that is not that of the rows"),
        (lambda x: augment.flip(x[:, 0, 0]), ValueError, r"flip: x: got shape \(30,\), need 2 dimensions"),
        (lambda x: augment.flip(cast("Any", [1])), TypeError, "flip: x: got list"),
        (lambda x: augment.crop(x, (7, 3)), ValueError, r"crop: size: got \(7, 3\), need at most \(6, 8\)"),
        (lambda x: augment.crop(x, 0), ValueError, "size: got 0"),
        (lambda x: augment.crop(x, []), ValueError, "crop: size: got no numbers"),
        (lambda x: augment.flip(x, cast("Any", 0.5)), TypeError, r"axis: got 0\.5, need a whole number"),
        (
            lambda x: augment.mixup(x, np.ones(30), cast("Any", "a")),
            TypeError,
            "alpha: got 'a', need a finite number above 0",
        ),
        (lambda x: augment.Standardise().fit(x[0, 0, 0]), TypeError, "Standardise: x: got float64"),
        (lambda x: augment.crop(x, 3, pad=-1), ValueError, "pad: got -1"),
        (lambda x: augment.rotate(x, 200), ValueError, "degrees: got 200, need 0 to 180"),
        (lambda x: augment.rotate(x, 20, axes=(1, -2)), ValueError, "rotate: axes: got"),
        (
            lambda x: augment.mixup(x, np.ones(3)),
            ValueError,
            r"mixup: target: got shape \(3,\), need 30 rows",
        ),
        (lambda x: augment.mixup(x, np.array(["a"] * 30)), TypeError, "mixup: target: got dtype <U1"),
        (lambda x: augment.mixup(x, np.ones(30), 0), ValueError, "alpha: got 0"),
    ],
)
def test_what_is_refused(call: Any, kind: type[Exception], message: str) -> None:
    with np.errstate(invalid="ignore"), pytest.raises(kind, match=message):
        call(images())
