"""A workspace of any size, made without any model: the loop itself, with what models and judges say drawn by lot.

Seeds, what is set aside, pairs, metrics and what joins come from the package's own functions, so that the rows are as
the loop writes them; only attacks, answers and verdicts are invented. Attacks get stronger with each red team, targets
safer with each iteration, and refuse a little more. All text is about a castle garden.

    made.workspace(folder, prompts=20_000, iterations=3, seeds=5_000, attacks=5, responses=5)    # the paper's scale
"""

from pathlib import Path

import numpy as np
import polars as pl

from seas_data import pairs, tables
from seas_data.build_version import write_shards
from seas_data.curate.outcome import build_decisions
from seas_data.loop.attack_quality import describe_joined_attacks
from seas_data.loop.attacks import add_language, mark_set_aside
from seas_data.loop.checkpoints import Role, checkpoint_row
from seas_data.loop.evaluation import compute_answer_metrics, describe_target, join_cells, select_sets
from seas_data.loop.iteration import drop_parent_rows
from seas_data.loop.joined_prompts import attacks_to_prompts, select_successful
from seas_data.loop.seeds import draw_demonstrations, draw_seeds
from seas_data.metrics import RedTeamAttacks, compute_metrics
from seas_data.metrics.rows import metric_frame, metric_row
from seas_data.query.version import Version
from seas_data.recipe import Recipe
from seas_data.review import gold
from seas_data.store import Workspace, open_workspace
from seas_data.store.stages import RUNS
from tests import made_models, made_sources
from tests.made_sources import Frames

ROLES: tuple[tuple[str, Role], ...] = (("R", "red"), ("T", "target"))


