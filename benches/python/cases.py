"""The cases of the optimizers: our call and each rival's, over the same parameters and gradients.

Rule × layout × threads. Layouts: one array of 16 Mi (memory counts), one of 1 Mi, 1000 arrays of 1000 (calls count).

The answer is that of the twin, `fourstep.reference`, after `CALLS` steps: ours must equal it bit for bit, the others
within 1e-6 of the largest parameter, as they round in another order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import numpy as np

import fourstep as fs
import numpy_steps as ns
from bandwidth import limits
from fourstep import reference
from harness import Array, Case, Ready, Rival, module

CALLS = 3
TOLERANCE = 1e-6
THREADS = (1, 2)


@dataclass(frozen=True)
class Rule:
    """An optimizer in each library, with the same hyper-parameters."""

    id: str
    ours: str
    torch: str
    naive: Callable[..., None]
    in_place: Callable[..., None]
    #: State arrays, all of which start at 0.
    states: int
    options: dict[str, Any]
    #: What torch calls them, where that differs.
    torch_options: dict[str, Any] = field(default_factory=dict)
    #: Whether torch has a fused kernel for CPUs.
    fused: bool = False
    #: What optax calls it, with which arguments, where it computes the same.
    optax: tuple[str, dict[str, Any]] | None = None


_MOMENTUM = {"lr": ns.LR, "momentum": ns.MOMENTUM}
_NESTEROV = {**_MOMENTUM, "nesterov": True}
_ADAM = {"lr": ns.LR, "betas": (ns.BETA1, ns.BETA2), "eps": ns.EPS["adam"]}
_OPTAX_ADAM = {"b1": ns.BETA1, "b2": ns.BETA2, "eps": ns.EPS["adam"]}
_ADAMW = {**_ADAM, "weight_decay": ns.WEIGHT_DECAY}
_ADAMAX = {"lr": ns.LR, "betas": (ns.BETA1, ns.BETA2), "eps": ns.EPS["adamax"]}
_NADAM = {"lr": ns.LR, "betas": (ns.BETA1, ns.BETA2), "eps": ns.EPS["nadam"], "momentum_decay": ns.DECAY}
_ADAGRAD = {"lr": ns.LR, "eps": ns.EPS["adagrad"]}
_ADADELTA = {"lr": 1.0, "rho": ns.RHO, "eps": ns.EPS["adadelta"]}
_RMSPROP = {"lr": ns.LR, "alpha": ns.ALPHA, "eps": ns.EPS["rmsprop"]}

RULES = (
    Rule("sgd", "SGD", "SGD", ns.sgd, ns.sgd_in_place, 0, {"lr": ns.LR}, fused=True, optax=("sgd", {})),
    Rule("momentum", "SGD", "SGD", ns.momentum, ns.momentum_in_place, 1, _MOMENTUM, fused=True),
    Rule("nag", "NAG", "SGD", ns.nag, ns.nag_in_place, 1, _MOMENTUM, _NESTEROV, fused=True),
    Rule("adagrad", "AdaGrad", "Adagrad", ns.adagrad, ns.adagrad_in_place, 1, _ADAGRAD, fused=True),
    Rule("adadelta", "AdaDelta", "Adadelta", ns.adadelta, ns.adadelta_in_place, 2, _ADADELTA),
    Rule("rmsprop", "RMSProp", "RMSprop", ns.rmsprop, ns.rmsprop_in_place, 1, _RMSPROP),
    Rule(
        "adam", "Adam", "Adam", ns.adam, ns.adam_in_place, 2, _ADAM, fused=True, optax=("adam", _OPTAX_ADAM)
    ),
    Rule("adamw", "AdamW", "AdamW", ns.adamw, ns.adamw_in_place, 2, _ADAMW, fused=True),
    Rule("adamax", "Adamax", "Adamax", ns.adamax, ns.adamax_in_place, 2, _ADAMAX),
    Rule("radam", "RAdam", "RAdam", ns.radam, ns.radam_in_place, 2, _ADAM),
    Rule("nadam", "Nadam", "NAdam", ns.nadam, ns.nadam_in_place, 2, _NADAM),
)


@dataclass(frozen=True)
class Layout:
    """`count` arrays of `size` float32 each."""

    count: int
    size: int

    def __str__(self) -> str:
        """``1x16Mi``, ``1000x1000``."""
        n = self.size
        text = f"{n >> 20}Mi" if n % (1 << 20) == 0 else f"{n >> 10}Ki" if n % (1 << 10) == 0 else str(n)
        return f"{self.count}x{text}"


LAYOUTS = (Layout(1, 1 << 24), Layout(1, 1 << 20), Layout(1000, 1000))
SMALL = (Layout(1, 1 << 12), Layout(10, 100))
#: Next to nothing to compute: what it costs to look at the tensors.
TINY = Layout(1000, 8)


def cases(small: bool = False) -> list[Case]:
    """Return every case; with `small`, on so few elements that only the answers mean anything."""
    layouts = SMALL if small else LAYOUTS
    found = [_case(rule, layout, threads) for rule in RULES for layout in layouts for threads in THREADS]
    tiny = [_case(rule, TINY, 1) for rule in RULES if rule.id == "adamw" and not small]
    return [*found, *tiny]


def _case(rule: Rule, layout: Layout, threads: int) -> Case:
    elements = layout.count * layout.size
    reads, writes = 2 + rule.states, 1 + rule.states
    return Case(
        f"{rule.id}_f32/{layout}/{threads}",
        tuple(_rivals(rule, layout)),
        threads,
        elements,
        4 * (reads + writes) * elements,
        limits(elements, reads, writes, threads, CALLS),
        CALLS,
    )


def _rivals(rule: Rule, layout: Layout) -> Iterator[Rival]:
    expected = partial(twin, rule.id, layout)
    yield Rival("fourstep arena", partial(ours, rule, layout), expected)
    yield Rival("fourstep list", partial(_list, rule, layout), expected)
    yield Rival("numpy", partial(_numpy, rule, layout, False), expected, TOLERANCE)
    yield Rival("numpy in place", partial(_numpy, rule, layout, True), expected, TOLERANCE)
    paths = {
        "default": {},
        "foreach": {"foreach": True},
        **({"fused": {"fused": True}} if rule.fused else {}),
    }
    for name, path in paths.items():
        yield Rival(
            f"torch {name}", partial(torch_path, rule, layout, path), expected, TOLERANCE, needs="torch"
        )
    for name, flat in {"fourstep.torch": False, "fourstep.torch arena": True}.items():
        # torch keeps Nadam's product of momenta in float32
        tolerance = TOLERANCE if rule.id == "nadam" else 0.0
        yield Rival(name, partial(_through_torch, rule, layout, flat), expected, tolerance, needs="torch")
    if rule.optax is not None:
        yield Rival("optax jit", partial(_optax, rule, layout), expected, TOLERANCE, needs="optax")


@lru_cache(maxsize=1)
def start(layout: Layout) -> tuple[list[Array], list[Array]]:
    """Return parameters and gradients, which nobody writes: magnitudes from 0.1 to 1, so no step meets a subnormal."""
    rng = np.random.default_rng(0)

    def arrays() -> list[Array]:
        flat = rng.uniform(0.1, 1, layout.count * layout.size).astype(np.float32)
        flat[rng.random(flat.size, np.float32) < 0.5] *= -1
        return list(flat.reshape(layout.count, layout.size))

    return arrays(), arrays()


@lru_cache(maxsize=1)
def twin(rule: str, layout: Layout) -> Array:
    """Return the parameters of the twin after `CALLS` steps."""
    (found,) = (each for each in RULES if each.id == rule)
    w, g = start(layout)
    params = {str(i): x.copy() for i, x in enumerate(w)}
    optimizer = getattr(reference, found.ours)(params, **found.options)
    for _ in range(CALLS):
        optimizer.step({str(i): x for i, x in enumerate(g)})
    return np.concatenate(list(params.values()))


def ours(rule: Rule, layout: Layout) -> Ready:
    """Set up ours over an arena."""
    w, g = start(layout)
    arena = fs.Arena({str(i): x for i, x in enumerate(w)})
    for name, gradient in zip(arena, g, strict=True):
        arena.grad[name] = gradient
    optimizer = getattr(fs.optim, rule.ours)(arena, **rule.options)
    return Ready(optimizer.step, lambda: np.concatenate(list(arena.values())))


def _list(rule: Rule, layout: Layout) -> Ready:
    w, g = start(layout)
    params = [x.copy() for x in w]
    optimizer = getattr(fs.optim, rule.ours)(params, **rule.options)
    return Ready(lambda: optimizer.step(g), lambda: np.concatenate(params))


def _numpy(rule: Rule, layout: Layout, in_place: bool) -> Ready:
    w, g = start(layout)
    params = [x.copy() for x in w]
    state = [[np.zeros_like(x) for _ in range(rule.states)] for x in w]
    scratch = (np.empty_like(w[0]), np.empty_like(w[0])) if in_place else ()
    update = rule.in_place if in_place else rule.naive
    t = 0

    def step() -> None:
        nonlocal t
        t += 1
        for p, gradient, s in zip(params, g, state, strict=True):
            update(t, p, gradient, s, *scratch)

    return Ready(step, lambda: np.concatenate(params))


def torch_path(rule: Rule, layout: Layout, path: dict[str, Any]) -> Ready:
    """Set up one of torch's paths."""
    torch = module("torch")
    params, gradients = tensors(layout)
    options = rule.torch_options or rule.options
    optimizer = getattr(torch.optim, rule.torch)(params, **options, **path)
    spoils = rule.id == "nag" and "foreach" in path
    reset = gradients if spoils else lambda: None
    return Ready(optimizer.step, lambda: torch.cat(params).numpy(), reset)


