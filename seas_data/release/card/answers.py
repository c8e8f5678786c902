"""The figures of a card: each is an answer of the library's queries, so that a reader can ask for it again.

``gather`` returns the answers by the query's name (``_`` for ``-``), as rows. What a card shows is these rows, some of
them side by side (``grid``) or less the models of another role (``of_model``); nothing is counted here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from seas_data.query import library, sql
from seas_data.query.version import Version
from seas_data.resources import folder
from seas_data.tables.taxonomy import TYPES

Row = dict[str, Any]
Figures = dict[str, list[Row]]

DATASET: dict[str, list[str]] = {
    "overview": [],
    "rows-by-kind": [],
    "rows-by-type": [],
    "rows-by-split": [],
    "rows-by-source": [],
    "licences": [],
    "languages": [],
    "clusters": ["limit=10"],
    "diversity": [],
    "drop-reasons": [],
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
    "red-teams": [],
    "novelty": [],
}
"""The queries of a dataset card, with the parameters that differ from their defaults."""

CROISSANT: dict[str, list[str]] = {
    name: [] for name in ("rows-by-source", "drop-reasons", "judges", "label-sources", "languages")
}
"""Those of ``croissant.json``."""

_OF_MODELS = "models languages pairs-by-role judges attack-success-matrix attack-success-by-type target-sets red-teams"
MODEL: dict[str, list[str]] = {name: [] for name in _OF_MODELS.split()}
"""Those of a model card."""


def gather(version: Version, names: Mapping[str, list[str]]) -> Figures:
    """Return the answers of the queries ``names`` on ``version``, by name with ``_`` for ``-``."""
    queries = library.load(folder("sql"))
    answers = sql.read_all(
        version.paths(), [(queries[name].sql, queries[name].values(given)) for name, given in names.items()]
    )
    return {name.replace("-", "_"): frame.to_dicts() for name, frame in zip(names, answers, strict=True)}


def natural(name: str) -> tuple[int, str]:
    """Return a key that sorts T2 before T10."""
    return len(name), name


def missing_types(by_type: Sequence[Row]) -> list[str]:
    """Return the types of the taxonomy of which no attack is kept but held-out ones."""
    kept = {row["type"] for row in by_type if row["kind"] == "adversarial" and row["kept"] > row["holdout"]}
    return [name for name in TYPES if name not in kept]


def changes(before: Sequence[Row], after: Sequence[Row], keys: Sequence[str], value: str) -> list[Row]:
    """Return how ``value`` differs between two answers of one query: the keys, ``before``, ``after``, ``more``."""
    old = {tuple(row[key] for key in keys): row[value] for row in before}
    new = {tuple(row[key] for key in keys): row[value] for row in after}
    every = list(dict.fromkeys([*new, *old]))
    found = []
    for at in every:
        first, second = old.get(at, 0), new.get(at, 0)
        found.append(dict(zip(keys, at, strict=True)) | {"before": first, "after": second, "more": second - first})
    return found
