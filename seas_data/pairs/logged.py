"""Pairs without a loop: from the answers and verdicts that the sources of a version brought.

The rules, the judges and the ledger are those of the loop's pairs. A pair compares answers of one target, so the
answers of each target are paired by themselves. Only kept prompts of ``train`` are used, and a prompt that has a pair
in the parent version gets no other.
"""

from typing import Any

import polars as pl

from seas_data import tables
from seas_data.errors import SeasDataError
from seas_data.pairs.holdout import select_held_out
from seas_data.pairs.mart import mart_harmless, mart_target
from seas_data.pairs.result import PairResult
from seas_data.pairs.target import harmless_pairs, target_pairs
from seas_data.pairs.verdicts import resolve_judge, resolve_refusal_judge
from seas_data.recipe import Pairs
from seas_data.store.version import Version, apply_relabels, newest_drops
from seas_data.store.workspace import next_version

Frames = dict[str, pl.DataFrame]

_READ = ("prompts", "relabels", "decisions", "splits", "responses", "verdicts", "pairs", "demonstrations", "unpaired")
_ITERATION = 0
"""The iteration of these pairs: no iteration of a loop made them."""


def pair_version(settings: Pairs, parent: Version | None, new: Frames) -> Frames:
    """Return ``pairs`` (or ``demonstrations``) and ``unpaired`` of the version that adds the rows ``new``.

    Raises SeasDataError if several judges gave verdicts and ``pairs`` names none.

    Args:
        settings: The recipe's ``pairs`` section.
        parent: The version before; None for the first.
        new: The rows that the version adds, by table. Its columns ``version`` may be empty.
    """
    name = next_version(parent.name if parent else None)
    whole = {table: _whole(table, parent, new, name) for table in _READ}
    prompts = apply_relabels(whole["prompts"], whole["relabels"])
    held_out = select_held_out(prompts, whole["splits"])
    kept = prompts.join(newest_drops(whole["decisions"]), on="prompt_id", how="anti")
    train = kept.join(whole["splits"].filter(pl.col("split") == "train"), on="prompt_id", how="semi")
    made = "demonstrations" if settings.mode == "mart" else "pairs"
    answered = new["responses"].select("prompt_id") if "responses" in new else tables.empty("responses")
    open_prompts = train.join(answered, on="prompt_id", how="semi").join(
        whole[made].drop_nulls("prompt_id"), on="prompt_id", how="anti"
    )
    built = pair_answers(open_prompts, whole["responses"], whole["verdicts"], settings, held_out=held_out)
    known = whole["unpaired"].select("role", "candidate_id")
    built["unpaired"] = built["unpaired"].join(known, on=["role", "candidate_id"], how="anti")
    return built


def pair_answers(
    prompts: pl.DataFrame,
    responses: pl.DataFrame,
    verdicts: pl.DataFrame,
    settings: Pairs,
    *,
    held_out: pl.DataFrame,
) -> Frames:
    """Return ``pairs`` (with ``mode: mart`` ``demonstrations``) and ``unpaired`` of the answers to ``prompts``.

    Adversarial prompts give target pairs, harmless ones harmless pairs.

    Args:
        prompts: Input columns: prompt_id, text, kind, type and, with conversations, messages.
        responses: The table ``responses``; only those that a source brought are used.
        verdicts: The table ``verdicts``.
        settings: The recipe's ``pairs`` section.
        held_out: The result of ``select_held_out``.
    """
    if settings.mode == "mart" and settings.mart.reward_model is not None:
        raise SeasDataError("pairs.mart.reward_model needs a loop; remove it: safe responses are then used")
    brought = responses.filter(pl.col("source").is_not_null())
    judged = verdicts.join(brought, on="response_id", how="semi")
    named: list[str | None] = [*settings.judges] if settings.judges else [settings.judge]
    judges = [resolve_judge(judged, name) for name in named]
    refusal_judge = resolve_refusal_judge(judged, settings.refusal_judge)
    logged = brought.join(prompts, on="prompt_id", how="semi").join(
        _first_judges(judged, judges), on="response_id", how="left"
    )
    one = settings.model_copy(update={"judge": None, "refusal_judge": None})
    results: list[PairResult] = []
    for (_, judge), answers in sorted(logged.partition_by("model", "judge", as_dict=True).items(), key=str):
        theirs = _only(judged.join(answers, on="response_id", how="semi"), judge, refusal_judge)
        results += _pair_one_target(prompts, answers.drop("judge"), theirs, one, held_out)
    made = "demonstrations" if settings.mode == "mart" else "pairs"
    return {
        made: pl.concat([tables.empty(made), *(each.pairs for each in results)]),
        "unpaired": pl.concat([tables.empty("unpaired"), *(each.unpaired for each in results)]),
    }


def _pair_one_target(
    prompts: pl.DataFrame, answers: pl.DataFrame, verdicts: pl.DataFrame, settings: Pairs, held_out: pl.DataFrame
) -> list[PairResult]:
    """Return the pairs or demonstrations of one target's answers, with the verdicts of one judge."""
    turns = [name for name in ("messages",) if name in prompts.columns]
    attacks = prompts.filter(pl.col("kind") == "adversarial").select("prompt_id", "text", "type", *turns)
    harmless = prompts.filter(pl.col("kind") == "harmless").select("prompt_id", "text", *turns)
    common: dict[str, Any] = {"iteration": _ITERATION, "held_out": held_out}
    if settings.mode == "mart":
        results = [mart_target(attacks, answers, verdicts, settings, **common)]
        if settings.harmless is not None:
            results.append(mart_harmless(harmless, answers, verdicts, settings, **common))
        return results
    results = [target_pairs(attacks, answers, verdicts, settings, **common)]
    if settings.harmless is not None:
        results.append(harmless_pairs(harmless, answers, verdicts, settings, **common))
    return results


def _first_judges(verdicts: pl.DataFrame, judges: list[str | None]) -> pl.DataFrame:
    """Return, of each response, the first of ``judges`` that judged it. Output columns: response_id, judge."""
    order = pl.DataFrame({"judge": judges}, schema={"judge": pl.String}).with_row_index("order")
    rows = verdicts.filter(pl.col("verdict").is_not_null()).join(order, on="judge").sort("order")
    return rows.unique("response_id", keep="first", maintain_order=True).select("response_id", "judge")


def _only(verdicts: pl.DataFrame, judge: str | None, refusal_judge: str | None) -> pl.DataFrame:
    """Return the verdicts of one judge and the refusal classes of one: a target may lack those of the others."""
    harm, refusal = pl.col("judge") == pl.lit(judge), pl.col("judge") == pl.lit(refusal_judge)
    return verdicts.with_columns(
        verdict=pl.when(harm).then("verdict"),
        score=pl.when(harm).then("score"),
        refusal=pl.when(refusal).then("refusal"),
    ).filter(pl.col("verdict").is_not_null() | pl.col("refusal").is_not_null())


def _whole(table: str, parent: Version | None, new: Frames, name: str) -> pl.DataFrame:
    """Return the rows of a table in the new version."""
    rows = new.get(table, tables.empty(table))
    if "version" in rows.columns:
        rows = rows.with_columns(version=pl.lit(name))
    return rows if parent is None else pl.concat([parent.table(table), rows.select(tables.empty(table).columns)])
