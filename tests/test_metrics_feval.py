"""`fs.metrics.feval` inside LightGBM and XGBoost: what their histories hold is the metric of what they predict.

LightGBM keeps a metric's bits. XGBoost writes a metric of one's own with six decimals into its history, so there the
history is compared with those, and what the metric returned bit for bit.
"""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fourstep as fs
from fourstep.metrics import feval
from fourstep.reference import metrics as reference

Array = np.ndarray[Any, Any]
ROUNDS = 12


class Rows:
    """Clicks with users of unequal activity and a taste of their own; weights that are no powers of two."""

    def __init__(self, n: int, seed: int, noise: float = 1.0) -> None:
        rng = np.random.default_rng(seed)
        self.x = rng.standard_normal((n, 4))
        self.user = np.minimum(rng.geometric(0.1, n), 30)
        z = self.x[:, 0] + 0.5 * self.x[:, 1] ** 2 + noise * rng.standard_normal(n) + 0.05 * self.user
        self.y = (z > 1.5).astype(int)
        self.weight = rng.uniform(0.1, 3.0, n).astype(np.float32)
        self.names = np.array([f"user {u}" for u in self.user])


TRAIN, VALID, TEST = Rows(400, 0), Rows(150, 1), Rows(90, 2)
SAME = Rows(150, 3)  # as many rows as VALID


class Lgb:
    """Train with LightGBM: history[data set][metric] and what each data set is predicted, round by round."""

    name = "lightgbm"
    kept: Any = staticmethod(float)

    def __init__(self) -> None:
        self.library: Any = pytest.importorskip(
            "lightgbm", reason="lightgbm is not installed: its feval was not tested"
        )
        self.make = feval.lightgbm
        self.options = {
            "objective": "binary",
            "metric": "None",
            "num_leaves": 4,
            "verbose": -1,
            "num_threads": 1,
        }

    def data(self, rows: Rows, weight: bool = False) -> Any:
        return self.library.Dataset(
            rows.x, rows.y, weight=rows.weight if weight else None, free_raw_data=False
        )

    def train(self, train: Any, valid: dict[str, Any], metric: Any, rounds: int = ROUNDS, **more: Any) -> Any:
        history: dict[str, Any] = {}
        callbacks = [self.library.record_evaluation(history)]
        if "stop" in more:
            callbacks.append(self.library.early_stopping(more["stop"], verbose=False))
        model = self.library.train(
            {**self.options, **more.get("options", {})},
            train,
            rounds,
            valid_sets=list(valid.values()),
            valid_names=list(valid),
            feval=metric,
            callbacks=callbacks,
        )
        return model, history

    def predict(self, model: Any, rows: Rows, k: int, raw: bool = False) -> Array:
        p: Array = model.predict(rows.x, num_iteration=k, raw_score=raw)
        return p

    def best(self, model: Any) -> int:
        return int(model.best_iteration)  # counted from 1

    own_objective: Any = staticmethod(
        lambda p, data: (1 / (1 + np.exp(-p)) - data.get_label(), np.full(len(p), 0.2))
    )


class Xgb:
    """The same with XGBoost."""

    name = "xgboost"
    kept: Any = staticmethod(lambda value: float(f"{value:f}"))

    def __init__(self) -> None:
        self.library: Any = pytest.importorskip(
            "xgboost", reason="xgboost is not installed: its feval was not tested"
        )
        self.make = feval.xgboost
        self.options = {
            "objective": "binary:logistic",
            "max_depth": 2,
            "nthread": 1,
            "disable_default_eval_metric": True,
        }

    def data(self, rows: Rows, weight: bool = False) -> Any:
        return self.library.DMatrix(rows.x, rows.y, weight=rows.weight if weight else None)

    def train(self, train: Any, valid: dict[str, Any], metric: Any, rounds: int = ROUNDS, **more: Any) -> Any:
        history: dict[str, Any] = {}
        options = {**self.options, **more.get("options", {})}
        own = options.pop("objective") if callable(options["objective"]) else None
        model = self.library.train(
            options,
            train,
            rounds,
            evals=[(data, name) for name, data in valid.items()],
            custom_metric=metric,
            evals_result=history,
            early_stopping_rounds=more.get("stop"),
            verbose_eval=False,
            obj=own,
        )
        return model, history

    def predict(self, model: Any, rows: Rows, k: int, raw: bool = False) -> Array:
        p: Array = model.predict(self.library.DMatrix(rows.x), iteration_range=(0, k), output_margin=raw)
        return p

    def best(self, model: Any) -> int:
        return int(model.best_iteration) + 1

    own_objective: Any = staticmethod(
        lambda p, data: (1 / (1 + np.exp(-p)) - data.get_label(), np.full(len(p), 0.2))
    )


