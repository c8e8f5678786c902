"""The split: whole groups of prompts that belong together go to ``train``, ``test`` or ``harmless``.

The first version is split by share. Groups are taken in the order of their ids, which are hashes and so as good as
random, and go to the test side as long as all their rows fit into what each stratum (kind and type) still needs; large
groups only where small ones cannot fill it. ``harmless`` takes groups of harmless rows alone: one that also holds other
kinds (a contrast pair) is on one side of train and test, whole.

From then on the sides are frozen: all later rows are for training, and one that is linked to a row of another side is
dropped as ``split_bridge``. It is enough to drop the rows that are linked directly: what was linked through them no
longer is, and each row is lost for a reason of its own. ``bridges`` finds them before the greedy pass, so that none of
them is kept, and none is the witness of another row's drop.
"""

import polars as pl

from seas_data.curate.dedup.edges import holds_together, threshold
from seas_data.curate.split.groups import group_id, shared
from seas_data.recipe import Curation

_LARGE_GROUP = 0.25  # of what a stratum needs: a group that takes more waits until the smaller ones had their turn

_LINKS = {
    "text_digest": "the same text as",
    "near_duplicate": "alike by characters to",
    "semantic_duplicate": "alike by meaning to",
    "related": "alike in wrapper or request to",
    "template_id": "the same template as",
    "request_id": "the same request as",
}


