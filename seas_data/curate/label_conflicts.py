"""Label conflicts: the same text with different labels, which is common across prompt sets.

Every row of such a text is flagged ``label_conflict``, kept or not. If the types on one side (adversarial or not)
differ, the best label wins: manual before source before judge before classifier, then the source with the lower
priority number, then the lower id. The kept row takes this label. A kept row without a type takes it too, although
there is no conflict to flag. The kind of a row never changes here: only overrides change kinds.
"""

import polars as pl

from seas_data.curate.outcome import Outcome, build_decisions
from seas_data.tables import LABELS

_LABEL = [name for name in LABELS if name != "kind"] + ["label_probability"]

_SOURCE_RANK = {"manual": 0, "source": 1, "judge": 2, "classifier": 3}


def resolve_label_conflicts(prompts: pl.DataFrame, kept: pl.DataFrame, earlier: pl.Series | None = None) -> Outcome:
    """Return ``kept`` with the best label that its texts have anywhere in ``prompts``, and the flags.

    ``earlier``: ids of rows of earlier versions; they keep their labels, and texts of earlier rows only were flagged in
    their own version.

    Input columns: the ``prompts`` table, dropped rows included, and ``system_digest`` if there are conversations;
    ``kept`` is a subset of its rows.
    Output columns: those of ``kept``; decisions as in ``outcome.DECISION_COLUMNS`` (step ``conflicts``).
    """
    is_earlier = pl.lit(False) if earlier is None else pl.col("prompt_id").is_in(earlier.implode())
    source_rank = (
        pl.col("label_source").str.extract(r"^(\w+)").replace_strict(_SOURCE_RANK, default=9, return_dtype=pl.Int8)
    )
    prompts = _with_text_key(prompts)
    side = ["text_digest", "adversarial"]
    copies = (
        prompts.filter(pl.len().over("text_digest") > 1)
        .with_columns(adversarial=pl.col("kind") == "adversarial", is_earlier=is_earlier, source_rank=source_rank)
        .sort("source_rank", "priority", "prompt_id", nulls_last=True)
    )
    best = (
        copies.drop_nulls("type")
        .unique(side, keep="first", maintain_order=True)
        .select(*side, *_LABEL, best_id="prompt_id")
    )
    changed = (
        _with_text_key(kept)
        .select("prompt_id", "text_digest", "kind", current_type="type", adversarial=pl.col("kind") == "adversarial")
        .filter(~is_earlier)
        .join(best, on=side, maintain_order="left")
        .filter(pl.col("current_type").ne_missing(pl.col("type")))
        .select("prompt_id", *_LABEL)
    )
    if changed.height:
        kept = kept.update(changed, on="prompt_id", include_nulls=True).select(kept.columns)
    return Outcome(kept, _flag_conflicts(copies, best))


def _with_text_key(rows: pl.DataFrame) -> pl.DataFrame:
    """Return ``rows`` with a ``text_digest`` that covers the system turn, too: under another it is another attack."""
    if "system_digest" not in rows.columns:
        return rows
    return rows.with_columns(pl.concat_str("text_digest", pl.col("system_digest").fill_null("")))


def _flag_conflicts(copies: pl.DataFrame, best: pl.DataFrame) -> pl.DataFrame:
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
        .with_columns(label_text=pl.format("{}: {}", "source", label))
    )
    details = conflicts.group_by("text_digest").agg(detail=pl.col("label_text").unique().sort().str.join("; "))
    flagged = (
        conflicts.join(details, on="text_digest")
        .join(best.select(*side, "best_id"), on=side, how="left")
        .with_columns(witness_id=pl.when(pl.col("best_id") != pl.col("prompt_id")).then("best_id"))
    )
    return build_decisions(flagged.sort("prompt_id"), step="conflicts", decision="flag", reason="label_conflict")
