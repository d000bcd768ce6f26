"""The same walk as torch's own optimizers, and the same bits as `fourstep.optim`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fourstep as fs

torch = pytest.importorskip("torch", reason="torch is not installed: fourstep.torch was not tested")


@pytest.mark.parametrize("maximize", [False, True])
def test_the_walk_of_torch(case: Any, tdtype: Any, maximize: bool, walk: Any, request: Any) -> None:
    if tdtype == torch.float64:
        request.getfixturevalue("wide_counters")
    w = walk.of(tdtype)
    w.go(case.make(w.ours, maximize=maximize), case.rival(w.theirs, maximize=maximize))
    w.assert_close()


def test_the_bits_of_fourstep(case: Any, tdtype: Any, walk: Any) -> None:
    if case.ours is None:
        pytest.skip("no class of fourstep.optim")
    name, options = case.ours
    w = walk.of(tdtype)
    arrays = [p.detach().numpy().copy() for p in w.theirs]
    ours, theirs = case.make(w.ours), getattr(fs.optim, name)(arrays, **options)
    for _ in range(20):
        w.feed()
        ours.step()
        theirs.step([p.grad.numpy() for p in w.ours])
    exact = (
        case.name != "NAdam"
    )  # torch rounds the product of momenta to float32, fourstep.optim keeps float64
    for p, array in zip(w.ours, arrays, strict=True):
        got = p.detach().numpy()
        if exact:
            assert np.array_equal(got, array)
        else:
            np.testing.assert_allclose(got, array, rtol=0, atol=2e-6)


def test_state_is_torch_s(case: Any, walk: Any, near: Any) -> None:
    """Names, order, dtypes, shapes and values."""
    w = walk.of(torch.float32)
    ours, theirs = case.make(w.ours), case.rival(w.theirs)
    w.go(ours, theirs, 5)
    a, b = ours.state_dict(), theirs.state_dict()
    assert a["param_groups"] == b["param_groups"]
    assert list(a["state"]) == list(b["state"])
    for key, state in b["state"].items():
        assert set(a["state"][key]) == set(state)
        for name, want in state.items():
            got = a["state"][key][name]
            assert got.device == want.device
            assert got.stride() == want.stride()
            assert not got.requires_grad
            near(got, want)
            assert type(got) is torch.Tensor


@pytest.mark.parametrize("to_torch", [False, True])
def test_state_goes_both_ways(case: Any, tdtype: Any, to_torch: bool, walk: Any, request: Any) -> None:
    if tdtype == torch.float64:
        request.getfixturevalue("wide_counters")
    w = walk.of(tdtype)
    first, other = (case.make, case.rival) if to_torch else (case.rival, case.make)
    a, b = first(w.ours), case.rival(w.theirs)
    w.go(a, b, 10)
    c = other(w.ours)
    c.load_state_dict(a.state_dict())
    w.go(c, b, 10)
    w.assert_close()


def test_repeated_steps_count(kind: Any, walk: Any) -> None:
    w = walk.of(torch.float32, [(3,)])
    optimizer = kind.make(w.ours)
    for _ in range(3):
        w.feed()
        optimizer.step()
    for state in optimizer.state.values():
        if "step" in state:
            assert state["step"].dtype == torch.float32
            assert state["step"].item() == 3
