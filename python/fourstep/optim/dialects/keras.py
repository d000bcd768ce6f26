"""Keras 3: ε = 1e-7, decay decoupled and times lr for every optimizer, lr inside the momentum, clipping by norm exact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fourstep.optim.dialects.spec import Entry, Fixed, Table

_SHARED = {
    "learning_rate": "lr",
    "clipvalue": "clip_value",
    "global_clipnorm": "clip_norm",
    "loss_scale_factor": "grad_scale",
}
_BETAS = {"beta_1": "betas[0]", "beta_2": "betas[1]"}
_EPS = {"epsilon": "eps"}
_FIXED: Fixed = {
    "clipnorm": ((None,), "it clips each variable by its own norm; use global_clipnorm"),
    "use_ema": ((False,), "its average starts after the first step; use ema_decay, which starts before it"),
    "ema_momentum": ((0.99,), "use ema_decay"),
    "ema_overwrite_frequency": ((None,), "copy opt.ema into the parameters yourself"),
    "gradient_accumulation_steps": ((None,), "add up the gradients, and step with grad_scale"),
}


def _entry(
    name: str,
    values: Mapping[str, Any],
    aliases: Mapping[str, str] | None = None,
    fixed: Fixed | None = None,
    refused: Mapping[str, str] | None = None,
) -> Entry:
    return Entry(
        f"keras.optimizers.{name}",
        {"lr": 1e-3, "weight_decay": 0.0, "decay": "decoupled", "clip_eps": 0.0, **values},
        {**_SHARED, **(aliases or {})},
        fixed={**_FIXED, **(fixed or {})},
        refused=refused or {},
        none=("grad_scale", *(() if name == "AdamW" else ("weight_decay",))),
    )


_ADAM = {"betas": (0.9, 0.999), "eps": 1e-7}
_WITH_HAT = {**_ADAM, "eps_hat": True, "amsgrad": False, "amsgrad_max": "raw"}

TABLE: Table = {
    "SGD": _entry(
        "SGD",
        {"lr": 0.01, "momentum": 0.0, "momentum_form": "lr_inside"},
        refused={"dampening": "it has none"},
    ),
    "SGDW": "it is SGD there; use SGD(weight_decay=…, dialect='keras')",
    "NAG": "it is SGD there; use SGD(nesterov=True, dialect='keras')",
    "AdaGrad": _entry("Adagrad", {"initial_accumulator_value": 0.1, "eps": 1e-7, "eps_inside": True}, _EPS),
    "AdaDelta": _entry("Adadelta", {"rho": 0.95, "eps": 1e-7}, _EPS),
    "RMSProp": _entry(
        "RMSprop",
        {"alpha": 0.9, "eps": 1e-7, "eps_inside": True, "lr_in_velocity": True},
        {**_EPS, "rho": "alpha"},
    ),
    "Adam": _entry("Adam", _WITH_HAT, {**_BETAS, **_EPS}),
    "AdamW": _entry("AdamW", {**_WITH_HAT, "weight_decay": 4e-3}, {**_BETAS, **_EPS}),
    "Adamax": _entry("Adamax", {**_ADAM, "eps_inside": False}, {**_BETAS, **_EPS}),
    "Nadam": _entry("Nadam", {**_ADAM, "form": "schedule", "momentum_decay": 1.0}, {**_BETAS, **_EPS}),
    "Lion": _entry("Lion", {"betas": (0.9, 0.99)}, _BETAS),
    "LAMB": _entry(
        "Lamb",
        _ADAM,
        {**_BETAS, **_EPS},
        {
            "weight_decay": (
                (0.0, None),
                "it decays before the norms are taken, outside the ratio; use dialect='torch'",
            )
        },
    ),
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
            "initial_linear": "zero",
            "decay": "l2",
        },
        {
            "learning_rate_power": "lr_power",
            "l1_regularization_strength": "l1",
            "l2_regularization_strength": "l2",
            "l2_shrinkage_regularization_strength": "l2_shrinkage",
        },
        {"weight_decay": ((0.0, None), "w is solved for; use l2 or l2_shrinkage")},
    ),
    "AdamWScheduleFree": "it corrects v where we correct the rate, so ε is smaller there, and weighs every step alike; "
    "use dialect='torch'",
}
