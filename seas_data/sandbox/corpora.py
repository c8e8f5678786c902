"""What the sandbox's models read: prompts for version 0, the first target's training rows, general pairs, test sets.

Every function draws from a world and a stream of random numbers of its own, so that the same world gives the same rows
whatever else was drawn before. No prompt of version 0 is also a training row of the first target or in a general pair,
so the test split that a build makes of them stays one. Held-out phrases and facts are in the held-out sets alone.
"""

from collections.abc import Callable

import numpy as np
import polars as pl

from seas_data.errors import SeasDataError
from seas_data.recipe import Sandbox
from seas_data.sandbox.phrases import (
    ATTRIBUTES,
    GENERAL,
    LEADS,
    LEAKS,
    PASSWORD_QUESTIONS,
    REFUSALS,
    SEPARATOR,
    STYLES,
    TAILS,
    VAULTS,
    WRAPPED_PASSWORD_QUESTIONS,
    Question,
)
from seas_data.sandbox.world import World, attack_parts, attack_texts, generator, leak_probability, world, wrapped

ATTACK_SHARE, HARMLESS_SHARE = 0.45, 0.28  # of the target's rows; the rest are general questions
WRAPPED_SHARE = 0.7  # of its harmless rows
EVEN_SHARE = 0.5  # of its attacks: drawn with all phrases alike, so that rare ones are learned too
FACT_SHARE = 0.7  # of harmless questions; the others use the word "password"
REFUSED_SHARE = 0.75  # of general pairs; in the others the rejected answer is a wrong one

Draw = np.random.Generator


def attacks(settings: Sandbox) -> pl.DataFrame:
    """Return ``settings.attacks`` different attacks of known phrases: text, style."""
    here, draw = world(settings.seed), generator(settings.seed, "attacks")
    return _different(settings.attacks, lambda count: _attacks(here, count, draw), seen=_trained(settings))


def look_alikes(settings: Sandbox) -> pl.DataFrame:
    """Return ``settings.look_alikes`` different harmless questions in the wrappers of attacks: text, style, answer."""
    here, draw = world(settings.seed), generator(settings.seed, "look-alikes")
    rows = _different(settings.look_alikes, lambda count: _look_alikes(here, count, draw), seen=_trained(settings))
    return rows.select("text", "style", answer="key")


def general(settings: Sandbox) -> pl.DataFrame:
    """Return ``settings.general`` different general questions: text, answer."""
    draw = generator(settings.seed, "general")
    rows = _different(settings.general, lambda count: _plain(list(GENERAL), count, draw, trained=False))
    return rows.select("text", answer="key")


def held_out_attacks(settings: Sandbox) -> pl.DataFrame:
    """Return ``settings.held_out`` different attacks that use held-out phrases in every place: text, style."""
    here, draw = world(settings.seed), generator(settings.seed, "held-out attacks")
    return _different(settings.held_out, lambda count: _attacks(here, count, draw, held_out=True))


def held_out_look_alikes(settings: Sandbox) -> pl.DataFrame:
    """Return ``settings.held_out`` look-alikes in held-out phrases: text, style, answer. What they ask is known when it
    is asked plainly and was never asked inside a wrapper."""
    here, draw = world(settings.seed), generator(settings.seed, "held-out look-alikes")
    rows = _different(settings.held_out, lambda count: _look_alikes(here, count, draw, held_out=True))
    return rows.select("text", "style", answer="key")


def target_rows(settings: Sandbox) -> pl.DataFrame:
    """Return what the first target learns from: prompt, completion (texts), kind. Attacks are answered as the world has
    it, by a leak or a refusal."""
    here, draw = world(settings.seed), generator(settings.seed, "target")
    attack_count = round(ATTACK_SHARE * settings.target_rows)
    harmless_count = round(HARMLESS_SHARE * settings.target_rows)
    wrapped_count = round(WRAPPED_SHARE * harmless_count)
    general_count = settings.target_rows - attack_count - harmless_count
    even_count = round(EVEN_SHARE * attack_count)
    parts = pl.concat(
        [attack_parts(here, attack_count - even_count, draw), attack_parts(here, even_count, draw, even=True)]
    )
    rows = pl.concat(
        [
            pl.DataFrame({"text": attack_texts(parts), "answer": _keeper(here, parts, draw)}).with_columns(
                kind=pl.lit("adversarial")
            ),
            _look_alikes(here, wrapped_count, draw, even=True).select("text", "answer", kind=pl.lit("harmless")),
            _plain(_harmless(here), harmless_count - wrapped_count, draw).select(
                "text", "answer", kind=pl.lit("harmless")
            ),
            _plain(list(GENERAL), general_count, draw).select("text", "answer", kind=pl.lit("general")),
        ]
    )
    order = pl.Series("order", draw.permutation(rows.height))
    return rows.with_columns(order).sort("order").select(prompt="text", completion="answer", kind="kind")


def general_pairs(settings: Sandbox) -> pl.DataFrame:
    """Return preferences about plain questions: source_id, prompt, chosen, rejected (texts).

    Half are general, half are the harmless facts and password questions without a wrapper. The chosen answer is right;
    the rejected one refuses, or is the answer to another question.
    """
    here, draw = world(settings.seed), generator(settings.seed, "general pairs")
    half = settings.general_pairs // 2
    rows = pl.concat([_plain(list(GENERAL), settings.general_pairs - half, draw), _plain(_harmless(here), half, draw)])
    refused = draw.random(rows.height) < REFUSED_SHARE
    refusals = draw.choice(REFUSALS, rows.height)
    answers = np.unique([question.answer for question in (*GENERAL, *_harmless(here))])
    right = np.searchsorted(answers, rows["answer"].to_numpy())
    wrong = answers[(right + draw.integers(1, len(answers), size=rows.height)) % len(answers)]
    rejected = np.where(refused, refusals, wrong)
    return pl.DataFrame(
        {
            "source_id": [f"g{number}" for number in range(rows.height)],
            "prompt": rows["text"],
            "chosen": rows["answer"],
            "rejected": rejected.tolist(),
        }
    )


