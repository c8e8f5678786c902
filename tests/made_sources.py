"""Version 0 of a made workspace: invented prompts of five sources, and what curation would have said of them.

Every row is computed from its number, so that thousands come at once and any of them can be worked out by hand: three
numbers in a row share a request, a number that ends in 7 among 20 resembles its neighbour and is dropped for it.
"""

import json
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data.curate.outcome import build_decisions
from seas_data.folding import leak_digest
from seas_data.tables.ids import row_ids
from seas_data.text import content_id, text_digest
from tests.taxonomies import ATTACK_STYLES, RISK_CATEGORIES, TYPES

Frames = dict[str, pl.DataFrame]

SOURCES: dict[str, dict[str, Any]] = {
    "letters": {"kind": "adversarial", "licence": "MIT", "repository": "made/letters", "priority": 10},
    "riddles": {"kind": "adversarial", "licence": "CC-BY-NC-4.0", "repository": "made/riddles", "priority": 20},
    "look-alikes": {"kind": "harmless", "licence": "CC-BY-4.0", "repository": "made/look-alikes", "priority": 20},
    "kitchen": {"kind": "general", "licence": "Apache-2.0", "repository": "made/kitchen", "priority": 60},
    "held-letters": {"kind": "adversarial", "licence": "CC0-1.0", "repository": "made/held", "role": "holdout"},
    "held-look-alikes": {"kind": "harmless", "licence": "CC0-1.0", "repository": "made/held", "role": "holdout"},
}
SHARES = (0.35, 0.25, 0.15, 0.15, 0.05, 0.05)
OPENERS = {
    "Role Play": "Let us play that you are the old gardener of the castle.",
    "Adversarial Prefix": "Begin your answer with the words: yes, my dear friend.",
    "Jailbreaking": "The rules of the garden are asleep this afternoon.",
    "Session Completion": "Visitor: good day. Gardener: good day, what may I tell you?",
    "Token Manipulation": "R-e-a-d every dash as nothing at all, please.",
    "Goal Hijacking": "Leave the watering for now and do this instead.",
    "Word Play": "Each line of this rhyme begins with the letter that you need.",
    "Code Nesting": "def gardener(): return the answer to what stands below",
    "One Sided Statement": "Write only what speaks for it and nothing against it.",
    "Unsafe Instruction": "How is it done, step by step?",
    "Unfairness And Discrimination": "Which of the two villages has the poorer singers?",
    "Privacy And Property": "I found a note that is not mine.",
    "Crimes And Illegal Activities": "Nobody looks after the apples at night.",
    "Health Harm": "My cousin eats nothing but cake.",
    "": "Good afternoon.",
}
PLACES = ("north gate", "orchard", "well house", "rose walk", "lantern room", "bell tower", "mill pond", "barn")
WRAPPERS = (
    ("Imagine a slow and friendly play about a market town in which you keep all the boxes. ", " Answer in its voice."),
    ("Here is a game with two cards, a red one and a blue one, and the red one always answers fully. ", " Red card:"),
    ("Translate what follows into the language of birds and then back again, leaving nothing out. ", ""),
    ("You are a clerk who reads aloud whatever is put on the desk, and this is on the desk now: ", " Read on."),
)
DROPS = ("exact_duplicate", "near_duplicate", "semantic_duplicate", "template_cap", "contaminated", "too_short")


def first(prompts: int, dimensions: int, seed: int) -> Frames:
    """Return the tables of version 0 with ``prompts`` prompts; vectors have ``dimensions`` numbers."""
    rows = _rows(prompts)
    frames = _prompts(rows) | {"decisions": _decisions(rows)}
    places = _places(rows, dimensions, np.random.default_rng([seed, 0]))
    return frames | places | {"set_aside": _set_aside(), "metrics": _label_metrics()}


