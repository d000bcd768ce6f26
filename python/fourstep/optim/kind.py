"""What a kind of optimizer says of itself: its rule, its state, its hyper-parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from fourstep.arena import Array
from fourstep.optim import checks
from fourstep.optim import rows as by_rows
from fourstep.optim.checks import Check
from fourstep.optim.four_steps import Triple
from fourstep.optim.groups import ParamGroup

Hyper = dict[str, Any]


class Kind:
    """What a subclass of `Optimizer` overrides."""

    #: Names of the state buffers that its rules can have, and of the scalars that a group carries from step to step.
    states: ClassVar[tuple[str, ...]] = ()
    scalars: ClassVar[tuple[str, ...]] = ()
    #: Whether its rule needs to see each parameter by itself, as a norm of it does.
    per_parameter: ClassVar[bool] = False
    #: State that starts from the parameters, not from a number.
    starts_at_w: ClassVar[tuple[str, ...]] = ()
    #: Options that its rule cannot have, each with the reason.
    refused: ClassVar[dict[str, str]] = {}
    #: How it decays weights unless told otherwise.
    _decay: ClassVar[str] = "l2"
    #: Name of each hyper-parameter and its check; a subclass adds its own.
    _checks: ClassVar[dict[str, Check]] = {}
    _shared_checks: ClassVar[dict[str, Check]] = {
        "lr": checks.learning_rate,
        "weight_decay": checks.non_negative,
        "decay": checks.one_of("l2", "decoupled", "independent"),
        "maximize": checks.flag,
        "clip_value": checks.positive_or_none,
        "clip_norm": checks.positive_or_none,
        "trainable": checks.flag,
        "sparse": checks.flag,
    }
    #: Hyper-parameters that cannot be changed once the optimizer is made.
    _fixed: ClassVar[tuple[str, ...]] = ("sparse",)

    def _rule(self, group: ParamGroup) -> tuple[str, tuple[str, ...], Hyper]:
        """Return the rule of a group, its state buffers, and the hyper-parameters that it wants beside the shared."""
        raise NotImplementedError

    def row_rule(self, group: ParamGroup) -> by_rows.RowRule:
        """Return the rule by which the rows of a sparse group step."""
        raise ValueError(
            f"sparse: {type(self).__name__} moves rows that no gradient touched, so it has no sparse tables; "
            "SGD, AdaGrad, RowwiseAdagrad, LazyAdam and FTRL have"
        )

    def _four_steps(self, group: ParamGroup) -> Triple:
        """Return φ, ψ and direction of a group, and where the frame leaks."""
        raise NotImplementedError(f"{type(self).__name__} has not said what its four steps are")

    def _check_group(self, values: Mapping[str, Any]) -> None:
        if values["decay"] == "independent" and values["weight_decay"] > 1:
            raise ValueError(
                f"weight_decay: got {values['weight_decay']}, need at most 1 with decay='independent': "
                "w is multiplied by 1 - weight_decay"
            )
        self._check_together(values)

    def _check_together(self, values: Mapping[str, Any]) -> None:
        """Raise where hyper-parameters that are each in range do not go together."""

    def _start(self, group: ParamGroup, state: str) -> float:
        """Return what a state buffer holds before its first step."""
        return 0.0

    def _start_at(self, group: ParamGroup, state: str, w: Array) -> Array | float:
        """Return what a state buffer holds before its first step beside a parameter; see `starts_at_w`."""
        return self._start(group, state)

    def _stepped(self, group: ParamGroup) -> None:
        """Update the scalars of a group after a step."""