@pytest.fixture(params=[Lgb, Xgb], ids=["lightgbm", "xgboost"])
def boost(request: pytest.FixtureRequest) -> Any:
    return request.param()


def test_history_is_auc_bit_for_bit(boost: Any) -> None:
    train = boost.data(TRAIN)
    metric, returned = boost.make(), []

    def listening(*given: Any) -> Any:
        returned.append(metric(*given))
        return returned[-1]

    model, history = boost.train(train, {"train": train, "valid": boost.data(VALID)}, listening)
    for i, (name, rows) in enumerate((("train", TRAIN), ("valid", VALID))):
        predicted = [boost.predict(model, rows, k + 1) for k in range(ROUNDS)]
        want = [reference.auc(rows.y, p) for p in predicted]
        assert [float(fs.metrics.auc(rows.y, p)) for p in predicted] == want
        assert [value[1] for value in returned[i::2]] == want
        assert history[name]["auc_exact"] == list(map(boost.kept, want))
    assert history["train"]["auc_exact"][-1] > 0.7


@pytest.mark.parametrize("group_weight", ["impressions", "pairs", "uniform"])
def test_history_is_gauc_with_sets_of_different_lengths(boost: Any, group_weight: str) -> None:
    """Ids are strings for one set and integers for the other; each set finds its column by its length."""
    metric = boost.make(groups=[TEST.names, VALID.user], group_weight=group_weight, min_rows=3)
    valid = {"valid": boost.data(VALID), "test": boost.data(TEST)}
    model, history = boost.train(boost.data(TRAIN), valid, metric)
    for name, rows in (("valid", VALID), ("test", TEST)):
        want = [
            reference.gauc(
                rows.y, boost.predict(model, rows, k + 1), rows.user, group_weight=group_weight, min_rows=3
            )
            for k in range(ROUNDS)
        ]
        assert history[name]["auc_by_group"] == list(map(boost.kept, want))
        assert len(set(want)) > 3


def test_sets_of_one_length_are_told_apart_by_a_mapping(boost: Any) -> None:
    valid, same = boost.data(VALID), boost.data(SAME)
    metric = boost.make(groups={same: SAME.names, valid: VALID.names})
    model, history = boost.train(boost.data(TRAIN), {"valid": valid, "same": same}, metric)
    for name, rows in (("valid", VALID), ("same", SAME)):
        want = [
            float(fs.metrics.gauc(rows.y, boost.predict(model, rows, k + 1), rows.user))
            for k in range(ROUNDS)
        ]
        assert history[name]["auc_by_group"] == list(map(boost.kept, want))
    swapped = fs.metrics.gauc(VALID.y, boost.predict(model, VALID, ROUNDS), SAME.user)
    assert history["valid"]["auc_by_group"][-1] != boost.kept(swapped)


@pytest.mark.parametrize("weighted", [True, False])
def test_weights_of_the_data_set_count_unless_told(boost: Any, weighted: bool) -> None:
    train, valid = boost.data(TRAIN, weight=True), boost.data(VALID, weight=True)
    metrics = boost.make(weighted=weighted), boost.make(groups=VALID.user, weighted=weighted)
    for metric in metrics:
        model, history = boost.train(train, {"valid": valid}, metric)
        p = boost.predict(model, VALID, ROUNDS)
        w, u = (VALID.weight, None) if weighted else (None, VALID.weight)
        if metric.__name__ == "auc_exact":
            want, other = (reference.auc(VALID.y, p, weight) for weight in (w, u))
        else:
            want, other = (fs.metrics.gauc(VALID.y, p, VALID.user, sample_weight=weight) for weight in (w, u))
        assert boost.kept(want) != boost.kept(other)
        assert history["valid"][metric.__name__][-1] == pytest.approx(boost.kept(want), rel=1e-15)


