"""Generation: the red team writes attacks to seeds, the target responds to prompts."""

import json
from collections.abc import Mapping

import dataframely as dy
import polars as pl

from seas_data import tables
from seas_data.conversation import all_turns, optional_columns
from seas_data.loop.attacks import build_attacks
from seas_data.loop.context import Frames, IterationContext
from seas_data.models.protocol import PromptFormat
from seas_data.tables import schema
from seas_data.tables.ids import row_ids, with_system


def generate_attacks(
    context: IterationContext, model: str, seeds: pl.DataFrame, samples: int, iteration: int, label: str
) -> Frames:
    """Generate ``samples`` attacks to each seed with the red team ``model``; return ``attacks`` and ``settings``."""
    sampling, system = context.sampling("red"), context.loop.red_team.system
    with context.open_model(model) as generator:
        how = sampling.model_dump() | generator.backend_settings | _only_set(system=system)
        settings = settings_row(model, generator.digest, how)
        requests = _to_requests(seeds, "seed_id", system)
        generated = generator.generate(requests, sampling, samples, context.cache_folder(label), f"{model} attacks")
    rows = build_attacks(generated, seeds, model=model, iteration=iteration, settings_id=settings["settings_id"][0])
    return {"attacks": rows, "settings": settings}


def generate_responses(
    context: IterationContext, model: str, prompts: list[tuple[pl.DataFrame, int]], label: str
) -> Frames:
    """Generate responses of the target ``model``; return ``responses`` and ``settings``.

    ``prompts`` are frames (prompt_id, text and, with conversations, messages), each with the number of responses to
    every prompt. Prompts with the same id in one frame are sent once. A conversation is sent with all its turns.
    Each prompt without a system turn of its own is sent after ``target.system``, if the recipe has one. Control tokens
    in prompts are read as such if ``target.as_deployed``.
    """
    sampling = context.sampling("target")
    as_deployed, system = context.loop.target.as_deployed, context.loop.target.system
    parts: list[pl.DataFrame] = []
    with context.open_model(model) as generator:
        how = sampling.model_dump() | generator.backend_settings
        how |= _only_set(as_deployed=None if as_deployed else False, system=system)
        settings = settings_row(model, generator.digest, how)
        for number, (rows, samples) in enumerate(prompts):
            requests = _to_requests(rows.unique("prompt_id"), "prompt_id", system)
            if requests.is_empty():
                continue
            cache = context.cache_folder(f"{label} {number}")
            prompt_format = PromptFormat(contents_as_text=not as_deployed)
            parts.append(generator.generate(requests, sampling, samples, cache, f"{model} answers", prompt_format))
    if not parts:
        return {"responses": tables.empty("responses"), "settings": settings}
    rows = pl.concat(parts).rename({"request_id": "prompt_id"})
    rows = rows.with_columns(
        model=pl.lit(model),
        settings_id=pl.lit(settings["settings_id"][0]),
        detail=pl.coalesce("error", "note"),
        **dict.fromkeys(("source", "source_id", "location"), pl.lit(None, pl.String)),  # of answers from elsewhere
    )
    rows = rows.with_columns(response_id=row_ids("response", rows, "prompt_id", "settings_id", "sample"))
    return {"responses": tables.cast("responses", rows.sort("prompt_id", "sample")), "settings": settings}


def settings_row(model: str, checkpoint: str, sampling: Mapping[str, object]) -> dy.DataFrame[schema.Settings]:
    """Return the row of the table ``settings`` for texts that ``model`` generates; ``checkpoint`` is its digest."""
    row = pl.DataFrame(
        {"model": [model], "checkpoint": [checkpoint], "sampling": [json.dumps(dict(sampling), sort_keys=True)]}
    )
    return tables.cast("settings", row.with_columns(settings_id=row_ids("settings", row, *row.columns)))


def _only_set(**values: object) -> dict[str, object]:
    """Return ``values`` without those that are None, so that a setting that is not used changes no id."""
    return {name: value for name, value in values.items() if value is not None}


def _to_requests(rows: pl.DataFrame, id_column: str, system: str | None) -> pl.DataFrame:
    """Return ``rows`` (an id, text, optional messages) as the input of a generator: request_id, messages, by id."""
    return rows.select(request_id=id_column, messages=with_system(all_turns(rows), system)).sort("request_id")


def select_asked(*parts: pl.DataFrame) -> pl.DataFrame:
    """Return what models and judges are given of the prompts in all ``parts``.

    Input columns: prompt_id, text; optional messages, goal and kind. Output columns: all five, null where there are
    none.
    """
    return pl.concat(part.select("prompt_id", "text", *optional_columns(part)) for part in parts)
