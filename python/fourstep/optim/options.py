"""What every optimizer takes beside its own hyper-parameters, and is done inside its pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from typing import Any, ClassVar, Literal

from fourstep.optim import checks
from fourstep.optim.checks import Check
from fourstep.optim.dialects import Aliases, Dialect

Decay = Literal["l2", "decoupled", "independent"]
SkipNonfinite = Literal["error", "step", "element"]


class Shared(Aliases, total=False):
    """What every optimizer takes by keyword; see `Optimizer`."""

    decay: Decay
    maximize: bool
    clip_value: float | None
    clip_norm: float | None
    clip_eps: float
    grad_scale: float
    skip_nonfinite: SkipNonfinite | None
    cautious: bool | Literal["mask"]
    ema_decay: float | None
    zero_grad: bool
    flush_subnormals: bool
    copy_out: Literal["bfloat16"] | None
    track: bool
    state_dtype: Literal["float32", "bfloat16", "int8"] | None
    stochastic_rounding: bool
    seed: int
    groups: Sequence[Mapping[str, Any]] | None
    dialect: Dialect


def _seed(name: str, value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or not 0 <= int(value) < 2**64:
        raise ValueError(f"{name}: got {value!r}, need a whole number from 0 to 2^64 - 1")
    return int(value)


def _cautious(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return checks.one_of(True, False, "mask")(name, value)
    return checks.flag(name, value)


#: Options of the whole optimizer, each with its check; the rest of `Shared` are hyper-parameters of the groups.
_CHECKS: dict[str, Check] = {
    "clip_norm": checks.positive_or_none,
    "clip_eps": checks.non_negative,
    "grad_scale": checks.positive,
    "skip_nonfinite": checks.one_of(None, "error", "step", "element"),
    "cautious": _cautious,
    "ema_decay": checks.fraction_or_none,
    "zero_grad": checks.flag,
    "flush_subnormals": checks.flag,
    "copy_out": checks.one_of(None, "bfloat16"),
    "track": checks.flag,
    "state_dtype": checks.one_of(None, "float32", "bfloat16", "int8"),
    "stochastic_rounding": checks.flag,
    "seed": _seed,
}


@dataclass
class Options:
    """The options of one optimizer, checked whenever one is set. Some are fixed once it is made.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> opt = fs.optim.SGD([np.ones(2)], lr=0.1)
    >>> opt.options.clip_norm = 0.5
    >>> opt.options.track = True
    >>> opt.options
    Options(clip_norm=0.5, track=True)
    """

    clip_norm: float | None = None
    clip_eps: float = 1e-6
    grad_scale: float = 1.0
    skip_nonfinite: SkipNonfinite | None = None
    cautious: bool | Literal["mask"] = False
    ema_decay: float | None = None
    zero_grad: bool = False
    flush_subnormals: bool = False
    copy_out: Literal["bfloat16"] | None = None
    track: bool = False
    state_dtype: Literal["float32", "bfloat16", "int8"] | None = None
    stochastic_rounding: bool = False
    seed: int = 0

    #: What the buffers are made by: not to be changed after them.
    FIXED: ClassVar[tuple[str, ...]] = ("ema_decay", "copy_out", "state_dtype", "stochastic_rounding", "seed")

    def __setattr__(self, name: str, value: Any) -> None:
        """Check and set one; refuse what is fixed."""
        if name not in _CHECKS:
            raise AttributeError(f"no option is called {name!r}{nearest(name, _CHECKS)}")
        value = _CHECKS[name](name, value)
        if name in self.FIXED and name in self.__dict__ and self.__dict__.get("seed") is not None:
            made = len(self.__dict__) == len(_CHECKS)
            if made and value != self.__dict__[name]:
                raise ValueError(
                    f"{name} is fixed when the optimizer is made: got {value!r}, have {self.__dict__[name]!r}"
                )
        self.__dict__[name] = value

    def to_dict(self) -> dict[str, Any]:
        """Return them by name."""
        return asdict(self)

    def changed(self) -> dict[str, Any]:
        """Return those that are not as they are by default."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}

    def __repr__(self) -> str:
        """Return what is not as by default."""
        return f"Options({', '.join(f'{key}={value!r}' for key, value in self.changed().items())})"


def split(kind: str, given: Mapping[str, Any]) -> tuple[Options, dict[str, Any]]:
    """Return the options among some keyword arguments, and the rest: hyper-parameters of the groups.

    Raises
    ------
    TypeError
        An argument that no optimizer has.
    """
    known = {
        name: value for name, value in Shared.__annotations__.items() if name not in Aliases.__annotations__
    }
    for name in given:
        if name not in known:
            raise TypeError(f"{kind}: got an unexpected argument {name!r}{nearest(name, known)}")
    options = Options(**{name: value for name, value in given.items() if name in _CHECKS})
    return options, {name: value for name, value in given.items() if name not in _CHECKS}


def nearest(name: str, known: Mapping[str, Any]) -> str:
    """Return a hint at the known name that is most like one that is not known, if any is."""
    close = get_close_matches(name, known, 1)
    return f"; do you mean {close[0]!r}?" if close else f"; there are {', '.join(known)}"
