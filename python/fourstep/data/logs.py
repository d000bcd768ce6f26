"""A made-up click log of which everything is known.

A page shows `PAGE` items to a user at one time. With relevance r = σ(z) and an examination propensity that
falls with the position k,

    z          = bias + user + item + ⟨taste of the user, category of the item⟩ + device + slope · price
    propensity = (1 / k) ^ ETA
    click      ~ Bernoulli(propensity · r)                     an item is clicked if it is seen and liked
    purchase   ~ click · Bernoulli(σ(PURCHASE_SLOPE · z + PURCHASE_BIAS))

Pages were ordered by an older model, a noisy view of z, so position and relevance go together: clicks by
position alone overstate the bias of position (claims M9, M11). A purchase asks for more than a click, so its
classes lie further apart and its AUC is higher (claim M8).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from . import memory
from .dataset import Dataset
from .schema import Schema

__all__ = ["simulated"]

PAGE = 10
ETA = 0.5
DAYS = 28
CATEGORIES, DEVICES = 12, 3
BIAS, SLOPE = -0.6, -0.5
PURCHASE_SLOPE, PURCHASE_BIAS = 1.5, -1.0
ROWS_PER_USER, ROWS_PER_ITEM = 100, 200
Floats = npt.NDArray[np.float64]


def simulated(
    rows: int = 100_000, seed: int = 0, *, label: Literal["click", "purchase"] = "click"
) -> Dataset:
    """Make a click log with known positions, propensities and probabilities.

    Parameters
    ----------
    rows : int
        Impressions.
    seed : int
        The same seed gives the same log, bit for bit, on one machine with one NumPy.
    label : {"click", "purchase"}
        What is to be predicted. The other is a column beside it.

    Returns
    -------
    Dataset
        User ``user``; time ``time`` (seconds); categorical ``user``, ``item``, ``category``, ``device``,
        ``position`` (1 to 10); numeric ``price``. In ``columns`` beside them: ``click``, ``purchase``,
        ``propensity``, ``relevance``, ``click_probability``, ``purchase_probability``. ``oracle`` is the true
        probability of the label and ``oracle_auc`` its AUC.

    Raises
    ------
    ValueError
        Fewer than 100 rows, a negative seed, an unknown label.
    DataError
        More rows than memory holds, with the estimate.

    Examples
    --------
    >>> log = simulated(rows=5000, seed=0)
    >>> log  # doctest: +NORMALIZE_WHITESPACE
    Dataset(simulated: 5,000 rows, 21.6% of click are 1; user user; time time;
        categorical user, item, category, device, position; numeric price)
    >>> log.oracle_auc > 0.7
    True
    """
    if rows < 100:
        raise ValueError(f"rows must be at least 100, got {rows}")
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    if label not in ("click", "purchase"):
        raise ValueError(f'label needs "click" or "purchase", got {label!r}')
    memory.check("simulated", memory.table_bytes(rows, numbers=12, texts=5), f"{rows:,} rows")
    rng = np.random.default_rng(seed)
    pages = -(-rows // PAGE)
    users, items = max(10, rows // ROWS_PER_USER), max(30, rows // ROWS_PER_ITEM)

    # who looks, when, on what: a few users and items make up much of the log
    user = np.repeat(rng.choice(users, pages, p=_shares(rng.lognormal(0, 0.6, users))), PAGE)
    time = np.repeat(np.sort(rng.integers(0, DAYS * 86_400, pages)), PAGE)
    favourite = rng.integers(0, DEVICES, users)
    device = np.where(
        np.repeat(rng.random(pages) < 0.8, PAGE),
        favourite[user],
        np.repeat(rng.integers(0, DEVICES, pages), PAGE),
    )
    item = rng.choice(items, pages * PAGE, p=_shares(1.0 / np.arange(1, items + 1) ** 0.7))
    category = rng.integers(0, CATEGORIES, items)[item]
    price = np.round(rng.lognormal(2.5, 0.6, items)[item] * rng.uniform(0.8, 1.2, len(item)), 2)

    z = BIAS + rng.normal(0, 0.5, users)[user] + rng.normal(0, 0.8, items)[item]
    z += rng.normal(0, 1.0, (users, CATEGORIES))[user, category] + np.array([-0.3, 0.0, 0.3])[device]
    z += SLOPE * (np.log(price) - 2.5)

    position = _rank(z + rng.normal(0, 2.0, len(z)))
    propensity = (1.0 / position) ** ETA
    relevance = _sigmoid(z)
    p_click = propensity * relevance
    given_click = _sigmoid(PURCHASE_SLOPE * z + PURCHASE_BIAS)
    click = rng.random(len(z)) < p_click
    purchase = click & (rng.random(len(z)) < given_click)

    known: dict[str, npt.NDArray[Any]] = {
        "click": click.astype(np.uint8),
        "purchase": purchase.astype(np.uint8),
        "position": position,
        "propensity": propensity,
        "relevance": relevance,
        "click_probability": p_click,
        "purchase_probability": p_click * given_click,
    }
    shown: dict[str, npt.NDArray[Any]] = {
        "user": user,
        "time": time,
        "item": item,
        "category": category,
        "device": device,
        "price": price,
    }
    frame = {name: values[:rows] for name, values in (known | shown).items()}
    schema = Schema(label, "user", "time", ("user", "item", "category", "device", "position"), ("price",))
    made = Dataset.from_frame(frame, schema, name="simulated")
    columns = made.columns | {name: frame[name] for name in known}
    return Dataset(
        made.name,
        schema,
        columns,
        made.factors,
        rows,
        made.time_kind,
        made.report,
        frame[f"{label}_probability"],
    )


def _shares(weights: npt.NDArray[Any]) -> Floats:
    return np.asarray(weights / weights.sum(), np.float64)


def _sigmoid(z: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-z)), np.float64)


def _rank(score: Floats) -> npt.NDArray[np.int64]:
    """The position of each item on its page, the highest score first, from 1."""
    order = np.argsort(-score.reshape(-1, PAGE), axis=1, kind="stable")
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.arange(1, PAGE + 1)[None, :], axis=1)
    return place.reshape(-1)
