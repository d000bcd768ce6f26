"""Sparse gradients of embeddings: SGD and Adagrad step the rows that have one, as torch does."""

from __future__ import annotations

import copy
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: fourstep.torch was not tested")
import fourstep.torch as ft  # noqa: E402

CASES = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "maximize": True}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1}),
    ("Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.5}),
]


def model(dtype: Any) -> Any:
    torch.manual_seed(0)
    embedding = torch.nn.Embedding(20, 3, sparse=True, dtype=dtype)
    return torch.nn.ModuleList([embedding, torch.nn.Linear(3, 2, dtype=dtype)])


def train(net: Any, optimizer: Any, step: int) -> None:
    optimizer.zero_grad()
    ids = torch.randint(0, 12, (8,), generator=torch.Generator().manual_seed(step))
    net[1](net[0](ids)).square().sum().backward()
    assert net[0].weight.grad.is_sparse
    optimizer.step()


@pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")  # of torch's own step
@pytest.mark.parametrize(("name", "options"), CASES)
def test_the_walk_of_torch(name: str, options: dict[str, Any], tdtype: Any, near: Any) -> None:
    ours, theirs = model(tdtype), model(tdtype)
    a = getattr(ft, name)(ours.parameters(), **options)
    b = getattr(torch.optim, name)(theirs.parameters(), **options)
    before = ours[0].weight.detach().clone()
    for step in range(5):
        train(ours, a, step)
        train(theirs, b, step)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        near(p.detach(), q.detach())
        assert p._version > 0
        for key, value in b.state.get(q, {}).items():
            near(a.state[p][key], value)
    assert torch.equal(ours[0].weight[12:], before[12:])


def test_dense_again() -> None:
    net = model(torch.float32)
    optimizer = ft.Adagrad(net.parameters())
    train(net, optimizer, 0)
    net[0].weight.grad = torch.ones(20, 3)
    before = net[0].weight.detach().clone()
    optimizer.step()
    assert not net[0].weight.eq(before).any()
    assert optimizer.state[net[0].weight]["step"].item() == 2


def test_refused_with_names_and_nothing_changed() -> None:
    net = model(torch.float32)
    before = [p.detach().clone() for p in net.parameters()]
    for optimizer, error, message in [
        (
            ft.SGD(net.parameters(), momentum=0.9),
            RuntimeError,
            "momentum: got 0.9 with the sparse gradient of param",
        ),
        (
            ft.SGD(net.parameters(), weight_decay=0.1),
            RuntimeError,
            "weight_decay is not compatible with the sparse",
        ),
        (ft.Adam(net.parameters()), RuntimeError, "the gradient of parameter 0 of group 0: got a sparse one"),
    ]:
        with pytest.raises(error, match=message):
            train(net, optimizer, 0)
    assert all(map(torch.equal, before, net.parameters()))


def test_two_sparse_dimensions_are_refused() -> None:
    p = torch.nn.Parameter(torch.ones(3, 2))
    p.grad = torch.ones(3, 2).to_sparse()
    with pytest.raises(ValueError, match="with 2 sparse dimensions, need"):
        ft.SGD([p]).step()
    optimizer = ft.SparseAdam([p])
    with pytest.raises(ValueError, match="with 2 sparse dimensions, need"):
        optimizer.step()
    assert p.tolist() == [[1.0, 1.0]] * 3
    assert not optimizer.state.get(p)  # torch's makes its state in the first step that is taken


@pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")
@pytest.mark.parametrize("options", [{}, {"lr": 0.1, "eps": 1e-2, "maximize": True}])
def test_sparse_adam(options: dict[str, Any], tdtype: Any, near: Any) -> None:
    ours, theirs = model(tdtype)[:1], model(tdtype)[:1]
    a, b = ft.SparseAdam(ours.parameters(), **options), torch.optim.SparseAdam(theirs.parameters(), **options)
    for step in range(6):
        for net, optimizer in ((ours, a), (theirs, b)):
            optimizer.zero_grad()
            ids = torch.randint(0, 12, (8,), generator=torch.Generator().manual_seed(step))
            net[0](ids).pow(3).sum().backward()
            optimizer.step()
        if step == 3:
            c = ft.SparseAdam(ours.parameters(), **options)
            c.load_state_dict(b.state_dict())
            b.load_state_dict(copy.deepcopy(a.state_dict()))
            a = c
    near(ours[0].weight.detach(), theirs[0].weight.detach())
    state, want = a.state[ours[0].weight], b.state[theirs[0].weight]
    assert state["step"] == want["step"] == 6
    assert list(state) == list(want)
    near(state["exp_avg_sq"], want["exp_avg_sq"])


def test_sparse_adam_refuses_dense_gradients() -> None:
    p = torch.nn.Parameter(torch.ones(3, 2))
    p.grad = torch.ones(3, 2)
    with pytest.raises(RuntimeError, match="SparseAdam: got a dense gradient of parameter 0 of group 0"):
        ft.SparseAdam([p]).step()
    assert p.tolist() == [[1.0, 1.0]] * 3