def test_raw_scores_of_an_objective_of_ones_own(boost: Any) -> None:
    options = {"objective": boost.own_objective}
    model, history = boost.train(
        boost.data(TRAIN), {"valid": boost.data(VALID)}, boost.make(), options=options
    )
    raw = boost.predict(model, VALID, ROUNDS, raw=True)
    assert raw.min() < 0
    assert history["valid"]["auc_exact"][-1] == boost.kept(reference.auc(VALID.y, raw))


@pytest.mark.parametrize("grouped", [False, True])
def test_early_stopping_keeps_the_highest(boost: Any, grouped: bool) -> None:
    """Noise is soon learnt by heart: the best round is neither the first nor the last."""
    train, valid = Rows(200, 5, noise=2.0), Rows(150, 6, noise=2.0)
    metric = boost.make(groups=valid.user) if grouped else boost.make()
    model, history = boost.train(boost.data(train), {"valid": boost.data(valid)}, metric, rounds=300, stop=15)
    values = history["valid"][metric.__name__]
    assert len(values) < 300
    assert boost.best(model) == int(np.argmax(values)) + 1 == len(values) - 15
    assert max(values) > values[-1]


# 4.7 deprecates what older ones need.
@pytest.mark.filterwarnings("ignore:The argument 'eval_set' is deprecated")
def test_scikit_learns_interface_of_lightgbm() -> None:
    lgb = pytest.importorskip("lightgbm", reason="lightgbm is not installed: its feval was not tested")
    model = lgb.LGBMClassifier(n_estimators=40, num_leaves=4, verbose=-1, n_jobs=1, metric="None")
    label = np.where(VALID.y == 1, "yes", "no")
    model.fit(
        TRAIN.x,
        np.where(TRAIN.y == 1, "yes", "no"),
        eval_set=[(VALID.x, label)],
        eval_sample_weight=[VALID.weight],
        eval_metric=[feval.lightgbm(), feval.lightgbm(groups=VALID.names, name="by_user")],
        callbacks=[lgb.early_stopping(5, first_metric_only=True, verbose=False)],
    )
    history = model.evals_result_["valid_0"]
    assert model.best_iteration_ == int(np.argmax(history["auc_exact"])) + 1 > 3
    for k in range(model.best_iteration_):  # the trees behind it are cut off
        p = model.predict_proba(VALID.x, num_iteration=k + 1)[:, 1]
        assert history["auc_exact"][k] == float(fs.metrics.auc(VALID.y, p, sample_weight=VALID.weight))
        assert history["by_user"][k] == float(
            fs.metrics.gauc(VALID.y, p, VALID.user, sample_weight=VALID.weight)
        )


@pytest.mark.parametrize("grouped", [False, True])
def test_scikit_learns_interface_of_xgboost(grouped: bool) -> None:
    xgb = pytest.importorskip("xgboost", reason="xgboost is not installed: its feval was not tested")
    metric = feval.xgboost(groups=VALID.names) if grouped else feval.xgboost()
    model = xgb.XGBClassifier(
        n_estimators=60, max_depth=2, n_jobs=1, eval_metric=metric, early_stopping_rounds=5
    )
    model.fit(TRAIN.x, TRAIN.y, eval_set=[(VALID.x, VALID.y)], verbose=False)
    history = model.evals_result()["validation_0"][metric.__name__]
    for k in range(len(history)):
        p = model.predict_proba(VALID.x, iteration_range=(0, k + 1))[:, 1]
        want = fs.metrics.gauc(VALID.y, p, VALID.user) if grouped else fs.metrics.auc(VALID.y, p)
        assert history[k] == Xgb.kept(want)
    assert model.best_iteration == int(np.argmax(history))
    assert len(history) < 60