def _through_torch(rule: Rule, layout: Layout, flat: bool) -> Ready:
    """Set up our step over torch's tensors."""
    torch, adapter = module("torch"), module("fourstep.torch")
    params, _ = tensors(layout)
    if flat:
        adapter.arena(params)
    optimizer = getattr(adapter, rule.torch)(params, **(rule.torch_options or rule.options))
    return Ready(optimizer.step, lambda: torch.cat(params).numpy())


def tensors(layout: Layout) -> tuple[list[Any], Callable[[], None]]:
    """Return parameters with gradients, and what puts the gradients right again."""
    torch = module("torch")
    w, g = start(layout)
    params = [torch.tensor(x) for x in w]
    for p, gradient in zip(params, g, strict=True):
        p.grad = torch.tensor(gradient)

    def gradients() -> None:
        for p, gradient in zip(params, g, strict=True):
            p.grad.copy_(torch.from_numpy(gradient))

    return params, gradients


def _optax(rule: Rule, layout: Layout) -> Ready:
    """Jitted, with its buffers given back (donated): XLA takes as many threads as there are, whatever the case says."""
    jax, optax = module("jax"), module("optax")
    assert rule.optax is not None
    name, options = rule.optax
    transform = getattr(optax, name)(ns.LR, **options)
    w, g = start(layout)
    # donated buffers must not be NumPy's own
    held = {"params": [jax.numpy.array(x, copy=True) for x in w]}
    gradients = [jax.numpy.array(x) for x in g]
    held["state"] = transform.init(held["params"])

    def update(params: Any, state: Any, grads: Any) -> Any:
        updates, state = transform.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    jitted = jax.jit(update, donate_argnums=(0, 1))

    def step() -> None:
        held["params"], held["state"] = jitted(held["params"], held["state"], gradients)
        jax.block_until_ready(held["params"])

    return Ready(step, lambda: np.concatenate([np.asarray(x) for x in held["params"]]))
