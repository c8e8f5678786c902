"""Label inference: a type for adversarial prompts without one, where the embeddings support it.

A multinomial logistic regression on the unit vectors learns from rows labelled by a source or a person. It gives the
others a type, its probability, and ``label_source`` ``classifier``; below ``min_probability`` a row stays unlabelled.
Three rules keep it from claiming more than it can know (docs/labels.md has the measurements):

- Only plain prompts are labelled, and only with risk categories. An attack style is a property of the wrapper, the
  vector of a wrapped prompt is that of its payload, and nearly every style here comes from one source, so a classifier
  could not separate styles from sources.
- Types that are never assigned are still learnt. Plain rows with a style (attacks without a template) and types with
  fewer than ``min_rows`` rows form one extra class, so an unlabelled attack is not classified as a plain question.
- No source or type dominates. Unlabelled rows come from sources that the classifier has not seen, so it learns from at
  most 500 rows per class, taken from each source in turn.

The metrics are cross-validated twice: by group, which keeps near duplicates together, and by source, leaving each out
in turn. The second applies to a set without labels and is much lower.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from seas_data import recipe
from seas_data.metrics.intervals import effective_interval, wilson
from seas_data.metrics.rows import MetricRow, metric_frame, metric_row
from seas_data.store.shared_matrix import Matrix, as_matrix

ROWS_PER_CLASS = 500
FOLDS = 5
_ROWS_PER_BLOCK = 1 << 17
_NO_LABEL = "none"


@dataclass(frozen=True)
class Labelled:
    """``prompts``: the input with inferred labels. ``metrics``: the ``metrics`` table without ``version``."""

    prompts: pl.DataFrame
    metrics: pl.DataFrame


@dataclass(frozen=True)
class _LabelledRows:
    """Labelled plain rows in order of their ids: ``frame`` (class, source, group) and ``vectors``, aligned."""

    frame: pl.DataFrame
    vectors: Matrix

    def subset(self, rows: NDArray[np.bool_]) -> "_LabelledRows":
        return _LabelledRows(self.frame.filter(pl.Series(rows)), self.vectors.select(np.flatnonzero(rows)))


def infer_labels(
    prompts: pl.DataFrame,
    embedded: pl.DataFrame,
    vectors: NDArray[np.float32] | Matrix,
    groups: pl.DataFrame,
    settings: recipe.Labels,
    taxonomy: recipe.Taxonomy,
    earlier: NDArray[np.bool_] | None = None,
) -> Labelled:
    """Infer a type for adversarial training rows without one, where the classifier is sure enough.

    ``embedded`` names the prompts of ``vectors`` (n, d), all from one embedder; a non-null ``template_id`` marks
    vectors of payloads. A prompt without a row in ``groups`` is a group of its own. ``earlier``, aligned with
    ``prompts``, marks rows of earlier versions: the classifier learns from them but does not relabel them. The order of
    rows and columns of ``prompts`` is unchanged; a label sets ``type``, ``risk_category``, ``difficulty``,
    ``label_source`` and ``label_probability``.

    Input columns: the ``prompts`` table; of ``embedded``: ``prompt_id``, ``template_id``; of ``groups``: ``prompt_id``,
    ``group_id``.
    Output columns: the ``prompts`` table; the ``metrics`` table without ``version``.
    """
    unchanged = Labelled(prompts, metric_frame([]))
    if not settings.infer:
        return unchanged
    rows = _select_plain(prompts, embedded, groups, earlier)
    matrix = as_matrix(vectors)
    labelled, unlabelled = _select_labelled(rows, matrix, settings.min_rows, taxonomy), rows.filter("unlabelled")
    classes = labelled.frame["class"].unique()
    if len(classes) < 2 or not set(classes) - {_NO_LABEL}:
        return unchanged
    with threadpool_limits(1):
        metrics = _validate_by_group(labelled, settings) + _validate_by_source(labelled, settings)
        predictions = _predict(labelled, matrix.select(unlabelled["vector"].to_numpy()))
    accepted = predictions.with_columns(unlabelled["prompt_id"]).filter(_is_accepted(settings))
    return Labelled(_fill_labels(prompts, accepted, taxonomy), metric_frame(metrics))


def _select_plain(
    prompts: pl.DataFrame, embedded: pl.DataFrame, groups: pl.DataFrame, earlier: NDArray[np.bool_] | None
) -> pl.DataFrame:
    """Return the adversarial training rows that have a vector of their whole text, in order of their ids.

    Output columns: ``prompt_id``, ``type``, ``source``, ``vector`` (row number), ``group``, ``labelled`` (used for
    learning), ``unlabelled`` (to be labelled).
    """
    is_earlier = np.zeros(prompts.height, dtype=np.bool_) if earlier is None else earlier
    by_hand = pl.col("label_source").str.starts_with("manual").fill_null(False)
    return (
        prompts.select("prompt_id", "kind", "role", "type", "source", "label_source", earlier=pl.Series(is_earlier))
        .filter(pl.col("kind") == "adversarial", pl.col("role") == "training")
        .join(embedded.with_row_index("vector").filter(pl.col("template_id").is_null()), on="prompt_id")
        .join(groups, on="prompt_id", how="left")
        .select(
            "prompt_id",
            "type",
            "source",
            "vector",
            group=pl.coalesce("group_id", "prompt_id").rank("dense"),  # numbers, because numpy is slow with strings
            labelled=pl.col("type").is_not_null() & (by_hand | (pl.col("label_source") == "source").fill_null(False)),
            unlabelled=pl.col("type").is_null() & ~by_hand & ~pl.col("earlier"),
        )
        .sort("prompt_id")
    )


def _select_labelled(rows: pl.DataFrame, vectors: Matrix, min_rows: int, taxonomy: recipe.Taxonomy) -> _LabelledRows:
    labelled = rows.filter("labelled")
    may_be_given = pl.col("type").is_in(taxonomy.risk.names) & (pl.len().over("type") >= min_rows)
    frame = labelled.select(
        "source", "group", **{"class": pl.when(may_be_given).then("type").otherwise(pl.lit(_NO_LABEL))}
    )
    return _LabelledRows(frame, vectors.select(labelled["vector"].to_numpy()))


def _is_accepted(settings: recipe.Labels) -> pl.Expr:
    return (pl.col("predicted") != _NO_LABEL) & (pl.col("probability") >= settings.min_probability)


def _predict(labelled: _LabelledRows, vectors: Matrix) -> pl.DataFrame:
    """Return the likeliest class of each of ``vectors``, by multinomial logistic regression with an L2 penalty (C = 1).

    Output columns: ``predicted``, ``probability``.
    """
    from sklearn.linear_model import LogisticRegression

    rank = pl.int_range(pl.len()).over("class", "source")
    chosen = labelled.frame.with_row_index("row").sort(rank, "row").group_by("class", maintain_order=True)
    sampled = np.sort(chosen.head(ROWS_PER_CLASS)["row"].to_numpy())
    names = labelled.frame["class"].gather(sampled).to_numpy()
    if len(set(names)) == 1 or not len(vectors):
        return pl.DataFrame({"predicted": [names[0]] * len(vectors), "probability": [1.0] * len(vectors)})
    model = LogisticRegression(C=1.0, max_iter=1_000).fit(labelled.vectors[sampled], names)
    best, probability = np.empty(len(vectors), np.int64), np.empty(len(vectors), np.float64)
    for start in range(0, len(vectors), _ROWS_PER_BLOCK):
        block = slice(start, start + _ROWS_PER_BLOCK)
        probabilities = model.predict_proba(vectors[block]).astype(np.float64)
        best[block], probability[block] = probabilities.argmax(axis=1), probabilities.max(axis=1)
    return pl.DataFrame({"predicted": model.classes_[best], "probability": probability.round(6)})


def _fill_labels(prompts: pl.DataFrame, accepted: pl.DataFrame, taxonomy: recipe.Taxonomy) -> pl.DataFrame:
    new = accepted.select(
        "prompt_id",
        type="predicted",
        risk_category="predicted",
        difficulty=pl.lit(taxonomy.risk.difficulty, pl.String),
        label_source=pl.lit("classifier"),
        label_probability="probability",
    )
    return prompts.update(new, on="prompt_id", how="left", maintain_order="left")


def _validate_by_group(labelled: _LabelledRows, settings: recipe.Labels) -> list[MetricRow]:
    """Cross-validate with each group in one fold: accuracy, macro-F1, coverage and confusion."""
    from sklearn.model_selection import GroupKFold

    groups = labelled.frame["group"].to_numpy()
    folds = min(FOLDS, len(set(groups)))
    if folds < 2:
        return []
    parts = []
    for train, test in GroupKFold(folds).split(groups, groups=groups):
        part = labelled.subset(np.isin(np.arange(len(groups)), train))
        parts.append(labelled.frame[test].hstack(_predict(part, labelled.vectors.select(test))))
    tested = pl.concat(parts)
    facets = {"validation": "group"}
    names = sorted(tested["class"].unique())
    return [
        _accuracy(tested, facets | {"rows": "all"}),
        _accuracy(tested.filter(_is_accepted(settings)), facets | {"rows": "given"}),
        _coverage(tested, settings, facets),
        metric_row("label_macro_f1", _macro_f1(tested), facets | {"rows": "all"}, n=tested.height),
        *_confusion(
            tested.with_columns(
                predicted=pl.when(_is_accepted(settings)).then("predicted").otherwise(pl.lit(_NO_LABEL))
            ),
            names,
        ),
    ]


def _validate_by_source(labelled: _LabelledRows, settings: recipe.Labels) -> list[MetricRow]:
    """Leave each source out in turn and measure how its rows would be labelled: accuracy and coverage.

    Only rows with a risk category as their type count, and a source needs ``min_rows`` of them. Groups that contain
    rows of the left-out source are left out too.
    """
    easy = labelled.frame.filter(pl.col("class") != _NO_LABEL)
    sizes = easy.group_by("source").len().filter(pl.col("len") >= settings.min_rows).sort("source")
    source, group = labelled.frame["source"].to_numpy(), labelled.frame["group"].to_numpy()
    parts = {}
    for name in sizes["source"]:
        others = ~np.isin(group, group[source == name])
        test = labelled.subset((source == name) & (labelled.frame["class"] != _NO_LABEL).to_numpy())
        if others.any():
            parts[name] = test.frame.hstack(_predict(labelled.subset(others), test.vectors))
    pooled: list[tuple[dict[str, str], pl.DataFrame]] = [({}, pl.concat(parts.values()))] if parts else []
    metrics = []
    for facets, part in pooled + [({"source": name}, part) for name, part in parts.items()]:
        metrics += [
            _accuracy(part.filter(_is_accepted(settings)), facets | {"rows": "given", "validation": "source"}),
            _coverage(part, settings, facets | {"validation": "source"}),
        ]
    return metrics


def _accuracy(tested: pl.DataFrame, facets: dict[str, str]) -> MetricRow:
    right = tested.select(pl.col("predicted") == pl.col("class")).to_series().to_numpy()
    return _proportion("label_accuracy", right, tested["group"].to_numpy(), facets)


def _coverage(tested: pl.DataFrame, settings: recipe.Labels, facets: dict[str, str]) -> MetricRow:
    accepted = tested.select(_is_accepted(settings)).to_series().to_numpy()
    return _proportion("label_coverage", accepted, tested["group"].to_numpy(), facets)


def _proportion(name: str, flags: NDArray[np.bool_], groups: NDArray[np.integer], facets: dict[str, str]) -> MetricRow:
    value = float(flags.mean()) if len(flags) else None
    low, high = effective_interval(flags, groups)
    return metric_row(name, value, facets, low=low, high=high, n=len(flags))


def _macro_f1(tested: pl.DataFrame) -> float:
    """Return the mean over the classes of F1 = 2 · correct / (rows of the class + predictions of the class)."""
    true, predicted = tested["class"].to_numpy(), tested["predicted"].to_numpy()
    scores = [
        2 * np.sum((true == name) & (predicted == name)) / (np.sum(true == name) + np.sum(predicted == name))
        for name in sorted(set(true))
    ]
    return float(np.mean(scores))


def _confusion(tested: pl.DataFrame, names: list[str]) -> list[MetricRow]:
    """Return, for each true class, the proportion of its ``n`` rows predicted as each label (``none``: no label)."""
    counts = {
        (true, predicted): count for true, predicted, count in tested.group_by("class", "predicted").len().iter_rows()
    }
    rows: list[MetricRow] = []
    for true in names:
        n = sum(counts.get((true, predicted), 0) for predicted in {*names, _NO_LABEL})
        for predicted in sorted({*names, _NO_LABEL}):
            count = counts.get((true, predicted), 0)
            facets = {"true": true, "predicted": predicted, "validation": "group"}
            low, high = wilson(count, n)
            rows.append(metric_row("label_confusion", count / n, facets, low=low, high=high, n=n))
    return rows