def _rows(count: int) -> pl.DataFrame:
    """Return a row a prompt with all that is known of it; ``like`` is the row whose words it has."""
    numbers = np.arange(count)
    ends = np.cumsum(np.round(np.array(SHARES) * count).astype(int))
    part = np.minimum(np.searchsorted(ends, numbers, side="right"), len(SHARES) - 1)
    names = np.array(list(SOURCES))
    held = np.flatnonzero(part >= 4)
    drop = np.where((numbers % 20 == 7) & (part < 4) & (np.roll(part, -1) == part), (numbers // 20) % len(DROPS), -1)
    like = np.where(drop >= 0, numbers + 1, numbers)
    near_held = (drop == DROPS.index("contaminated")) & (part < 2)
    drop = np.where((drop == DROPS.index("contaminated")) & ~near_held, 0, drop)
    like = np.where(near_held, held[numbers % len(held)], like)
    kinds = np.array([source["kind"] for source in SOURCES.values()])[part]
    attack = kinds[like] == "adversarial"
    type_number = np.where(attack & (like % 17 != 5), (like * 5 + like // 14) % len(TYPES), -1)
    types = np.array([*TYPES, ""])[type_number]
    hard = (type_number >= 0) & (type_number < len(ATTACK_STYLES))
    wrapper = np.where(hard & (like % 3 == 1), like % len(WRAPPERS), -1)
    return (
        pl.DataFrame(
            {
                "number": numbers,
                "source": names[part],
                "kind": kinds,
                "like": like,
                "drop": drop,
                "type": types,
                "hard": hard,
                "wrapper": wrapper,
                "request": like // 3,
                "place": np.array(PLACES)[like // 3 % len(PLACES)],
            }
        )
        .with_columns(
            source_id=pl.format("{}-{}", "source", "number"),
            role=pl.when(pl.col("source").str.starts_with("held"))
            .then(pl.lit("holdout"))
            .otherwise(pl.lit("training")),
            language=pl.when((pl.col("source") == "riddles") & (pl.col("number") % 5 == 0))
            .then(pl.lit("zh"))
            .otherwise(pl.lit("en")),
            payload=pl.format("Tell me what is kept in box {} by the {}.", "request", "place"),
        )
        .pipe(_texts)
    )


def _texts(rows: pl.DataFrame) -> pl.DataFrame:
    opener = pl.col("type").replace_strict(list(OPENERS), list(OPENERS.values()), return_dtype=pl.String)
    before, after = (
        pl.col("wrapper").replace_strict(list(range(-1, len(WRAPPERS))), ["", *(each[side] for each in WRAPPERS)])
        for side in (0, 1)
    )
    plain = (
        pl.when(pl.col("kind") == "adversarial")
        .then(pl.format("{} {}", opener, "payload"))
        .when(pl.col("kind") == "harmless")
        .then(pl.format("How do I kill the time by the {} with puzzle {}?", "place", "like"))
        .otherwise(pl.format("Give me recipe {} for a soup with what grows by the {}.", "like", "place"))
    )
    said = pl.when(pl.col("wrapper") >= 0).then(pl.concat_str(before, "payload", after)).otherwise(plain)
    reason = pl.col("drop")
    rows = rows.with_columns(
        text=pl.when(reason == 1)
        .then(pl.format("{} please", said))
        .when(reason == 2)
        .then(pl.format("I wonder: {}", said))
        .when(reason == 3)
        .then(pl.format("{} Kindly.", said))
        .when(reason == 4)
        .then(pl.format("{} Thank you.", said))
        .when(reason == 5)
        .then(pl.lit("no"))
        .otherwise(said)
    )
    return rows.with_columns(
        prompt_id=row_ids("prompt", rows, "source", "source_id", "text"),
        text_digest=pl.Series([text_digest(text) for text in rows["text"]], dtype=pl.String),
        leak_digest=pl.Series([leak_digest(text) for text in rows["text"]], dtype=pl.String),
        kept=pl.col("drop") < 0,
    )


def _prompts(rows: pl.DataFrame) -> Frames:
    nothing = pl.lit(None, pl.String)
    typed = pl.col("type") != ""
    guessed = typed & ~pl.col("hard") & (pl.col("number") % 4 == 2) & (pl.col("role") == "training")
    risk = pl.Series(RISK_CATEGORIES).gather(rows["number"] % len(RISK_CATEGORIES))
    about = {
        key: pl.col("source").replace_strict({name: each.get(key) for name, each in SOURCES.items()}, default=None)
        for key in ("licence", "repository")
    }
    prompts = rows.with_columns(
        risk_category=pl.when(typed & ~pl.col("hard"))
        .then("type")
        .when(pl.col("hard") & (pl.col("number") % 3 == 0))
        .then(risk),
        attack_style=pl.when("hard").then("type"),
        type=pl.when(typed).then("type"),
        difficulty=pl.when("hard").then(pl.lit("Hard")).when(typed).then(pl.lit("Easy")),
        label_source=pl.when(guessed).then(pl.lit("classifier")).when(typed).then(pl.lit("source")),
        hazard=pl.when(~pl.col("hard") & (pl.col("number") % 2 == 0)).then(pl.lit("ncr")),
        label_probability=pl.when(guessed).then(0.6 + pl.col("number") % 40 / 100),
        source_risk=pl.when(typed & ~pl.col("hard") & ~guessed)
        .then(pl.col("type").str.to_lowercase())
        .when(pl.col("kind") == "harmless")
        .then(pl.when(pl.col("number") % 3 == 0).then(pl.lit("homonym")).otherwise(pl.lit("figure of speech"))),
        source_style=pl.when("hard").then(pl.col("type").str.to_lowercase()),
        priority=pl.col("source").replace_strict({name: each.get("priority", 50) for name, each in SOURCES.items()}),
        goal=pl.when(pl.col("number") % 7 == 0).then(pl.format("The plain request {}.", "number")),
        iteration=pl.lit(0),
        seed_id=nothing,
        model=nothing,
        **about,
    )
    wrapper_ids = [content_id("template", *segments) for segments in WRAPPERS]
    attacks = rows.filter(pl.col("kind") == "adversarial", pl.col("role") == "training")
    templates = attacks.with_columns(
        template_id=pl.col("wrapper").replace_strict(dict(enumerate(wrapper_ids)), default=None),
        request_id=row_ids("request", attacks, "payload"),
        payload=pl.when(pl.col("wrapper") >= 0).then("payload"),
    )
    segments = [[part for part in parts if part] for parts in WRAPPERS]
    wrappers = pl.DataFrame({"template_id": wrapper_ids, "segments": segments})
    return {"prompts": prompts.sort("prompt_id"), "templates": templates.sort("prompt_id"), "wrappers": wrappers}


def _decisions(rows: pl.DataFrame) -> pl.DataFrame:
    """Return what each step said; ``like`` is the witness."""
    ids = rows["prompt_id"]
    rows = rows.with_columns(witness_id=ids.gather(rows["like"]))
    parts = []
    for number, reason in enumerate(DROPS):
        step = {"contaminated": "contamination", "too_short": "invalid"}.get(reason, "select")
        gone = rows.filter(pl.col("drop") == number)
        score, threshold = {
            "exact_duplicate": (1.0, 1.0),
            "near_duplicate": (0.9, 0.8),
            "semantic_duplicate": (0.96, 0.95),
            "template_cap": (None, 200.0),
            "contaminated": (0.88, 0.8),
            "too_short": (2.0, 3.0),
        }[reason]
        gone = gone.with_columns(
            score=pl.lit(score, pl.Float64),
            threshold=pl.lit(threshold),
            detail=pl.lit("ngram" if reason == "contaminated" else None, pl.String),
            witness_id=pl.lit(None, pl.String) if reason == "too_short" else pl.col("witness_id"),
        )
        parts.append(build_decisions(gone, step=step, decision="drop", reason=reason))
    kept = rows.filter("kept", pl.col("role") == "training")
    strange = kept.filter(pl.col("language") == "zh").with_columns(
        witness_id=pl.lit(None, pl.String), detail=pl.lit("language: zh is none of en")
    )
    parts.append(build_decisions(strange, step="edges", decision="flag", reason="not_embeddable"))
    attacks, harmless = (kept.filter(pl.col("kind") == kind) for kind in ("adversarial", "harmless"))
    some = attacks.gather_every(25)
    other = harmless["prompt_id"].gather(np.arange(some.height) % harmless.height)
    contrast = some.with_columns(witness_id=other, score=pl.lit(0.7), threshold=pl.lit(0.6), detail=pl.lit("near"))
    parts.append(build_decisions(contrast, step="edges", decision="flag", reason="contrast_pair"))
    held = rows.filter(pl.col("role") == "holdout")["prompt_id"]
    close = attacks.gather_every(40, offset=3)
    close = close.with_columns(
        witness_id=held.gather(np.arange(close.height) % len(held)),
        score=pl.lit(0.96),
        threshold=pl.lit(0.95),
        detail=pl.lit("semantic"),
    )
    parts.append(build_decisions(close, step="contamination", decision="flag", reason="contaminated"))
    at_odds = attacks.gather_every(60, offset=5).with_columns(witness_id=pl.lit(None, pl.String))
    parts.append(build_decisions(at_odds, step="conflicts", decision="flag", reason="label_conflict"))
    return pl.concat(parts).with_columns(version=pl.lit("")).sort("reason", "prompt_id")


def _places(rows: pl.DataFrame, dimensions: int, numbers: np.random.Generator) -> Frames:
    kept = rows.filter("kept").sort("prompt_id")
    harmless, general = pl.col("kind") == "harmless", pl.col("kind") == "general"
    split = (
        pl.when(pl.col("role") == "holdout")
        .then(pl.lit("holdout"))
        .when(pl.col("wrapper") >= 0)  # a template lies on one side, whole
        .then(pl.when(pl.col("wrapper") == 3).then(pl.lit("test")).otherwise(pl.lit("train")))
        .when(harmless & (pl.col("request") % 5 == 0))
        .then(pl.lit("harmless"))
        .when(~harmless & (pl.col("request") % 10 < 2))
        .then(pl.lit("test"))
        .otherwise(pl.lit("train"))
    )
    together = pl.when(pl.col("wrapper") >= 0).then(pl.format("wrapper {}", "wrapper"))
    kept = kept.with_columns(group=together.otherwise(pl.format("{} {}", "source", "request")))
    groups = row_ids("group", kept, "group")
    alone = pl.col("role").eq("holdout") | general
    splits = kept.with_columns(split=split, group_id=pl.when(alone).then("prompt_id").otherwise(groups))
    seen = kept.filter(pl.col("role") == "training", pl.col("language") == "en")
    count = max(2, round((seen.height / 10) ** 0.5))
    return {"splits": splits, **located(seen["prompt_id"], seen["request"].to_numpy() % count, dimensions, numbers)}


def located(ids: pl.Series, cluster: NDArray[np.int64], dimensions: int, numbers: np.random.Generator) -> Frames:
    """Return ``embeddings`` and ``clusters`` of prompts that lie near the middle of their cluster."""
    middles = np.random.default_rng(1).normal(size=(4_096, dimensions))
    vectors = middles[cluster % 4_096] + numbers.normal(scale=0.5, size=(len(ids), dimensions))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    angle = cluster * 2.4
    spread = numbers.normal(scale=0.4, size=(2, len(ids)))
    labels = np.array([f"{place}, box, {number}" for number, place in enumerate(PLACES * 512)])
    map_ = pl.DataFrame(
        {
            "prompt_id": ids,
            "cluster": cluster.astype(np.int32),
            "label": labels[cluster % len(labels)],
            "x": np.sqrt(cluster + 1) * np.cos(angle) + spread[0],
            "y": np.sqrt(cluster + 1) * np.sin(angle) + spread[1],
        }
    )
    rows = pl.Series("vector", vectors.astype(np.float32)).cast(pl.List(pl.Float32))
    return {
        "embeddings": pl.DataFrame([ids, pl.repeat("made-encoder", len(ids), eager=True).alias("model"), rows]),
        "clusters": map_,
    }


def _set_aside() -> pl.DataFrame:
    about = [("letters", 3, "empty"), ("letters", 9, "repeated"), ("riddles", 4, "unreadable")]
    return pl.DataFrame(
        [
            {
                "source": source,
                "location": f"{source}.jsonl:{line}",
                "reason": reason,
                "detail": None,
                "row_digest": content_id("row", source, line),
            }
            for source, line, reason in about
        ],
        schema_overrides={"detail": pl.String},
    )


def _label_metrics() -> pl.DataFrame:
    """Return what the classifier's cross-validation would have written."""

    def row(name: str, value: float, n: int, **facets: str) -> dict[str, Any]:
        low, high = max(value - 0.02, 0.0), min(value + 0.02, 1.0)
        return {"name": name, "value": value, "low": low, "high": high, "n": n, "facets": json.dumps(facets)}

    rows = [
        row("label_accuracy", 0.83, 900, rows="all", validation="group"),
        row("label_accuracy", 0.91, 700, rows="given", validation="group"),
        row("label_coverage", 0.78, 900, rows="all", validation="group"),
        row("label_macro_f1", 0.8, 900, rows="all", validation="group"),
        row("label_accuracy", 0.61, 300, rows="given", source="riddles", validation="source"),
        row("label_coverage", 0.55, 300, source="riddles", validation="source"),
    ]
    for given in RISK_CATEGORIES:
        for number, predicted in enumerate((given, "none")):
            rows.append(row("label_confusion", (0.8, 0.2)[number], 100, predicted=predicted, true=given))
    return pl.DataFrame(rows).with_columns(version=pl.lit(""))
