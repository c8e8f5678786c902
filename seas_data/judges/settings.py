"""How a judge's model was asked: a row of the table ``settings`` for each judge that has a model."""

import json

import dataframely as dy
import polars as pl

from seas_data import tables
from seas_data.judges import refusal
from seas_data.judges.guards import load_guard
from seas_data.models.protocol import Generator
from seas_data.recipe import Judge, JudgeChat, JudgeGuard, JudgePanel, JudgeRules
from seas_data.redact import redact_options
from seas_data.tables import schema
from seas_data.tables.ids import row_ids


def judge_settings(judge: Judge, generator: Generator | None) -> dy.DataFrame[schema.Settings]:
    """Return the row of ``judge``, whose model is ``generator``; no row for rules and panels, which have no model.

    Its ``sampling`` has what the recipe says of the judge (its policy, prompt, options and keywords of the chat
    template), the limit of tokens, and what else affects the answers, so its id changes with each of them. What may
    be a secret is withheld.
    """
    if generator is None or isinstance(judge, JudgeRules | JudgePanel):
        return tables.cast("settings", tables.empty("settings"))
    said = judge.model_dump(exclude_defaults=True, exclude={"model", "name"})
    said |= {key: redact_options(said[key]) for key in ("options", "chat_template_kwargs") if key in said}
    how = {"by": judge.by, **said, "temperature": 0, "max_new_tokens": _limit(judge), **generator.backend_settings}
    row = pl.DataFrame(
        {
            "model": [generator.name],
            "checkpoint": [generator.digest],
            "sampling": [json.dumps(how, sort_keys=True)],
            "judge": [judge.label],
        }
    )
    return tables.cast("settings", row.with_columns(settings_id=row_ids("judge settings", row, *row.columns)))


def _limit(judge: Judge) -> int | None:
    """Return the most tokens of an answer before its thinking, None without a limit."""
    if isinstance(judge, JudgeGuard):
        return load_guard(judge).max_new_tokens
    return judge.max_new_tokens if isinstance(judge, JudgeChat) else refusal.MAX_NEW_TOKENS
