"""Seeds: k prompts of one type, and the request that asks the red team for another one.

Examples are drawn without replacement within a seed. The random numbers depend only on the loop's seed, the iteration
and the purpose, so the same prompts give the same seeds.
"""

from collections.abc import Mapping, Sequence

import dataframely as dy
import numpy as np
import polars as pl

from seas_data import tables
from seas_data.errors import SeasDataError
from seas_data.loop.context import Frames, IterationContext
from seas_data.loop.verdicts import count_unsafe_by_prompt
from seas_data.query.version import Version
from seas_data.recipe import Attack
from seas_data.tables import schema
from seas_data.tables.ids import messages, row_ids
from seas_data.text import printable


def draw_iteration_seeds(context: IterationContext, parent: Version | None, prompts: pl.DataFrame) -> Frames:
    """Draw the seeds of an iteration from the adversarial ``prompts`` of ``train``; return the table ``seeds``.

    With ``loop.attack.seed_types: weakness`` types are weighted by their success in the iteration of ``parent``.
    """
    loop = context.loop
    weakness = (
        _weakness_before(context, parent) if parent is not None and loop.attack.seed_types == "weakness" else None
    )
    drawn = draw_seeds(
        prompts,
        loop.seeds_per_iteration,
        loop.attack,
        types=context.recipe.taxonomy.types,
        iteration=context.iteration,
        split="train",
        random_stream=(loop.seed, "attack"),
        weakness=weakness,
    )
    return {"seeds": drawn}


def draw_evaluation_seeds(context: IterationContext, known: pl.DataFrame, prompts: pl.DataFrame) -> pl.DataFrame:
    """Return the seeds that all cells of the matrix share: those of the table ``known``, or new ones from ``prompts``.

    ``prompts`` are the adversarial ones of ``test``.
    """
    seeds = known.filter(pl.col("split") == "test")
    if seeds.height:
        return seeds
    loop = context.loop
    settings = loop.attack.model_copy(update={"seed_types": "natural"})
    stream = (loop.seed, "evaluation")
    return draw_seeds(
        prompts,
        loop.evaluation.seeds,
        settings,
        types=context.recipe.taxonomy.types,
        iteration=0,
        split="test",
        random_stream=stream,
    )


def draw_seeds(
    prompts: pl.DataFrame,
    count: int,
    settings: Attack,
    *,
    types: Sequence[str],
    iteration: int,
    split: str,
    random_stream: tuple[int, str],
    weakness: Mapping[str, float] | None = None,
) -> dy.DataFrame[schema.Seeds]:
    """Draw ``count`` seeds from ``prompts``; return the table ``seeds``, sorted by id.

    The number of seeds of each type is proportional to its weight (``settings.seed_types``); it is not drawn. Identical
    seeds are returned once. Conversations are no examples, because a red team writes a single user turn.

    Args:
        prompts: Prompts of ``split``. Input columns: prompt_id, type, text and, with conversations, messages.
        count: Number of seeds.
        settings: The recipe's ``loop.attack``.
        types: The types of the taxonomy, in its order.
        iteration: Iteration of the seeds.
        split: Split that the prompts are of.
        random_stream: The loop's seed and the purpose: what the random numbers depend on besides the iteration.
        weakness: Success rate of each type so far (0 to 1), for ``seed_types: weakness``.

    Raises SeasDataError if no type has enough prompts for a seed.
    """
    plain = prompts.filter(pl.col("messages").is_null()) if "messages" in prompts.columns else prompts
    typed = plain.drop_nulls("type").sort("prompt_id")
    by_type = {
        str(name): rows
        for (name,), rows in typed.partition_by("type", as_dict=True, maintain_order=True).items()
        if rows.height >= settings.examples_per_seed
    }
    if not by_type:
        raise SeasDataError(
            f"no type has {settings.examples_per_seed} prompts in {split}, the number of examples of a seed; add "
            "labelled adversarial prompts, or lower loop.attack.examples_per_seed"
        )
    names: list[str] = [name for name in types if name in by_type]
    if not names:
        raise SeasDataError(
            f"the types of the prompts in {split}, such as {printable(min(by_type))[:60]}, are not in the taxonomy; "
            "correct them, or name your own categories in taxonomy"
        )
    counts = apportion(_type_weights(names, by_type, settings, weakness), count)
    generator = np.random.default_rng([random_stream[0], iteration, *random_stream[1].encode()])
    ids: list[list[str]] = []
    texts: list[str] = []
    drawn_types: list[str] = []
    for name, number in zip(names, counts, strict=True):
        rows = by_type[name]
        choices = _draw_combinations(generator, rows.height, settings.examples_per_seed, number)
        example_ids, example_texts = rows["prompt_id"].to_list(), rows["text"].to_list()
        ids += [[example_ids[k] for k in each] for each in choices]
        texts += [format_request([example_texts[k] for k in each], name, settings) for each in choices]
        drawn_types += [name] * number
    frame = pl.DataFrame({"type": drawn_types, "example_ids": ids, "text": texts}).with_columns(
        iteration=pl.lit(iteration), split=pl.lit(split), examples=pl.col("example_ids").list.join(",")
    )
    frame = frame.with_columns(seed_id=row_ids("seed", frame, "iteration", "split", "type", "examples", "text"))
    return tables.cast("seeds", frame.unique("seed_id", keep="first").sort("seed_id"))


