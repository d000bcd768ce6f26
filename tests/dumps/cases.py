"""What each library was asked for: our class, the library's, its options under its own names.

`tests/optim/test_dialects.py` gives ours the same options under the same names, and wants the same walk.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    """One walk: `ours` in `fs.optim`, `theirs` in the library, and whether the rate drops tenfold after ten steps."""

    id: str
    ours: str
    theirs: str
    options: dict[str, Any] = field(default_factory=dict)
    drop: bool = False
    #: What ours has to be told beside, where the library has another name for it.
    beside: dict[str, Any] = field(default_factory=dict)


def _case(id: str, ours: str, theirs: str | None = None, drop: bool = False, **options: Any) -> Case:
    beside = {"amsgrad": True} if theirs == "amsgrad" else {}
    return Case(id, ours, theirs or ours, options, drop, beside)


KERAS = [
    _case("sgd", "SGD"),
    _case("sgd_decay", "SGD", learning_rate=0.1, weight_decay=0.01),
    _case("momentum_drop", "SGD", learning_rate=0.1, momentum=0.9, drop=True),
    _case("momentum_decay", "SGD", learning_rate=0.1, momentum=0.9, weight_decay=0.01),
    _case("momentum_clipvalue", "SGD", learning_rate=0.1, momentum=0.9, clipvalue=0.01),
    _case("momentum_global_clipnorm", "SGD", learning_rate=0.1, momentum=0.9, global_clipnorm=0.05),
    _case("nesterov", "SGD", learning_rate=0.1, momentum=0.9, nesterov=True),
    _case("nesterov_drop", "SGD", learning_rate=0.1, momentum=0.9, nesterov=True, drop=True),
    _case("adagrad", "AdaGrad", "Adagrad"),
    _case("adagrad_small", "AdaGrad", "Adagrad", learning_rate=0.1, initial_accumulator_value=0.0),
    _case("adadelta", "AdaDelta", "Adadelta"),
    _case("adadelta_decay", "AdaDelta", "Adadelta", learning_rate=1.0, rho=0.9, weight_decay=0.01),
    _case("rmsprop", "RMSProp", "RMSprop"),
    _case("rmsprop_eps", "RMSProp", "RMSprop", learning_rate=0.01, epsilon=1e-3, weight_decay=0.01),
    _case("rmsprop_momentum_drop", "RMSProp", "RMSprop", learning_rate=0.01, momentum=0.9, drop=True),
    _case("rmsprop_centered", "RMSProp", "RMSprop", learning_rate=0.01, rho=0.95, centered=True),
    _case("rmsprop_centered_momentum", "RMSProp", "RMSprop", momentum=0.5, centered=True, drop=True),
    _case("adam", "Adam"),
    _case("adam_eps", "Adam", learning_rate=0.01, beta_1=0.8, beta_2=0.99, epsilon=1e-3, drop=True),
    _case("adam_decay", "Adam", learning_rate=0.01, weight_decay=0.01),
    _case("adam_amsgrad", "Adam", learning_rate=0.01, amsgrad=True, beta_2=0.5),
    _case("adamw", "AdamW"),
    _case("adamw_drop", "AdamW", learning_rate=0.01, weight_decay=0.1, drop=True),
    _case("adamax", "Adamax"),
    _case("adamax_eps", "Adamax", learning_rate=0.01, beta_1=0.8, beta_2=0.99, epsilon=1e-3),
    _case("nadam", "Nadam"),
    _case("nadam_eps", "Nadam", learning_rate=0.01, beta_1=0.8, epsilon=1e-3, weight_decay=0.01),
    _case("lion", "Lion"),
    _case("lion_decay", "Lion", learning_rate=0.01, beta_1=0.95, beta_2=0.98, weight_decay=0.1),
    _case("lamb", "LAMB", "Lamb"),
    _case("lamb_decay", "LAMB", "Lamb", learning_rate=0.01, epsilon=1e-3, weight_decay=0.1),
    _case("ftrl", "FTRL", "Ftrl"),
    _case(
        "ftrl_l1_l2",
        "FTRL",
        "Ftrl",
        learning_rate=0.1,
        l1_regularization_strength=1e-3,
        l2_regularization_strength=0.3,
    ),
    _case("ftrl_beta", "FTRL", "Ftrl", learning_rate=0.1, beta=1.0, l2_regularization_strength=0.1),
    _case("ftrl_power", "FTRL", "Ftrl", learning_rate=0.1, learning_rate_power=-0.75),
    _case("ftrl_shrinkage", "FTRL", "Ftrl", learning_rate=0.1, l2_shrinkage_regularization_strength=0.2),
    _case("schedule_free_adamw", "AdamWScheduleFree", "ScheduleFreeAdamW"),
]

OPTAX = [
    _case("sgd", "SGD", "sgd", learning_rate=0.1),
    _case("momentum_drop", "SGD", "sgd", learning_rate=0.1, momentum=0.9, drop=True),
    _case("nesterov_drop", "SGD", "sgd", learning_rate=0.1, momentum=0.9, nesterov=True, drop=True),
    _case("adagrad", "AdaGrad", "adagrad", learning_rate=0.1),
    _case("adagrad_small", "AdaGrad", "adagrad", learning_rate=0.1, initial_accumulator_value=0.0),
    _case("adadelta", "AdaDelta", "adadelta", learning_rate=1.0),
    _case("adadelta_decay", "AdaDelta", "adadelta", learning_rate=0.5, rho=0.95, weight_decay=0.01),
    _case("rmsprop", "RMSProp", "rmsprop", learning_rate=0.01),
    _case("rmsprop_eps", "RMSProp", "rmsprop", learning_rate=0.01, eps=1e-3, eps_in_sqrt=False),
    _case("rmsprop_momentum_drop", "RMSProp", "rmsprop", learning_rate=0.01, momentum=0.9, drop=True),
    _case("rmsprop_centered", "RMSProp", "rmsprop", learning_rate=0.01, decay=0.95, centered=True),
    _case("adam", "Adam", "adam", learning_rate=0.001),
    _case("adam_eps", "Adam", "adam", learning_rate=0.01, b1=0.8, b2=0.99, eps=1e-3, drop=True),
    _case("adam_eps_root", "Adam", "adam", learning_rate=0.01, eps=1e-5, eps_root=1e-6),
    _case("adamw", "AdamW", "adamw", learning_rate=0.01),
    _case("adamw_drop", "AdamW", "adamw", learning_rate=0.01, weight_decay=0.1, drop=True),
    _case("amsgrad", "Adam", "amsgrad", learning_rate=0.01, b2=0.5),
    _case("amsgrad_default", "Adam", "amsgrad", learning_rate=0.001),
    _case("adamax", "Adamax", "adamax", learning_rate=0.002),
    _case("adamax_eps", "Adamax", "adamax", learning_rate=0.01, b1=0.8, b2=0.99, eps=1e-3),
    _case("nadam", "Nadam", "nadam", learning_rate=0.002),
    _case("nadam_eps", "Nadam", "nadam", learning_rate=0.01, b1=0.8, b2=0.99, eps=1e-3),
    _case("radam", "RAdam", "radam", learning_rate=0.01),
    _case("adabelief", "AdaBelief", "adabelief", learning_rate=0.01),
    _case("yogi", "Yogi", "yogi", learning_rate=0.01),
    _case("lion", "Lion", "lion", learning_rate=1e-4),
    _case("lion_decay", "Lion", "lion", learning_rate=0.01, b1=0.95, b2=0.98, weight_decay=0.1),
    _case("adan", "Adan", "adan", learning_rate=0.01),
    _case("adan_decay", "Adan", "adan", learning_rate=0.01, eps_root=0.0, weight_decay=0.1),
    _case("adopt", "ADOPT", "contrib.adopt", learning_rate=0.01),
    _case("ademamix", "AdEMAMix", "contrib.ademamix", learning_rate=0.001),
    _case("ademamix_decay", "AdEMAMix", "contrib.ademamix", learning_rate=0.01, weight_decay=0.1),
    _case("lamb", "LAMB", "lamb", learning_rate=0.01),
    _case("lamb_decay", "LAMB", "lamb", learning_rate=0.01, weight_decay=0.1),
    _case("lars", "LARS", "lars", learning_rate=1.0),
    _case("lars_decay_drop", "LARS", "lars", learning_rate=1.0, weight_decay=0.1, drop=True),
    _case("rprop", "Rprop", "rprop", learning_rate=0.01),
    _case("schedule_free_sgd", "SGDScheduleFree", "contrib.schedule_free_sgd", learning_rate=1.0),
    _case("schedule_free_adamw", "AdamWScheduleFree", "contrib.schedule_free_adamw"),
    _case(
        "schedule_free_adamw_decay",
        "AdamWScheduleFree",
        "contrib.schedule_free_adamw",
        learning_rate=0.01,
        weight_decay=0.1,
    ),
]

_EXACT: dict[str, Any] = {"learning_rate": 0.125, "initial_accumulator_value": 0.125}

#: TensorFlow's own FTRL (`tf.compat.v1.train`), by numbers that are exact in float32, to which it rounds them.
TENSORFLOW = [
    _case("ftrl", "FTRL", "FtrlOptimizer", **_EXACT),
    _case(
        "ftrl_l1_l2",
        "FTRL",
        "FtrlOptimizer",
        **_EXACT,
        l1_regularization_strength=2.0**-10,
        l2_regularization_strength=0.25,
    ),
    _case("ftrl_beta", "FTRL", "FtrlOptimizer", **_EXACT, beta=1.0, l2_regularization_strength=0.25),
    _case("ftrl_power", "FTRL", "FtrlOptimizer", **_EXACT, learning_rate_power=-0.75),
    _case("ftrl_shrinkage", "FTRL", "FtrlOptimizer", **_EXACT, l2_shrinkage_regularization_strength=0.25),
]
