"""`fourstep.torch.arena`: one buffer behind a model, the same walk, and what happens when somebody takes it apart."""

from __future__ import annotations

import copy
import gc
import io
import pickle
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: fourstep.torch was not tested")
import fourstep.torch as ft  # noqa: E402
from fourstep import _core  # noqa: E402
from fourstep.torch import memory, optimizer  # noqa: E402


def model(seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 2), torch.nn.Flatten(), torch.nn.Linear(36, 5)).to(
        memory_format=torch.channels_last
    )


def backward(net: Any, seed: int) -> None:
    x = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    net(x).square().mean().backward()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which entry of the kernels each step took."""
    taken: list[str] = []

    class Spy:
        identical = staticmethod(_core.identical)

        @staticmethod
        def step_at(*args: Any) -> Any:
            taken.append("tensors")
            return _core.step_at(*args)

        @staticmethod
        def step_packed(*args: Any) -> Any:
            missing, skipped, whole = _core.step_packed(*args)
            taken.append("one" if whole == len(args[1]) else "packed")
            return missing, skipped, whole

    monkeypatch.setattr(optimizer, "_core", Spy)
    return taken


@pytest.mark.parametrize("zero", ["optimizer", "none", "zeros"])
def test_the_same_bits_as_without(kind: Any, zero: str) -> None:
    plain, net = model(), model()
    arena = ft.arena(net)
    a, b = kind.make(plain.parameters()), kind.make(net.parameters())
    for step in range(5):
        a.zero_grad()
        if zero == "optimizer":
            b.zero_grad()
        else:
            net.zero_grad(set_to_none=zero == "none")
        backward(plain, step)
        backward(net, step)
        a.step()
        b.step()
    for p, q in zip(plain.parameters(), net.parameters(), strict=True):
        assert torch.equal(p, q)
        assert p.stride() == q.stride()
        assert q.untyped_storage().data_ptr() == arena.data.untyped_storage().data_ptr()
        attached = q.grad.untyped_storage().data_ptr() == arena.grad.untyped_storage().data_ptr()
        assert attached == (zero != "none")
    for p, q in zip(a.state_dict()["state"].values(), b.state_dict()["state"].values(), strict=True):
        assert type(q) is dict
        for key in p:
            assert torch.equal(p[key], q[key])


def test_a_step_is_one_array(kind: Any, calls: list[str]) -> None:
    net = model()
    ft.arena(net)
    opt = kind.make(net.parameters())
    for step in range(4):
        opt.zero_grad()
        backward(net, step)
        opt.step()
    assert calls[-3:] == ["one"] * 3
    assert all(p._version >= 4 for p in net.parameters())


def test_it_moves_what_is_there_and_nothing_else() -> None:
    net = model()
    backward(net, 0)
    frozen = net[2].bias.requires_grad_(False)
    was = {name: (p.detach().clone(), p.grad.clone()) for name, p in net.named_parameters()}
    ids = {name: id(p) for name, p in net.named_parameters()}
    arena = ft.arena(net)
    for name, p in net.named_parameters():
        assert id(p) == ids[name]
        assert torch.equal(p, was[name][0])
        assert torch.equal(p.grad, was[name][1])
    assert memory.place_of(frozen) is None
    assert repr(arena) == f"Arena: 3 parameters, {arena.data.numel()} elements of torch.float32"
    assert arena.data.numel() == sum(p.numel() for p in net.parameters() if p.requires_grad)


def test_state_that_was_there_goes_along(kind: Any, calls: list[str]) -> None:
    plain, net = model(), model()
    a, b = kind.make(plain.parameters()), kind.make(net.parameters())
    for step in range(5):
        if step == 2:
            ft.arena(b)
            b.load_state_dict(b.state_dict())  # finds all anew
        for n, o in ((plain, a), (net, b)):
            o.zero_grad()
            backward(n, step)
            o.step()
    assert calls[-1] == "one"
    for p, q in zip(plain.parameters(), net.parameters(), strict=True):
        assert torch.equal(p, q)


def test_an_arena_under_an_optimizer_is_found_at_the_next_step(calls: list[str]) -> None:
    net = model()
    opt = ft.Adam(net.parameters())
    backward(net, 0)
    opt.step()
    ft.arena(net)
    opt.step()
    assert calls[-1] == "one"


def test_groups_are_laid_out_by_the_optimizer(calls: list[str]) -> None:
    net = model()
    weights = [p for p in net.parameters() if p.dim() > 1]
    biases = [p for p in net.parameters() if p.dim() == 1]
    opt = ft.AdamW([{"params": weights, "weight_decay": 0.5}, {"params": biases, "weight_decay": 0.0}])
    ft.arena(opt)
    for step in range(3):
        opt.zero_grad()
        backward(net, step)
        opt.step()
    assert calls[-1] == "one"


def test_interleaved_groups_are_right_though_not_one_array() -> None:
    walks = []
    for use in (False, True):
        net = model()
        if use:
            ft.arena(net)
        weights = [p for p in net.parameters() if p.dim() > 1]
        biases = [p for p in net.parameters() if p.dim() == 1]
        opt = ft.AdamW([{"params": weights, "weight_decay": 0.5}, {"params": biases, "weight_decay": 0.0}])
        for step in range(3):
            net.zero_grad()
            backward(net, step)
            opt.step()
        walks.append([p.detach().clone() for p in net.parameters()])
    assert all(map(torch.equal, *walks))


def test_a_gradient_of_none_is_skipped() -> None:
    net = model()
    ft.arena(net)
    opt = ft.Adam(net.parameters())
    for step in range(3):
        opt.zero_grad()
        backward(net, step)
        net[2].bias.grad = None
        before = net[2].bias.detach().clone(), net[0].weight.detach().clone()
        opt.step()
        assert torch.equal(net[2].bias, before[0])
        assert not torch.equal(net[0].weight, before[1])
    opt.zero_grad()
    assert net[2].bias.grad is not None
    backward(net, 9)
    opt.step()
    assert opt.state[net[2].bias]["step"].item() == 1
    assert opt.state[net[0].weight]["step"].item() == 4
    backward(net, 10)
    opt.step()  # counts differ: tensor by tensor, each by its own
    assert opt.state[net[2].bias]["step"].item() == 2


def test_parameters_that_move_are_stepped_where_they_are(calls: list[str]) -> None:
    net = model()
    arena = ft.arena(net)
    opt = ft.SGD(net.parameters(), lr=0.5)
    backward(net, 0)
    opt.step()
    net[2].bias.data = torch.ones(5)
    opt.zero_grad()
    net[2].bias.grad.fill_(1.0)
    flat = arena.data.clone()
    opt.step()
    assert net[2].bias.tolist() == [0.5] * 5
    assert torch.equal(arena.data[-5:], flat[-5:])
    assert calls[-1] == "packed"


def _given_other_memory(net: Any, opt: Any) -> None:
    p = net[0].weight
    p.data = p.data.clone(memory_format=torch.preserve_format)


def _gradient_given_other_memory(net: Any, opt: Any) -> None:
    net[0].weight.grad.data = 2 * net[0].weight.grad


def _another_gradient(net: Any, opt: Any) -> None:
    net[0].weight.grad = 2 * net[0].weight.grad


def _no_gradient(net: Any, opt: Any) -> None:
    net[2].bias.grad = None


def _another_count(net: Any, opt: Any) -> None:
    state = opt.state[net[0].weight]
    if "step" in state:
        state["step"].fill_(7.0)


def _state_given_other_memory(net: Any, opt: Any) -> None:
    state = opt.state[net[0].weight]
    for key, value in state.items():
        state[key] = value.clone(memory_format=torch.preserve_format)


CHANGES = {
    change.__name__.strip("_"): change
    for change in (
        _given_other_memory,
        _gradient_given_other_memory,
        _another_gradient,
        _no_gradient,
        _another_count,
        _state_given_other_memory,
    )
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_changes_between_steps_is_noticed(kind: Any, change: Any) -> None:
    plain, net = model(), model()
    ft.arena(net)
    a, b = kind.make(plain.parameters()), kind.make(net.parameters())
    for step in range(5):
        for n, opt in ((plain, a), (net, b)):
            for p in n.parameters():
                if p.grad is not None:
                    p.grad.zero_()
            backward(n, step)
            if step == 2:
                change(n, opt)
            opt.step()
    for p, q in zip(plain.parameters(), net.parameters(), strict=True):
        assert torch.equal(p, q)
        for key, value in a.state.get(p, {}).items():
            assert torch.equal(value, b.state[q][key]), key


def test_a_model_that_changes_its_dtype_is_refused_by_its_state() -> None:
    net = model()
    ft.arena(net)
    opt = ft.Adam(net.parameters())
    for _ in range(2):
        backward(net, 0)
        opt.step()
    net.double()
    with pytest.raises((TypeError, ValueError), match="parameter 0 of group 0"):
        opt.step()


def test_zero_grad_attaches_the_buffer_again(calls: list[str]) -> None:
    net = model()
    ft.arena(net)
    opt = ft.Adam(net.parameters())
    for step in range(4):
        if step == 2:
            net.zero_grad()
        else:
            opt.zero_grad()
        backward(net, step)
        opt.step()
    assert calls[-2:] == ["packed", "one"]


def test_zero_grad_lets_go_of_a_model_of_another_dtype() -> None:
    net = model()
    ft.arena(net)
    opt = ft.SGD(net.parameters(), lr=0.5)
    net.double()
    opt.zero_grad()
    opt.zero_grad()
    net(torch.ones(2, 3, 4, 4).double()).sum().backward()
    before = net[2].bias.detach().clone()
    opt.step()
    assert torch.equal(net[2].bias, before - 1.0)


@pytest.mark.parametrize("how", ["deepcopy", "pickle", "save"])
def test_copies_are_plain_and_go_on_alike(kind: Any, how: str) -> None:
    net = model()
    ft.arena(net)
    opt = kind.make(net.parameters())
    for step in range(3):
        opt.zero_grad()
        backward(net, step)
        opt.step()
    if how == "save":
        file = io.BytesIO()
        torch.save({"o": opt.state_dict(), "n": net.state_dict()}, file)
        file.seek(0)
        saved = torch.load(file, weights_only=True)
        other = model(1)
        other.load_state_dict(saved["n"])
        again = kind.make(other.parameters())
        again.load_state_dict(saved["o"])
    else:
        both = {"o": opt, "n": net}
        both = copy.deepcopy(both) if how == "deepcopy" else pickle.loads(pickle.dumps(both))
        other, again = both["n"], both["o"]
        assert all(memory.place_of(p) is None for p in other.parameters())
        assert all(type(state) is dict for state in again.state.values())
    for n, o in ((net, opt), (other, again)):
        o.zero_grad()
        backward(n, 7)
        o.step()
    for p, q in zip(net.parameters(), other.parameters(), strict=True):
        assert torch.equal(p, q)


def test_load_state_dict_of_the_model_stays_inside() -> None:
    net = model()
    arena = ft.arena(net)
    net.load_state_dict(model(5).state_dict())
    assert torch.equal(arena.data[-5:], model(5)[2].bias)


def test_nothing_is_kept_alive() -> None:
    before = len(memory._places)
    net = model()
    ft.arena(net)
    assert len(memory._places) == before + 4
    del net
    gc.collect()
    assert len(memory._places) == before


def two() -> list[Any]:
    return [torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(3))]


def test_refused() -> None:
    with pytest.raises(ValueError, match="arena: got no parameters"):
        ft.arena([])
    with pytest.raises(
        TypeError, match=r"arena: parameter 1: got torch.float64, need torch.float32, the dtype of the f"
    ):
        ft.arena([*two()[:1], torch.nn.Parameter(torch.ones(2, dtype=torch.float64))])
    with pytest.raises(ValueError, match="parameter 0: got a tensor on meta"):
        ft.arena([torch.nn.Parameter(torch.ones(2, device="meta"))])
    params = two()
    with pytest.raises(ValueError, match="parameter 2: got it twice"):
        ft.arena([*params, params[0]])
    ft.arena(params)
    with pytest.raises(ValueError, match="parameter 0: lies in an arena already"):
        ft.arena(params)
    with pytest.raises(ValueError, match="got a tensor that was computed"):
        ft.arena([torch.ones(2, requires_grad=True) * 2])
    with pytest.raises(TypeError, match="parameter 0: got str"):
        ft.arena(["w"])


def test_torch_s_own_optimizer_works_on_an_arena(near: Any) -> None:
    plain, net = model(), model()
    ft.arena(net)
    for n in (plain, net):
        opt = torch.optim.Adam(n.parameters())
        for step in range(3):
            opt.zero_grad()
            backward(n, step)
            opt.step()
    for p, q in zip(plain.parameters(), net.parameters(), strict=True):
        near(p.detach(), q.detach())


def test_bfloat16() -> None:
    nets = [torch.nn.Linear(33, 7).bfloat16() for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    ft.arena(nets[1])
    for net in nets:
        opt = ft.AdamW(net.parameters(), lr=0.1)
        for step in range(3):
            opt.zero_grad()
            net(torch.full((2, 33), 1.0 + step).bfloat16()).square().mean().backward()
            opt.step()
    assert torch.equal(nets[0].weight, nets[1].weight)
