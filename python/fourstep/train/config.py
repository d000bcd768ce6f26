"""Every choice of a run, with its default, its range and its sentence of help.

One table drives the flags, the TOML keys, the checks and the `config.toml` that a run leaves behind. Values come from the
defaults, then from a TOML file, then from flags; the later one wins.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from fourstep.train import toml
from fourstep.train.errors import ConfigError, nearest
from fourstep.train.options import Choice, Kind, Lists, Names, Number, Sizes, Switch, Text, Whole

__all__ = [
    "ACTIVATIONS",
    "GROUP_KEYS",
    "INITS",
    "MODELS",
    "OPTIMIZERS",
    "SCHEDULES",
    "Config",
    "checked",
    "option_of",
    "options",
    "parse_toml",
    "read_toml",
]

#: The names of `fourstep.train.kinds`, `blocks` and `model`, which are not imported for the help of a flag.
OPTIMIZERS = (
    *(
        "adam",
        "adamw",
        "amsgrad",
        "nadam",
        "radam",
        "adamax",
        "adabelief",
        "yogi",
        "adan",
        "adopt",
        "ademamix",
    ),
    *("lion", "lamb", "lars", "rmsprop", "adagrad", "adadelta", "sgd", "momentum", "nag"),
)
SPARSE = ("adam", "adagrad", "sgd", "momentum")
STATE_DTYPES = ("float32", "bfloat16", "int8")
SCHEDULES = ("cosine", "linear", "constant", "inverse-sqrt")
MODELS = ("mlp", "deepfm", "fm", "lr")
ACTIVATIONS = ("relu", "sigmoid", "tanh", "leaky_relu", "elu", "gelu", "gelu_tanh", "silu", "softplus")
INITS = (
    "auto",
    *("he_normal", "he_uniform", "xavier_normal", "xavier_uniform", "lecun_normal", "lecun_uniform"),
    *("orthogonal", "normal", "zeros"),
)
#: Stands for the choice of `fourstep.select_features` in drop_features.
AUTO = "auto"


@dataclass(frozen=True)
class Option:
    """What is known of a setting beside its default."""

    kind: Kind
    help: str
    section: str


def _option(default: Any, kind: Kind, text: str, section: str) -> Any:
    return field(default=default, metadata={"option": Option(kind, text, section)})


def _data(default: Any, kind: Kind, text: str) -> Any:
    return _option(default, kind, text, "data")


def _model(default: Any, kind: Kind, text: str) -> Any:
    return _option(default, kind, text, "model")


def _optimizer(default: Any, kind: Kind, text: str) -> Any:
    return _option(default, kind, text, "optimizer")


def _training(default: Any, kind: Kind, text: str) -> Any:
    return _option(default, kind, text, "training")


def _output(default: Any, kind: Kind, text: str) -> Any:
    return _option(default, kind, text, "output")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Every choice of a run.

    Parameters
    ----------
    groups : dict of str to dict
        Pattern of parameter names → some of ``lr``, ``weight_decay``, ``trainable``; it takes its parameters out of the
        default groups.

    The other parameters are the flags of ``fourstep train``: see ``fourstep train --help``.

    Raises
    ------
    ConfigError
        A value out of range, naming the setting, what it got and what it needs.

    Examples
    --------
    >>> from fourstep.train import Config
    >>> Config(lr=0.01, groups={"embedding*": {"lr": 0.001}}).hidden
    (64, 32)
    >>> try:
    ...     Config(dropout=1.5)
    ... except ConfigError as error:
    ...     print(error)
    dropout needs a finite number >= 0 and < 1, got 1.5
    """

    data: str = _data(
        "",
        Text(),
        "movielens, simulated, or a CSV or Parquet file (movielens where [data] is installed, else simulated)",
    )
    label: str = _data("", Text(), "column of the label, 0 or 1")
    user: str = _data("", Text(), "column of the user: groups of gAUC, history, and the split by user")
    time: str = _data("", Text(), "column of the time: history, and the splits by time")
    categorical: tuple[str, ...] = _data((), Names(), "columns that get an embedding, separated by commas")
    numeric: tuple[str, ...] = _data((), Names(), "columns of numbers, separated by commas")
    tags: tuple[str, ...] = _data((), Names(), "categorical columns that list several values, as Action|War")
    multi: tuple[str, ...] = _data(
        (), Lists(), "columns that list several values, with what stands between them: genres:|,tags:;"
    )
    position: str = _data("", Text(), "column of the position: an input in training, neutral in every score")
    drop_features: tuple[str, ...] = _data(
        (),
        Names(),
        "inputs to leave out, by name or pattern, or auto: what fs.select_features finds constant, rare or twice",
    )
    train_fraction: float = _data(
        1.0,
        Number(above=0, most=1),
        "share of the training rows to use; smaller shares are part of larger ones",
    )
    shuffle_labels: bool = _data(
        False, Switch(), "permute the labels of the training rows: what is learned then is noise"
    )
    rows: int = _data(100_000, Whole(100), "rows of the simulated log")
    bad_rows: str = _data(
        "error", Choice(("error", "drop")), "rows with a bad value: an error, or dropped, counted and listed"
    )
    split: str = _data("user-time", Choice(("user-time", "time", "random")), "how the test rows are chosen")
    test_share: float = _data(0.2, Number(least=1e-9, below=1), "share of the test rows")
    valid_share: float = _data(
        0.1, Number(least=1e-9, below=1), "share of the validation rows among the others"
    )
    history: bool = _data(True, Switch(), "inputs from strictly earlier training rows: rates and counts")
    smoothing: float = _data(10.0, Number(above=0), "rows' worth of belief in the prior of a rate")
    min_count: int = _data(6, Whole(1), "a category in fewer training rows counts as unseen")

    model: str = _model(
        "mlp", Choice(MODELS), "network, network and pairs of inputs, pairs alone, or logistic regression"
    )
    hidden: tuple[int, ...] = _model(
        (64, 32), Sizes(), "units of the hidden layers, separated by commas, or none; fm and lr have none"
    )
    embedding_dim: int = _model(32, Whole(0, 4096), "numbers of an embedding; 0: none")
    wide: bool = _model(True, Switch(), "a linear term beside the network")
    batch_norm: bool = _model(True, Switch(), "batch normalisation in front of the activation")
    activation: str = _model("relu", Choice(ACTIVATIONS), "of the hidden layers")
    dropout: float = _model(0.2, Number(least=0, below=1), "share of hidden units that each step drops")
    init: str = _model(
        "auto",
        Choice(INITS),
        "initial weights of the hidden layers; auto: Xavier for sigmoid and tanh, else He",
    )
    ensemble: int = _model(
        1, Whole(1, 100), "models of different seeds, whose probabilities are averaged in every score"
    )
    init_from: str = _model("", Text(), "folder of a run to begin from: its parameters of the same names")
    init_match: tuple[str, ...] = _model(("*",), Names(), "patterns of the parameters to take, such as emb*")
    init_freeze: bool = _model(False, Switch(), "leave the taken parameters as they are")
    init_lr: float = _model(0.0, Number(least=0), "learning rate of the taken parameters; 0: --lr")

    optimizer: str = _optimizer("adam", Choice(OPTIMIZERS), "update rule")
    sparse: bool = _optimizer(
        False,
        Switch(),
        "embeddings step by the rows of a batch alone: for vocabularies far larger than a batch",
    )
    state_dtype: str = _optimizer(
        "float32", Choice(STATE_DTYPES), "how moments are stored; fewer bits for larger models"
    )
    lr: float = _optimizer(1e-2, Number(above=0), "learning rate at its peak")
    weight_decay: float = _optimizer(
        1e-5, Number(least=0), "L2 of the weights (never of biases and batch normalisation)"
    )
    embedding_decay: float = _optimizer(3e-4, Number(least=0), "L2 of the embeddings")
    wide_decay: float = _optimizer(1e-5, Number(least=0), "L2 of the linear term of the categories")
    l1: float = _optimizer(
        0.0, Number(least=0), "L1 of all that decays, by the proximal step: exact zeros; 0: off"
    )
    l2: float = _optimizer(0.0, Number(least=0), "L2 of all that decays, on top of the three decays")
    schedule: str = _optimizer("cosine", Choice(SCHEDULES), "how the learning rate falls after the warm-up")
    warmup: float = _optimizer(
        0.1, Number(least=0, below=1), "share of the horizon in which the learning rate rises"
    )
    horizon: int = _optimizer(
        0, Whole(0, 1_000_000), "epochs over which the schedule falls; 0: as --epochs at the start"
    )
    clip_norm: float = _optimizer(0.0, Number(least=0), "largest norm of all gradients together; 0: off")
    clip_value: float = _optimizer(0.0, Number(least=0), "largest absolute value of a gradient; 0: off")

    epochs: int = _training(8, Whole(1, 1_000_000), "most epochs")
    batch_size: int = _training(512, Whole(2), "rows of a step")
    patience: int = _training(
        3, Whole(1), "epochs without a better validation gAUC (AUC without a user) before it stops"
    )
    eval_steps: int = _training(
        0, Whole(0), "measure the validation rows after every so many steps too; 0: after epochs alone"
    )
    refit: bool = _training(
        True, Switch(), "train again on training and validation rows for as many epochs as were best"
    )
    seed: int = _training(0, Whole(0, 2**32 - 1), "the same seed gives the same run on one machine")
    threads: int = _training(
        0, Whole(0, 256), "threads of kernels and matrix products; 0: the CPUs of this process"
    )

    out: str = _output("", Text(), "folder of the results (a new one below runs/)")
    baseline: bool = _output(True, Switch(), "train two logistic regressions on the same rows for comparison")
    plots: bool = _output(True, Switch(), "draw pictures (needs matplotlib)")
    quiet: bool = _output(False, Switch(), "print nothing but errors")

    groups: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check every value."""
        for name in options():
            object.__setattr__(self, name, checked(name, getattr(self, name), name))
        object.__setattr__(self, "groups", _groups(self.groups, "groups"))
        _check_together(self)

    def to_toml(self, cardinality: Mapping[str, int] | None = None) -> str:
        """Write all settings as TOML, with their help as comments.

        Examples
        --------
        >>> import tomllib
        >>> from fourstep.train import Config
        >>> tomllib.loads(Config(seed=7).to_toml())["seed"]
        7
        """
        parts: dict[str, dict[str, Any]] = {}
        for name, option in options().items():
            parts.setdefault(option.section, {})[name] = getattr(self, name)
        notes = {name: option.help for name, option in options().items()}
        text = "\n".join(f"# {section}\n{toml.table(held, notes=notes)}" for section, held in parts.items())
        if cardinality:
            text += "\n# indices of each field: its categories, and one each for unseen and null\n"
            text += toml.table(cardinality, title="cardinality")
        for pattern, held in self.groups.items():
            text += "\n" + toml.table(held, title=f"groups.{toml.key(pattern)}")
        return text

    def but(self, **changes: Any) -> Config:
        """Return a copy with other values."""
        return replace(self, **changes)


def _check_together(config: Config) -> None:
    """Refuse settings that are good alone and not together."""
    if config.sparse and config.optimizer not in SPARSE:
        raise ConfigError(
            f"sparse needs one of the optimizers {', '.join(SPARSE)}, got {config.optimizer}, "
            "which moves embeddings that no row of a batch has"
        )
    if config.sparse and config.state_dtype != "float32":
        raise ConfigError(f"state_dtype needs to be float32 with sparse, got {config.state_dtype}")
    if config.sparse and config.l1:
        raise ConfigError(f"l1 needs to be 0 with sparse, got {config.l1:g}: it moves rows that no batch has")
    if config.model in ("fm", "deepfm") and not config.embedding_dim:
        raise ConfigError(f"embedding_dim needs to be >= 1 with model {config.model}, got 0")
    if config.model == "deepfm" and not config.hidden:
        raise ConfigError("hidden needs a layer with model deepfm, got none; model fm has none")
    matches = config.init_match != ("*",)
    if not config.init_from and (config.init_freeze or config.init_lr or matches):
        name = "init_freeze" if config.init_freeze else "init_lr" if config.init_lr else "init_match"
        raise ConfigError(f"{name} needs init_from, the run that the parameters come from")
    if config.init_freeze and config.init_lr:
        raise ConfigError(f"init_lr needs to be 0 with init_freeze, got {config.init_lr:g}")
    if config.position and config.position == config.user:
        raise ConfigError(f"position {config.position} is the column of the user; it needs one of its own")
    if config.position and config.position in [Lists.split(item)[0] for item in config.multi]:
        raise ConfigError(f"position {config.position} is among the columns of multi; it has one value")


#: Keys of a group, and what they hold.
GROUP_KEYS: dict[str, Kind] = {"lr": Number(above=0), "weight_decay": Number(least=0), "trainable": Switch()}


def options() -> dict[str, Option]:
    """Name every setting but the groups, in order."""
    return {each.name: each.metadata["option"] for each in fields(Config) if "option" in each.metadata}


def option_of(name: str) -> Option:
    """Look one setting up."""
    return options()[name]


def checked(name: str, value: object, where: str, *, text: bool = False) -> Any:
    """Read the value of a setting; `where` is the flag or key to name in an error, `text` says that it came as text."""
    kind = option_of(name).kind
    try:
        return kind.parse(str(value)) if text else kind.read(value)
    except ValueError as needs:
        raise ConfigError(
            f"{where} needs {needs}, got {value!r}" if not text else f"{where} needs {needs}, got {value}"
        ) from None


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read the settings of a TOML file: those that it holds, checked.

    Raises
    ------
    ConfigError
        The file cannot be read, is no TOML, or holds an unknown key (the nearest one is named) or a value out of range.
    """
    try:
        text = Path(path).read_bytes().decode()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None
    return parse_toml(text, str(path))


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """Read the settings of a TOML text; `where` is what to call it in an error."""
    try:
        held = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where}: not TOML: {error}") from None
    held.pop("cardinality", None)  # a result, not a choice
    settings: dict[str, Any] = {}
    for key, value in held.items():
        name = key.replace("-", "_")
        if name == "groups":
            settings["groups"] = _groups(value, f"{where}: groups")
        elif name in options():
            settings[name] = checked(name, value, f"{where}: {key}")
        else:
            raise ConfigError(f"{where}: unknown key {key}{nearest(name, [*options(), 'groups'])}")
    return settings


def _groups(held: object, where: str) -> dict[str, dict[str, Any]]:
    if not isinstance(held, Mapping):
        raise ConfigError(f"{where} needs a table of patterns, got {held!r}")
    groups: dict[str, dict[str, Any]] = {}
    for pattern, settings in held.items():
        if not isinstance(settings, Mapping):
            raise ConfigError(f"{where}.{toml.key(pattern)} needs a table, got {settings!r}")
        groups[str(pattern)] = {}
        for key, value in settings.items():
            if key not in GROUP_KEYS:
                raise ConfigError(f"{where}.{toml.key(pattern)}: unknown key {key}{nearest(key, GROUP_KEYS)}")
            try:
                groups[str(pattern)][key] = GROUP_KEYS[key].read(value)
            except ValueError as needs:
                raise ConfigError(f"{where}.{toml.key(pattern)}.{key} needs {needs}, got {value!r}") from None
    return groups