def test_folds_of_lightgbm_have_the_groups_of_their_rows() -> None:
    lgb = pytest.importorskip("lightgbm", reason="lightgbm is not installed: its feval was not tested")
    options = {"objective": "binary", "metric": "None", "num_leaves": 4, "verbose": -1, "num_threads": 1}
    rows = np.arange(400)
    folds = [(rows[rows % 3 != k], rows[rows % 3 == k]) for k in range(3)]
    got = lgb.cv(
        options,
        lgb.Dataset(TRAIN.x, TRAIN.y, free_raw_data=False),
        5,
        folds=folds,
        feval=feval.lightgbm(groups=TRAIN.names),
        return_cvbooster=True,
    )
    want = []
    for booster, (_, test) in zip(got["cvbooster"].boosters, folds, strict=True):
        p = booster.predict(TRAIN.x[test])
        want.append(float(fs.metrics.gauc(TRAIN.y[test], p, TRAIN.user[test])))
    assert got["valid auc_by_group-mean"][-1] == pytest.approx(np.mean(want), rel=1e-15)
    assert len(set(want)) == 3


def test_the_code_of_the_page() -> None:
    lgb = pytest.importorskip("lightgbm", reason="lightgbm is not installed: its feval was not tested")
    page = Path(__file__).parents[1] / "docs" / "metrics.md"
    (code,) = re.findall(r"```python\n(valid = .*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    given: dict[str, Any] = {
        "lightgbm": lgb,
        "fs": fs,
        "train": lgb.Dataset(TRAIN.x, TRAIN.y, params={"verbose": -1}),
        "x_valid": VALID.x,
        "y_valid": VALID.y,
        "user_valid": VALID.user,
    }
    exec(code, given)
    p = given["model"].predict(VALID.x)
    best = given["model"].best_score["valid_0"]["auc_by_group"]
    assert best == fs.metrics.gauc(VALID.y, p, VALID.user, group_weight="pairs") > 0.6


def test_folds_of_xgboost() -> None:
    xgb = pytest.importorskip("xgboost", reason="xgboost is not installed: its feval was not tested")
    options = {"objective": "binary:logistic", "max_depth": 2, "nthread": 1}
    table = xgb.cv(
        options,
        xgb.DMatrix(TRAIN.x, TRAIN.y),
        5,
        nfold=3,
        metrics="auc",
        custom_metric=feval.xgboost(),
        seed=1,
    )
    np.testing.assert_allclose(table["test-auc_exact-mean"], table["test-auc-mean"], rtol=1e-6)


def test_a_set_without_groups_is_an_error_that_says_so(boost: Any) -> None:
    train, valid = boost.data(TRAIN), boost.data(VALID)
    one = "got ids for data sets of 90 rows, need some for one of 150 rows"
    with pytest.raises(ValueError, match=one):
        boost.train(train, {"valid": valid}, boost.make(groups=TEST.user))
    with pytest.raises(ValueError, match="got ids for 1 data sets, and none for this one, of 150 rows"):
        boost.train(train, {"valid": valid}, boost.make(groups={train: TRAIN.user}))
    with pytest.raises(ValueError, match="got 90 ids for a data set of 150 rows"):
        boost.train(train, {"valid": valid}, boost.make(groups={valid: TEST.user}))


def test_two_sets_of_one_length_do_not_share_a_column(boost: Any) -> None:
    """It is said in the second round; a column may serve the next training, whose data set is another object."""
    metric = boost.make(groups=VALID.user)
    train = boost.data(TRAIN)
    with pytest.raises(ValueError, match="got one column of 150 rows, and two data sets of that length"):
        boost.train(train, {"valid": boost.data(VALID), "same": boost.data(SAME)}, metric)
    again = [boost.train(boost.data(TRAIN), {"valid": boost.data(VALID)}, metric)[1] for _ in range(2)]
    assert again[0] == again[1]


