"""`fourstep.torch.metrics`: the metric of all rows, whatever the batches, the processes and the collection."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fourstep as fs

torch = pytest.importorskip("torch", reason="torch is not installed: fourstep.torch was not tested")
torchmetrics = pytest.importorskip(
    "torchmetrics", reason="torchmetrics is not installed: fourstep.torch.metrics was not tested"
)
from fourstep.torch.metrics import AUC, GAUC  # noqa: E402

ROWS = 500


def rows(seed: int = 0, dtype: Any = None) -> tuple[Any, Any, Any, Any]:
    """Logits with ties, labels, users whose rows are scattered, weights."""
    generator = torch.Generator().manual_seed(seed)
    user = torch.randint(0, 40, (ROWS,), generator=generator)
    z = torch.randn(ROWS, generator=generator).mul(16).round().div(4)
    y = (torch.randn(ROWS, generator=generator) + z / 4 + user / 40 > 0.5).long()
    return z.to(dtype or torch.float32), y, user, torch.rand(ROWS, generator=generator)


def feed(metric: Any, size: int, *columns: Any, **named: Any) -> Any:
    """Update in batches of this size."""
    for start in range(0, ROWS, size):
        part = slice(start, start + size)
        metric.update(*(c[part] for c in columns), **{key: value[part] for key, value in named.items()})
    return metric


@pytest.mark.parametrize("size", [1, 7, ROWS])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int64"])
def test_the_bits_of_all_rows_at_once(size: int, dtype: str) -> None:
    z, y, user, _ = rows(dtype=getattr(torch, dtype))
    exact = z.double().numpy()
    got = feed(AUC(), size, z, y).compute()
    assert (got.dtype, got.shape) == (torch.float64, ())
    assert got.item() == fs.metrics.auc(y.numpy(), exact)
    choices: list[dict[str, Any]] = [{}, {"group_weight": "pairs", "min_rows": 5}]
    for options in choices:
        got = feed(GAUC(**options), size, z, y, user.int()).compute()
        assert got.item() == fs.metrics.gauc(y.numpy(), exact, user.numpy(), **options)
        assert 0.5 < got < 1


def test_states_keep_what_they_are_given() -> None:
    z, y, user, weight = rows(dtype=torch.float16)
    metric = GAUC()
    metric.update(z, y.bool(), user.to(torch.uint8), sample_weight=weight.requires_grad_())
    dtypes = [metric.exact_preds[0].dtype, metric.exact_target[0].dtype, metric.exact_groups[0].dtype]
    assert dtypes == [torch.float16, torch.bool, torch.int64]
    assert metric.exact_preds[0].data_ptr() == z.data_ptr()
    assert not metric.exact_weight[0].requires_grad


def test_logits_are_ranked_as_they_are() -> None:
    """A sigmoid in float32 makes one number of 20, 30 and 40."""
    z, y = torch.tensor([20.0, 30.0, 40.0, -1.0]), torch.tensor([0, 1, 0, 0])
    ours, theirs = AUC(), torchmetrics.classification.BinaryAUROC()
    for metric in (ours, theirs):
        metric.update(z, y)
    assert ours.compute().item() == fs.metrics.auc(y.numpy(), z.numpy()) == 2 / 3
    assert theirs.compute() != ours.compute()


def test_weights() -> None:
    z, y, user, weight = rows()
    got = feed(AUC(), 64, z, y, sample_weight=weight).compute().item()
    assert got == fs.metrics.auc(y.numpy(), z.numpy(), sample_weight=weight.numpy())
    assert got != fs.metrics.auc(y.numpy(), z.numpy())
    got = feed(GAUC(), 64, z, y, user, sample_weight=weight).compute().item()
    assert got == fs.metrics.gauc(y.numpy(), z.numpy(), user.numpy(), sample_weight=weight.numpy())


def test_reset_forward_and_copies() -> None:
    z, y, user, _ = rows()
    metric = GAUC()
    assert metric.higher_is_better
    first = metric(z[:100], y[:100], user[:100])  # the batch's own
    assert first.item() == fs.metrics.gauc(y[:100].numpy(), z[:100].numpy(), user[:100].numpy())
    metric(z[100:], y[100:], user[100:])
    whole = fs.metrics.gauc(y.numpy(), z.numpy(), user.numpy())
    for twin in (metric, copy.deepcopy(metric), pickle.loads(pickle.dumps(metric)), metric.clone()):
        assert twin.compute().item() == whole
    metric.reset()
    feed(metric, 50, z.flip(0), y.flip(0), user.flip(0))
    assert metric.compute().item() == whole


def test_in_a_collection_beside_torchmetrics_own() -> None:
    """The first batch is one that a sigmoid leaves alone: states must not be shared because they are equal so far."""
    z, y, user, _ = rows()
    batches = [(z[:9].abs() / 100, y[:9], user[:9]), (z[9:] * 10, y[9:], user[9:])]
    collection = torchmetrics.MetricCollection(
        {
            "auc": AUC(),
            "part": AUC(max_fpr=0.2),
            "gauc": GAUC(),
            "theirs": torchmetrics.classification.BinaryAUROC(),
        }
    )
    alone = torchmetrics.classification.BinaryAUROC()
    for preds, target, groups in batches:
        collection.update(preds, target, groups=groups)
        alone.update(preds, target)
    preds, target, groups = (torch.cat(column).numpy() for column in zip(*batches, strict=True))
    got = {key: value.item() for key, value in collection.compute().items()}
    assert got["auc"] == fs.metrics.auc(target, preds)
    assert got["part"] == fs.metrics.auc(target, preds, max_fpr=0.2)
    assert got["gauc"] == fs.metrics.gauc(target, preds, groups)
    assert got["theirs"] == alone.compute().item() != got["auc"]
    shared = [sorted(names) for names in collection.compute_groups.values()]
    assert sorted(shared) == [["auc", "part"], ["gauc"], ["theirs"]]


def test_shapes_are_free_and_equal() -> None:
    z, y, user, _ = rows()
    metric = GAUC()
    metric.update(z.view(100, 5), y.view(100, 5), user.view(100, 5))
    assert metric.compute().item() == fs.metrics.gauc(y.numpy(), z.numpy(), user.numpy())
    with pytest.raises(ValueError, match=r"GAUC: target: got shape \(500,\), need \(100, 5\), that of preds"):
        metric.update(z.view(100, 5), y, user)


def test_what_is_refused() -> None:
    z, y, user, weight = rows()
    with pytest.raises(TypeError, match="AUC: got group_weight=, which is no option of auc here"):
        AUC(group_weight="pairs")
    with pytest.raises(TypeError, match="GAUC: got offsets=, which is no option"):
        GAUC(offsets=[0, 1])
    with pytest.raises(TypeError, match=r"GAUC: groups: got torch.float32, need integers"):
        GAUC().update(z, y, user.float())
    with pytest.raises(TypeError, match="GAUC: groups: got list, need a tensor"):
        GAUC().update(z, y, user.tolist())
    with pytest.raises(ValueError, match=r"AUC: sample_weight: got shape \(3,\), need \(500,\)"):
        AUC().update(z, y, sample_weight=weight[:3])
    metric = AUC()
    metric.update(z, y)
    with pytest.raises(TypeError, match=r"preds: got torch.float64 after torch.float32, need one dtype"):
        metric.update(z.double(), y)
    with pytest.raises(ValueError, match="sample_weight: got some, and earlier batches none"):
        metric.update(z, y, sample_weight=weight)
    assert metric.compute().item() == fs.metrics.auc(y.numpy(), z.numpy())  # nothing of the refused is kept
    metric.reset()
    metric.update(z, y, sample_weight=weight)
    with pytest.raises(ValueError, match="sample_weight: got none, and earlier batches some"):
        metric.update(z, y)
    metric = AUC()
    metric.update(torch.tensor([0.1, float("nan")]), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="NaN at index 1"):
        metric.compute()


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric AUC was called before")
def test_no_rows_and_one_class() -> None:
    with pytest.raises(ValueError, match="y: got no rows"):
        AUC().compute()
    metric = AUC(on_undefined=0.5)
    metric.update(torch.tensor([0.1, 0.2]), torch.tensor([1, 1]))
    assert metric.compute().item() == 0.5


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch has no distributed")
def test_two_processes(tmp_path: Path) -> None:
    """Each has half of the rows, of unequal number; then one has none; then they disagree on the dtype."""
    script = Path(__file__).with_name("metrics_run.py")
    ranks = [
        subprocess.Popen(
            [sys.executable, str(script), str(rank), str(tmp_path / "store")], stderr=subprocess.PIPE
        )
        for rank in range(2)
    ]
    errors = [rank.communicate(timeout=120)[1].decode() for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], "\n".join(errors)


def test_absent_torchmetrics_is_named() -> None:
    code = (
        "import sys; sys.modules['torchmetrics'] = None\n"
        "try:\n    import fourstep.torch.metrics\n"
        "except ModuleNotFoundError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], timeout=60, capture_output=True, text=True, check=True
    )
    assert "pip install torchmetrics" in done.stdout


def test_fourstep_torch_does_not_import_it() -> None:
    code = "import sys, fourstep.torch; print('torchmetrics' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], timeout=60, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_numpy_is_read_in_place() -> None:
    from fourstep.torch.metrics import _array

    z = torch.arange(5.0)
    assert np.shares_memory(_array([z]), z.numpy())


def test_calling_the_metric_mixes_no_dtypes_either() -> None:
    """A call sets the states aside, so that each batch is looked at alone: the sum of them is refused."""
    metric = AUC()
    metric(torch.tensor([0.1, 0.9]), torch.tensor([0, 1]))
    metric(torch.tensor([2**24, 2**24 + 1]), torch.tensor([0, 1]))
    with pytest.raises(TypeError, match=r"AUC: preds: got torch.int64 after torch.float32, need one dtype"):
        metric.compute()
