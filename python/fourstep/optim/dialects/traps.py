"""Why a field differs from library to library: the traps, by the numbers that `docs/optim/dialects.md` gives them."""

from __future__ import annotations

#: What the library does, not what it is told: these are not carried over from one to the other.
SEMANTICS = frozenset(
    {
        "amsgrad_max",
        "bias_correction",
        "clip_eps",
        "decay",
        "eps_hat",
        "eps_inside",
        "form",
        "initial_accumulator_value",
        "initial_linear",
        "l2_form",
        "lookahead",
        "lr_in_velocity",
        "momentum_decay",
        "momentum_form",
    }
)

#: Field, or class and field -> (number of the trap, what is behind it).
_WHY: dict[str, tuple[int, str]] = {
    "eps_hat": (
        1,
        "ε before the bias correction of v, or after: 31.6 times larger in effect at the first step",
    ),
    "Adam.eps": (2, "default of ε; 1e-8 is 0 in float16"),
    "eps_inside": (3, "√(v + ε), or √v + ε: the first floors the root at √ε"),
    "RMSProp.eps": (4, "default of ε"),
    "RMSProp.alpha": (4, "default of the window"),
    "lr_in_velocity": (5, "lr inside the momentum buffer, or outside: the same while lr is constant"),
    "initial_accumulator_value": (7, "the sum of squares starts at 0.1, or at 0"),
    "AdaGrad.eps": (7, "default of ε"),
    "AdaDelta.rho": (8, "default of the window"),
    "AdaDelta.eps": (8, "default of ε, which also sets the first step"),
    "AdaDelta.lr": (8, "default of lr: 1, or one thousandth"),
    "momentum_decay": (9, "Dozat's schedule by 0.96^(0.004·t), or by 0.96^t"),
    "form": (9, "Dozat's schedule of the momentum, or none"),
    "amsgrad_max": (10, "the largest v before its bias correction, or after"),
    "Adamax.eps_inside": (11, "max(β₂·u, |g| + ε), or u + ε"),
    "momentum_form": (12, "lr inside the buffer, or outside: after lr drops, inside goes on at the old pace"),
    "lookahead": (14, "how far ahead the gradient is taken, and whether it is"),
    "decay": (15, "λ·w into the gradient, or w shrinks beside the step"),
    "weight_decay": (16, "default of λ"),
    "initial_linear": (
        18,
        "z starts at 0, and w's first value is forgotten, or where w's first value is the solution",
    ),
    "l2_form": (18, "2·λ₂ with β/(2·lr) inside, or λ₂: half of the l2 is lost between the two"),
    "beta": (18, "default of β"),
    "clip_eps": (19, "max/(norm + 1e-6), or exactly max/norm"),
    "bias_correction": (
        1,
        "without it the first step of Adam is (1 − β₁)/√(1 − β₂) = 3.16 times the corrected one",
    ),
}


def why(kind: str, field: str) -> tuple[int | None, str]:
    """Return the number of the trap behind a field, and a sentence."""
    found = _WHY.get(f"{kind}.{field}") or _WHY.get(field)
    return found or (None, f"default of {field}")
