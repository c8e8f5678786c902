"""Assignment of rows to splits: whole groups of prompts go to ``train``, ``test`` or ``harmless``.

The first version is split by proportion. Groups are taken in the order of their ids, which are hashes and so random
with respect to content, and go to ``test`` while all their rows fit into what each stratum (kind and type) still needs;
large groups only where small ones cannot fill it. ``harmless`` takes groups of harmless rows only: a group that also
contains other kinds (a contrast pair) goes to ``train`` or ``test`` as a whole.

Later versions do not move rows: all new rows go to ``train``, and rows linked to a row of another side are dropped
beforehand (see ``bridges``).
"""

import numpy as np
import polars as pl

from seas_data.curate.split.groups import compute_group_id
from seas_data.recipe import Curation

_GROUPS_PER_PART = 10_000
_LARGE_GROUP = 0.25  # of the rows a stratum still needs: larger groups wait until the smaller ones are assigned


def assign_splits(
    kept: pl.DataFrame, members: pl.DataFrame, settings: Curation, earlier: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Return the split and group of each row of ``kept``, by id.

    Holdout rows are a split of their own. ``earlier``: rows of earlier versions, whose split does not change; without
    any, this is the first version.

    Input columns: of ``kept``: ``prompt_id``, ``kind``, ``type``, ``role``; of ``members`` (from
    ``groups.build_groups``): ``prompt_id``, ``group_id``; of ``earlier``: ``prompt_id``, ``split``.
    Output columns: ``prompt_id``, ``split`` (``train`` | ``test`` | ``harmless`` | ``holdout``), ``group_id``.
    """
    if earlier is None or earlier.is_empty():
        assigned = _assign_first_version(kept.join(members, on="prompt_id"), settings)
    else:
        assigned = members.join(earlier.select("prompt_id", "split"), on="prompt_id", how="left").select(
            "prompt_id", pl.col("split").fill_null("train"), "group_id"
        )
    holdout = kept.filter(pl.col("role") == "holdout").select(
        "prompt_id", split=pl.lit("holdout"), group_id=compute_group_id(pl.col("prompt_id"))
    )
    return pl.concat([assigned, holdout]).sort("prompt_id")


def _assign_first_version(rows: pl.DataFrame, settings: Curation) -> pl.DataFrame:
    """Return ``prompt_id``, ``split``, ``group_id``: the first version's split of ``rows`` with their groups."""
    proportions = settings.split
    harmless_groups = rows.filter((pl.col("kind") == "harmless").all().over("group_id"))
    harmless_need = {"harmless": _round_proportion(proportions.harmless, rows.filter(kind="harmless").height)}
    harmless = _choose_groups(harmless_groups.select("group_id", stratum="kind"), harmless_need)

    rest = rows.filter(~pl.col("group_id").is_in(harmless.implode())).select(
        "group_id", stratum=pl.format("{}: {}", "kind", pl.col("type").fill_null("none"))
    )
    needs = {name: _round_proportion(proportions.test, count) for name, count in rest.group_by("stratum").len().rows()}
    test = _choose_groups(rest, needs)
    return rows.select(
        "prompt_id",
        split=pl.when(pl.col("group_id").is_in(harmless.implode()))
        .then(pl.lit("harmless"))
        .when(pl.col("group_id").is_in(test.implode()))
        .then(pl.lit("test"))
        .otherwise(pl.lit("train")),
        group_id="group_id",
    )


def _round_proportion(proportion: float, count: int) -> int:
    return int(proportion * count + 0.5)


def _choose_groups(rows: pl.DataFrame, needs: dict[str, int]) -> pl.Series:
    """Return ids of groups that fill ``needs`` (rows needed per stratum) without exceeding any of them.

    No group that would still fit is left out.

    Input columns: ``group_id``, ``stratum``.
    """
    candidates = rows.group_by("group_id", "stratum").len().group_by("group_id").agg("stratum", "len").sort("group_id")
    remaining = dict(needs)
    taken = np.zeros(candidates.height, np.bool_)
    small_limits = {name: max(1.0, _LARGE_GROUP * need) for name, need in needs.items()}
    for max_rows in (small_limits, needs):
        start = 0
        for part in candidates.iter_slices(_GROUPS_PER_PART):
            if not any(remaining.values()):
                break
            for number, (_, strata, counts) in enumerate(part.iter_rows(), start):
                if taken[number]:
                    continue
                counted = list(zip(strata, counts, strict=True))
                if all(count <= remaining[name] and count <= max_rows[name] for name, count in counted):
                    taken[number] = True
                    for name, count in counted:
                        remaining[name] -= count
            start += part.height
    return candidates["group_id"].filter(pl.Series(taken))
