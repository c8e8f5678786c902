"""The queries of a card: each of its figures is in the result of a library query, so that readers can run it again.

``run_queries`` returns the results by the query's name (``_`` for ``-``), as rows. A card shows these rows, some of
them side by side (``template_functions.grid``); it counts nothing itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from seas_data.query import library, sql
from seas_data.query.version import Version
from seas_data.resources import folder

Row = dict[str, Any]
Figures = dict[str, list[Row]]

DATASET: dict[str, list[str]] = {
    "overview": [],
    "rows-by-kind": [],
    "rows-by-type": [],
    "rows-by-split": [],
    "rows-by-source": [],
    "taxonomy": [],
    "licences": [],
    "languages": [],
    "clusters": ["max_rows=10"],
    "diversity": [],
    "drop-reasons": [],
    "semantic-recall": [],
    "contamination": [],
    "leaks": [],
    "label-sources": [],
    "label-agreement": [],
    "models": [],
    "judges": [],
    "iterations": [],
    "attack-success-matrix": [],
    "attack-success-by-type": [],
    "target-sets": [],
    "safety-frontier": [],
    "utility": [],
    "red-teams": [],
    "novelty": [],
}
"""The queries of a dataset card, with the parameters that differ from their defaults."""

CROISSANT: dict[str, list[str]] = {
    name: [] for name in ("rows-by-source", "drop-reasons", "judges", "label-sources", "languages")
}
"""The queries of ``croissant.json``."""

_OF_MODELS = (
    "models languages pairs-by-role judges attack-success-matrix attack-success-by-type target-sets utility red-teams"
)
MODEL: dict[str, list[str]] = {name: [] for name in _OF_MODELS.split()}
"""The queries of a model card."""

_MATERIALISED = ("answers", "target_prompts", "kept")  # views that most queries of a dataset card use


def run_queries(version: Version, names: Mapping[str, list[str]]) -> Figures:
    """Return the results of the queries ``names`` on ``version``, by name with ``_`` for ``-``."""
    queries = library.load(folder("sql"))
    chosen = [(queries[name].sql, queries[name].values(given)) for name, given in names.items()]
    results = sql.run_all(version.paths(), chosen, _MATERIALISED if len(chosen) > len(MODEL) else ())
    return {name.replace("-", "_"): frame.to_dicts() for name, frame in zip(names, results, strict=True)}


def natural_key(name: str) -> tuple[int, str]:
    """Return a sort key that orders T2 before T10."""
    return len(name), name


def compare_results(before: Sequence[Row], after: Sequence[Row], keys: Sequence[str], value: str) -> list[Row]:
    """Return how ``value`` differs between two results of a query: the keys, ``before``, ``after`` and ``more``."""
    old = {tuple(row[key] for key in keys): row[value] for row in before}
    new = {tuple(row[key] for key in keys): row[value] for row in after}
    rows = []
    for at in dict.fromkeys([*new, *old]):
        first, second = old.get(at, 0), new.get(at, 0)
        rows.append(dict(zip(keys, at, strict=True)) | {"before": first, "after": second, "more": second - first})
    return rows
