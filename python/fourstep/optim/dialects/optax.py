"""optax: no default rate, ε inside the root for RMSProp and AdaGrad, decoupled decay where there is any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fourstep.optim.dialects.spec import Entry, Fixed, Table

_BETAS = {"b1": "betas[0]", "b2": "betas[1]"}
_MASK = "use groups=, with weight_decay 0 for what is not to decay"
_FIXED: Fixed = {
    "mu_dtype": ((None,), "use state_dtype="),
    "accumulator_dtype": ((None,), "use state_dtype="),
    "mask": ((None,), _MASK),
    "weight_decay_mask": ((None,), _MASK),
}
_DECOUPLED = {"weight_decay": 0.0, "decay": "decoupled"}


def _entry(
    name: str,
    values: Mapping[str, Any],
    aliases: Mapping[str, str] | None = None,
    fixed: Fixed | None = None,
    *,
    required: tuple[str, ...] = ("lr",),
) -> Entry:
    none = f"optax.{name} has none; say decay='l2', as add_decayed_weights before it, or 'decoupled', as after it"
    return Entry(
        f"optax.{name}",
        {"clip_eps": 0.0, **values},
        {"learning_rate": "lr", **(aliases or {})},
        required,
        {**_FIXED, **(fixed or {})},
        none=("momentum",),
        needs={} if "weight_decay" in values else {"weight_decay": ("decay", none)},
    )


_ADAM = {"betas": (0.9, 0.999), "eps": 1e-8, "eps_root": 0.0}
_AMSGRAD = {"amsgrad": False, "amsgrad_max": "hat"}
_NESTEROV: Fixed = {"nesterov": ((False,), "use Nadam(dialect='optax')")}

TABLE: Table = {
    "SGD": _entry("sgd", {"momentum": 0.0, "momentum_form": "torch"}),
    "NAG": "it is sgd there; use SGD(nesterov=True, dialect='optax')",
    "AdaGrad": _entry("adagrad", {"initial_accumulator_value": 0.1, "eps": 1e-7, "eps_inside": True}),
    "AdaDelta": _entry("adadelta", {"rho": 0.9, "eps": 1e-6, "weight_decay": 0.0, "decay": "l2"}),
    "RMSProp": _entry(
        "rmsprop",
        {"alpha": 0.9, "eps": 1e-8, "eps_inside": True, "lr_in_velocity": True},
        {"decay": "alpha", "eps_in_sqrt": "eps_inside", "initial_scale": "initial_accumulator_value"},
        {
            "nesterov": ((False,), "momentum over the normalised step looks ahead nowhere here"),
            "bias_correction": ((False,), "use Adam(betas=(0, decay), dialect='optax')"),
        },
    ),
    "Adam": _entry(
        "adam",
        {**_ADAM, **_AMSGRAD},
        _BETAS,
        {
            **_NESTEROV,
            "bias_correction_mu": ((True,), "use bias_correction=False, which leaves out both"),
            "bias_correction_nu": ((True,), "use bias_correction=False, which leaves out both"),
        },
    ),
    "AdamW": _entry("adamw", {**_ADAM, **_AMSGRAD, **_DECOUPLED, "weight_decay": 1e-4}, _BETAS, _NESTEROV),
    "Adamax": _entry(
        "adamax", {"betas": (0.9, 0.999), "eps": 1e-8, "eps_inside": True, **_DECOUPLED}, _BETAS
    ),
    "Nadam": _entry("nadam", {**_ADAM, "form": "simple", **_DECOUPLED}, _BETAS),
    "RAdam": _entry(
        "radam",
        {**_ADAM, "eps_hat": False},
        _BETAS,
        {**_NESTEROV, "threshold": ((5.0,), "the variance is tractable from 5 on here")},
    ),
    "AdaBelief": _entry("adabelief", {**_ADAM, "eps": 1e-16, "eps_root": 1e-16}, _BETAS, _NESTEROV),
    "Yogi": "its m starts at 1e-6, as v does; use dialect='torch'",
    "Lion": _entry("lion", {"betas": (0.9, 0.99), **_DECOUPLED, "weight_decay": 1e-3}, _BETAS),
    "Adan": "it weights the difference of gradients by 1 − b2 where the authors' code has b2; use dialect='torch'",
    "ADOPT": _entry(
        "contrib.adopt", {"betas": (0.9, 0.9999), "eps": 1e-6}, {**_BETAS, "use_clipping": "clip"}, _NESTEROV
    ),
    "AdEMAMix": _entry(
        "contrib.ademamix",
        {"betas": (0.9, 0.999, 0.9999), "alpha": 5.0, "eps": 1e-8, **_DECOUPLED},
        {**_BETAS, "b3": "betas[2]"},
    ),
    "LAMB": _entry("lamb", {"betas": (0.9, 0.999), "eps": 1e-6, **_DECOUPLED}, _BETAS),
    "LARS": "it divides by ‖g + λ·w‖, not by ‖g‖ + λ·‖w‖, and keeps lr inside the momentum; use dialect='torch'",
    "Rprop": "it takes each step one gradient late; use dialect='torch'",
    "SGDScheduleFree": _entry(
        "contrib.schedule_free_sgd",
        {"lr": 1.0, "momentum": 0.9, "weight_lr_power": 2.0, "weight_decay": 0.0},
        {"b1": "momentum"},
        {"warmup_steps": ((None, 0), "its first rate is 0; use a schedule")},
        required=(),
    ),
    "AdamWScheduleFree": "it corrects v where we correct the rate, so ε is smaller there; use dialect='torch'",
}