def test_several_classes_are_refused(boost: Any) -> None:
    options = {
        "objective": {"lightgbm": "multiclass", "xgboost": "multi:softprob"}[boost.name],
        "num_class": 3,
    }
    with pytest.raises(ValueError, match=r"score: got shape \(150, 3\), need one dimension"):
        boost.train(boost.data(TRAIN), {"valid": boost.data(VALID)}, boost.make(), options=options)


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    (
        {"group_weight": "pairs"},
        TypeError,
        "group_weight=, which is no option of auc here; it is one of grouped AUC",
    ),
    ({"max_fpr": 0.1, "groups": [1, 2]}, TypeError, "max_fpr=, which is no option of gauc here"),
    ({"sample_weight": [1.0]}, TypeError, "sample_weight=, which is no option of auc here"),
    ({"groups": [1, 2], "offsets": [0, 2]}, TypeError, "offsets=, which is no option"),
    ({"groups": [[1, 2], [3, 4]]}, ValueError, "2 columns of 2 rows, which data set is whose"),
    ({"groups": {2: [1, 2]}}, TypeError, "a mapping from int, need one from data sets"),
    ({"groups": [1.5, 2.5]}, TypeError, "groups: got dtype float64, need integers or strings"),
    ({"groups": np.zeros((2, 2), int)}, ValueError, r"groups: got shape \(2, 2\), need one dimension"),
]


@pytest.mark.parametrize("make", [feval.lightgbm, feval.xgboost])
@pytest.mark.parametrize(("options", "error", "message"), BAD)
def test_bad_options_are_refused_before_the_training(
    make: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make(**options)


def test_xgboost_is_given_no_name_that_it_would_minimise() -> None:
    with pytest.raises(ValueError, match='name: got "gauc", need one that begins with "auc"'):
        feval.xgboost(groups=[1, 2], name="gauc")
    assert feval.xgboost(name="auc_valid").__name__ == "auc_valid"
    assert feval.lightgbm(name="gauc").__name__ == "gauc"


@pytest.mark.parametrize("kind", ["list", "numpy", "pandas", "categorical", "polars"])
def test_groups_of_any_kind(kind: str) -> None:
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    names = VALID.names.tolist()
    columns: dict[str, Callable[[], Any]] = {
        "list": lambda: names,
        "numpy": lambda: VALID.names,
        "pandas": lambda: pd.Series(names, index=range(7, 157)),
        "categorical": lambda: pd.Series(names).astype("category"),
        "polars": lambda: pl.Series(names),
    }
    column, p = columns[kind](), VALID.x[:, 0]
    want = float(fs.metrics.gauc(VALID.y, p, VALID.user))
    for metric in (feval.lightgbm(groups=column), feval.lightgbm(groups=[column, TEST.names])):
        assert metric(VALID.y, p) == ("auc_by_group", want, True)


def test_one_weight_a_group_and_errors_that_name_groups() -> None:
    """Where a result or an error shows ids, they are the ones that were given."""
    pd = pytest.importorskip("pandas")
    y, p, ids = [1, 0, 1, 0], [0.9, 0.1, 0.2, 0.8], ["b", "b", "a", "a"]
    weight = pd.Series([3.0, 1.0], index=["a", "b"])
    assert feval.xgboost(groups=ids, group_weight=weight)(y, p) == 0.25
    with pytest.raises(ValueError, match="its index has 'b' where the group is 'a'"):
        feval.xgboost(groups=ids, group_weight=weight[::-1])(y, p)
    with pytest.raises(ValueError, match="of one class, the first is 'c'"):
        feval.xgboost(groups=["b", "b", "c", "c"], one_class="raise")([1, 0, 1, 1], p)


@pytest.mark.parametrize("make", [feval.lightgbm, feval.xgboost])
def test_copies_and_pickles(make: Any) -> None:
    """Also after a training, when the metric knows the library's objects."""

    class Data:
        def get_label(self) -> Array:
            return VALID.y

        def get_weight(self) -> None:
            return None

    metric = make(groups=VALID.names, group_weight="pairs")
    data = Data()
    metric(VALID.x[:, 0], data)
    for twin in (copy.deepcopy(metric), pickle.loads(pickle.dumps(metric))):
        assert repr(twin) == repr(metric)
        assert twin.__name__ == "auc_by_group"
        assert twin(VALID.y, VALID.x[:, 0]) == metric(VALID.y, VALID.x[:, 0])
