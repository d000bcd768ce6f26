"""What torch's users do with an optimizer: schedules, closures, groups, hooks, copies, scalers, threads, the compiler."""

from __future__ import annotations

import copy
import importlib
import inspect
import io
import pickle
import threading
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: fourstep.torch was not tested")
import fourstep.torch as ft  # noqa: E402


def trained(kind: Any, steps: int = 3) -> tuple[Any, Any]:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2))
    optimizer = kind.make(model.parameters())
    for _ in range(steps):
        train(model, optimizer)
    return model, optimizer


def train(model: Any, optimizer: Any, seed: int = 0) -> float:
    optimizer.zero_grad()
    x = torch.linspace(-1, 1, 24).view(6, 4) + seed
    loss = model(x).square().mean()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def test_signature_and_lineage_are_torch_s(kind: Any) -> None:
    ours, theirs = getattr(ft, kind.name), getattr(torch.optim, kind.name)
    assert inspect.signature(ours) == inspect.signature(theirs)
    assert issubclass(ours, theirs)
    p = torch.nn.Parameter(torch.ones(2))
    assert ours([p]).defaults == theirs([p]).defaults
    assert repr(ours([p])) == repr(theirs([p]))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"lr": -1.0}),
        ("SGD", {"nesterov": True}),
        ("Adam", {"betas": (1.0, 0.9)}),
        ("Adam", {"eps": -1.0}),
        ("Adam", {"fused": True, "foreach": True}),
        ("Adam", {"lr": torch.tensor([1.0, 2.0])}),
        ("RMSprop", {"momentum": -1.0}),
        ("Adagrad", {"lr_decay": -1.0}),
        ("Adadelta", {"rho": 2.0}),
        ("NAdam", {"momentum_decay": -1.0}),
    ],
)
def test_errors_are_torch_s(name: str, options: dict[str, Any]) -> None:
    p = torch.nn.Parameter(torch.ones(2))
    with pytest.raises((ValueError, RuntimeError)) as theirs:
        getattr(torch.optim, name)([p], **options)
    with pytest.raises(theirs.type) as ours:
        getattr(ft, name)([p], **options)
    assert str(ours.value) == str(theirs.value)


@pytest.mark.parametrize("flag", ["differentiable", "capturable"])
def test_refused_flags(flag: str) -> None:
    p = torch.nn.Parameter(torch.ones(2))
    with pytest.raises(ValueError, match=rf"^Adam: {flag}: got True, need False"):
        ft.Adam([p], **{flag: True})
    optimizer = ft.Adam([p])
    with pytest.raises(ValueError, match=rf"^Adam: {flag}: got True, need False"):
        optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(2))], flag: True})
    assert len(optimizer.param_groups) == 1


@pytest.mark.parametrize("flags", [{"foreach": True}, {"foreach": False}, {"fused": True}, {"fused": False}])
def test_flags_that_choose_a_loop_change_nothing(flags: dict[str, bool]) -> None:
    def walk(**options: bool) -> list[float]:
        p = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
        optimizer = ft.Adam([p], lr=0.1, **options)
        p.grad = torch.tensor([0.3, 0.4])
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
        assert p.grad is not None and not p.grad.any()
        values: list[float] = p.tolist()
        return values

    assert walk(**flags) == walk()


def test_schedulers(kind: Any, near: Any) -> None:
    """torch warns when a scheduler steps before the optimizer: warnings are errors here."""
    walks = []
    for make in (kind.make, kind.rival):
        torch.manual_seed(0)
        model = torch.nn.Linear(4, 2)
        optimizer = make(model.parameters())
        scheduler = torch.optim.lr_scheduler.SequentialLR(
            optimizer,
            [
                torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=3),
                torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 5),
            ],
            [3],
        )
        for seed in range(8):
            train(model, optimizer, seed)
            scheduler.step()
        walks.append((model.weight.detach(), optimizer.param_groups[0]["lr"]))
    near(walks[0][0], walks[1][0])
    assert walks[0][1] == walks[1][1]


def test_one_cycle_moves_the_momentum() -> None:
    model = torch.nn.Linear(4, 2)
    optimizer = ft.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=5)
    seen = set()
    for _ in range(5):
        train(model, optimizer)
        seen.add(optimizer.param_groups[0]["momentum"])
        scheduler.step()
    assert len(seen) > 1


def test_closure(kind: Any) -> None:
    w = torch.nn.Parameter(torch.tensor([3.0]))
    optimizer = kind.make([w])

    def closure() -> Any:
        assert torch.is_grad_enabled()
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    with torch.no_grad():
        loss = optimizer.step(closure)
        assert not torch.is_grad_enabled()
    assert loss.item() == 9.0
    assert w.item() != 3.0


