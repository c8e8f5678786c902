"""Conflicting labels: the same text with different labels, which sets of prompts do have.

Every row of such a text is flagged ``label_conflict``, whether it was kept or not. Where types differ on one side
(adversarial, or not), one label is the better one: a person's before a source's before a judge's before a classifier's,
then that of the source with the lower priority number, then that of the smaller id. The kept row takes it; a kept row
without a type takes it too, though then there is no conflict to flag. Kinds are never changed by a rule: which kind a
text is, is what overrides are for.
"""

import polars as pl

from seas_data.curate.outcome import Outcome, decisions
from seas_data.tables import LABELS

_LABEL = [name for name in LABELS if name != "kind"] + ["label_probability"]

_SOURCES = {"manual": 0, "source": 1, "judge": 2, "classifier": 3}


def resolve(prompts: pl.DataFrame, kept: pl.DataFrame, earlier: pl.Series | None = None) -> Outcome:
    """Return ``kept`` with the best label that its texts have anywhere in ``prompts``, and the flags.

    ``prompts``: the columns of the ``prompts`` table, the dropped rows included; ``kept``: some of its rows.
    ``earlier``: ids of rows of earlier versions. Those keep their labels, and a text that has only such rows was
    flagged before.
    """
    is_earlier = pl.lit(False) if earlier is None else pl.col("prompt_id").is_in(earlier.implode())
    standing = pl.col("label_source").str.extract(r"^(\w+)").replace_strict(_SOURCES, default=9, return_dtype=pl.Int8)
    side = ["text_digest", "adversarial"]
    copies = (
        prompts.filter(pl.len().over("text_digest") > 1)
        .with_columns(adversarial=pl.col("kind") == "adversarial", is_earlier=is_earlier, standing=standing)
        .sort("standing", "priority", "prompt_id", nulls_last=True)
    )
    best = (
        copies.drop_nulls("type")
        .unique(side, keep="first", maintain_order=True)
        .select(*side, *_LABEL, best_id="prompt_id")
    )
    changed = (
        kept.select("prompt_id", "text_digest", "kind", was="type", adversarial=pl.col("kind") == "adversarial")
        .filter(~is_earlier)
        .join(best, on=side, maintain_order="left")
        .filter(pl.col("was").ne_missing(pl.col("type")))
        .select("prompt_id", *_LABEL)
    )
    relabelled = kept.update(changed, on="prompt_id", include_nulls=True).select(kept.columns)
    return Outcome(relabelled, _flags(copies, best))


def _flags(copies: pl.DataFrame, best: pl.DataFrame) -> pl.DataFrame:
    """Return a flag for each row of a text whose kinds differ, or whose types differ on one side."""
    side = ["text_digest", "adversarial"]
    label = pl.format("{} {}", "kind", pl.col("type").fill_null("without a type"))
    conflicts = (
        copies.with_columns(
            types=pl.col("type").drop_nulls().n_unique().over(side), kinds=pl.col("kind").n_unique().over("text_digest")
        )
        .filter(
            ((pl.col("types") > 1).any() | (pl.col("kinds") > 1).any()).over("text_digest"),
            ~pl.col("is_earlier").all().over("text_digest"),
        )
        .with_columns(said=pl.format("{}: {}", "source", label))
    )
    told = conflicts.group_by("text_digest").agg(detail=pl.col("said").unique().sort().str.join("; "))
    flagged = (
        conflicts.join(told, on="text_digest")
        .join(best.select(*side, "best_id"), on=side, how="left")
        .with_columns(witness_id=pl.when(pl.col("best_id") != pl.col("prompt_id")).then("best_id"))
    )
    return decisions(flagged.sort("prompt_id"), step="conflicts", decision="flag", reason="label_conflict")
