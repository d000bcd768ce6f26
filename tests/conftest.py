"""The table of rules: each line is an optimizer with its options. Every property test runs over all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

import fourstep as fs
from fourstep import reference, steps
from fourstep._runtime import override

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Rule:
    """An optimizer: its class in `fs.optim` and in `reference`, its options, its state, its counterpart in torch."""

    id: str
    name: str
    options: dict[str, Any] = field(default_factory=dict)
    states: tuple[str, ...] = ()
    torch: str | None = None
    torch_options: dict[str, Any] | None = None

    def make(self, params: Any, **extra: Any) -> fs.optim.Optimizer:
        optimizer: fs.optim.Optimizer = getattr(fs.optim, self.name)(params, **{**self.options, **extra})
        return optimizer

    def twin(self, params: dict[str, Array], **extra: Any) -> reference.Optimizer:
        optimizer: reference.Optimizer = getattr(reference, self.name)(params, **{**self.options, **extra})
        return optimizer

    def walk_torch(self, torch: Any, start: Array, gradients: Array, **extra: Any) -> Array:
        """Where torch's optimizer ends. Its scalars (NAdam's product of momenta) have torch's default dtype."""
        options = self.options if self.torch_options is None else self.torch_options
        w = torch.tensor(start)
        before = torch.get_default_dtype()
        torch.set_default_dtype(w.dtype)
        try:
            optimizer = getattr(torch.optim, self.torch or "")([w], **{**options, **extra})
            for g in gradients:
                w.grad = torch.tensor(g)
                optimizer.step()
        finally:
            torch.set_default_dtype(before)
        end: Array = w.numpy()
        return end


_M = ("momentum_buffer",)
_ADAM = ("exp_avg", "exp_avg_sq")
_FTRL = ("accumulator", "linear")
_OWN = {"first": steps.ema(0.8), "second": steps.sum_sq(0.1), "direction": steps.ratio(1e-3), "lr": 0.1}
_AMSGRAD = (*_ADAM, "max_exp_avg_sq")
_RMSPROP_KERAS = {
    "momentum": 0.9,
    "eps_inside": True,
    "lr_in_velocity": True,
    "initial_accumulator_value": 1.0,
}

