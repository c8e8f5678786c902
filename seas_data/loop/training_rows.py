"""Training rows: pairs or demonstrations of an iteration, and which of them each role is trained on."""

from typing import Any

import polars as pl

from seas_data import pairs, tables
from seas_data.loop.attacks import select_sent
from seas_data.loop.checkpoints import Role
from seas_data.loop.context import Frames, IterationContext
from seas_data.loop.generation import select_asked
from seas_data.loop.verdicts import compute_rewards
from seas_data.query.version import Version
from seas_data.recipe import Loop
from seas_data.sources.conversations import read_preferences
from seas_data.tables.ids import with_system


def build_training_rows(
    context: IterationContext,
    attacks: pl.DataFrame,
    harmless: pl.DataFrame,
    seeds: pl.DataFrame,
    answers: Frames,
    held_out: pl.DataFrame,
) -> Frames:
    """Return ``pairs``, ``demonstrations`` or both, and ``unpaired``, of the iteration's responses.

    With general pairs also ``set_aside``, the rows of ``loop.preferences`` that cannot be used.
    MART and ``loop.update: sft`` need demonstrations.

    Args:
        context: The iteration.
        attacks: The table ``attacks``.
        harmless: Harmless prompts that the target was sent. Input columns: prompt_id, text, optional messages.
        seeds: The table ``seeds``.
        answers: The tables ``responses`` and ``verdicts``.
        held_out: The result of ``pairs.select_held_out``.
    """
    settings, responses, verdicts = context.recipe.pairs, answers["responses"], answers["verdicts"]
    prompts = select_sent(attacks).join(seeds.select("seed_id", "type"), on="seed_id")
    common: dict[str, Any] = {"iteration": context.iteration, "held_out": held_out}
    loop = context.loop
    if settings.mode == "mart":
        scored: dict[str, Any] = {"rewards": compute_rewards(context, answers, select_asked(prompts, harmless))}
        results = [
            pairs.mart_red(prompts, seeds, responses, verdicts, settings, **common),
            pairs.mart_target(prompts, responses, verdicts, settings, seeds=seeds, **scored, **common),
        ]
        if settings.harmless is not None:
            results.append(pairs.mart_harmless(harmless, responses, verdicts, settings, **scored, **common))
        general, set_aside = _draw_general(context, results, held_out)
        made = [each.pairs for each in results]
        made += [pairs.chosen_as_demonstrations(each.pairs) for each in general]
        return set_aside | {
            "demonstrations": add_system_prompts(pl.concat(made), loop),
            "unpaired": pl.concat([each.unpaired for each in [*results, *general]]),
        }
    results = [
        pairs.red_pairs(prompts, seeds, responses, verdicts, settings, **common),
        pairs.target_pairs(prompts, responses, verdicts, settings, seeds=seeds, **common),
    ]
    if settings.harmless is not None:
        results.append(pairs.harmless_pairs(harmless, responses, verdicts, settings, **common))
    general, set_aside = _draw_general(context, results, held_out)
    results += general
    built = set_aside | {
        "pairs": add_system_prompts(pl.concat([each.pairs for each in results]), loop),
        "unpaired": pl.concat([each.unpaired for each in results]),
    }
    if context.loop.update == "sft":
        built["demonstrations"] = pairs.chosen_as_demonstrations(built["pairs"])
    return built


def add_system_prompts(rows: pl.DataFrame, loop: Loop) -> pl.DataFrame:
    """Return pairs or demonstrations with the system prompt of the model that they train, as it is asked.

    A prompt with a system turn of its own keeps that. Input columns: role, prompt (messages).
    """
    prompt = pl.col("prompt")
    red, target = (with_system(prompt, each.system) for each in (loop.red_team, loop.target))
    return rows.with_columns(prompt=pl.when(pl.col("role") == "red").then(red).otherwise(target))


def _draw_general(
    context: IterationContext, results: list[pairs.PairResult], held_out: pl.DataFrame
) -> tuple[list[pairs.PairResult], Frames]:
    """Return the general pairs for ``results`` (those of the red team, then the target's), and the rows set aside."""
    settings = context.recipe.pairs
    if settings.general is None or context.loop.preferences is None:
        return [], {}
    preferences = read_preferences(context.loop.preferences)
    preferences.print_set_aside()
    informative = sum(each.pairs.height for each in results[1:])
    drawn = pairs.general_pairs(
        preferences.rows, settings, pairs=informative, iteration=context.iteration, held_out=held_out
    )
    return [drawn], {"set_aside": preferences.set_aside}


def add_earlier_iterations(context: IterationContext, parent: Version, built: Frames) -> Frames:
    """Return ``built``; with ``loop.update_data: all``, its training rows and those of earlier iterations."""
    if context.loop.update_data == "last":
        return built
    # Iteration 0 has no pairs, and its demonstrations are those of R0's first fine-tuning.
    earlier = {name: parent.table(name).filter(pl.col("iteration") > 0) for name in ("pairs", "demonstrations")}
    return {name: pl.concat([earlier[name], built[name]]) for name in earlier if name in built}


def select_role_rows(rows: Frames, role: Role) -> pl.DataFrame:
    """Return the demonstrations of a role, or its pairs if there are no demonstrations."""
    return rows["demonstrations" if "demonstrations" in rows else "pairs"].filter(
        pl.col("role").is_in(tables.PAIR_ROLES_OF[role])
    )
