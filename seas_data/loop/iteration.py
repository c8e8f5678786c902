"""One turn: seeds, attacks, answers, verdicts, pairs, and the next two models.

Everything here comes from ``train``. Each function is one stage: frames in, the rows of some tables out.
"""

from typing import Any

import polars as pl

from seas_data import pairs, recipe, tables
from seas_data.loop import attacks as attack
from seas_data.loop import checkpoints as players
from seas_data.loop import context as scenes
from seas_data.loop import verdicts as judging
from seas_data.loop.context import Frames, Role, Scene
from seas_data.query.version import Version
from seas_data.tables.ids import row_ids


def seeds(scene: Scene, parent: Version | None, prompts: pl.DataFrame) -> Frames:
    """Draw the iteration's seeds from the adversarial ``prompts`` of ``train``.

    ``parent``: the version before, whose attacks tell which types are weak.
    """
    loop = scene.loop
    weakness = _weakness(scene, parent) if parent is not None and loop.attack.types == "weakness" else None
    drawn = attack.seeds(
        prompts,
        loop.seeds,
        loop.attack,
        iteration=scene.iteration,
        split="train",
        draw=(loop.seed, "attack"),
        weakness=weakness,
    )
    return {"seeds": drawn}


def attacks(scene: Scene, seeds: pl.DataFrame, prompts: pl.DataFrame) -> Frames:
    """Have the last red team attack, and set aside what no target is asked. ``prompts`` holds the seeds' examples."""
    name = f"R{scene.iteration - 1}"
    found = scenes.attacks(scene, name, seeds, scene.loop.attack.prompts, scene.iteration, "attacks")
    return found | {"attacks": attack.set_aside(found["attacks"], seeds, prompts)}


def responses(scene: Scene, attacks: pl.DataFrame, harmless: pl.DataFrame) -> Frames:
    """Have the last target answer the attacks, and the ``harmless`` prompts of ``train`` drawn for this turn."""
    samples = scene.loop.attack.responses
    asked = attacks.filter(pl.col("reason").is_null())
    prompts = [(asked, samples), (harmless, samples)]
    return scenes.responses(scene, f"T{scene.iteration - 1}", prompts, "responses")


def verdicts(scene: Scene, responses: pl.DataFrame, attacks: pl.DataFrame, harmless: pl.DataFrame) -> Frames:
    """Judge the answers."""
    prompts = pl.concat([attacks.select("prompt_id", "text"), harmless.select("prompt_id", "text")])
    return {"verdicts": judging.verdicts(scene, responses, prompts, "verdicts")}


def harmless_drawn(scene: Scene, prompts: pl.DataFrame) -> pl.DataFrame:
    """Return those of the harmless ``prompts`` of ``train`` that this turn asks: others in each, none without pairs.

    What a judge called harmless is asked only once a person has said so, unless the recipe says otherwise.
    """
    settings, wanted = scene.loop.harmless, scene.recipe.pairs
    if wanted.mode == "mart" or wanted.harmless is None or settings.prompts == 0:
        return prompts.clear()
    if settings.reviewed_only:
        prompts = prompts.filter(~pl.col("label_source").str.starts_with("judge:").fill_null(False))
    rows = prompts.with_columns(turn=pl.lit(scene.iteration))
    return (
        rows.with_columns(draw=row_ids("drawn", rows, "turn", "prompt_id"))
        .sort("draw")
        .head(settings.prompts)[prompts.columns]
    )


def made_pairs(
    scene: Scene,
    attacks: pl.DataFrame,
    harmless: pl.DataFrame,
    seeds: pl.DataFrame,
    answers: Frames,
    held_out: pl.DataFrame,
) -> Frames:
    """Make the iteration's pairs, or MART's rows; return ``pairs``, ``demonstrations`` and ``unpaired``.

    ``answers``: ``responses`` and ``verdicts`` of this turn.
    """
    settings, said, judged = scene.recipe.pairs, answers["responses"], answers["verdicts"]
    asked = attacks.filter(pl.col("reason").is_null()).join(seeds.select("seed_id", "type"), on="seed_id")
    about: dict[str, Any] = {"iteration": scene.iteration, "held_out": held_out}
    if settings.mode == "mart":
        rewards = judging.rewards(scene, answers, asked)
        both = [
            pairs.mart_red(asked, seeds, said, judged, settings, **about),
            pairs.mart_target(asked, said, judged, settings, seeds=seeds, rewards=rewards, **about),
        ]
        return {
            "demonstrations": pl.concat([each.pairs for each in both]),
            "unpaired": pl.concat([each.unpaired for each in both]),
        }
    found = [
        pairs.red_pairs(asked, seeds, said, judged, settings, **about),
        pairs.target_pairs(asked, said, judged, settings, seeds=seeds, **about),
    ]
    if settings.harmless is not None:
        found.append(pairs.harmless_pairs(harmless, said, judged, settings, **about))
    informative = sum(each.pairs.height for each in found[1:])
    if settings.general is not None and scene.loop.preferences is not None:
        rows = players.table(scene.loop.preferences, ("source_id", "prompt", "chosen", "rejected"))
        if "source" not in rows.columns:
            rows = rows.with_columns(source=pl.lit("preferences"))
        found.append(pairs.general_pairs(rows, settings, pairs=informative, **about))
    made = {"pairs": pl.concat([each.pairs for each in found]), "unpaired": pl.concat([e.unpaired for e in found])}
    if scene.loop.update == "sft":
        made["demonstrations"] = pairs.chosen_as_demonstrations(made["pairs"])
    return made


