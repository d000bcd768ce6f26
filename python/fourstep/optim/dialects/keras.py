"""Keras 3: ε = 1e-7, decay decoupled and times lr for every optimizer, lr inside the momentum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fourstep.optim.dialects.spec import Entry, Table

_SHARED = {
    "learning_rate": "lr",
    "clipvalue": "clip_value",
    "global_clipnorm": "clip_norm",
    "loss_scale_factor": "grad_scale",
}
_BETAS = {"beta_1": "betas[0]", "beta_2": "betas[1]"}
_EPS = {"epsilon": "eps"}
_FIXED: dict[str, tuple[Any, str]] = {
    "clipnorm": (None, "it clips each variable by its own norm; use global_clipnorm"),
    "use_ema": (False, "its average starts after the first step; use ema_decay, which starts before it"),
    "ema_momentum": (0.99, "use ema_decay"),
    "ema_overwrite_frequency": (None, "copy opt.ema into the parameters yourself"),
    "gradient_accumulation_steps": (None, "add up the gradients, and step with grad_scale"),
}
#: Semantics of all of them.
_ALL = {"decay": "decoupled", "clip_eps": 0.0}


def _entry(
    name: str,
    values: Mapping[str, Any],
    aliases: Mapping[str, str] | None = None,
    fixed: Mapping[str, tuple[Any, str]] | None = None,
    refused: Mapping[str, str] | None = None,
) -> Entry:
    return Entry(
        f"keras.optimizers.{name}",
        {"lr": 1e-3, "weight_decay": 0.0, **_ALL, **values},
        {**_SHARED, **(aliases or {})},
        fixed={**_FIXED, **(fixed or {})},
        refused=refused or {},
        none=("grad_scale", *(() if name == "AdamW" else ("weight_decay",))),
    )


_ADAM = {"betas": (0.9, 0.999), "eps": 1e-7}
_NO_AMSGRAD = {"amsgrad": (False, "use AMSGrad(dialect='keras')")}

TABLE: Table = {
    "SGD": _entry(
        "SGD",
        {"lr": 0.01, "momentum": 0.0, "momentum_form": "lr_inside"},
        refused={"dampening": "it has none"},
    ),
    "NAG": "it is SGD there; use SGD(nesterov=True, dialect='keras')",
    "AdaGrad": _entry("Adagrad", {"initial_accumulator_value": 0.1, "eps": 1e-7, "eps_inside": True}, _EPS),
    "AdaDelta": _entry("Adadelta", {"rho": 0.95, "eps": 1e-7}, _EPS),
    "RMSProp": _entry(
        "RMSprop",
        {"alpha": 0.9, "eps": 1e-7, "eps_inside": True, "lr_in_velocity": True},
        {**_EPS, "rho": "alpha"},
    ),
    "Adam": _entry("Adam", {**_ADAM, "eps_hat": True}, {**_BETAS, **_EPS}, _NO_AMSGRAD),
    "AdamW": _entry(
        "AdamW", {**_ADAM, "eps_hat": True, "weight_decay": 4e-3}, {**_BETAS, **_EPS}, _NO_AMSGRAD
    ),
    "AMSGrad": _entry(
        "Adam(amsgrad=True)",
        {**_ADAM, "eps_hat": True, "amsgrad_max": "raw"},
        {**_BETAS, **_EPS},
        {"amsgrad": (True, "use Adam(dialect='keras')")},
    ),
    "Adamax": _entry("Adamax", {**_ADAM, "eps_inside": False}, {**_BETAS, **_EPS}),
    "Nadam": _entry("Nadam", {**_ADAM, "form": "schedule", "momentum_decay": 1.0}, {**_BETAS, **_EPS}),
    "Lion": _entry("Lion", {"betas": (0.9, 0.99)}, _BETAS),
    "LAMB": _entry("Lamb", _ADAM, {**_BETAS, **_EPS}),
    "FTRL": _entry(
        "Ftrl",
        {
            "lr_power": -0.5,
            "initial_accumulator_value": 0.1,
            "l1": 0.0,
            "l2": 0.0,
            "l2_shrinkage": 0.0,
            "beta": 0.0,
            "l2_form": "tensorflow",
        },
        {
            "learning_rate_power": "lr_power",
            "l1_regularization_strength": "l1",
            "l2_regularization_strength": "l2",
            "l2_shrinkage_regularization_strength": "l2_shrinkage",
        },
    ),
    "ScheduleFreeAdamW": _entry(
        "ScheduleFreeAdamW", {"lr": 2.5e-3, "betas": (0.9, 0.999), "eps": 1e-8}, {**_BETAS, **_EPS}
    ),
}
