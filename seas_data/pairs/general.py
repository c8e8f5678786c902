"""General pairs: preferences about ordinary questions, which keep the target useful and stop it learning to refuse.

Each iteration draws its own pairs from the set by hash, so the draw is reproducible and independent of row order.
"""

import polars as pl

from seas_data import recipe
from seas_data.errors import SeasDataError
from seas_data.pairs.holdout import find_held_out
from seas_data.pairs.result import PairResult, build_unpaired, finish_pairs
from seas_data.tables.ids import messages, row_ids


def general_pairs(
    rows: pl.DataFrame, settings: recipe.Pairs, *, pairs: int, iteration: int, held_out: pl.DataFrame
) -> PairResult:
    """Draw general pairs from ``rows`` to mix with ``pairs`` target and harmless pairs.

    If the set is too small, all usable rows are taken.

    Input columns of ``rows``: source, source_id (unique within its source), prompt, chosen, rejected. The last three
    are texts, or lists of messages (role, content); the last message of a prompt is the question. A row is held out if
    the text of any turn of its prompt is, as the check ``held-out`` requires.

    Raises SeasDataError if two rows have the same source and source_id.
    """
    wanted = _target_count(settings.general or recipe.GeneralPairs(count=0), pairs, iteration)
    rows = rows.with_columns(prompt_id=row_ids("general", rows, "source", "source_id"))
    if rows["prompt_id"].n_unique() < rows.height:
        raise SeasDataError("two general pairs have the same source and source_id; give each row its own source_id")
    turns = _turns(rows)
    same = _last_text(rows, "chosen").str.strip_chars() == _last_text(rows, "rejected").str.strip_chars()
    blank = pl.any_horizontal(
        (_last_text(rows, name).str.strip_chars() == "").fill_null(True) for name in ("prompt", "chosen", "rejected")
    )
    rows = rows.with_columns(
        reason=pl.when(blank)
        .then(pl.lit("empty"))
        .when(same)
        .then(pl.lit("repeated"))
        .when(pl.col("prompt_id").is_in(find_held_out(turns, held_out).implode()))
        .then(pl.lit("held_out")),
        draw=row_ids("draw", rows.with_columns(iteration=pl.lit(iteration)), "iteration", "prompt_id"),
    )
    usable = rows.filter(pl.col("reason").is_null()).sort("draw")
    drawn = usable.head(wanted)
    drawn = drawn.select(
        "prompt_id",
        "source",
        _messages(rows, "prompt", "user"),
        _messages(rows, "chosen", "assistant"),
        _messages(rows, "rejected", "assistant"),
        chosen_id=row_ids("general_chosen", drawn, "prompt_id"),
        rejected_id=row_ids("general_rejected", drawn, "prompt_id"),
        role=pl.lit("general"),
        iteration=pl.lit(iteration),
        margin=pl.lit(None),
        type=pl.lit(None),
        seed_id=pl.lit(None),
        judge=pl.lit(None),
    )
    unpaired = pl.concat(
        [
            rows.filter(pl.col("reason").is_not_null()).select("prompt_id", "reason"),
            usable.slice(wanted).select("prompt_id", reason=pl.lit("cap")),
        ]
    )
    unpaired = unpaired.with_columns(candidate_id="prompt_id")
    return PairResult(finish_pairs(drawn), build_unpaired(unpaired, role="general", iteration=iteration))


def _target_count(settings: recipe.GeneralPairs, pairs: int, iteration: int) -> int:
    if isinstance(settings.count, list):
        return settings.count[min(iteration, len(settings.count)) - 1]
    if settings.count is not None:
        return settings.count
    return round((1.0 if settings.ratio is None else settings.ratio) * pairs)


def _turns(rows: pl.DataFrame) -> pl.DataFrame:
    """Return prompt_id and text of each turn of the prompts."""
    if rows.schema["prompt"] == pl.String:
        return rows.select("prompt_id", text="prompt").drop_nulls()
    turns = rows.select("prompt_id", "prompt").explode("prompt").unnest("prompt")
    return turns.select("prompt_id", text="content").drop_nulls()


def _last_text(rows: pl.DataFrame, column: str) -> pl.Expr:
    if rows.schema[column] == pl.String:
        return pl.col(column)
    return pl.col(column).list.last().struct.field("content")


def _messages(rows: pl.DataFrame, column: str, role: str) -> pl.Expr:
    return messages(role, column).alias(column) if rows.schema[column] == pl.String else pl.col(column)
