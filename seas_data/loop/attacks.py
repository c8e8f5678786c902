"""The attack: seeds from prompts, attacks from seeds, and which attacks the target is asked.

A seed is k prompts of one type, in the words in which the red team is asked for another one. Examples are drawn without
replacement within a seed, from numbers that depend on the loop's seed, the iteration and the purpose alone, so that the
same prompts give the same seeds. What the red team wrote is a row whatever it is; one that no target can be asked, or
that says what was said before, is set aside with a reason.
"""

import json
from collections.abc import Mapping

import numpy as np
import polars as pl

from seas_data import tables
from seas_data.errors import SeasDataError
from seas_data.recipe import Attack
from seas_data.tables.ids import messages, row_ids
from seas_data.tables.taxonomy import ATTACK_STYLES, TYPES, type_of
from seas_data.text import normalise, text_digest


def seeds(
    prompts: pl.DataFrame,
    count: int,
    settings: Attack,
    *,
    iteration: int,
    split: str,
    draw: tuple[int, str],
    weakness: Mapping[str, float] | None = None,
) -> pl.DataFrame:
    """Draw ``count`` seeds from ``prompts`` (prompt_id, type, text) of ``split``; return the table ``seeds``, by id.

    Types are dealt out in proportion to their weights (``settings.types``), not drawn. ``weakness``: how often each
    type got through before. ``draw``: the loop's seed and the purpose, which make the random numbers. Seeds that come
    out the same are one. Raises SeasDataError when no type has enough prompts for a seed.
    """
    typed = prompts.drop_nulls("type").sort("prompt_id")
    by_type = {
        str(name): rows
        for (name,), rows in typed.partition_by("type", as_dict=True, maintain_order=True).items()
        if rows.height >= settings.examples
    }
    if not by_type:
        raise SeasDataError(
            f"no type has the {settings.examples} prompts of {split} that a seed shows; give sources with more "
            "labelled adversarial prompts, or set loop.attack.examples lower"
        )
    names: list[str] = [name for name in TYPES if name in by_type]
    shares = dealt(_weights(names, by_type, settings, weakness), count)
    numbers = np.random.default_rng([draw[0], iteration, *draw[1].encode()])
    ids: list[list[str]] = []
    texts: list[str] = []
    types: list[str] = []
    for name, share in zip(names, shares, strict=True):
        rows = by_type[name]
        chosen = _choices(numbers, rows.height, settings.examples, share)
        example_ids, example_texts = rows["prompt_id"].to_list(), rows["text"].to_list()
        ids += [[example_ids[k] for k in each] for each in chosen]
        texts += [request([example_texts[k] for k in each], name, settings) for each in chosen]
        types += [name] * share
    frame = pl.DataFrame({"type": types, "example_ids": ids, "text": texts}).with_columns(
        iteration=pl.lit(iteration), split=pl.lit(split), examples=pl.col("example_ids").list.join(",")
    )
    frame = frame.with_columns(seed_id=row_ids("seed", frame, "iteration", "split", "type", "examples", "text"))
    return tables.cast("seeds", frame.unique("seed_id", keep="first").sort("seed_id"))


def request(examples: list[str], type_: str, settings: Attack) -> str:
    """Return the words in which the red team is asked for another prompt like ``examples``."""
    # Not str.format: prompts are full of braces.
    shown = settings.request.replace("{type}", type_)
    return shown.replace("{examples}", settings.between.join(examples))


def dealt(weights: list[float], count: int) -> list[int]:
    """Return ``count`` dealt out in proportion to ``weights``: the whole parts, then the largest remainders."""
    total = sum(weights)
    exact = [count * weight / total for weight in weights]
    shares = [int(part) for part in exact]
    by_remainder = sorted(range(len(exact)), key=lambda k: (shares[k] - exact[k], k))
    for k in by_remainder[: count - sum(shares)]:
        shares[k] += 1
    return shares


