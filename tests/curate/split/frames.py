"""Frames that the tests of the split share, and the steps of a build on them."""

import itertools
from dataclasses import dataclass

import polars as pl

from seas_data.curate.split.assign import assign_splits
from seas_data.curate.split.bridges import find_bridges
from seas_data.curate.split.groups import build_groups
from seas_data.recipe import Curation

EDGE = {"prompt_id": pl.String, "neighbour_id": pl.String, "reason": pl.String, "score": pl.Float32}
WRAPPED = {"prompt_id": pl.String, "template_id": pl.String, "request_id": pl.String}
PLACED = {"prompt_id": pl.String, "split": pl.String, "group_id": pl.String}
NO_EARLIER = pl.DataFrame(schema=PLACED)


def rows(
    names: list[str], kind: str = "adversarial", type_: str | None = None, texts: list[str] | None = None
) -> pl.DataFrame:
    return pl.DataFrame(
        {"prompt_id": names, "text_digest": texts or [f"text of {name}" for name in names]},
        schema={"prompt_id": pl.String, "text_digest": pl.String},
    ).with_columns(kind=pl.lit(kind), type=pl.lit(type_, dtype=pl.String), role=pl.lit("training"))


def edges(*given: tuple[str, str, str, float]) -> pl.DataFrame:
    return pl.DataFrame(given, schema=EDGE, orient="row")


def wrapped(*given: tuple[str, str | None, str | None]) -> pl.DataFrame:
    return pl.DataFrame(given, schema=WRAPPED, orient="row")


def numbered(count: int, letter: str = "p") -> list[str]:
    return [f"{letter}{number:05}" for number in range(count)]


def chain(names: list[str], score: float, reason: str = "near_duplicate") -> pl.DataFrame:
    return edges(*((a, b, reason, score) for a, b in itertools.pairwise(names)))


def families(frame: pl.DataFrame) -> list[list[str]]:
    return sorted(frame.group_by("group_id").agg(pl.col("prompt_id").sort())["prompt_id"].to_list())


@dataclass(frozen=True)
class Placed:
    """``kept`` without the ``bridges``, and the split of each row."""

    kept: pl.DataFrame
    splits: pl.DataFrame
    bridges: pl.DataFrame
    reports: pl.DataFrame


def run_split(
    kept: pl.DataFrame,
    links: pl.DataFrame,
    templates: pl.DataFrame,
    settings: Curation,
    earlier: pl.DataFrame | None = None,
) -> Placed:
    """Run the steps of a build on ``kept``: drop the bridges, build the groups, assign the splits."""
    bridges = find_bridges(kept, links, templates, settings, NO_EARLIER if earlier is None else earlier)
    kept = kept.join(bridges, on="prompt_id", how="anti", maintain_order="left")
    members, reports = build_groups(kept.filter(pl.col("role") == "training"), links, templates, settings, earlier)
    return Placed(kept, assign_splits(kept, members, settings, earlier), bridges, reports)