def split(
    kept: pl.DataFrame, members: pl.DataFrame, settings: Curation, earlier: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Return ``prompt_id``, ``split``, ``group_id`` of each row of ``kept``, by id.

    ``kept``: ``prompt_id``, ``kind``, ``type``, ``role``; holdout rows are a side of their own. ``members``:
    ``prompt_id``, ``group_id`` of the others, from ``groups.groups``. ``earlier``: ``prompt_id``, ``split`` of the rows
    of earlier versions, whose places do not change; without any, this is the first version.
    """
    if earlier is None or earlier.is_empty():
        placed = _by_share(kept.join(members, on="prompt_id"), settings)
    else:
        placed = members.join(earlier.select("prompt_id", "split"), on="prompt_id", how="left").select(
            "prompt_id", pl.col("split").fill_null("train"), "group_id"
        )
    holdout = kept.filter(pl.col("role") == "holdout").select(
        "prompt_id", split=pl.lit("holdout"), group_id=group_id(pl.col("prompt_id"))
    )
    return pl.concat([placed, holdout]).sort("prompt_id")


def bridges(
    prompts: pl.DataFrame,
    edges: pl.DataFrame,
    templates: pl.DataFrame,
    settings: Curation,
    earlier: pl.DataFrame,
) -> pl.DataFrame:
    """Return the later rows that are linked to a row that an earlier version put on another side than train.

    ``prompts``: ``prompt_id``, ``text_digest``, of all rows. ``edges``: those between representatives of texts, all of
    which link. ``templates``: ``prompt_id``, ``template_id`` and, for ``settings.split.by_request``, ``request_id``.
    ``earlier``: ``prompt_id``, ``split`` of the rows of earlier versions.

    Returns ``prompt_id``, ``witness_id`` (that row), ``score``, ``threshold``, ``detail``, one row for each such
    prompt: its closest link (a copy, the best edge, a template, a request).
    """
    keys = shared(settings)
    rows = prompts.select("prompt_id", "text_digest").join(
        templates.select("prompt_id", *keys), on="prompt_id", how="left"
    )
    frozen = rows.join(earlier.filter(pl.col("split") != "train").select("prompt_id", "split"), on="prompt_id")
    frozen = frozen.sort("prompt_id").rename({"prompt_id": "witness_id"})
    later = rows.join(earlier, on="prompt_id", how="anti")

    found = [
        later.drop_nulls(key)
        .join(frozen.unique(key, keep="first", maintain_order=True).select(key, "witness_id", "split"), on=key)
        .select("prompt_id", "witness_id", "split", order=pl.lit(order), link=pl.lit(_LINKS[key]))
        for order, key in zip((0, 2, 3), ("text_digest", *keys), strict=False)
    ]
    # An edge holds for all rows of its two texts, and a frozen row need not be the one that stands for its text.
    near_frozen = (
        rows.select("prompt_id", "text_digest")
        .join(
            frozen.unique("text_digest", keep="first", maintain_order=True).select(
                "text_digest", "witness_id", "split"
            ),
            on="text_digest",
        )
        .drop("text_digest")
    )
    for here, there in (("prompt_id", "neighbour_id"), ("neighbour_id", "prompt_id")):
        found.append(
            edges.join(near_frozen, left_on=there, right_on="prompt_id")
            .select("witness_id", "split", "reason", "score", prompt_id=here)
            .join(rows.select("prompt_id", "text_digest"), on="prompt_id")
            .drop("prompt_id")
            .join(later.select("prompt_id", "text_digest"), on="text_digest")
            .select(
                "prompt_id",
                "witness_id",
                "split",
                pl.col("score").cast(pl.Float64).round(6),
                threshold(settings, "group").cast(pl.Float64).round(6).alias("threshold"),
                order=pl.lit(1),
                link=pl.col("reason").cast(pl.String).replace_strict(_LINKS, return_dtype=pl.String),
            )
        )
    return (
        pl.concat(found, how="diagonal")
        .sort("prompt_id", "order", "score", "witness_id", descending=[False, False, True, False], nulls_last=True)
        .unique("prompt_id", keep="first", maintain_order=True)
        .select(
            "prompt_id",
            "witness_id",
            "score",
            "threshold",
            detail=pl.format("{} a row of the {} side", "link", "split"),
        )
    )


def check(
    kept: pl.DataFrame, splits: pl.DataFrame, edges: pl.DataFrame, templates: pl.DataFrame, settings: Curation
) -> pl.DataFrame:
    """Return what crosses the split and must not: duplicates (whatever their kinds), copies, templates and groups.

    Columns ``prompt_id``, ``neighbour_id``, ``split``, ``neighbour_split``, ``reason`` (of the edge, or ``template``,
    ``group``), ``score``; empty if all is well. ``edges``: those among the kept rows (``edges.among``). The holdout
    side is the affair of the contamination step.
    """
    rows = (
        kept.select("prompt_id", "text_digest")
        .join(splits.filter(pl.col("split") != "holdout"), on="prompt_id")
        .join(templates.select("prompt_id", "template_id"), on="prompt_id", how="left")
    )
    side = rows.select("prompt_id", "split")
    shape = ["prompt_id", "neighbour_id", "split", "neighbour_split", "reason", "score"]
    crossing = [
        edges.filter(holds_together(settings))
        .join(side, on="prompt_id")
        .join(side.rename({"prompt_id": "neighbour_id", "split": "neighbour_split"}), on="neighbour_id")
        .filter(pl.col("split") != pl.col("neighbour_split"))
        .select(*shape[:4], pl.col("reason").cast(pl.String), pl.col("score").cast(pl.Float64).round(6))
    ]
    for key, reason in (("text_digest", "exact_duplicate"), ("template_id", "template"), ("group_id", "group")):
        # One row of each side stands for all of them.
        some = rows.drop_nulls(key).group_by(key, "split").agg(pl.col("prompt_id").min())
        crossing.append(
            some.join(some, on=key)
            .filter(pl.col("split") < pl.col("split_right"))
            .select(
                "prompt_id",
                "split",
                neighbour_id="prompt_id_right",
                neighbour_split="split_right",
                reason=pl.lit(reason),
                score=pl.lit(None, dtype=pl.Float64),
            )
            .select(shape)
        )
    return pl.concat(crossing).sort("reason", "prompt_id", "neighbour_id")


def _by_share(rows: pl.DataFrame, settings: Curation) -> pl.DataFrame:
    """Return ``prompt_id``, ``split``, ``group_id``: the first version's split of ``rows`` with their groups."""
    shares = settings.split
    alone = rows.filter((pl.col("kind") == "harmless").all().over("group_id"))
    wanted = {"harmless": _part(shares.harmless, rows.filter(kind="harmless").height)}
    harmless = _fill(alone.select("group_id", stratum="kind"), wanted)

    rest = rows.filter(~pl.col("group_id").is_in(harmless.implode())).select(
        "group_id", stratum=pl.format("{}: {}", "kind", pl.col("type").fill_null("none"))
    )
    needs = {name: _part(shares.test, count) for name, count in rest.group_by("stratum").len().rows()}
    test = _fill(rest, needs)
    return rows.select(
        "prompt_id",
        split=pl.when(pl.col("group_id").is_in(harmless.implode()))
        .then(pl.lit("harmless"))
        .when(pl.col("group_id").is_in(test.implode()))
        .then(pl.lit("test"))
        .otherwise(pl.lit("train")),
        group_id="group_id",
    )


def _part(share: float, count: int) -> int:
    return int(share * count + 0.5)


def _fill(rows: pl.DataFrame, needs: dict[str, int]) -> pl.Series:
    """Return ids of groups that fill ``needs`` (rows wanted of each stratum) and exceed none of them.

    ``rows``: ``group_id``, ``stratum``. No group that would still fit is left out.
    """
    waiting = (
        rows.group_by("group_id", "stratum").len().group_by("group_id").agg("stratum", "len").sort("group_id").rows()
    )
    open_ = dict(needs)
    taken: list[str] = []
    small = {name: max(1.0, _LARGE_GROUP * need) for name, need in needs.items()}
    for most in (small, needs):
        passed = []
        for group in waiting:
            group_id, strata, counts = group
            counted = list(zip(strata, counts, strict=True))
            if all(count <= open_[name] and count <= most[name] for name, count in counted):
                taken.append(group_id)
                for name, count in counted:
                    open_[name] -= count
            else:
                passed.append(group)
        waiting = passed
    return pl.Series(taken, dtype=pl.String)