RULES = [
    Rule("sgd", "SGD", {"lr": 0.03}, (), "SGD"),
    Rule("momentum", "SGD", {"lr": 0.03, "momentum": 0.9, "dampening": 0.1}, _M, "SGD"),
    Rule("momentum_lr_inside", "SGD", {"lr": 0.03, "momentum": 0.9, "momentum_form": "lr_inside"}, _M),
    Rule("momentum_ema", "SGD", {"lr": 0.03, "momentum": 0.9, "momentum_form": "ema"}, _M),
    Rule("sgd_nesterov", "SGD", {"lr": 0.03, "momentum": 0.9, "nesterov": True}, _M, "SGD"),
    Rule(
        "sgd_nesterov_lr_inside",
        "SGD",
        {"lr": 0.03, "momentum": 0.9, "nesterov": True, "momentum_form": "lr_inside"},
        _M,
    ),
    Rule(
        "nag",
        "NAG",
        {"lr": 0.03, "momentum": 0.9},
        _M,
        "SGD",
        {"lr": 0.03, "momentum": 0.9, "nesterov": True},
    ),
    Rule(
        "adagrad",
        "AdaGrad",
        {"lr": 0.1, "lr_decay": 0.01, "initial_accumulator_value": 0.1},
        ("sum",),
        "Adagrad",
    ),
    Rule("adagrad_eps_inside", "AdaGrad", {"lr": 0.1, "eps": 1e-3, "eps_inside": True}, ("sum",)),
    Rule("adadelta", "AdaDelta", {"lr": 1.0, "rho": 0.9}, ("square_avg", "acc_delta"), "Adadelta"),
    Rule("rmsprop", "RMSProp", {"lr": 0.01}, ("square_avg",), "RMSprop"),
    Rule("rmsprop_eps_inside", "RMSProp", {"lr": 0.01, "eps": 1e-3, "eps_inside": True}, ("square_avg",)),
    Rule(
        "rmsprop_centered", "RMSProp", {"lr": 0.01, "centered": True}, ("square_avg", "grad_avg"), "RMSprop"
    ),
    Rule("rmsprop_momentum", "RMSProp", {"lr": 0.01, "momentum": 0.9}, ("square_avg", *_M), "RMSprop"),
    Rule(
        "rmsprop_centered_momentum",
        "RMSProp",
        {"lr": 0.01, "centered": True, "momentum": 0.9},
        ("square_avg", "grad_avg", *_M),
        "RMSprop",
    ),
    Rule("adam", "Adam", {"lr": 1e-2, "betas": (0.8, 0.99)}, _ADAM, "Adam"),
    Rule("nadam", "Nadam", {"lr": 1e-2}, _ADAM, "NAdam"),
    Rule("signum_ema", "Signum", {"lr": 1e-2}, _M),
    Rule("lion", "Lion", {"lr": 1e-2, "betas": (0.8, 0.9)}, ("exp_avg",)),
    Rule("rprop", "Rprop", {"lr": 1e-2, "step_sizes": (1e-4, 0.1)}, ("prev", "step_size")),
    Rule("adan", "Adan", {"lr": 1e-2}, (*_ADAM, "exp_avg_diff", "neg_pre_grad")),
    Rule("adan_no_prox", "Adan", {"lr": 1e-2, "no_prox": True}, (*_ADAM, "exp_avg_diff", "neg_pre_grad")),
    Rule("adopt", "ADOPT", {"lr": 1e-2, "betas": (0.9, 0.99)}, _ADAM),
    Rule("adopt_no_clip", "ADOPT", {"lr": 1e-2, "betas": (0.9, 0.99), "clip": False}, _ADAM),
    Rule(
        "ademamix",
        "AdEMAMix",
        {"lr": 1e-2, "alpha": 5.0, "beta3_warmup": 8, "alpha_warmup": 12},
        ("exp_avg_fast", "exp_avg_slow", "exp_avg_sq"),
    ),
    Rule("lamb", "LAMB", {"lr": 1e-2}, _ADAM),
    Rule("lamb_no_correction", "LAMB", {"lr": 1e-2, "bias_correction": False}, _ADAM),
    Rule("lars", "LARS", {"lr": 0.5, "dampening": 0.1, "trust_coefficient": 0.02}, _M),
    Rule("lars_nesterov", "LARS", {"lr": 0.5, "nesterov": True, "trust_coefficient": 0.02}, _M),
    Rule("lars_no_momentum", "LARS", {"lr": 0.5, "momentum": 0.0, "trust_coefficient": 0.02}),
    Rule("ftrl", "FTRL", {"lr": 0.1, "beta": 1.0, "l2": 0.05, "l2_shrinkage": 0.02}, _FTRL),
    Rule("ftrl_l1", "FTRL", {"lr": 0.1, "l1": 0.1, "l2": 0.05, "l2_form": "tensorflow"}, _FTRL),
    Rule("ftrl_power", "FTRL", {"lr": 0.1, "lr_power": -0.3, "initial_linear": "zero"}, _FTRL),
    Rule("ftrl_constant", "FTRL", {"lr": 0.1, "lr_power": 0.0}, _FTRL),
    Rule("schedule_free_sgd", "SGDScheduleFree", {"lr": 0.1, "warmup_steps": 4}, ("z",)),
    Rule("schedule_free_adamw", "AdamWScheduleFree", {"lr": 1e-2, "r": 1.0}, ("z", "exp_avg_sq")),
    Rule(
        "rmsprop_centered_lr_in_velocity",
        "RMSProp",
        {"lr": 0.01, "centered": True, "lr_in_velocity": True},
        ("square_avg", "grad_avg"),
    ),
    Rule("rmsprop_lr_in_velocity", "RMSProp", _RMSPROP_KERAS, ("square_avg", *_M)),
    Rule("adam_uncorrected", "Adam", {"bias_correction": False, "eps_inside": True}, _ADAM),
    Rule("adam_eps_hat", "Adam", {"lr": 1e-2, "eps": 1e-3, "eps_hat": True}, _ADAM),
    Rule("adam_eps_root", "Adam", {"lr": 1e-2, "eps_root": 1e-3}, _ADAM),
    Rule(
        "adam_eps_everywhere",
        "Adam",
        {"eps": 1e-3, "eps_hat": True, "eps_inside": True, "eps_root": 1e-4},
        _ADAM,
    ),
    Rule("amsgrad", "Adam", {"lr": 1e-2, "amsgrad": True}, _AMSGRAD, "Adam"),
    Rule("amsgrad_hat", "Adam", {"lr": 1e-2, "amsgrad": True, "amsgrad_max": "hat"}, _AMSGRAD),
    Rule("adamax", "Adamax", {"lr": 1e-2, "eps": 1e-3}, ("exp_avg", "exp_inf"), "Adamax"),
    Rule("adamax_eps_outside", "Adamax", {"eps": 1e-3, "eps_inside": False}, ("exp_avg", "exp_inf")),
    Rule("nadam_simple", "Nadam", {"lr": 1e-2, "form": "simple", "eps_root": 1e-6}, _ADAM),
    Rule("radam", "RAdam", {"lr": 1e-2, "eps": 1e-3}, _ADAM, "RAdam"),
    Rule("adabelief", "AdaBelief", {"lr": 1e-2, "eps": 1e-8}, ("exp_avg", "exp_avg_var")),
    Rule("yogi", "Yogi", {}, _ADAM),
    Rule("four_step", "FourStep", _OWN, ("exp_avg", "sum")),
    Rule("signum", "FourStep", {"first": steps.heavy_ball(0.9, 0.1), "direction": steps.sign()}, _M),
    Rule("adamw", "AdamW", {"lr": 1e-2}, _ADAM, "AdamW"),
    Rule("sgdw", "SGDW", {"lr": 0.03, "momentum": 0.9}, _M),
]