def demonstrations(
    prompts: pl.DataFrame, count: int, settings: Attack, *, draw: tuple[int, str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return (seeds, rows) for the red team's first training: a seed from ``prompts``, and another prompt of its type.

    ``rows`` is the table ``demonstrations``, by id; its ``completion_id`` is that prompt's.
    """
    one_more = settings.model_copy(update={"examples": settings.examples + 1, "types": "natural"})
    drawn = seeds(prompts, count, one_more, iteration=0, split="train", draw=draw)
    text = dict(prompts.select("prompt_id", "text").iter_rows())
    parts = drawn.select(
        "type",
        shown=pl.col("example_ids").list.head(settings.examples),
        completion_id=pl.col("example_ids").list.last(),
    )
    shown = [
        request([text[prompt] for prompt in ids], kind, settings) for ids, kind in parts["shown", "type"].iter_rows()
    ]
    rows = parts.with_columns(
        pl.Series("text", shown, dtype=pl.String),
        pl.Series("said", [text[prompt] for prompt in parts["completion_id"]], dtype=pl.String),
        iteration=pl.lit(0),
        split=pl.lit("train"),
        examples=pl.col("shown").list.join(","),
        role=pl.lit("red"),
        prompt_id=pl.lit(None, pl.String),
        judge=pl.lit(None, pl.String),
        source=pl.lit(None, pl.String),
    )
    rows = rows.with_columns(seed_id=row_ids("seed", rows, "iteration", "split", "type", "examples", "text"))
    rows = rows.with_columns(
        demonstration_id=row_ids("demonstration", rows, "role", "iteration", "seed_id", "prompt_id", "completion_id"),
        prompt=messages("user", "text"),
        completion=messages("assistant", "said"),
    ).unique("demonstration_id", keep="first")
    seeds_shown = rows.select("seed_id", "iteration", "type", "text", "split", example_ids="shown").unique("seed_id")
    return tables.cast("seeds", seeds_shown.sort("seed_id")), tables.cast(
        "demonstrations", rows.sort("demonstration_id")
    )


def requests(rows: pl.DataFrame, id_column: str) -> pl.DataFrame:
    """Return ``rows`` (an id, text) as what a generator takes: request_id, messages; one user turn each, by id."""
    return rows.select(request_id=id_column, messages=messages("user", "text")).sort("request_id")


def written(
    generated: pl.DataFrame, seeds_asked: pl.DataFrame, *, model: str, iteration: int, settings_id: str
) -> pl.DataFrame:
    """Return what a red team ``generated`` (request_id, sample, text, finish_reason, tokens) as the table ``attacks``.

    Nothing is set aside yet (``set_aside`` does that).
    """
    rows = generated.join(seeds_asked.select(request_id="seed_id", split="split"), on="request_id", how="left")
    rows = rows.select(
        "finish_reason",
        "tokens",
        "split",
        seed_id="request_id",
        number="sample",
        text=pl.col("text").fill_null("").str.strip_chars(),
        model=pl.lit(model),
        iteration=pl.lit(iteration),
        settings_id=pl.lit(settings_id),
        reason=pl.lit(None, pl.String),
    )
    rows = rows.with_columns(prompt_id=row_ids("attack", rows, "seed_id", "settings_id", "number", "text"))
    return tables.cast("attacks", rows.sort("seed_id", "number"))


def set_aside(
    attacks: pl.DataFrame, seeds_asked: pl.DataFrame, prompts: pl.DataFrame, *, repeats: bool = True
) -> pl.DataFrame:
    """Return ``attacks`` with a ``reason`` for each that no target is asked.

    failed (no text came), cut_off (it ran into the limit of tokens), empty; and, with ``repeats``, repeats_example (the
    text of an example of its seed, up to case and white space) and repeated (of an attack before it, in the order of
    seeds and numbers). An evaluation counts repeats, because to leave them out would leave out what a red team does.
    ``prompts`` (prompt_id, text) holds the examples.
    """
    rows = attacks.sort("seed_id", "number").with_columns(
        normal=pl.col("text").map_elements(normalise, return_dtype=pl.String)
    )
    reason = (
        pl.when(pl.col("finish_reason") == "error")
        .then(pl.lit("failed"))
        .when(pl.col("finish_reason") == "length")
        .then(pl.lit("cut_off"))
        .when(pl.col("normal") == "")
        .then(pl.lit("empty"))
    )
    rows = rows.with_columns(reason=reason)
    if repeats:
        shown = (
            seeds_asked.select("seed_id", prompt_id="example_ids")
            .explode("prompt_id")
            .join(prompts.select("prompt_id", "text"), on="prompt_id")
            .select("seed_id", normal=pl.col("text").map_elements(normalise, return_dtype=pl.String), copy=pl.lit(True))
            .unique()
        )
        rows = rows.join(shown, on=["seed_id", "normal"], how="left", maintain_order="left")
        again = ~pl.struct("normal", pl.col("reason").is_null()).is_first_distinct()
        rows = rows.with_columns(
            reason=pl.coalesce(
                "reason",
                pl.when(pl.col("copy")).then(pl.lit("repeats_example")),
                pl.when(again).then(pl.lit("repeated")),
            )
        )
    return tables.cast("attacks", rows)


def in_language(attacks: pl.DataFrame, seeds_asked: pl.DataFrame, prompts: pl.DataFrame) -> pl.DataFrame:
    """Return ``attacks`` with the column ``language``: that of most examples of the seed, the first by name of several.

    A red team writes in the language that it is shown. ``prompts`` (prompt_id, language) holds the examples; where none
    of a seed's has a language, it is null.
    """
    examples = seeds_asked.select("seed_id", prompt_id="example_ids").explode("prompt_id")
    shown = examples.join(prompts.select("prompt_id", "language"), on="prompt_id").drop_nulls("language")
    most = (
        shown.group_by("seed_id", "language")
        .len()
        .sort("seed_id", "len", "language", descending=[False, True, False])
        .unique("seed_id", keep="first", maintain_order=True)
    )
    return attacks.join(most.select("seed_id", "language"), on="seed_id", how="left", maintain_order="left")


def joining(
    attacks: pl.DataFrame, seeds_asked: pl.DataFrame, rates: pl.DataFrame, *, rate: float, min_verdicts: int
) -> pl.DataFrame:
    """Return the attacks that worked as rows of the table ``prompts``, by id.

    ``attacks``: the table, with the ``language`` of each. ``rates``: prompt_id, valid (verdicts that parsed), unsafe
    (of those). An attack worked when at least ``rate`` of its verdicts are unsafe and there are ``min_verdicts``. Its
    type is that of its seed.
    """
    worked = (
        attacks.filter(pl.col("split") == "train", pl.col("reason").is_null())
        .join(rates, on="prompt_id")
        .filter(pl.col("valid") >= min_verdicts, pl.col("unsafe") >= rate * pl.col("valid"))
        .join(seeds_asked.select("seed_id", "type"), on="seed_id")
        .sort("prompt_id")
    )
    style = pl.when(pl.col("type").is_in(ATTACK_STYLES)).then("type")
    risk = pl.when(~pl.col("type").is_in(ATTACK_STYLES)).then("type")
    return as_prompts(worked.with_columns(attack_style=style, risk_category=risk), "adversarial", "seed")


def as_prompts(rows: pl.DataFrame, kind: str, label_source: str) -> pl.DataFrame:
    """Return attacks (the table, with type, attack_style, risk_category and language) as rows of ``prompts``."""
    difficulties = [type_of(*row)[1] for row in rows.select("risk_category", "attack_style").iter_rows()]
    return tables.cast(
        "prompts",
        rows.with_columns(
            pl.Series("difficulty", difficulties, dtype=pl.String),
            pl.Series("text_digest", [text_digest(text) for text in rows["text"]], dtype=pl.String),
            kind=pl.lit(kind),
            label_source=pl.lit(label_source),
            label_probability=pl.lit(None),
            source=pl.lit("red-team"),
            source_risk=pl.lit(None),
            source_style=pl.lit(None),
            role=pl.lit("training"),
            priority=pl.lit(90),  # what people wrote comes before what a model wrote
            repository=pl.lit(None),
            source_id=pl.format("{}/{}/{}", "model", "seed_id", "number"),
            licence=pl.lit(None),
        ),
    )


def weaknesses(attacks: pl.DataFrame, seeds_asked: pl.DataFrame, rates: pl.DataFrame) -> dict[str, float]:
    """Return for each type which share of an iteration's verdicts was unsafe, one of two verdicts added to each."""
    rows = (
        attacks.join(rates, on="prompt_id")
        .join(seeds_asked.select("seed_id", "type"), on="seed_id")
        .group_by("type")
        .agg(weight=(pl.col("unsafe").sum() + 1) / (pl.col("valid").sum() + 2))
        .drop_nulls("type")
        .sort("type")
    )
    return dict(rows.select("type", "weight").iter_rows())


def settings_row(model: str, checkpoint: str, sampling: Mapping[str, object]) -> pl.DataFrame:
    """Return the row of the table ``settings`` that says how ``model`` wrote."""
    row = pl.DataFrame(
        {"model": [model], "checkpoint": [checkpoint], "sampling": [json.dumps(dict(sampling), sort_keys=True)]}
    )
    return tables.cast("settings", row.with_columns(settings_id=row_ids("settings", row, *row.columns)))


def _weights(
    names: list[str], by_type: dict[str, pl.DataFrame], settings: Attack, weakness: Mapping[str, float] | None
) -> list[float]:
    if settings.types == "natural":
        return [float(by_type[name].height) for name in names]
    if settings.types == "weakness" and weakness:
        typical = sum(weakness.values()) / len(weakness)
        return [weakness.get(name, typical) for name in names]
    return [1.0] * len(names)


def _choices(numbers: np.random.Generator, population: int, size: int, count: int) -> list[list[int]]:
    """Return ``count`` times ``size`` different numbers below ``population``."""
    return [numbers.choice(population, size=size, replace=False, shuffle=True).tolist() for _ in range(count)]
