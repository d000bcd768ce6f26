"""The command `fourstep`: it reads flags, calls the library, and turns every error of a user into one line.

Nothing but the standard library is imported before the flags are read, so that help and errors come at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fourstep.train.options import Number

__all__ = ["main"]

USAGE_ERROR, INTERRUPTED = 2, 130


class UsageError(Exception):
    """Flags that do not make a command."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0, 2 for an error of the user's, 130 after Ctrl-C.

    Parameters
    ----------
    argv : sequence of str, optional
        The words behind ``fourstep``; by default the process's own.
    """
    try:
        code = _run(sys.argv[1:] if argv is None else list(argv))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)
    except BrokenPipeError:  # whoever read our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return INTERRUPTED
    except UsageError as error:
        return _complain(f"error: {error}", USAGE_ERROR)
    except Exception as error:
        from fourstep.train.errors import Interrupted, one_line

        if isinstance(error, Interrupted):
            return _complain(str(error), INTERRUPTED)
        line = one_line(error)
        if line is None:
            raise
        return _complain(f"error: {line}", USAGE_ERROR)
    return code


def _complain(text: str, code: int) -> int:
    shown = text.encode("utf-8", "backslashreplace").decode()  # words of the user's need not be UTF-8
    print(f"fourstep: {shown}", file=sys.stderr, flush=True)
    return code


def _run(argv: list[str]) -> int:
    parser = _parser()
    given, unknown = parser.parse_known_args(argv)
    if given.version:
        from fourstep._runtime import runtime

        print(f"fourstep {runtime().version}")
        return 0
    command: Callable[[argparse.Namespace], int] | None = getattr(given, "run", None)
    if unknown:
        raise UsageError(_unknown(unknown[0], given.parser if command else parser))
    if command is None:
        parser.print_help()
        return 0
    return command(given)


def _unknown(word: str, parser: argparse.ArgumentParser) -> str:
    from fourstep.train.errors import nearest

    flag = word.partition("=")[0]
    if not flag.startswith("-"):
        return f"unexpected argument {word}"
    return f"unknown flag {flag}{nearest(flag, parser._option_string_actions)}"


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are ours to print, and which takes no shortened flags."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **settings)

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def _parser() -> _Parser:
    parser = _Parser(
        prog="fourstep",
        description="Train a click model, compare several, score new rows, evaluate anyone's scores.",
        epilog="fourstep COMMAND --help says more.",
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser)
    _train_parser(commands)
    _compare_parser(commands)
    _score_parser(commands)
    _evaluate_parser(commands)
    made = commands.add_parser("runtime", help="print instruction level, threads and version")
    made.set_defaults(run=_runtime, parser=made)
    return parser


# ---- train


def _train_parser(commands: Any) -> None:
    from fourstep.train.config import options
    from fourstep.train.options import Switch

    parser = commands.add_parser(
        "train",
        usage="fourstep train [--data FILE --label COLUMN ...] [--config FILE] [--out DIR [--resume]] [flags]",
        help="train a model on clicks or ratings",
        description="Train a click model: embeddings and numbers into a small network.",
        epilog=_TRAIN_EPILOG,
    )
    parser.set_defaults(run=_train, parser=parser)
    parser.add_argument(
        "--config", metavar="FILE", default=None, help="TOML file with any of these settings, and [groups]"
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    sections: dict[str, Any] = {}
    for name, option in options().items():
        if option.section not in sections:
            sections[option.section] = parser.add_argument_group(option.section)
        flag = f"--{name.replace('_', '-')}"
        shown = f"{option.help}{_default(name)}".replace("%", "%%")
        if isinstance(option.kind, Switch):
            sections[option.section].add_argument(
                flag, dest=name, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=shown
            )
        else:
            words = getattr(option.kind, "words", None)
            metavar = "|".join(words) if words else _METAVARS[type(option.kind).__name__]
            sections[option.section].add_argument(
                flag, dest=name, metavar=metavar, default=argparse.SUPPRESS, help=shown
            )


_METAVARS = {
    "Number": "X",
    "Whole": "N",
    "Text": "TEXT",
    "Names": "A,B,...",
    "Lists": "A:SEP,...",
    "Sizes": "N,N,...",
}

_TRAIN_EPILOG = """\
examples:
  fourstep train
  fourstep train --data clicks.parquet --label click --user user_id --time ts --categorical ad,site --numeric price
  fourstep train --model deepfm --ensemble 5 --multi 'genres:|'
  fourstep train --config run.toml --seed 1
  fourstep train --out runs/first --resume