TABLES: dict[str, tuple[list[Any], list[str]]] = {
    "rule": (RULES, [rule.id for rule in RULES]),
    "torch_rule": ([rule for rule in RULES if rule.torch], [rule.id for rule in RULES if rule.torch]),
    "dtype": ([np.float32, np.float64], ["f32", "f64"]),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give every test that asks for `rule`, `torch_rule` or `dtype`, and has none of its own, the whole table."""
    own = {name for mark in metafunc.definition.iter_markers("parametrize") for name in _names(mark.args[0])}
    for name, (values, ids) in TABLES.items():
        if name in metafunc.fixturenames and name not in own:
            metafunc.parametrize(name, values, ids=ids)


def _names(argument: str | Sequence[str]) -> list[str]:
    return argument.replace(" ", "").split(",") if isinstance(argument, str) else list(argument)


@pytest.fixture(params=["baseline", "v3", "v4"])
def level(request: pytest.FixtureRequest) -> str:
    """Each instruction level; skips, and says so, where the CPU lacks it."""
    name: str = request.param
    if name not in fs.runtime().levels:
        pytest.skip(f"this CPU has no {name}: it has {', '.join(fs.runtime().levels)}")
    return name


@pytest.fixture
def on_every_path(level: str) -> Callable[[], Iterator[int]]:
    """Loop over thread counts, with chunks so short that a small array is split."""

    def paths() -> Iterator[int]:
        for threads in (1, 2, 3, 7):
            with override(level=level, threads=threads, chunk=16, serial_below=0):
                yield threads

    return paths


def noise(seed: int, shape: int | tuple[int, ...], dtype: Any, *, special: bool = False) -> Array:
    """Numbers of both signs over many binades; with `special`, the odd zero, subnormal, infinity and NaN."""
    return _drawn(seed, shape, np.dtype(dtype), special).copy()


@lru_cache(maxsize=1 << 14)  # hundreds of optimizers are given the same gradients
def _drawn(seed: int, shape: int | tuple[int, ...], dtype: np.dtype[Any], special: bool) -> Array:
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, shape) * 2.0 ** -rng.integers(0, 20, shape)
    if special:
        odd = np.array([0.0, -0.0, 1e-310, -1e-40, 1e300, np.inf, -np.inf, np.nan])
        x = np.where(rng.random(shape) < 0.03, rng.choice(odd, shape), x)
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(x).astype(dtype)


@pytest.fixture(name="noise")
def _noise() -> Callable[..., Array]:
    return noise


def same_bits(a: Array, b: Array) -> bool:
    """Tell whether two arrays have the same bits; any NaN equals any NaN."""
    kind = {4: np.uint32, 8: np.uint64}[a.dtype.itemsize]
    equal = np.ascontiguousarray(a).view(kind) == np.ascontiguousarray(b).view(kind)
    return a.dtype == b.dtype and bool(np.all(equal | (np.isnan(a) & np.isnan(b))))


@pytest.fixture(name="same_bits")
def _same_bits() -> Callable[[Array, Array], bool]:
    return same_bits
