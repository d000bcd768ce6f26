"""torch's optimizers that have a counterpart in `fourstep.torch`: one row for each set of options."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

try:
    torch: Any = importlib.import_module("torch")
except ModuleNotFoundError:  # each test file says that it is skipped
    torch = None


@dataclass(frozen=True)
class Case:
    """A class of `fourstep.torch` and of `torch.optim`, with options; its name and options in `fourstep.optim`."""

    id: str
    name: str
    options: dict[str, Any] = field(default_factory=dict)
    ours: tuple[str, dict[str, Any]] | None = None
    maximize: bool = True

    def make(self, params: Any, **extra: Any) -> Any:
        import fourstep.torch

        return getattr(fourstep.torch, self.name)(params, **{**self.options, **extra})

    def rival(self, params: Any, **extra: Any) -> Any:
        return getattr(torch.optim, self.name)(params, **{**self.options, **extra})


def _case(id: str, name: str, ours: str, **options: Any) -> Case:
    return Case(id, name, options, (ours, options))


def _decoupled(id: str, name: str, ours: str, **options: Any) -> Case:
    given = {"weight_decay": 0.01, **options, "decay": "decoupled"}
    given.pop("decoupled_weight_decay", None)
    return Case(id, name, options, (ours, given))


CASES = [
    _case("sgd", "SGD", "SGD", lr=0.03),
    _case("sgd_decay", "SGD", "SGD", lr=0.03, weight_decay=0.05),
    _case("momentum", "SGD", "SGD", lr=0.03, momentum=0.9, dampening=0.1),
    _case("momentum_decay", "SGD", "SGD", lr=0.03, momentum=0.9, weight_decay=0.05),
    _case("nesterov", "SGD", "SGD", lr=0.03, momentum=0.9, nesterov=True),
    _case("adam", "Adam", "Adam", lr=0.01, betas=(0.8, 0.99)),
    _case("adam_decay", "Adam", "Adam", lr=0.01, weight_decay=0.05, eps=1e-3),
    _case("amsgrad", "Adam", "Adam", lr=0.01, amsgrad=True),
    _decoupled("amsgradw", "AdamW", "Adam", lr=0.01, amsgrad=True),
    _case("adamax", "Adamax", "Adamax", lr=0.01),
    _case("adamax_decay", "Adamax", "Adamax", lr=0.01, weight_decay=0.05, eps=1e-3),
    _case("radam", "RAdam", "RAdam", lr=0.01),
    _case("radam_soon", "RAdam", "RAdam", lr=0.01, betas=(0.9, 0.9), weight_decay=0.05),
    _decoupled("radamw", "RAdam", "RAdam", lr=0.01, weight_decay=0.05, decoupled_weight_decay=True),
    _decoupled("adamw", "AdamW", "Adam", lr=0.01),
    _decoupled("adamw_strong", "AdamW", "Adam", lr=0.05, weight_decay=0.5),
    _decoupled("adam_decoupled", "Adam", "Adam", lr=0.05, weight_decay=0.5, decoupled_weight_decay=True),
    _decoupled("nadamw", "NAdam", "Nadam", lr=0.05, weight_decay=0.5, decoupled_weight_decay=True),
    Case("rprop", "Rprop", {"lr": 0.01}, ("Rprop", {"lr": 0.01})),
    _case("nadam", "NAdam", "Nadam", lr=0.01),
    _case("nadam_decay", "NAdam", "Nadam", lr=0.01, weight_decay=0.05, momentum_decay=0.01),
    _case("adagrad", "Adagrad", "AdaGrad", lr=0.1, lr_decay=0.01, initial_accumulator_value=0.1),
    _case("adagrad_decay", "Adagrad", "AdaGrad", lr=0.1, weight_decay=0.05),
    _case("adadelta", "Adadelta", "AdaDelta", lr=1.0, rho=0.9),
    _case("adadelta_decay", "Adadelta", "AdaDelta", lr=0.5, rho=0.8, weight_decay=0.05),
    _case("rmsprop", "RMSprop", "RMSProp", lr=0.01),
    _case("rmsprop_decay", "RMSprop", "RMSProp", lr=0.01, weight_decay=0.05),
    _case("rmsprop_centered", "RMSprop", "RMSProp", lr=0.01, centered=True),
    _case("rmsprop_momentum", "RMSprop", "RMSProp", lr=0.01, momentum=0.9),
    _case("rmsprop_both", "RMSprop", "RMSProp", lr=0.01, momentum=0.9, centered=True, weight_decay=0.05),
]

#: One row for each class.
CLASSES = list({case.name: case for case in CASES}.values())

DTYPES = [torch.float32, torch.float64] if torch else []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give every test that asks for `case`, `kind` (one case a class) or `tdtype` the whole table."""
    for name, values, ids in (
        ("case", CASES, [case.id for case in CASES]),
        ("kind", CLASSES, [case.name for case in CLASSES]),
        ("tdtype", DTYPES, [str(dtype) for dtype in DTYPES]),
    ):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, values, ids=ids)


SHAPES = [(7, 5), (33,), (), (0, 3), (2, 3, 4, 5)]


@dataclass
class Walk:
    """Two copies of some parameters and a stream of gradients for both."""

    ours: list[Any]
    theirs: list[Any]
    generator: Any

    @classmethod
    def of(cls, dtype: Any, shapes: Any = SHAPES, seed: int = 0) -> Walk:
        generator = torch.Generator().manual_seed(seed)
        ours = [torch.nn.Parameter(torch.randn(shape, dtype=dtype, generator=generator)) for shape in shapes]
        theirs = [torch.nn.Parameter(p.detach().clone()) for p in ours]
        return cls(ours, theirs, generator)

    def feed(self) -> None:
        """Give both the same gradients, of many magnitudes."""
        for p, q in zip(self.ours, self.theirs, strict=True):
            g = torch.randn(p.shape, dtype=torch.float64, generator=self.generator)
            scale = torch.randint(0, 12, p.shape, generator=self.generator)
            p.grad = (g * 2.0**-scale).to(p.dtype)
            q.grad = p.grad.clone()

    def go(self, ours: Any, theirs: Any, steps: int = 30) -> None:
        for _ in range(steps):
            self.feed()
            ours.step()
            theirs.step()

    def assert_close(self) -> None:
        for p, q in zip(self.ours, self.theirs, strict=True):
            assert_near(p.detach(), q.detach())


def assert_near(ours: Any, theirs: Any) -> None:
    """float64: 1e-10 of each element; float32: 1e-6 of the largest (or of 1); bfloat16: one unit in the last place."""
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    if ours.numel() == 0:
        return
    bound = {torch.float64: 1e-10, torch.float32: 1e-6, torch.bfloat16: 2.0**-7}[ours.dtype]
    assert float((ours.double() - theirs.double()).abs().max()) <= bound * max(1.0, float(theirs.abs().max()))


@pytest.fixture
def wide_counters() -> Iterator[None]:
    """torch's scalars have its default dtype: for 1e-10 they must be float64."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.fixture(name="walk")
def _walk() -> type[Walk]:
    return Walk


@pytest.fixture(name="near")
def _near() -> Any:
    return assert_near