A configuration file holds the same names, and groups of parameters by pattern:
  lr = 0.01
  [groups."embedding*"]
  weight_decay = 1e-3
"""


def _default(name: str) -> str:
    from fourstep.train.config import Config

    value = getattr(Config, name)
    if isinstance(value, bool):
        return f" [{'yes' if value else 'no'}]"
    if isinstance(value, tuple):
        return f" [{','.join(map(str, value))}]" if value else ""
    return f" [{value:g}]" if isinstance(value, int | float) else f" [{value}]" if value else ""


def _train(given: argparse.Namespace) -> int:
    from fourstep.train.config import Config, checked, options, read_toml
    from fourstep.train.options import Switch

    settings: dict[str, Any] = read_toml(given.config) if given.config is not None else {}
    for name, option in options().items():
        if hasattr(given, name):
            value, text = getattr(given, name), not isinstance(option.kind, Switch)
            settings[name] = checked(name, value, f"--{name.replace('_', '-')}", text=text)
    if given.resume and not settings.get("out"):
        raise UsageError("--resume needs --out, the folder of the run")
    from fourstep.train.command import resume, train
    from fourstep.train.report import report

    outcome = resume(settings["out"], settings) if given.resume else train(Config(**settings))
    if not outcome.config.quiet:
        report(outcome.metrics, outcome.config.out)
    return 0


# ---- compare


def _compare_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "compare",
        help="train several configurations over several seeds, and compare them",
        description="Train each configuration with each seed on the same rows: means with their 95 % intervals over the"
        " seeds, and the paired differences from the first.",
        epilog="example:\n  fourstep compare lr.toml mlp.toml deepfm.toml --seeds 5 --out runs/models",
    )
    parser.set_defaults(run=_compare, parser=parser)
    parser.add_argument(
        "files", metavar="FILE", nargs="+", help="TOML files of settings, as --config of train"
    )
    parser.add_argument("--seeds", metavar="N", default="5", help="how many seeds [5]")
    parser.add_argument(
        "--out", metavar="DIR", default="", help="folder of runs and compare.json, to go on with too"
    )
    parser.add_argument(
        "--target-gauc", metavar="X", help="tell steps and seconds until the validation gAUC is there"
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing but the tables and errors")


def _compare(given: argparse.Namespace) -> int:
    from fourstep.train.compare import compare, print_comparison
    from fourstep.train.options import Kind, Number, Text, Whole

    def read(flag: str, kind: Kind, text: str) -> Any:
        try:
            return kind.parse(text)
        except ValueError as needs:
            raise UsageError(f"{flag} needs {needs}, got {text}") from None

    target = given.target_gauc and read("--target-gauc", Number(above=0, most=1), given.target_gauc)
    out, seeds = read("--out", Text(), given.out), read("--seeds", Whole(1, 1000), given.seeds)

    def say(line: str) -> None:
        if not given.quiet:
            print(line, file=sys.stderr, flush=True)

    found, folder = compare(given.files, seeds, out, target=target, say=say)
    print_comparison(found)
    print(f"all of it in {folder}")
    return 0


# ---- score, evaluate, runtime


def _score_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "score",
        help="score new rows with a trained model",
        description="Score new rows with the pipeline and the model of a run. The scores come as one more column.",
    )
    parser.set_defaults(run=_score, parser=parser)
    parser.add_argument("folder", metavar="DIR", help="folder of a run")
    parser.add_argument(
        "--data", required=True, metavar="FILE", help="CSV or Parquet file with the columns of the training"
    )
    parser.add_argument("--out", required=True, metavar="FILE", help="CSV or Parquet file to write")
    parser.add_argument("--column", default="p", metavar="NAME", help="name of the new column [p]")


def _score(given: argparse.Namespace) -> int:
    from fourstep.data.errors import counted
    from fourstep.train.options import Text
    from fourstep.train.score import score

    def say(line: str) -> None:
        print(line, file=sys.stderr)

    try:
        Text().read(given.out)
    except ValueError as needs:
        raise UsageError(f"--out needs {needs}, got {given.out!r}") from None
    rows = score(given.folder, given.data, given.out, column=given.column, say=say)
    print(f"{counted(rows, 'row')} scored: {given.out}")
    return 0


def _evaluate_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="evaluate scores of any model",
        description="All metrics of the scores in a file: AUC, grouped AUC, log loss, F1, calibration and the rest.",
    )
    parser.set_defaults(run=_evaluate, parser=parser)
    parser.add_argument("data", metavar="FILE", help="CSV or Parquet file")
    parser.add_argument("--label", required=True, metavar="COLUMN", help="label, 0 or 1, or -1 and 1")
    parser.add_argument("--pos-label", metavar="VALUE", help="the positive one of two other labels")
    parser.add_argument(
        "--score", required=True, metavar="COLUMN", help="score; probabilities for log loss and calibration"
    )
    parser.add_argument(
        "--from-logits", action="store_true", help="scores are logits: p = 1/(1 + exp(-score))"
    )
    parser.add_argument("--compare", metavar="COLUMN", help="another model's score, to be shown beside")
    parser.add_argument("--groups", metavar="COLUMN", help="user, for the grouped AUC")
    parser.add_argument("--weight", metavar="COLUMN", help="weight of a row")
    parser.add_argument("--position", metavar="COLUMN", help="position in the list, for AUC by position")
    parser.add_argument("--time", metavar="COLUMN", help="day, for AUC by time; moments are cut to days")
    parser.add_argument(
        "--expected",
        metavar="FILE",
        help="scores of another time, in a column of the same name: PSI and JS measure how far they have moved",
    )
    parser.add_argument(
        "--threshold",
        metavar="NUMBER",
        help="of F1; with --from-logits a probability [the best on these rows, which flatters]",
    )
    parser.add_argument("--ci", metavar="LEVEL", help="intervals of AUC and gAUC at this level, such as 0.95")
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON too")
    parser.add_argument("--plot", metavar="FILE", help="draw ROC, precision and recall, calibration, scores")


def _evaluate(given: argparse.Namespace) -> int:
    from fourstep.train.evaluate import measured, print_evaluation
    from fourstep.train.folder import json_text, write
    from fourstep.train.options import Number

    threshold = _number(given, "threshold", Number(least=0.0, most=1.0) if given.from_logits else Number())
    ci = _number(given, "ci", Number(above=0.0, below=1.0 - 2.0**-53))
    for flag, path in (("--json", given.json), ("--plot", given.plot)):
        inputs = [each for each in (given.data, given.expected) if each is not None]
        if path is not None and Path(path).exists() and any(map(Path(path).samefile, inputs)):
            raise UsageError(f"{flag} {path}: is the input; give another file")
    if given.plot is not None:
        _check_plot(given.plot)
    asked = {name: getattr(given, name) for name in _ASKED}
    found = measured(given.data, **asked, threshold=threshold, ci=ci)
    if given.json is not None:
        write(given.json, json_text(found.figures()))
    if given.plot is not None:
        from fourstep.train.pictures import write_picture

        write_picture(found.plot(), Path(given.plot))
    print_evaluation(found)
    return 0


_ASKED = (
    "label",
    "pos_label",
    "score",
    "from_logits",
    "compare",
    "groups",
    "weight",
    "position",
    "time",
    "expected",
)


def _number(given: argparse.Namespace, name: str, kind: Number) -> float | None:
    """Read a number that may be left out."""
    text = getattr(given, name)
    if text is None:
        return None
    try:
        return kind.parse(text)
    except ValueError as needs:
        raise UsageError(f"--{name} needs {needs}, got {text}") from None


_PICTURES = (".png", ".svg", ".pdf")


def _check_plot(path: str) -> None:
    from fourstep.plot import available

    if Path(path).suffix not in _PICTURES:
        raise UsageError(
            f"--plot {path}: unknown suffix {Path(path).suffix!r}, need one of {', '.join(_PICTURES)}"
        )
    if not available():
        raise UsageError("--plot needs matplotlib: pip install 'fourstep[plot]'")


def _runtime(given: argparse.Namespace) -> int:
    from fourstep._runtime import runtime

    print(runtime())
    return 0
