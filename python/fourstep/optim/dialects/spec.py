"""What a dialect says of one optimizer: its name, its numbers and semantics in our fields, its names for those."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict


class Aliases(TypedDict, total=False):
    """Argument names of other libraries; each works in its own dialect only, see `docs/optim/dialects.md`."""

    learning_rate: Any
    learning_rate_power: Any
    beta_1: Any
    beta_2: Any
    b1: Any
    b2: Any
    b3: Any
    epsilon: Any
    eps_in_sqrt: Any
    initial_scale: Any
    use_clipping: Any
    clipvalue: Any
    global_clipnorm: Any
    loss_scale_factor: Any
    l1_regularization_strength: Any
    l2_regularization_strength: Any
    l2_shrinkage_regularization_strength: Any


#: A library's argument -> (the only values that can be given here, where nothing comes of them; what to do instead).
Fixed = Mapping[str, tuple[tuple[Any, ...], str]]


@dataclass(frozen=True)
class Entry:
    """One optimizer in one dialect."""

    #: What the library, or the paper, calls it.
    name: str
    #: Our fields: the library's defaults and semantics. A field that is not here has our default.
    values: Mapping[str, Any] = field(default_factory=dict)
    #: Its argument -> our field; ``"betas[0]"`` is one of a pair.
    aliases: Mapping[str, str] = field(default_factory=dict)
    #: Our fields that have no default there.
    required: tuple[str, ...] = ()
    #: Its arguments that we cannot express, but for the values that mean nothing.
    fixed: Fixed = field(default_factory=dict)
    #: Our field -> why it cannot be used in this dialect.
    refused: Mapping[str, str] = field(default_factory=dict)
    #: Our fields for which None means "not given" there.
    none: tuple[str, ...] = ()
    #: Our field -> (another that has to be given with it, why).
    needs: Mapping[str, tuple[str, str]] = field(default_factory=dict)


#: Name of our class -> what it is there, or why it is not there.
Table = Mapping[str, Entry | str]