def test_a_closure_that_raises_leaves_all_as_it_was() -> None:
    w = torch.nn.Parameter(torch.ones(2))
    optimizer = ft.Adam([w])

    def closure() -> Any:
        raise RuntimeError("out of data")

    with pytest.raises(RuntimeError, match="out of data"):
        optimizer.step(closure)
    w.grad = torch.ones(2)
    optimizer.step()
    assert optimizer.state[w]["step"].item() == 1


@pytest.mark.parametrize("shape", [(), (1,)])
def test_lr_and_betas_as_tensors(shape: tuple[int, ...], near: Any) -> None:
    torch.manual_seed(0)
    p, q = (torch.nn.Parameter(torch.ones(4)) for _ in range(2))
    lr = torch.full(shape, 0.01)
    given = {"lr": lr, "betas": (torch.tensor(0.9), torch.tensor(0.999))}
    ours, theirs = ft.Adam([p], **given), torch.optim.Adam([q], **given)
    for step in range(4):
        p.grad = torch.randn(4)
        q.grad = p.grad.clone()
        if step == 2:
            lr.fill_(0.05)
        ours.step()
        theirs.step()
    near(p.detach(), q.detach())


def test_autograd_hears_of_the_step(kind: Any) -> None:
    """A backward through a value saved before the step is an error, not a wrong gradient."""
    w = torch.nn.Parameter(torch.ones(3))
    optimizer = kind.make([w])
    loss = (w * w).sum()
    w.grad = torch.ones(3)
    assert w._version == 0
    optimizer.step()
    assert w._version == 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_groups_and_late_groups(kind: Any, near: Any) -> None:
    walks = []
    for make in (kind.make, kind.rival):
        torch.manual_seed(0)
        a, b, c = (torch.nn.Parameter(torch.randn(4)) for _ in range(3))
        optimizer = make([{"params": [a], "lr": 0.5}, {"params": b}])
        for step in range(5):
            if step == 2:
                optimizer.add_param_group({"params": [c], "lr": 0.25})
            if step == 4:
                optimizer.param_groups[1]["lr"] = 0.01
            for p in (a, b, c):
                p.grad = torch.randn(4)
            optimizer.step()
        walks.append((a, b, c))
    for p, q in zip(*walks, strict=True):
        near(p.detach(), q.detach())


def test_hooks_run(kind: Any) -> None:
    _, optimizer = trained(kind)
    heard = []
    optimizer.register_step_pre_hook(lambda *_: heard.append("before"))
    optimizer.register_step_post_hook(lambda *_: heard.append("after"))
    handle = importlib.import_module("torch.optim.optimizer").register_optimizer_step_post_hook(
        lambda *_: heard.append("global")
    )
    try:
        optimizer.step()
    finally:
        handle.remove()
    assert heard == ["before", "after", "global"]


@pytest.mark.parametrize("how", ["deepcopy", "pickle", "save"])
def test_copies_go_on_alike(kind: Any, how: str) -> None:
    model, optimizer = trained(kind)
    both = {"model": model, "optimizer": optimizer}
    if how == "deepcopy":
        other = copy.deepcopy(both)
    elif how == "pickle":
        other = pickle.loads(pickle.dumps(both))
    else:
        file = io.BytesIO()
        torch.save(optimizer.state_dict(), file)
        file.seek(0)
        fresh = copy.deepcopy(model)
        other = {"model": fresh, "optimizer": kind.make(fresh.parameters())}
        other["optimizer"].load_state_dict(torch.load(file, weights_only=True))
    for seed in range(3):
        train(model, optimizer, seed)
        train(other["model"], other["optimizer"], seed)
    for p, q in zip(model.parameters(), other["model"].parameters(), strict=True):
        assert torch.equal(p, q)
    train(other["model"], other["optimizer"])
    assert not torch.equal(model[0].weight, other["model"][0].weight)


def test_state_of_another_optimizer_is_refused() -> None:
    p = torch.nn.Parameter(torch.ones(2))
    p.grad = torch.ones(2)
    sgd, rms = ft.SGD([p], momentum=0.9), ft.RMSprop([p])
    rms.step()
    adam = ft.Adam([p])
    adam.load_state_dict({**adam.state_dict(), "state": rms.state_dict()["state"]})
    before = p.detach().clone()
    with pytest.raises(
        KeyError, match="exp_avg: the state of parameter 0 of group 0 has step, square_avg and not this"
    ):
        adam.step()
    assert torch.equal(p, before)
    sgd.step()


def test_state_that_is_replaced_counts_from_the_next_step(kind: Any) -> None:
    model, optimizer = trained(kind)
    if not optimizer.state:
        pytest.skip("SGD without momentum has no state")
    for state in optimizer.state.values():
        for key, value in state.items():
            state[key] = torch.zeros_like(value) if value.dim() else value
    fresh = copy.deepcopy(optimizer), copy.deepcopy(model)
    clone = copy.deepcopy({"o": optimizer, "m": model})
    train(model, optimizer)
    train(clone["m"], clone["o"])
    assert torch.equal(model[0].weight, clone["m"][0].weight)
    optimizer.state.clear()
    train(model, optimizer)
    assert fresh is not None
    assert all(value["step"].item() == 1 for value in optimizer.state.values() if "step" in value)


