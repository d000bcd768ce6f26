"""AUC and grouped AUC as LightGBM and XGBoost call a metric of one's own: `lightgbm(…)`, `xgboost(…)`.

    lightgbm.train(…, feval=fs.metrics.feval.lightgbm())             LGBMClassifier.fit(eval_metric=…)
    xgboost.train(…, custom_metric=fs.metrics.feval.xgboost())       XGBClassifier(eval_metric=…)

Without `groups` it is `fourstep.metrics.auc`, with them `gauc`. Labels, predictions and weights come from the library's
own objects, so neither package is imported here.

>>> import fourstep as fs
>>> metric = fs.metrics.feval.xgboost(groups=["ann", "ann", "bob", "bob"], group_weight="uniform")
>>> metric
feval.xgboost(auc_by_group: gauc, group_weight='uniform')
>>> metric([1, 0, 1, 0], [0.9, 0.1, 0.2, 0.8])  # as scikit-learn's interface calls it
0.5
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fourstep.metrics._groups import as_integers
from fourstep.metrics._inputs import column
from fourstep.metrics.ranking import auc, gauc

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from fourstep.metrics.score import Score

    Groups: TypeAlias = ArrayLike | list[ArrayLike] | Mapping[Any, ArrayLike] | None

#: What comes from the library with the rows, and so is no option; and what would not be seen.
_NO_OPTIONS = ("y", "score", "groups", "sample_weight", "offsets", "per_group")


def lightgbm(
    groups: Groups = None, *, name: str | None = None, weighted: bool = True, **options: Any
) -> LightGBM:
    """Make a metric for ``lightgbm.train(feval=…)``, ``lightgbm.cv`` and ``LGBMClassifier.fit(eval_metric=…)``.

    AUC without `groups`, grouped AUC with them; higher is better, which LightGBM is told, so early stopping works. With
    ``"metric": "None"`` among the parameters it is the only one that stops.

    Parameters
    ----------
    groups
        Ids of the rows that are evaluated, as for `gauc`, in the order of the data set:

        - a column, for a validation set of its length. ``lightgbm.cv`` is given the column of all rows;
        - a list of columns, one a data set, which are told apart by their lengths;
        - a mapping from the data set itself (``{valid: ids, train: other_ids}``), which always tells them apart.

        Every data set that is evaluated needs a column; the training set too, where it is among them.
    name
        What the library calls the metric; None: ``"auc_exact"`` or ``"auc_by_group"``, which are not its own names.
    weighted
        Whether the data set's sample weights count, where it has any.
    **options
        Of `auc` (`max_fpr`, `nan`, `on_undefined` …) or of `gauc` (`group_weight`, `one_class`, `min_rows` …).

    Returns
    -------
    LightGBM
        A callable that gives (name, value, True); it can be pickled.

    Raises
    ------
    TypeError
        An option that the metric does not have.
    ValueError
        Two columns of one length in a list; later, from the training: no column of the length of a data set, two data
        sets of its length, and what `auc` and `gauc` refuse, such as the predictions of several classes.

    Notes
    -----
    Predictions are probabilities, or raw scores with an objective of one's own. Both rank alike, as long as the sigmoid
    does not round two raw scores to one probability; raw ones never tie for that reason.

    Where others differ: LightGBM's own ``auc`` is 1 with one class; here it is nan with a warning, or `on_undefined`.

    Examples
    --------
    >>> import fourstep as fs
    >>> fs.metrics.feval.lightgbm()
    feval.lightgbm(auc_exact: auc)
    >>> metric = fs.metrics.feval.lightgbm(groups=[7, 7, 3, 3, 3])
    >>> metric([1, 0, 1, 0, 0], [0.9, 0.1, 0.2, 0.8, 0.3])
    ('auc_by_group', 0.4, True)
    """
    return LightGBM(groups, name, weighted, options)


def xgboost(
    groups: Groups = None, *, name: str | None = None, weighted: bool = True, **options: Any
) -> XGBoost:
    """Make a metric for ``xgboost.train(custom_metric=…)`` and ``XGBClassifier(eval_metric=…)``.

    Parameters
    ----------
    groups, weighted, **options
        As for `lightgbm`; the data sets of a mapping are DMatrix objects. ``xgboost.cv`` does not say which rows a
        fold has, so it can have AUC, not groups.
    name
        What the library calls the metric; None: ``"auc_exact"`` or ``"auc_by_group"``. It must begin with "auc": early
        stopping takes such a metric as one to maximise, and minimises others.

    Returns
    -------
    XGBoost
        A callable that gives (name, value) to ``train``, and the value to scikit-learn's interface; it can be pickled.

    Raises
    ------
    TypeError, ValueError
        As `lightgbm`; a name that does not begin with "auc".

    Notes
    -----
    Scores are float32, as XGBoost has them; so are labels and weights. It writes a metric of one's own into its history
    with six decimals (``%f``), and early stopping reads those: ``metric(model.predict(valid), valid)`` has all digits.

    Where others differ: XGBoost's own ``auc`` is a sum of floats, and knows groups by its ``qid`` alone, whose rows lie
    side by side.

    Examples
    --------
    >>> import fourstep as fs
    >>> fs.metrics.feval.xgboost(max_fpr=0.1)
    feval.xgboost(auc_exact: auc, max_fpr=0.1)
    """
    if name is not None and not name.startswith("auc"):
        raise ValueError(
            f'name: got "{name}", need one that begins with "auc": XGBoost\'s early stopping minimises any other'
        )
    return XGBoost(groups, name, weighted, options)


class Feval:
    """What both have in common: which rows have which groups, and the metric of them."""

    def __init__(self, groups: Groups, name: str | None, weighted: bool, options: dict[str, Any]) -> None:
        """Check the options now, not in the middle of a training."""
        self.metric = auc if groups is None else gauc
        check_options("feval", self.metric, options)
        self.__name__ = name or ("auc_exact" if groups is None else "auc_by_group")
        self.weighted = weighted
        self.options = options
        by_name = isinstance(options.get("group_weight", ""), str) and options.get("one_class") != "raise"
        self._seen: dict[int, list[weakref.ref[Any]]] = {}
        self._columns = None if groups is None else _columns(groups, numbered=by_name)

    def __repr__(self) -> str:
        """Say which metric, with which options."""
        options = "".join(f", {key}={value!r}" for key, value in self.options.items())
        return f"feval.{type(self).__name__.lower()}({self.__name__}: {self.metric.__name__}{options})"

    def value(self, y: Any, score: Any, weight: Any, data: Any = None) -> float:
        """Return the metric of these rows."""
        if not self.weighted or weight is None or len(weight) == 0:
            weight = None
        given = {} if self._columns is None else {"groups": self._groups_of(len(score), data)}
        return float(self.metric(y, score, sample_weight=weight, **given, **self.options))

    def _groups_of(self, rows: int, data: Any) -> Any:
        columns = self._columns or []
        for owner, ids in columns:
            if owner is not None and owner is data:
                if len(ids) != rows:
                    raise ValueError(f"groups: got {len(ids)} ids for a data set of {rows} rows")
                return ids
        for owner, ids in columns:
            if owner is None and len(ids) == rows:
                self._one_in_turn(rows, data)
                return ids
        taken = getattr(data, "used_indices", None)  # LightGBM: a fold knows its rows
        if taken is not None and len(columns) == 1 and columns[0][0] is None:
            ids, whole = columns[0][1], data.reference
            if whole is not None and len(ids) == whole.num_data():
                return ids[taken]
        if all(owner is not None for owner, _ in columns):
            raise ValueError(
                f"groups: got ids for {len(columns)} data sets, and none for this one, of {rows} rows, which is evaluated"
                " too"
            )
        lengths = ", ".join(str(len(ids)) for owner, ids in columns if owner is None)
        raise ValueError(
            f"groups: got ids for data sets of {lengths} rows, need some for one of {rows} rows, which is evaluated too:"
            " a list of columns, or a mapping from the data set to its column"
        )

    def _one_in_turn(self, rows: int, data: Any) -> None:
        """Refuse two data sets that take turns with one column: both have its length, and whose it is nobody said.

        One after the other is fine: the next training makes a data set anew.
        """
        if data is None:
            return
        seen = self._seen.setdefault(rows, [])
        seen[:] = [one for one in seen if one() is not None]
        if any(one() is data for one in seen[:-1]):
            raise ValueError(
                f"groups: got one column of {rows} rows, and two data sets of that length are evaluated; need a mapping"
                " from the data set to its column"
            )
        if not seen or seen[-1]() is not data:
            seen.append(weakref.ref(data))

    def __getstate__(self) -> dict[str, Any]:
        """Leave out which data sets were seen: they are those of one process."""
        return {**self.__dict__, "_seen": {}}


class LightGBM(Feval):
    """A metric that LightGBM calls; see `lightgbm`."""

    def __call__(self, first: Any, second: Any, weight: Any = None) -> tuple[str, float, bool]:
        """Take (predictions, Dataset), or scikit-learn's (labels, predictions, weights)."""
        if hasattr(second, "get_label"):
            value = self.value(second.get_label(), first, second.get_weight(), second)
        else:
            value = self.value(first, second, weight)
        return self.__name__, value, True


