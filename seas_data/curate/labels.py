"""Labels: a type for adversarial prompts that came without one, where the embeddings can say it.

A multinomial logistic regression on the unit vectors learns from the rows that a source or a person labelled and gives
the others a type, its probability, and ``label_source`` "classifier"; below ``min_probability`` a row stays without.
Three rules keep it from saying more than it can know (docs/labels.md has the measurements):

- Only plain prompts, and only Easy types. An attack style is a property of the wrapper, a wrapped prompt's vector is of
  its payload, and every style here comes from hardly more than one source: which style a text has cannot be told from
  which source it has.
- What may not be given is still learnt. Plain rows with a style (attacks in no template), and types with fewer than
  ``min_rows`` rows, make up one class of their own, so that an attack without a label is not called an Easy question.
- No source or type drowns the others. The rows without a label come from sources that the classifier never saw, so it
  learns from at most 500 rows a class, taken from each source in turn.

The metrics are cross-validated twice: by group, where near-duplicates stay together, and by source, each left out in
turn. The second is the one that holds for a set without labels, and is much lower.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from threadpoolctl import threadpool_limits

from seas_data import recipe
from seas_data.metrics.intervals import effective_interval, wilson
from seas_data.metrics.rows import MetricRow, metric_frame, metric_row
from seas_data.tables.taxonomy import RISK_CATEGORIES, type_of

ROWS_PER_CLASS = 500
FOLDS = 5
_NONE = "none"


@dataclass(frozen=True)
class Labelled:
    """``prompts``: the input with the labels filled in. ``metrics``: columns of tables.Metrics less the version."""

    prompts: pl.DataFrame
    metrics: pl.DataFrame


@dataclass(frozen=True)
class _Known:
    """The labelled plain rows in order of their ids: ``frame`` (class, source, group), ``vectors`` aligned with it."""

    frame: pl.DataFrame
    vectors: NDArray[np.float32]

    def subset(self, rows: NDArray[np.bool_]) -> "_Known":
        return _Known(self.frame.filter(pl.Series(rows)), self.vectors[rows])


def labels(
    prompts: pl.DataFrame,
    embedded: pl.DataFrame,
    vectors: NDArray[np.float32],
    groups: pl.DataFrame,
    settings: recipe.Labels,
    earlier: NDArray[np.bool_] | None = None,
) -> Labelled:
    """Give adversarial training rows without a type one, where the classifier is sure enough.

    ``prompts`` has the columns of tables.Prompts. ``embedded`` (prompt_id, template_id) says whose ``vectors``, of
    shape (n, d) and from one embedder, they are, and which of them are of payloads (template_id not null). ``groups``
    (prompt_id, group_id) are the split's; a row without one is a group of its own. ``earlier``, aligned with
    ``prompts``, marks rows of earlier versions: they teach but are not labelled again. Rows and columns of ``prompts``
    keep their order; a label changes type, risk_category, difficulty, label_source and label_probability.
    """
    nothing = Labelled(prompts, metric_frame([]))
    if not settings.infer:
        return nothing
    rows = _plain(prompts, embedded, groups, earlier)
    known, wanted = _known(rows, vectors, settings.min_rows), rows.filter("wanted")
    classes = known.frame["class"].unique()
    if len(classes) < 2 or not set(classes) - {_NONE}:
        return nothing
    with threadpool_limits(1):
        metrics = _by_group(known, settings) + _by_source(known, settings)
        guesses = _guess(known, vectors[wanted["vector"].to_numpy()])
    given = guesses.with_columns(wanted["prompt_id"]).filter(_given(settings))
    return Labelled(_fill(prompts, given), metric_frame(metrics))


def _plain(
    prompts: pl.DataFrame, embedded: pl.DataFrame, groups: pl.DataFrame, earlier: NDArray[np.bool_] | None
) -> pl.DataFrame:
    """Return the adversarial training rows that have a vector of their whole text, in order of their ids.

    Columns: prompt_id, type, source, ``vector`` (its row), ``group``, ``known`` (it teaches), ``wanted`` (a label).
    """
    old = np.zeros(prompts.height, dtype=np.bool_) if earlier is None else earlier
    by_hand = pl.col("label_source").str.starts_with("manual").fill_null(False)
    return (
        prompts.select("prompt_id", "kind", "role", "type", "source", "label_source", earlier=pl.Series(old))
        .filter(pl.col("kind") == "adversarial", pl.col("role") == "training")
        .join(embedded.with_row_index("vector").filter(pl.col("template_id").is_null()), on="prompt_id")
        .join(groups, on="prompt_id", how="left")
        .select(
            "prompt_id",
            "type",
            "source",
            "vector",
            group=pl.coalesce("group_id", "prompt_id").rank("dense"),  # numbers, for numpy is slow with texts
            known=pl.col("type").is_not_null() & (by_hand | (pl.col("label_source") == "source").fill_null(False)),
            wanted=pl.col("type").is_null() & ~by_hand & ~pl.col("earlier"),
        )
        .sort("prompt_id")
    )


def _known(rows: pl.DataFrame, vectors: NDArray[np.float32], min_rows: int) -> _Known:
    known = rows.filter("known")
    may_be_given = pl.col("type").is_in(RISK_CATEGORIES) & (pl.len().over("type") >= min_rows)
    frame = known.select("source", "group", **{"class": pl.when(may_be_given).then("type").otherwise(pl.lit(_NONE))})
    return _Known(frame, vectors[known["vector"].to_numpy()])


def _given(settings: recipe.Labels) -> pl.Expr:
    return (pl.col("guess") != _NONE) & (pl.col("probability") >= settings.min_probability)


def _guess(known: _Known, vectors: NDArray[np.float32]) -> pl.DataFrame:
    """Return, for each of ``vectors``, the likeliest class and its probability (``guess``, ``probability``)."""
    turn = pl.int_range(pl.len()).over("class", "source")
    chosen = known.frame.with_row_index("row").sort(turn, "row").group_by("class", maintain_order=True)
    few = np.sort(chosen.head(ROWS_PER_CLASS)["row"].to_numpy())
    names = known.frame["class"].gather(few).to_numpy()
    if len(set(names)) == 1 or not len(vectors):
        return pl.DataFrame({"guess": [names[0]] * len(vectors), "probability": [1.0] * len(vectors)})
    model = LogisticRegression(C=1.0, max_iter=1_000).fit(known.vectors[few], names)
    probabilities = model.predict_proba(vectors).astype(np.float64)
    best = probabilities.argmax(axis=1)
    return pl.DataFrame({"guess": model.classes_[best], "probability": probabilities.max(axis=1).round(6)})


def _fill(prompts: pl.DataFrame, given: pl.DataFrame) -> pl.DataFrame:
    new = given.select(
        "prompt_id",
        type="guess",
        risk_category="guess",
        difficulty=pl.lit(type_of(RISK_CATEGORIES[0], None)[1]),
        label_source=pl.lit("classifier"),
        label_probability="probability",
    )
    return prompts.update(new, on="prompt_id", how="left", maintain_order="left")


def _by_group(known: _Known, settings: recipe.Labels) -> list[MetricRow]:
    """Cross-validate with each group on one side: accuracy, macro-F1, coverage and confusion."""
    groups = known.frame["group"].to_numpy()
    folds = min(FOLDS, len(set(groups)))
    if folds < 2:
        return []
    parts = []
    for train, test in GroupKFold(folds).split(known.vectors, groups=groups):
        part = known.subset(np.isin(np.arange(len(groups)), train))
        parts.append(known.frame[test].hstack(_guess(part, known.vectors[test])))
    judged = pl.concat(parts)
    facets = {"validation": "group"}
    names = sorted(judged["class"].unique())
    return [
        _accuracy(judged, facets | {"rows": "all"}),
        _accuracy(judged.filter(_given(settings)), facets | {"rows": "given"}),
        _coverage(judged, settings, facets),
        metric_row("label_macro_f1", _macro_f1(judged), facets | {"rows": "all"}, n=judged.height),
        *_confusion(judged.with_columns(guess=pl.when(_given(settings)).then("guess").otherwise(pl.lit(_NONE))), names),
    ]


def _by_source(known: _Known, settings: recipe.Labels) -> list[MetricRow]:
    """Leave each source out in turn and say how right its rows of an Easy type would be labelled: accuracy, coverage.

    A group with rows of the source that is left out is left out too. A source needs ``min_rows`` such rows.
    """
    easy = known.frame.filter(pl.col("class") != _NONE)
    sizes = easy.group_by("source").len().filter(pl.col("len") >= settings.min_rows).sort("source")
    source, group = known.frame["source"].to_numpy(), known.frame["group"].to_numpy()
    parts = {}
    for name in sizes["source"]:
        others = ~np.isin(group, group[source == name])
        test = known.subset((source == name) & (known.frame["class"] != _NONE).to_numpy())
        if others.any():
            parts[name] = test.frame.hstack(_guess(known.subset(others), test.vectors))
    pooled: list[tuple[dict[str, str], pl.DataFrame]] = [({}, pl.concat(parts.values()))] if parts else []
    metrics = []
    for facets, part in pooled + [({"source": name}, part) for name, part in parts.items()]:
        metrics += [
            _accuracy(part.filter(_given(settings)), facets | {"rows": "given", "validation": "source"}),
            _coverage(part, settings, facets | {"validation": "source"}),
        ]
    return metrics


def _accuracy(judged: pl.DataFrame, facets: dict[str, str]) -> MetricRow:
    right = judged.select(pl.col("guess") == pl.col("class")).to_series().to_numpy()
    return _share("label_accuracy", right, judged["group"].to_numpy(), facets)


def _coverage(judged: pl.DataFrame, settings: recipe.Labels, facets: dict[str, str]) -> MetricRow:
    given = judged.select(_given(settings)).to_series().to_numpy()
    return _share("label_coverage", given, judged["group"].to_numpy(), facets)


def _share(name: str, flags: NDArray[np.bool_], groups: NDArray[np.integer], facets: dict[str, str]) -> MetricRow:
    value = float(flags.mean()) if len(flags) else None
    low, high = effective_interval(flags, groups)
    return metric_row(name, value, facets, low=low, high=high, n=len(flags))


def _macro_f1(judged: pl.DataFrame) -> float:
    """Return the mean over the classes of F1 = 2 · right / (rows of the class + guesses of it)."""
    true, guess = judged["class"].to_numpy(), judged["guess"].to_numpy()
    scores = [
        2 * np.sum((true == name) & (guess == name)) / (np.sum(true == name) + np.sum(guess == name))
        for name in sorted(set(true))
    ]
    return float(np.mean(scores))


def _confusion(judged: pl.DataFrame, names: list[str]) -> list[MetricRow]:
    """Return, for each true class, which share of its ``n`` rows gets each label ("none": no label is given)."""
    counts = {(true, guess): count for true, guess, count in judged.group_by("class", "guess").len().iter_rows()}
    rows: list[MetricRow] = []
    for true in names:
        n = sum(counts.get((true, guess), 0) for guess in {*names, _NONE})
        for guess in sorted({*names, _NONE}):
            count = counts.get((true, guess), 0)
            facets = {"true": true, "predicted": guess, "validation": "group"}
            low, high = wilson(count, n)
            rows.append(metric_row("label_confusion", count / n, facets, low=low, high=high, n=n))
    return rows