def learned(scene: Scene, parent: Version, made: Frames) -> Frames:
    """Return what the next models learn from: what ``made_pairs`` made, or that and what earlier iterations made."""
    if scene.loop.rounds == "last":
        return made
    # Iteration 0 has no pairs, and its demonstrations are what R0 was first fine-tuned on.
    before = {name: parent.table(name).filter(pl.col("iteration") > 0) for name in ("pairs", "demonstrations")}
    return {name: pl.concat([before[name], made[name]]) for name in before if name in made}


def lessons(made: Frames, role: Role) -> pl.DataFrame:
    """Return what the red team or the target learns from, of what ``learned`` returns: demonstrations or pairs."""
    roles = ["red"] if role == "red" else ["target", "harmless", "general"]
    rows = made["demonstrations" if "demonstrations" in made else "pairs"]
    return rows.filter(pl.col("role").is_in(roles))


def trained(scene: Scene, role: Role, rows: pl.DataFrame) -> Frames:
    """Train the next red team or target on its ``lessons``."""
    return players.update(scene, role, rows, rows.filter(pl.col("role") != "general").height)


def joining(scene: Scene, attacks: pl.DataFrame, seeds: pl.DataFrame, answers: Frames) -> pl.DataFrame:
    """Return the ``attacks`` (with their ``language``) that worked as rows of ``prompts``."""
    settings = scene.loop.success
    return attack.joining(
        attacks,
        seeds,
        _rates(scene.recipe.pairs, answers["responses"], answers["verdicts"]),
        rate=settings.rate,
        min_verdicts=settings.min_verdicts,
    )


def harmless_candidates(scene: Scene, attacks: pl.DataFrame, answers: Frames) -> pl.DataFrame:
    """Return as rows of ``prompts`` those ``attacks`` that a judge of prompts calls harmless and the target refused.

    ``attacks`` have their ``language``. Refused: at least ``success.rate`` of the classed answers, of
    ``success.min_verdicts``, are refusals. Without ``harmless.judge`` there are none.
    """
    settings, rules = scene.loop.harmless, scene.loop.success
    asked = attacks.filter(pl.col("reason").is_null())
    said = pairs.select_verdicts(
        answers["verdicts"], judge=scene.recipe.pairs.judge, refusal_judge=scene.recipe.pairs.refusal_judge
    )
    refused = (
        answers["responses"]
        .select("response_id", "prompt_id")
        .join(said.drop_nulls("refusal"), on="response_id")
        .group_by("prompt_id")
        .agg(share=(pl.col("refusal") != "full_compliance").mean(), classed=pl.len())
        .filter(pl.col("share") >= rules.rate, pl.col("classed") >= rules.min_verdicts)
    )
    asked = asked.join(refused, on="prompt_id", how="semi").sort("prompt_id")
    if settings.judge is None or asked.is_empty():
        return tables.empty("prompts")
    verdicts = judging.of_prompts(scene, asked.select("prompt_id", "text"), settings.judge, "prompts judged")
    chosen = asked.join(verdicts.filter(pl.col("verdict") == "safe"), on="prompt_id", how="semi")
    nothing = pl.lit(None, pl.String)
    unlabelled = chosen.with_columns(type=nothing, attack_style=nothing, risk_category=nothing)
    return attack.as_prompts(unlabelled, "harmless", f"judge:{settings.judge}")


def _rates(settings: recipe.Pairs, responses: pl.DataFrame, verdicts: pl.DataFrame) -> pl.DataFrame:
    return pairs.count_unsafe(responses, pairs.select_verdicts(verdicts, judge=settings.judge, refusal_judge=settings.refusal_judge))


def _weakness(scene: Scene, parent: Version) -> dict[str, float] | None:
    """Return how often each type got through in the iteration before, or None before there is one."""
    attacks = parent.table("attacks", ["prompt_id", "seed_id", "iteration", "split"])
    before = attacks.filter(pl.col("iteration") == scene.iteration - 1, pl.col("split") == "train")
    if before.is_empty():
        return None
    said = parent.table("responses", ["response_id", "prompt_id"]).join(before, on="prompt_id", how="semi")
    judged = parent.table("verdicts", ["response_id", "judge", "verdict", "score", "refusal"])
    judged = judged.join(said, on="response_id", how="semi")
    return attack.weaknesses(
        before, parent.table("seeds", ["seed_id", "type"]), _rates(scene.recipe.pairs, said, judged)
    )