def test_the_end_of_counting() -> None:
    p = torch.nn.Parameter(torch.ones(2))
    p.grad = torch.ones(2)
    optimizer = ft.Adam([p])
    optimizer.step()
    optimizer.state[p]["step"].fill_(2.0**24 - 1)
    optimizer.step()
    before = p.detach().clone()
    with pytest.raises(OverflowError, match="step: got 16777216, at which its dtype stops counting"):
        optimizer.step()
    assert torch.equal(p, before)
    optimizer.state[p]["step"] = torch.tensor(2.0**24, dtype=torch.float64)
    optimizer.step()
    assert optimizer.state[p]["step"].item() == 2**24 + 1


@pytest.mark.parametrize("step", [-1.0, 1.5, float("nan")])
def test_a_step_that_is_no_count(step: float) -> None:
    p = torch.nn.Parameter(torch.ones(2))
    p.grad = torch.ones(2)
    optimizer = ft.Adam([p])
    optimizer.step()
    optimizer.state[p]["step"].fill_(step)
    with pytest.raises(RuntimeError, match="group 0, parameter 0: step: got .*, need a whole number >= 0"):
        optimizer.step()


@pytest.mark.parametrize("fused", [False, True])
def test_grad_scaler(fused: bool, near: Any) -> None:
    """It unscales before our step, and skips a step whose gradients are not finite."""
    p, q = (torch.nn.Parameter(torch.tensor([1.0, 2.0])) for _ in range(2))
    ours, theirs = ft.Adam([p], lr=0.1, fused=fused), torch.optim.Adam([q], lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for step in range(3):
        ours.zero_grad()
        theirs.zero_grad()
        factor = float("inf") if step == 1 else 1.0
        scaler.scale((p * p).sum() * factor).backward()
        scaler.step(ours)
        scaler.update()
        if step != 1:
            (q * q).sum().backward()
            theirs.step()
    near(p.detach(), q.detach())
    assert ours.state[p]["step"].item() == 2


def test_clipping_before_the_step(near: Any) -> None:
    p, q = (torch.nn.Parameter(torch.ones(3)) for _ in range(2))
    ours, theirs = ft.SGD([p], lr=0.1), torch.optim.SGD([q], lr=0.1)
    for w, optimizer in ((p, ours), (q, theirs)):
        w.grad = torch.full((3,), 5.0)
        torch.nn.utils.clip_grad_norm_([w], 1.0)
        optimizer.step()
    near(p.detach(), q.detach())


def test_two_threads_one_optimizer() -> None:
    p = torch.nn.Parameter(torch.ones(2))
    optimizer = ft.Adam([p])
    inside, leave, seen = threading.Event(), threading.Event(), []
    held = optimizer._take

    def take() -> None:
        inside.set()
        leave.wait(30)
        held()

    optimizer.__dict__["_take"] = take
    p.grad = torch.ones(2)
    other = threading.Thread(target=optimizer.step)
    other.start()
    inside.wait(30)
    try:
        optimizer.step()
    except RuntimeError as error:
        seen.append(str(error))
    leave.set()
    other.join(30)
    assert seen == ["Adam: a step of this optimizer is under way, here or in another thread"]
    assert optimizer.state[p]["step"].item() == 1


def test_swa_and_average_models_work_beside(kind: Any) -> None:
    model, optimizer = trained(kind)
    averaged = torch.optim.swa_utils.AveragedModel(model)
    averaged.update_parameters(model)
    train(model, optimizer)
    averaged.update_parameters(model)
    assert not torch.equal(next(averaged.parameters()), next(model.parameters()))


@pytest.mark.filterwarnings(
    "ignore:The .grad attribute of a Tensor that is not a leaf"
)  # torch's compiler looks
def test_inside_the_compiler() -> None:
    """A compiled training step breaks the graph at our step, and walks as the plain one."""
    walks = []
    for compiled in (False, True):
        torch.manual_seed(0)
        model = torch.nn.Linear(4, 2)
        optimizer = ft.Adam(model.parameters(), lr=0.1)

        def once(x: Any, model: Any = model, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            loss = model(x).square().sum()
            loss.backward()
            optimizer.step()
            return loss.detach()

        run = torch.compile(once, backend="eager") if compiled else once
        for step in range(4):
            run(torch.full((3, 4), 1.0 + step))
        walks.append(model.weight.detach().clone())
    assert torch.equal(*walks)


def test_ademamix_has_no_warm_up() -> None:
    with pytest.raises(ValueError, match="alpha_warmup: got 10, need None"):
        ft.AdEMAMix([torch.nn.Parameter(torch.ones(2))], alpha_warmup=10)
