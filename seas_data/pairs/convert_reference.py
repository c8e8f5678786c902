"""``seas-data pairs --from``: preference pairs from a file that the SEAS reference code wrote.

The rules are those of a build, without what such a file has no columns for (types, scores, refusals) and without the
filters on texts, which apply only on request. Responses are taken in file order.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from seas_data import recipe
from seas_data.errors import SeasDataError
from seas_data.pairs import reference
from seas_data.pairs.jsonl_blocks import prefetch
from seas_data.pairs.reasons import summarize_counts
from seas_data.pairs.red import match_attacks, shuffle_sides
from seas_data.pairs.reference import Role
from seas_data.pairs.target import match_safe_and_unsafe
from seas_data.store.files import atomic_write
from seas_data.tables.ids import messages, row_ids

_AT_A_TIME = 4_000  # pairs whose texts are in memory

SETTINGS = recipe.Pairs(
    red=recipe.RedPairs(max_length_ratio=None, near_duplicate_threshold=None),
    target=recipe.TargetPairs(select_by="first"),
)
"""The default settings: those of a recipe, without the filters on texts."""


def convert_file(path: Path, role: Role, output: Path, *, settings: recipe.Pairs = SETTINGS) -> dict[str, Any]:
    """Write the pairs of ``role`` from the reference code's file at ``path`` to ``output``, atomically.

    Both files are JSONL, or Parquet if the name ends in ``.parquet``.

    Output columns: pair_id, role, prompt, chosen, rejected (message lists), chosen_id, rejected_id, margin, prompt_id,
    seed_id, chosen_line, rejected_line (1-based input lines of the responses; for red, the first line of the attack).

    Returns the counts as JSON data, with their summary as ``statement``. Raises SeasDataError if the input is not such
    a file, or if ``settings`` has mode mart.
    """
    if settings.mode == "mart":
        raise SeasDataError("mode mart needs refusal classes, which a file of the reference code does not have")
    if path.exists() and output.exists() and output.samefile(path):
        raise SeasDataError(f"{output} is the input file; choose another output file")
    file = reference.read(path, role)
    matched, unpaired = (_red if role == "red" else _target)(file, settings)
    matched = matched.sort("chosen_row", "rejected_row")
    _write(output, _composed(file, matched, role, turned=role == "red" and settings.red.random_labels))
    reasons = dict(unpaired.group_by("reason").len().sort("len", "reason", descending=[True, False]).iter_rows())
    return {
        "input": str(path),
        "output": str(output),
        "role": role,
        "rows": file.rows.height,
        "set_aside": dict(file.set_aside.group_by("reason").len().sort("reason").iter_rows()),
        "set_aside_lines": file.set_aside["line"].head(10).to_list(),
        "verdicts": {name: file.rows.filter(pl.col("verdict") == name).height for name in _VERDICTS},
        "seeds": file.rows["seed"].n_unique(),
        "prompts": file.rows["prompt"].n_unique(),
        "pairs": matched.height,
        "unpaired": reasons,
        "statement": summarize_counts(role, matched.height, reasons),
    }


_VERDICTS = ("safe", "unsafe", "unparsed")


def _red(file: reference.Reference, settings: recipe.Pairs) -> tuple[pl.DataFrame, pl.DataFrame]:
    rows = file.rows.group_by("prompt").agg(
        pl.col("seed", "row", "line", "characters", "text_key", "blank").sort_by("row").first(),
        valid=(pl.col("verdict") != "unparsed").sum().cast(pl.Int64),
        unsafe=(pl.col("verdict") == "unsafe").sum().cast(pl.Int64),
    )
    attacks = (
        rows.join(file.ties, on="prompt")
        .sort("tie", "row")
        .with_columns(
            prompt_id=pl.int_range(pl.len()),  # breaks ties, so that file order does not
            seed_id="seed",
            type=pl.lit(None, pl.String),
            invalid=pl.lit(value=False),
            reason=pl.when("blank").then(pl.lit("empty")),
        )
    )
    matched, unpaired = match_attacks(
        attacks, settings.red, lambda ids: file.texts(attacks["row"][ids])["atk_output"].to_list()
    )
    return _placed(matched, attacks.select("row", "line", id="prompt_id")), unpaired


def _target(file: reference.Reference, settings: recipe.Pairs) -> tuple[pl.DataFrame, pl.DataFrame]:
    answers = file.rows.select(
        "row",
        "line",
        "verdict",
        "characters",
        "text_key",
        prompt_id="prompt",
        seed_id="seed",
        response_id="row",
        sample=pl.int_range(pl.len()).over("prompt"),
        type=pl.lit(None, pl.String),
        score=pl.lit(None, pl.Float64),
        reason=pl.when("blank").then(pl.lit("empty")).when(pl.col("verdict") == "unparsed").then(pl.lit("unparsed")),
    )
    matched, unpaired = match_safe_and_unsafe(answers, settings.target)
    return _placed(matched, answers.select("row", "line", "sample", id="row")), unpaired


def _placed(matched: pl.DataFrame, places: pl.DataFrame) -> pl.DataFrame:
    """Add to both sides of ``matched`` the columns of ``places`` beside their ``id``."""
    for side in ("chosen", "rejected"):
        matched = matched.join(places.select(pl.all().name.prefix(f"{side}_")), on=f"{side}_id", how="left")
    return matched


def _composed(file: reference.Reference, matched: pl.DataFrame, role: Role, *, turned: bool) -> Iterator[pl.DataFrame]:
    """Yield ``matched`` with texts and ids in slices; one empty frame if there are no pairs."""
    slices = (matched.slice(start, _AT_A_TIME) for start in range(0, max(1, matched.height), _AT_A_TIME))
    fetched = ((rows, file.texts(pl.concat([rows["chosen_row"], rows["rejected_row"]]))) for rows in slices)
    for rows, texts in prefetch(fetched):
        rows = rows.with_columns(
            *(texts[name].head(rows.height).alias(f"chosen_{name}") for name in texts.columns),
            *(texts[name].tail(rows.height).alias(f"rejected_{name}") for name in texts.columns),
            role=pl.lit(role),
        )
        rows = (_named_red if role == "red" else _named_target)(rows)
        rows = rows.with_columns(pair_id=row_ids("pair", rows, *_IDENTITY)).select(*_COLUMNS)
        yield shuffle_sides(rows) if turned else rows


def _named_red(rows: pl.DataFrame) -> pl.DataFrame:
    rows = rows.with_columns(seed_id=row_ids("seed", rows, "chosen_prompt"), prompt_id=pl.lit(None))
    return rows.with_columns(
        chosen_id=row_ids("prompt", rows, "seed_id", "chosen_atk_output"),
        rejected_id=row_ids("prompt", rows, "seed_id", "rejected_atk_output"),
        prompt=messages("user", "chosen_prompt"),
        chosen=messages("assistant", "chosen_atk_output"),
        rejected=messages("assistant", "rejected_atk_output"),
    )


def _named_target(rows: pl.DataFrame) -> pl.DataFrame:
    rows = rows.with_columns(
        seed_id=row_ids("seed", rows, "chosen_prompt"),
        prompt_id=row_ids("prompt", rows, "chosen_atk_output"),
    )
    return rows.with_columns(
        chosen_id=row_ids("response", rows, "prompt_id", "chosen_sample"),
        rejected_id=row_ids("response", rows, "prompt_id", "rejected_sample"),
        prompt=messages("user", "chosen_atk_output"),
        chosen=messages("assistant", "chosen_tgt_output"),
        rejected=messages("assistant", "rejected_tgt_output"),
    )


_IDENTITY = ("role", "seed_id", "prompt_id", "chosen_id", "rejected_id")
_COLUMNS = (
    *("pair_id", "role", "prompt", "chosen", "rejected", "chosen_id", "rejected_id", "margin", "prompt_id", "seed_id"),
    *("chosen_line", "rejected_line"),
)


def _write(output: Path, frames: Iterator[pl.DataFrame]) -> None:
    with atomic_write(output) as temporary:
        if output.suffix.lower() != ".parquet":
            with temporary.open("wb") as file:
                for frame in frames:
                    frame.write_ndjson(file)
            return
        first = next(frames).to_arrow(compat_level=pl.CompatLevel.oldest())
        # Without Polars' own schema in it the file holds plain strings and lists, as other tools write them.
        with pq.ParquetWriter(temporary, first.schema, compression="zstd", store_schema=False) as writer:
            writer.write_table(first)
            for frame in frames:
                writer.write_table(frame.to_arrow(compat_level=pl.CompatLevel.oldest()))
