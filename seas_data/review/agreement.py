"""Agreement of people who judged the same rows: raw agreement, kappa and Krippendorff's alpha, with 95 % intervals.

Cohen's kappa is for two people, on the rows that both judged; Fleiss' for more, on the rows that all judged. Alpha and
raw agreement use every row that two or more judged. Intervals are percentiles of 1,000 bootstrap samples of the rows;
that of Cohen's kappa is Cohen's own (``metrics.intervals``). A seed makes them the same every time.

Sources: Fleiss (1971), Psychological Bulletin 76:378; Krippendorff (2011), Computing Krippendorff's alpha-reliability.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import krippendorff
import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data.metrics.intervals import cohen_kappa

SAMPLES: Final = 1_000
_MEASURES: Final = ("raw", "kappa", "alpha")
SCHEMA: Final[dict[str, pl.DataType]] = {
    "question": pl.String(),
    "n": pl.Int64(),
    "people": pl.Int64(),
    **{f"{name}{end}": pl.Float64() for name in _MEASURES for end in ("", "_low", "_high")},
}

Counts = NDArray[np.int64]
Interval = tuple[float | None, float | None, float | None]


def measure_agreement(ratings: pl.DataFrame, by: Sequence[str] = ()) -> pl.DataFrame:
    """Return the agreement on each question, for each combination of the columns ``by``.

    Input columns: row_id, who, question, value (not null; one for each row, person and question), and ``by``. Output
    columns: ``by``, question, n (rows that two or more people judged), people, raw, kappa and alpha, each with _low and
    _high. Raw agreement is the proportion of pairs of people that agree, averaged over rows. A measure is null if it is
    undefined: without such rows, or if everybody always gave the same value.
    """
    rows = []
    for key, group in ratings.sort(*by, "question", "row_id", "who").group_by(*by, "question", maintain_order=True):
        rows.append((*key, *_measure(group)))
    return pl.DataFrame(rows, {name: ratings.schema[name] for name in by} | SCHEMA, orient="row")


def compare_pairs(ratings: pl.DataFrame, judges: pl.DataFrame) -> pl.DataFrame:
    """Return how far each judge agrees with each person.

    Input columns: of ``ratings`` as in ``measure_agreement``; of ``judges``: row_id, judge, question, value. Output
    columns: judge, who, question, n, same (rows with equal values), kappa, kappa_low, kappa_high.
    """
    both = ratings.join(judges.rename({"value": "judged"}), on=["row_id", "question"]).sort("row_id")
    rows = []
    for key, group in both.sort("judge", "who", "question").group_by("judge", "who", "question", maintain_order=True):
        person, judge = group["value"].to_list(), group["judged"].to_list()
        same = sum(one == other for one, other in zip(person, judge, strict=True))
        rows.append((*key, group.height, same, *(cohen_kappa(person, judge) or (None,) * 3)))
    schema: dict[str, pl.DataType] = {
        **dict.fromkeys(("judge", "who", "question"), pl.String()),
        **dict.fromkeys(("n", "same"), pl.Int64()),
        **dict.fromkeys(("kappa", "kappa_low", "kappa_high"), pl.Float64()),
    }
    return pl.DataFrame(rows, schema, orient="row")


def raw_agreement(counts: Counts) -> float:
    """Return the proportion of pairs of people that agree. ``counts``: rows by values, at least two people a row."""
    people = counts.sum(axis=1)
    agreeing = (counts * (counts - 1)).sum(axis=1)
    return float((agreeing / (people * (people - 1))).mean())


def fleiss_kappa(counts: Counts) -> float | None:
    """Return Fleiss' kappa. ``counts``: rows by values, the same number of people a row. None if it is undefined."""
    proportions = counts.sum(axis=0) / counts.sum()
    chance = float((proportions**2).sum())
    return None if chance == 1 else (raw_agreement(counts) - chance) / (1 - chance)


def krippendorff_alpha(counts: Counts) -> float | None:
    """Return Krippendorff's alpha of nominal values. ``counts``: rows by values. None if it is undefined."""
    counts = counts[counts.sum(axis=1) > 1]
    used = counts[:, counts.sum(axis=0) > 0]
    if used.shape[1] < 2:
        return None
    return float(krippendorff.alpha(value_counts=used, level_of_measurement="nominal"))


def _measure(ratings: pl.DataFrame) -> tuple[Any, ...]:
    """Return n, people and the measures of one question."""
    people = ratings["who"].n_unique()
    shared = ratings.filter(pl.len().over("row_id") > 1)
    if shared.is_empty():
        return (0, people, *(None,) * 9)
    counts = _count(shared)
    complete = ratings.filter(pl.len().over("row_id") == people)
    kappa: Interval = (None, None, None)
    if complete.height and people == 2:
        one, two = (part["value"].to_list() for part in complete.sort("row_id").partition_by("who"))
        kappa = cohen_kappa(one, two) or kappa
    elif complete.height:
        kappa = _bootstrap(fleiss_kappa, _count(complete))
    return (len(counts), people, *_bootstrap(raw_agreement, counts), *kappa, *_bootstrap(krippendorff_alpha, counts))


def _count(ratings: pl.DataFrame) -> Counts:
    """Return how many people gave each value to each row, as a matrix of rows by values."""
    codes = {value: at for at, value in enumerate(ratings["value"].unique().sort())}
    rows = {row_id: at for at, row_id in enumerate(ratings["row_id"].unique(maintain_order=True))}
    counts = np.zeros((len(rows), len(codes)), dtype=np.int64)
    for row_id, value in ratings.select("row_id", "value").iter_rows():
        counts[rows[row_id], codes[value]] += 1
    return counts


def _bootstrap(measure: Callable[[Counts], float | None], counts: Counts) -> Interval:
    """Return ``measure`` of ``counts`` and the 2.5th and 97.5th percentiles over samples of its rows."""
    value = measure(counts)
    if value is None:
        return None, None, None
    random = np.random.default_rng(0)
    drawn = (measure(counts[random.integers(0, len(counts), len(counts))]) for _ in range(SAMPLES))
    low, high = np.percentile([each for each in drawn if each is not None] or [value], (2.5, 97.5))
    return value, float(low), float(high)