def draw_demonstrations(
    prompts: pl.DataFrame, count: int, settings: Attack, *, types: Sequence[str], random_stream: tuple[int, str]
) -> tuple[dy.DataFrame[schema.Seeds], dy.DataFrame[schema.Demonstrations]]:
    """Return the tables ``seeds`` and ``demonstrations`` for the red team's first training, sorted by id.

    A demonstration asks with a seed drawn from ``prompts`` and completes it with another prompt of the seed's type,
    whose id is its ``completion_id``. ``types``: those of the taxonomy, in its order.

    Input columns: prompt_id, type, text.
    """
    one_more = settings.model_copy(
        update={"examples_per_seed": settings.examples_per_seed + 1, "seed_types": "natural"}
    )
    drawn = draw_seeds(prompts, count, one_more, types=types, iteration=0, split="train", random_stream=random_stream)
    text = dict(prompts.select("prompt_id", "text").iter_rows())
    parts = drawn.select(
        "type",
        shown=pl.col("example_ids").list.head(settings.examples_per_seed),
        completion_id=pl.col("example_ids").list.last(),
    )
    requests = [
        format_request([text[prompt] for prompt in ids], kind, settings)
        for ids, kind in parts["shown", "type"].iter_rows()
    ]
    rows = parts.with_columns(
        pl.Series("text", requests, dtype=pl.String),
        pl.Series("answer", [text[prompt] for prompt in parts["completion_id"]], dtype=pl.String),
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
        completion=messages("assistant", "answer"),
    ).unique("demonstration_id", keep="first")
    seeds = rows.select("seed_id", "iteration", "type", "text", "split", example_ids="shown").unique("seed_id")
    return tables.cast("seeds", seeds.sort("seed_id")), tables.cast("demonstrations", rows.sort("demonstration_id"))


def format_request(examples: list[str], type_: str, settings: Attack) -> str:
    """Return the request for another prompt like ``examples``: ``settings.request`` with its placeholders filled."""
    # Not str.format: prompts are full of braces.
    with_type = settings.prompt_template.replace("{type}", type_)
    return with_type.replace("{examples}", settings.example_separator.join(examples))


def apportion(weights: list[float], count: int) -> list[int]:
    """Return integers that sum to ``count`` and are proportional to ``weights``, by the largest-remainder method."""
    total = sum(weights)
    exact = [count * weight / total for weight in weights]
    counts = [int(part) for part in exact]
    by_remainder = sorted(range(len(exact)), key=lambda k: (counts[k] - exact[k], k))
    for k in by_remainder[: count - sum(counts)]:
        counts[k] += 1
    return counts


def compute_weakness(attacks: pl.DataFrame, seeds: pl.DataFrame, counts: pl.DataFrame) -> dict[str, float]:
    """Return the proportion of unsafe verdicts of each type, smoothed by one unsafe and one safe verdict.

    Input columns: ``attacks`` prompt_id, seed_id; ``seeds`` seed_id, type; ``counts`` prompt_id, valid, unsafe.
    """
    rows = (
        attacks.join(counts, on="prompt_id")
        .join(seeds.select("seed_id", "type"), on="seed_id")
        .group_by("type")
        .agg(weight=(pl.col("unsafe").sum() + 1) / (pl.col("valid").sum() + 2))
        .drop_nulls("type")
        .sort("type")
    )
    return dict(rows.select("type", "weight").iter_rows())


def _weakness_before(context: IterationContext, parent: Version) -> dict[str, float] | None:
    """Return the weakness of each type in the iteration before this one; None if this is the first."""
    attacks = parent.table("attacks", ["prompt_id", "seed_id", "iteration", "split"])
    before = attacks.filter(pl.col("iteration") == context.iteration - 1, pl.col("split") == "train")
    if before.is_empty():
        return None
    responses = parent.table("responses", ["response_id", "prompt_id"]).join(before, on="prompt_id", how="semi")
    verdicts = parent.table("verdicts", ["response_id", "judge", "verdict", "score", "refusal"])
    verdicts = verdicts.join(responses, on="response_id", how="semi")
    counts = count_unsafe_by_prompt(context.recipe.pairs, responses, verdicts)
    return compute_weakness(before, parent.table("seeds", ["seed_id", "type"]), counts)


def _type_weights(
    names: list[str], by_type: dict[str, pl.DataFrame], settings: Attack, weakness: Mapping[str, float] | None
) -> list[float]:
    if settings.seed_types == "natural":
        return [float(by_type[name].height) for name in names]
    if settings.seed_types == "weakness" and weakness:
        typical = sum(weakness.values()) / len(weakness)
        return [weakness.get(name, typical) for name in names]
    return [1.0] * len(names)


def _draw_combinations(generator: np.random.Generator, population: int, size: int, count: int) -> list[list[int]]:
    """Draw ``count`` times ``size`` different numbers below ``population``."""
    return [generator.choice(population, size=size, replace=False, shuffle=True).tolist() for _ in range(count)]