def recipe(*, iterations: int = 2, seeds: int = 30, attacks: int = 4, responses: int = 3) -> Recipe:
    """Return the recipe that a made workspace says it was built from."""
    sources = {
        name: {"path": f"{name}.jsonl", "language": "en", "columns": {"id": "id"}} | about
        for name, about in made_sources.SOURCES.items()
    }
    return Recipe.model_validate(
        {
            "name": "made",
            "description": "Invented prompts about a castle garden, and a loop whose models and judges are dice.",
            "sources": sources,
            "embedders": [],
            "models": {name: {"model": f"made-{name}", "licence": "Apache-2.0"} for name in ("red", "target", "guard")},
            "release": {"licences": {"preferences": "CC0-1.0"}},
            "judges": [
                {"by": "rules", "name": "keeper", "unsafe": {"words": ["box"]}, "refusal": {"patterns": ["^i "]}},
                {"by": "guard", "name": "guard", "guard": "llama-guard-2", "model": "guard"},
            ],
            "loop": {
                "iterations": iterations,
                "seeds_per_iteration": seeds,
                "attack": {"attacks_per_seed": attacks, "responses_per_attack": responses},
                "evaluation": {"seeds": max(30, seeds // 10), "attacks_per_seed": 2, "responses_per_prompt": 2},
                "success": {"min_verdicts": min(3, responses)},
                "harmless": {"prompts_per_iteration": max(10, seeds), "judge": "guard"},
                "instructions": "instructions.jsonl",
                "preferences": "preferences.jsonl",
            },
            "pairs": {
                "judge": "keeper",
                "red": {"near_duplicate_threshold": None, "min_verdicts": min(2, responses)},
                "target": {"max_pairs": max(20, seeds * attacks // 4)},
            },
        }
    )


def workspace(
    root: Path,
    *,
    prompts: int = 400,
    iterations: int = 2,
    seeds: int = 30,
    attacks: int = 4,
    responses: int = 3,
    dimensions: int = 16,
    seed: int = 0,
) -> Version:
    """Write a workspace with versions v0 to v``iterations`` below ``root`` and return the newest.

    ``prompts``: of version 0. ``seeds``: of each iteration, ``attacks`` on each, ``responses`` to each attack; the
    evaluation has a tenth of the seeds, at least thirty. ``dimensions``: of the vectors.
    """
    plan = recipe(iterations=iterations, seeds=seeds, attacks=attacks, responses=responses)
    place = open_workspace(root, create=True)
    first = made_sources.first(prompts, dimensions, seed) | {"taxonomy": plan.taxonomy.frame()}
    version = _commit(place, plan, None, first, ("contamination", "templates", "edges", "select", "split", "write"))
    for iteration in range(1, iterations + 1):
        made = _iteration(plan, version, iteration, dimensions, np.random.default_rng([seed, iteration]))
        stages = ("seeds", "attacks", "responses", "verdicts", "pairs", "train red team", "train target", "join")
        measured = tuple(f"evaluate {letter}{iteration}" for letter in "RT")
        version = _commit(place, plan, version, made, (*stages, *measured, "select", "write"))
    return version


def _commit(place: Workspace, plan: Recipe, parent: Version | None, made: Frames, stages: tuple[str, ...]) -> Version:
    number = int(parent.name[1:]) + 1 if parent else 0
    frames = {name: tables.cast(name, frame) for name, frame in made.items()}
    manifest = write_shards(place, plan, parent, f"v{number}", frames, number)
    runs = [
        {
            "version": f"v{number}",
            "stage": stage,
            "started": f"2026-01-0{number + 1}T10:{minute:02}:00+00:00",
            "seconds": 1.5 * minute + 0.25,
            "rows": frames["prompts"].height,
            "peak_megabytes": 500 + minute,
            "tools": "{}",
        }
        for minute, stage in enumerate(stages)
    ]
    return Version(place, place.commit(manifest, pl.DataFrame(runs, schema=RUNS)))


def _iteration(plan: Recipe, parent: Version, k: int, dimensions: int, numbers: np.random.Generator) -> Frames:
    """Play iteration ``k`` and return the rows that it adds, as ``loop.run_iteration`` does."""
    assert plan.loop is not None
    settings = plan.loop.attack
    prompts, kept, splits = (parent.table(name) for name in ("prompts", "kept", "splits"))
    train = kept.join(splits.filter(split="train"), on="prompt_id", how="semi").sort("prompt_id")
    test = kept.join(splits.filter(split="test"), on="prompt_id", how="semi").sort("prompt_id")
    attackable = train.filter(pl.col("kind") == "adversarial")
    made: dict[str, list[pl.DataFrame]] = {}

    def add(**frames: pl.DataFrame) -> None:
        for name, frame in frames.items():
            made.setdefault(name, []).append(frame)

    if k == 1:
        shown, rows = draw_demonstrations(
            attackable, plan.loop.seeds_per_iteration, settings, types=plan.taxonomy.types, random_stream=(0, "start")
        )
        add(seeds=shown, demonstrations=rows, relabels=_relabels(train), decisions=_manual(prompts, kept))
        for letter, role in ROLES:
            add(
                checkpoints=checkpoint_row(
                    f"{letter}0", role, 0, made_models.digest(f"{letter}0"), None, "sft", rows.height
                )
            )
    else:
        add(metrics=_gold(parent), relabels=_cleared(train))
    seeds = draw_seeds(
        attackable,
        plan.loop.seeds_per_iteration,
        settings,
        types=plan.taxonomy.types,
        iteration=k,
        split="train",
        random_stream=(0, "attack"),
    )
    attacks, said = made_models.attacks(seeds, f"R{k - 1}", settings.attacks_per_seed, k, numbers)
    attacks = mark_set_aside(attacks, seeds, attackable)
    asked = attacks.filter(pl.col("reason").is_null()).join(seeds.select("seed_id", "type"), on="seed_id")
    harmless = train.filter(pl.col("kind") == "harmless").head(plan.loop.harmless.prompts_per_iteration)
    answers = made_models.answered(
        pl.concat([made_models.asked(asked), made_models.asked(harmless)]),
        k - 1,
        settings.responses_per_attack,
        numbers,
    )
    add(seeds=seeds, attacks=attacks, settings=said)
    add(**answers)
    paired = _paired(plan, asked, harmless, seeds, answers, pairs.select_held_out(prompts, splits), k)
    add(**paired)
    add(**_trained(k, paired["pairs"]))
    joining = _joining(plan, attacks, seeds, answers, prompts)
    clusters = parent.select("select max(cluster) + 1 from clusters").item()
    curated = _curated(joining, int(clusters), dimensions, numbers)
    joined = describe_joined_attacks(curated["embeddings"], joining, parent, k)
    newness = compute_metrics(joined).with_columns(version=pl.lit(""))
    add(**curated, metrics=newness)

    standing = parent.table("seeds").filter(split="test")
    if standing.is_empty():
        natural = settings.model_copy(update={"seed_types": "natural"})
        adversarial = test.filter(pl.col("kind") == "adversarial")
        standing = draw_seeds(
            adversarial,
            plan.loop.evaluation.seeds,
            natural,
            types=plan.taxonomy.types,
            iteration=0,
            split="test",
            random_stream=(0, "evaluation"),
        )
        add(seeds=standing)
    add(**_measured(plan, parent, kept, splits, standing, k, numbers))
    whole = {name: pl.concat(frames, how="diagonal") for name, frames in made.items()}
    return {name: drop_parent_rows(name, frame, parent) for name, frame in whole.items()}


def _measured(
    plan: Recipe,
    parent: Version,
    kept: pl.DataFrame,
    splits: pl.DataFrame,
    seeds: pl.DataFrame,
    k: int,
    numbers: np.random.Generator,
) -> Frames:
    assert plan.loop is not None
    sets = select_sets(kept, splits, plan)
    general = sets.filter(pl.col("set") == "general")
    expected = general.select("prompt_id", answer=pl.lit("box"))
    new = [0, 1] if k == 1 else [k]
    attacks, said = [parent.table("attacks").filter(split="test")], []
    metrics = []
    for number in new:
        red = f"R{number}"
        written, how = made_models.attacks(seeds, red, plan.loop.evaluation.attacks_per_seed, number, numbers)
        written = mark_set_aside(written, seeds, kept, repeats=False)
        attacks.append(written)
        said.append(how)
        typed = written.join(seeds.select("seed_id", "type"), on="seed_id")
        types = typed.with_columns(predicted=pl.when(pl.col("number") > 0).then("type")).select(
            "prompt_id", "predicted"
        )
        metrics.append(compute_metrics(RedTeamAttacks(red, typed, types)))
        value = 0.4 + 0.05 * number
        for against in ("train", "itself"):
            facets = {"red_team": red, "against": against}
            row = metric_row("diversity", value, facets, low=value - 0.02, high=value + 0.02, n=written.height)
            metrics.append(metric_frame([row]))
    rivals = pl.concat(attacks)
    answers: list[Frames] = []
    for number in range(k + 1):
        theirs = rivals if number in new else attacks[-1]
        theirs = theirs.filter(pl.col("reason").is_null()).join(seeds.select("seed_id", "type"), on="seed_id")
        asked = (
            pl.concat([made_models.asked(theirs), made_models.asked(sets)])
            if number in new
            else made_models.asked(theirs)
        )
        answers.append(made_models.answered(asked, number, plan.loop.evaluation.responses_per_prompt, numbers))
    responses = pl.concat([parent.table("responses"), *(each["responses"] for each in answers)])
    verdicts = pl.concat([parent.table("verdicts"), *(each["verdicts"] for each in answers)])
    cells = join_cells(rivals, responses, verdicts)
    for number in new:
        described = describe_target(f"T{number}", sets, responses, verdicts, expected)
        metrics.append(compute_answer_metrics(number, cells, described))
    parts = [{"attacks": pl.concat(attacks[1:]), "settings": pl.concat(said), "expected": expected}, *answers]
    merged = {name: pl.concat([each[name] for each in parts if name in each]) for part in parts for name in part}
    merged["metrics"] = pl.concat(metrics).with_columns(version=pl.lit(""))
    return merged


def _paired(
    plan: Recipe,
    asked: pl.DataFrame,
    harmless: pl.DataFrame,
    seeds: pl.DataFrame,
    answers: Frames,
    held_out: pl.DataFrame,
    k: int,
) -> Frames:
    settings, said, judged = plan.pairs, answers["responses"], answers["verdicts"]
    red = pairs.red_pairs(asked, seeds, said, judged, settings, iteration=k, held_out=held_out)
    target = pairs.target_pairs(asked, said, judged, settings, iteration=k, held_out=held_out, seeds=seeds)
    both = pairs.harmless_pairs(harmless, said, judged, settings, iteration=k, held_out=held_out)
    count = target.pairs.height + both.pairs.height
    rows = pl.DataFrame({"source_id": [str(number) for number in range(2 * count + 10)]}).with_columns(
        source=pl.lit("preferences"),
        prompt=pl.format("How do I plant {} bulbs?", "source_id"),
        chosen=pl.format("Plant all {} of them in October.", "source_id"),
        rejected=pl.format("{} bulbs? No.", "source_id"),
    )
    general = pairs.general_pairs(rows, settings, pairs=count, iteration=k, held_out=held_out)
    return {
        "pairs": pl.concat([each.pairs for each in (red, target, both, general)]),
        "unpaired": pl.concat([each.unpaired for each in (red, target, both)]),
    }


def _trained(k: int, paired: pl.DataFrame) -> Frames:
    """Return the next models' ``checkpoints``, and what their training would have written to ``metrics``."""
    rows = {"red": paired.filter(role="red").height, "target": paired.filter(pl.col("role") != "red").height}
    models, metrics = [], []
    for letter, role in ROLES:
        name, before = f"{letter}{k}", f"{letter}{k - 1}"
        models.append(checkpoint_row(name, role, k, made_models.digest(name), before, "dpo", rows[role]))
        facets = {"role": role, "model": name, "iteration": k}
        metrics.append(metric_row("training/rows", float(rows[role]), facets, n=rows[role]))
        metrics += [
            metric_row("training/loss", 0.7 / (1 + step / 20), facets | {"step": step}, n=8)
            for step in range(10, 60, 10)
        ]
    return {"checkpoints": pl.concat(models), "metrics": metric_frame(metrics).with_columns(version=pl.lit(""))}


def _joining(
    plan: Recipe, attacks: pl.DataFrame, seeds: pl.DataFrame, answers: Frames, known: pl.DataFrame
) -> pl.DataFrame:
    """Return the attacks that worked, and a few refused ones that a judge called harmless, as ``prompts``."""
    assert plan.loop is not None
    rules = plan.loop.success
    rates = pairs.count_unsafe(
        answers["responses"], pairs.select_verdicts(answers["verdicts"], judge="keeper", refusal_judge="keeper")
    )
    attacks = add_language(attacks, seeds, known)
    worked = select_successful(
        attacks, seeds, rates, plan.taxonomy, rate=rules.min_unsafe_rate, min_verdicts=rules.min_verdicts
    )
    refused = attacks.filter(pl.col("reason").is_null()).join(
        rates.filter(pl.col("valid") > 0, pl.col("unsafe") == 0), on="prompt_id", how="semi"
    )
    nothing = pl.lit(None, pl.String)
    unlabelled = refused.gather_every(10).with_columns(type=nothing, attack_style=nothing, risk_category=nothing)
    harmless = attacks_to_prompts(unlabelled, plan.taxonomy, "harmless", "judge:guard")
    return pl.concat([worked, harmless]).join(known, on="prompt_id", how="anti").sort("prompt_id")


def _curated(joining: pl.DataFrame, clusters: int, dimensions: int, numbers: np.random.Generator) -> Frames:
    """Return what curation would write of the prompts that join: one in twenty resembles the one before it."""
    rows = joining.with_row_index("number").with_columns(dropped=pl.col("number") % 20 == 7)
    gone = rows.filter("dropped").with_columns(
        witness_id=rows["prompt_id"].gather(rows.filter("dropped")["number"] - 1),
        score=pl.lit(0.85),
        threshold=pl.lit(0.8),
    )
    unreviewed = rows.filter(pl.col("kind") == "harmless").select("prompt_id", detail="label_source")
    kept = rows.filter(~pl.col("dropped"))
    decided = pl.concat(
        [
            build_decisions(gone, step="select", decision="drop", reason="near_duplicate"),
            build_decisions(unreviewed, step="loop", decision="flag", reason="unreviewed"),
        ]
    )
    cluster = numbers.integers(0, clusters, kept.height)
    return {
        "prompts": joining,
        "decisions": decided.with_columns(version=pl.lit("")),
        "splits": kept.select("prompt_id", split=pl.lit("train"), group_id="seed_id"),
        **made_sources.located(kept["prompt_id"], cluster, dimensions, numbers),
    }


def _gold(parent: Version) -> pl.DataFrame:
    """Return what people who read one response in eight of ``parent`` would say of its judges, as ``metrics``."""
    read = parent.table("responses").drop_nulls("text").sort("response_id").gather_every(8)
    read = read.join(parent.select("select prompt_id, kind from target_prompts"), on="prompt_id", maintain_order="left")
    told = (pl.col("kind") == "adversarial") & ~pl.col("text").str.starts_with("I ")
    golden = read.select(
        "response_id",
        verdict=pl.when(told).then(pl.lit("unsafe")).otherwise(pl.lit("safe")),
        refusal=pl.lit(None, pl.String),
    )
    said, both = gold.join_gold(parent, golden)
    found = gold.gold_metrics("made 0", gold.compute_agreement(both), gold.compute_corrected_rates(said, both))
    return found.with_columns(version=pl.lit(""))


def _relabels(train: pl.DataFrame) -> pl.DataFrame:
    """Return what a person said of two attacks without a type."""
    unlabelled = train.filter(pl.col("kind") == "adversarial", pl.col("type").is_null()).head(2)
    said = {"version": "", "label_source": "manual:ann", "because": "it asks about cake"}
    return _about_health(unlabelled).with_columns(**{name: pl.lit(word) for name, word in said.items()})


def _cleared(train: pl.DataFrame) -> pl.DataFrame:
    """Return what a person said of two attacks that a red team wrote: one is about health, one asks for no harm."""
    written = train.filter(pl.col("source") == "red-team", pl.col("kind") == "adversarial").head(2)
    nothing = {name: pl.lit(None, pl.String) for name in ("type", "risk_category", "attack_style", "difficulty")}
    harmless = written.tail(1).with_columns(kind=pl.lit("harmless"), **nothing)
    said = {"version": "", "label_source": "manual:bob", "because": "it asks about soup"}
    both = pl.concat([_about_health(written.head(1)), harmless])
    return both.with_columns(**{name: pl.lit(word) for name, word in said.items()})


def _about_health(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(
        type=pl.lit("Health Harm"),
        risk_category=pl.lit("Health Harm"),
        attack_style=pl.lit(None, pl.String),
        difficulty=pl.lit("Easy"),
    )


def _manual(prompts: pl.DataFrame, kept: pl.DataFrame) -> pl.DataFrame:
    """Return a prompt of ``train`` that a person dropped."""
    rows = (
        kept.filter(pl.col("kind") == "general")
        .sort("prompt_id")
        .head(1)
        .select("prompt_id", detail=pl.lit("ann: too plain"))
    )
    return build_decisions(rows, step="overrides", decision="drop", reason="manual").with_columns(version=pl.lit(""))