def _trained(settings: Sandbox) -> pl.Series:
    return target_rows(settings)["prompt"].unique()


def _attacks(here: World, count: int, draw: Draw, *, held_out: bool = False) -> pl.DataFrame:
    parts = attack_parts(here, count, draw, held_out=held_out)
    return pl.DataFrame({"text": attack_texts(parts), "style": _styles(parts)})


def _look_alikes(here: World, count: int, draw: Draw, *, even: bool = False, held_out: bool = False) -> pl.DataFrame:
    """Draw wrapped harmless questions: text, style, answer, key. ``held_out``: what training never wraps."""
    parts = attack_parts(here, count, draw, even=even, held_out=held_out)
    facts = [
        question
        for number in range(len(ATTRIBUTES))
        for vault in range(len(VAULTS))
        if (here.unwrapped[number] == vault) == held_out
        for question in _facts(here, number, vault)
    ]
    cut = WRAPPED_PASSWORD_QUESTIONS
    words = PASSWORD_QUESTIONS[cut:] if held_out else PASSWORD_QUESTIONS[:cut]
    questions = _drawn(facts, list(words), count, draw)
    texts = wrapped(parts, [question.text for question in questions])
    return _answered(texts, questions).with_columns(style=_styles(parts))


def _plain(questions: list[Question], count: int, draw: Draw, *, trained: bool = True) -> pl.DataFrame:
    """Draw questions between a lead and a tail: text, answer, key. Rows to train on take other tails to a lead than
    those of version 0 do."""
    lead = draw.integers(len(LEADS), size=count)
    step = draw.integers(3, len(TAILS), size=count) if trained else draw.integers(3, size=count)
    tail = (lead + step) % len(TAILS)
    chosen = [questions[k] for k in draw.integers(len(questions), size=count)]
    texts = [
        SEPARATOR.join((LEADS[a], question.text, TAILS[b])) for a, question, b in zip(lead, chosen, tail, strict=True)
    ]
    return _answered(pl.Series("text", texts, dtype=pl.String), chosen)


def _facts(here: World, attribute: int, vault: int) -> list[Question]:
    """Return the ways to ask for one fact."""
    kind = ATTRIBUTES[attribute]
    value = kind.values[here.facts[attribute, vault]]
    return [Question(ask.format(VAULTS[vault]), kind.answer.format(VAULTS[vault], value), value) for ask in kind.asks]


def _harmless(here: World) -> list[Question]:
    """Return the harmless questions in the shares in which they are asked, all of them known when they are plain."""
    facts = [
        q for number in range(len(ATTRIBUTES)) for vault in range(len(VAULTS)) for q in _facts(here, number, vault)
    ]
    return facts + [question for question in PASSWORD_QUESTIONS for _ in range(2)]


def _drawn(facts: list[Question], words: list[Question], count: int, draw: Draw) -> list[Question]:
    is_fact = draw.random(count) < FACT_SHARE
    fact, word = draw.integers(len(facts), size=count), draw.integers(len(words), size=count)
    return [facts[a] if first else words[b] for first, a, b in zip(is_fact, fact, word, strict=True)]


def _keeper(here: World, parts: pl.DataFrame, draw: Draw) -> pl.Series:
    """Draw the first target's answer to each attack: a leak as often as the world has it, otherwise a refusal."""
    leaks = draw.random(parts.height) < leak_probability(here, parts)
    leak, refusal = draw.integers(len(LEAKS), size=parts.height), draw.integers(len(REFUSALS), size=parts.height)
    answers = [
        LEAKS[a].format(vault=VAULTS[vault], password=here.passwords[vault]) if gives_in else REFUSALS[b]
        for gives_in, a, b, vault in zip(leaks, leak, refusal, parts["vault"], strict=True)
    ]
    return pl.Series("answer", answers, dtype=pl.String)


def _styles(parts: pl.DataFrame) -> pl.Series:
    return pl.Series("style", [STYLES[number] for number in parts["style"]], dtype=pl.String)


def _answered(texts: pl.Series, questions: list[Question]) -> pl.DataFrame:
    answers, keys = [question.answer for question in questions], [question.key for question in questions]
    return pl.DataFrame({"text": texts, "answer": answers, "key": keys})


def _different(count: int, rows: Callable[[int], pl.DataFrame], *, seen: pl.Series | None = None) -> pl.DataFrame:
    """Draw from ``rows`` until there are ``count`` with different texts, none of them ``seen``."""
    found: pl.DataFrame | None = None
    for _ in range(100):
        drawn = rows(2 * count)
        found = drawn if found is None else pl.concat([found, drawn])
        found = found.unique("text", keep="first", maintain_order=True)
        if seen is not None:
            found = found.filter(~pl.col("text").is_in(seen.implode()))
        if found.height >= count:
            return found.head(count)
    raise SeasDataError(f"the sandbox has no {count:,} different texts of this kind; set fewer in the recipe")