class XGBoost(Feval):
    """A metric that XGBoost calls; see `xgboost`."""

    def __call__(self, first: Any, second: Any, sample_weight: Any = None) -> Any:
        """Take (predictions, DMatrix), or scikit-learn's (labels, predictions, weights)."""
        if hasattr(second, "get_label"):
            return self.__name__, self.value(second.get_label(), first, second.get_weight(), second)
        return self.value(first, second, sample_weight)


def check_options(who: str, metric: Callable[..., Score], options: dict[str, Any]) -> None:
    """Refuse what is no option of the metric, before there are rows."""
    for option in options:
        if option in _NO_OPTIONS or option not in inspect.signature(metric).parameters:
            grouped = metric is auc and option in inspect.signature(gauc).parameters
            why = "; it is one of grouped AUC" if grouped and option not in _NO_OPTIONS else ""
            raise TypeError(f"{who}: got {option}=, which is no option of {metric.__name__} here{why}")


def _columns(groups: Any, *, numbered: bool) -> list[tuple[Any, Any]]:
    """Return (data set or None, ids) for each column that was given."""
    if isinstance(groups, Mapping):
        columns = [(owner, _ids(ids, numbered)) for owner, ids in groups.items()]
        stray = [owner for owner, _ in columns if not hasattr(owner, "get_label")]
        if stray:
            raise TypeError(
                f"groups: got a mapping from {type(stray[0]).__name__}, need one from data sets to columns"
            )
        return columns
    if isinstance(groups, list | tuple) and groups and all(map(_is_column, groups)):
        columns = [(None, _ids(ids, numbered)) for ids in groups]
        lengths = [len(ids) for _, ids in columns]
        double = [n for n in lengths if lengths.count(n) > 1]
        if double:
            raise ValueError(
                f"groups: got {double.count(double[0])} columns of {double[0]} rows, which data set is whose? need a"
                " mapping from the data set to its column"
            )
        return columns
    return [(None, _ids(groups, numbered))]


def _is_column(value: Any) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, str | bytes)


def _ids(groups: Any, numbered: bool) -> Any:
    """Number ids that are no integers, once for all rounds; not where a result or an error shows them."""
    if not numbered:
        return groups if isinstance(groups, np.ndarray) else column(groups, "groups")
    return as_integers(groups)[0]
