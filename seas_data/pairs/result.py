"""The result of building pairs, and its conversion to the tables ``pairs``, ``demonstrations`` and ``unpaired``."""

from dataclasses import dataclass

import dataframely as dy
import polars as pl

from seas_data import tables
from seas_data.conversation import all_turns
from seas_data.tables import schema
from seas_data.tables.ids import messages, row_ids


@dataclass(frozen=True)
class PairResult:
    """Pairs and unused candidates.

    Attributes:
        pairs: The table ``pairs`` (or ``demonstrations``), sorted by id.
        unpaired: The table ``unpaired``: one row for each candidate that is in no pair, with the reason.
    """

    pairs: pl.DataFrame
    unpaired: dy.DataFrame[schema.Unpaired]


def build_pairs(matched: pl.DataFrame, *, role: str, iteration: int, judge: str | None) -> dy.DataFrame[schema.Pairs]:
    """Return ``matched`` as the table ``pairs``, sorted by id.

    Input columns: input (a text or messages), chosen_text, rejected_text; chosen_id, rejected_id; optional margin,
    type, prompt_id and seed_id.
    """
    rows = _add_missing_columns(matched, "margin", "type", "prompt_id", "seed_id").with_columns(
        role=pl.lit(role),
        iteration=pl.lit(iteration),
        prompt=_prompt(matched),
        chosen=messages("assistant", "chosen_text"),
        rejected=messages("assistant", "rejected_text"),
        judge=pl.lit(judge),
        source=pl.lit(None),
    )
    return finish_pairs(rows)


def finish_pairs(rows: pl.DataFrame) -> dy.DataFrame[schema.Pairs]:
    """Return ``rows``, which lack only pair_id, as the table ``pairs``, sorted by id."""
    parts = ("role", "iteration", "seed_id", "prompt_id", "chosen_id", "rejected_id")
    return tables.cast("pairs", rows.with_columns(pair_id=row_ids("pair", rows, *parts)).sort("pair_id"))


def build_demonstrations(
    rows: pl.DataFrame, *, role: str, iteration: int, judge: str | None
) -> dy.DataFrame[schema.Demonstrations]:
    """Return ``rows`` as the table ``demonstrations``, sorted by id.

    Input columns: input (a text or messages), completion_text; completion_id; optional type, prompt_id and seed_id.
    """
    rows = _add_missing_columns(rows, "type", "prompt_id", "seed_id").with_columns(
        role=pl.lit(role),
        iteration=pl.lit(iteration),
        prompt=_prompt(rows),
        completion=messages("assistant", "completion_text"),
        judge=pl.lit(judge),
        source=pl.lit(None),
    )
    return _finish_demonstrations(rows)


def chosen_as_demonstrations(pairs: pl.DataFrame) -> dy.DataFrame[schema.Demonstrations]:
    """Return the chosen sides of ``pairs`` as the table ``demonstrations``: SFT instead of DPO, an ablation."""
    return _finish_demonstrations(pairs.rename({"chosen": "completion", "chosen_id": "completion_id"}))


def _finish_demonstrations(rows: pl.DataFrame) -> dy.DataFrame[schema.Demonstrations]:
    parts = ("role", "iteration", "seed_id", "prompt_id", "completion_id")
    rows = rows.with_columns(demonstration_id=row_ids("demonstration", rows, *parts))
    return tables.cast("demonstrations", rows.unique("demonstration_id", keep="first").sort("demonstration_id"))


def select_texts(responses: pl.DataFrame, *, thinking: bool) -> pl.DataFrame:
    """Return what a model is trained to write: the answer, with ``thinking`` after what it thought, if it did.

    Input columns: response_id, text; optional thinking. Output columns: response_id, text.
    """
    text = pl.col("text")
    if thinking and "thinking" in responses.columns:
        thought = pl.format("<think>\n{}\n</think>\n\n{}", pl.col("thinking"), text)
        text = pl.when(pl.col("thinking").is_null()).then(text).otherwise(thought)
    return responses.select("response_id", text=text)


def build_unpaired(rows: pl.DataFrame, *, role: str, iteration: int) -> dy.DataFrame[schema.Unpaired]:
    """Return ``rows`` as the table ``unpaired``, sorted by candidate_id.

    Input columns: candidate_id, reason; optional prompt_id and seed_id.
    """
    rows = _add_missing_columns(rows, "prompt_id", "seed_id").with_columns(
        role=pl.lit(role), iteration=pl.lit(iteration)
    )
    return tables.cast("unpaired", rows.sort("candidate_id"))


def select_input(prompts: pl.DataFrame) -> pl.DataFrame:
    """Return prompt_id and ``input``: the turns of each prompt. Input columns: prompt_id, text, optional messages."""
    return prompts.select("prompt_id", input=all_turns(prompts))


def _prompt(rows: pl.DataFrame) -> pl.Expr:
    return messages("user", "input") if rows.schema["input"] == pl.String else pl.col("input")


def _add_missing_columns(rows: pl.DataFrame, *columns: str) -> pl.DataFrame:
    return rows.with_columns(pl.lit(None).alias(name) for name in columns if name not in rows.columns)
