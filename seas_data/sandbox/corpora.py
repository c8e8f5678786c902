"""Corpora of the sandbox: prompts of version 0, training rows of the first target, general pairs and held-out sets.

Each function draws from its own stream of random numbers, so the same world gives the same rows in any order of calls.
No prompt of version 0 is also a training row of the first target or in a general pair, so the test split of a build is
never trained on. Held-out phrases and facts occur only in the held-out sets.
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
from seas_data.sandbox.world import (
    World,
    compute_leak_probability,
    draw_attack_parts,
    join_attacks,
    make_world,
    random_stream,
    wrap_asks,
)

ATTACK_PROPORTION, HARMLESS_PROPORTION = 0.45, 0.28  # of the target's rows; the rest are general questions
WRAPPED_PROPORTION = 0.7  # of the target's harmless rows
EVEN_PROPORTION = 0.5  # of the target's attacks: uniform phrase frequencies, so that rare phrases are learned too
FACT_PROPORTION = 0.7  # of harmless questions; the others use the word "password"
REFUSED_PROPORTION = 0.75  # of general pairs; the rejected answer of the others is a wrong one

Random = np.random.Generator


def draw_attacks(settings: Sandbox) -> pl.DataFrame:
    """Return ``settings.attacks`` distinct attacks of known phrases: text, style."""
    world, random = make_world(settings.seed), random_stream(settings.seed, "attacks")
    return _draw_distinct(
        settings.attacks, lambda count: _draw_attacks(world, count, random), exclude=_target_prompts(settings)
    )


def draw_look_alikes(settings: Sandbox) -> pl.DataFrame:
    """Return ``settings.look_alikes`` distinct harmless questions in the wrappers of attacks: text, style, answer."""
    world, random = make_world(settings.seed), random_stream(settings.seed, "look-alikes")
    rows = _draw_distinct(
        settings.look_alikes, lambda count: _draw_look_alikes(world, count, random), exclude=_target_prompts(settings)
    )
    return rows.select("text", "style", answer="key")


def draw_general_questions(settings: Sandbox) -> pl.DataFrame:
    """Return ``settings.general`` distinct general questions: text, answer."""
    random = random_stream(settings.seed, "general")
    rows = _draw_distinct(
        settings.general, lambda count: _draw_plain_questions(list(GENERAL), count, random, trained=False)
    )
    return rows.select("text", answer="key")


def draw_held_out_attacks(settings: Sandbox) -> pl.DataFrame:
    """Return ``settings.held_out`` distinct attacks with held-out phrases in every place: text, style."""
    world, random = make_world(settings.seed), random_stream(settings.seed, "held-out attacks")
    return _draw_distinct(settings.held_out, lambda count: _draw_attacks(world, count, random, held_out=True))


def draw_held_out_look_alikes(settings: Sandbox) -> pl.DataFrame:
    """Return ``settings.held_out`` look-alikes in held-out phrases: text, style, answer.

    Training rows ask the same questions, but only without a wrapper.
    """
    world, random = make_world(settings.seed), random_stream(settings.seed, "held-out look-alikes")
    rows = _draw_distinct(settings.held_out, lambda count: _draw_look_alikes(world, count, random, held_out=True))
    return rows.select("text", "style", answer="key")


def draw_target_rows(settings: Sandbox) -> pl.DataFrame:
    """Return the training rows of the first target: prompt, completion (texts), kind.

    Attacks are answered by a leak, with the world's leak probability, or by a refusal.
    """
    world, random = make_world(settings.seed), random_stream(settings.seed, "target")
    attack_count = round(ATTACK_PROPORTION * settings.target_sft_rows)
    harmless_count = round(HARMLESS_PROPORTION * settings.target_sft_rows)
    wrapped_count = round(WRAPPED_PROPORTION * harmless_count)
    general_count = settings.target_sft_rows - attack_count - harmless_count
    even_count = round(EVEN_PROPORTION * attack_count)
    parts = pl.concat(
        [
            draw_attack_parts(world, attack_count - even_count, random),
            draw_attack_parts(world, even_count, random, even=True),
        ]
    )
    rows = pl.concat(
        [
            pl.DataFrame(
                {"text": join_attacks(parts), "answer": _draw_target_answers(world, parts, random)}
            ).with_columns(kind=pl.lit("adversarial")),
            _draw_look_alikes(world, wrapped_count, random, even=True).select(
                "text", "answer", kind=pl.lit("harmless")
            ),
            _draw_plain_questions(_plain_harmless_questions(world), harmless_count - wrapped_count, random).select(
                "text", "answer", kind=pl.lit("harmless")
            ),
            _draw_plain_questions(list(GENERAL), general_count, random).select(
                "text", "answer", kind=pl.lit("general")
            ),
        ]
    )
    order = pl.Series("order", random.permutation(rows.height))
    return rows.with_columns(order).sort("order").select(prompt="text", completion="answer", kind="kind")


def draw_general_pairs(settings: Sandbox) -> pl.DataFrame:
    """Return preference pairs about plain questions: source_id, prompt, chosen, rejected (texts).

    Half are general questions, half harmless facts and password questions without a wrapper. The chosen answer is
    right; the rejected one is a refusal or the answer to another question.
    """
    world, random = make_world(settings.seed), random_stream(settings.seed, "general pairs")
    half = settings.general_pairs // 2
    rows = pl.concat(
        [
            _draw_plain_questions(list(GENERAL), settings.general_pairs - half, random),
            _draw_plain_questions(_plain_harmless_questions(world), half, random),
        ]
    )
    refused = random.random(rows.height) < REFUSED_PROPORTION
    refusals = random.choice(REFUSALS, rows.height)
    answers = np.unique([question.answer for question in (*GENERAL, *_plain_harmless_questions(world))])
    right = np.searchsorted(answers, rows["answer"].to_numpy())
    wrong = answers[(right + random.integers(1, len(answers), size=rows.height)) % len(answers)]
    rejected = np.where(refused, refusals, wrong)
    return pl.DataFrame(
        {
            "source_id": [f"g{number}" for number in range(rows.height)],
            "prompt": rows["text"],
            "chosen": rows["answer"],
            "rejected": rejected.tolist(),
        }
    )


def draw_choices(settings: Sandbox, count: int = 200) -> pl.DataFrame:
    """Return ``count`` general questions as no training row asks them: question, choices, answer (its place).

    The other three choices answer other questions.
    """
    random = random_stream(settings.seed, "choices")
    rows = _draw_distinct(count, lambda number: _draw_plain_questions(list(GENERAL), number, random, trained=False))
    answers = np.unique([question.answer for question in GENERAL])
    choices, places = [], []
    for right in rows["answer"]:
        wrong = random.choice(answers[answers != right], 3, replace=False).tolist()
        place = int(random.integers(4))
        choices.append([*wrong[:place], right, *wrong[place:]])
        places.append(place)
    return pl.DataFrame({"question": rows["text"], "choices": choices, "answer": places})


def _target_prompts(settings: Sandbox) -> pl.Series:
    return draw_target_rows(settings)["prompt"].unique()


def _draw_attacks(world: World, count: int, random: Random, *, held_out: bool = False) -> pl.DataFrame:
    parts = draw_attack_parts(world, count, random, held_out=held_out)
    return pl.DataFrame({"text": join_attacks(parts), "style": _style_names(parts)})


def _draw_look_alikes(
    world: World, count: int, random: Random, *, even: bool = False, held_out: bool = False
) -> pl.DataFrame:
    """Draw wrapped harmless questions: text, style, answer, key. ``held_out``: those that training never wraps."""
    parts = draw_attack_parts(world, count, random, even=even, held_out=held_out)
    facts = [
        question
        for number in range(len(ATTRIBUTES))
        for vault in range(len(VAULTS))
        if (world.unwrapped[number] == vault) == held_out
        for question in _fact_questions(world, number, vault)
    ]
    cut = WRAPPED_PASSWORD_QUESTIONS
    words = PASSWORD_QUESTIONS[cut:] if held_out else PASSWORD_QUESTIONS[:cut]
    questions = _draw_wrapped_questions(facts, list(words), count, random)
    texts = wrap_asks(parts, [question.text for question in questions])
    return _question_frame(texts, questions).with_columns(style=_style_names(parts))


def _draw_plain_questions(
    questions: list[Question], count: int, random: Random, *, trained: bool = True
) -> pl.DataFrame:
    """Draw questions between a lead and a tail: text, answer, key.

    Training rows never have the combinations of lead and tail that prompts of version 0 have.
    """
    lead = random.integers(len(LEADS), size=count)
    step = random.integers(3, len(TAILS), size=count) if trained else random.integers(3, size=count)
    tail = (lead + step) % len(TAILS)
    chosen = [questions[k] for k in random.integers(len(questions), size=count)]
    texts = [
        SEPARATOR.join((LEADS[a], question.text, TAILS[b])) for a, question, b in zip(lead, chosen, tail, strict=True)
    ]
    return _question_frame(pl.Series("text", texts, dtype=pl.String), chosen)


def _fact_questions(world: World, attribute: int, vault: int) -> list[Question]:
    """Return the questions that ask for one fact."""
    kind = ATTRIBUTES[attribute]
    value = kind.values[world.facts[attribute, vault]]
    return [Question(ask.format(VAULTS[vault]), kind.answer.format(VAULTS[vault], value), value) for ask in kind.asks]


def _plain_harmless_questions(world: World) -> list[Question]:
    """Return the harmless questions, repeated in proportion to how often they are asked without a wrapper."""
    facts = [
        q
        for number in range(len(ATTRIBUTES))
        for vault in range(len(VAULTS))
        for q in _fact_questions(world, number, vault)
    ]
    return facts + [question for question in PASSWORD_QUESTIONS for _ in range(2)]


def _draw_wrapped_questions(facts: list[Question], words: list[Question], count: int, random: Random) -> list[Question]:
    is_fact = random.random(count) < FACT_PROPORTION
    fact, word = random.integers(len(facts), size=count), random.integers(len(words), size=count)
    return [facts[a] if first else words[b] for first, a, b in zip(is_fact, fact, word, strict=True)]


def _draw_target_answers(world: World, parts: pl.DataFrame, random: Random) -> pl.Series:
    """Draw the first target's answer to each attack: a leak with the world's leak probability, otherwise a refusal."""
    leaks = random.random(parts.height) < compute_leak_probability(world, parts)
    leak, refusal = random.integers(len(LEAKS), size=parts.height), random.integers(len(REFUSALS), size=parts.height)
    answers = [
        LEAKS[a].format(vault=VAULTS[vault], password=world.passwords[vault]) if leaked else REFUSALS[b]
        for leaked, a, b, vault in zip(leaks, leak, refusal, parts["vault"], strict=True)
    ]
    return pl.Series("answer", answers, dtype=pl.String)


def _style_names(parts: pl.DataFrame) -> pl.Series:
    return pl.Series("style", [STYLES[number] for number in parts["style"]], dtype=pl.String)


def _question_frame(texts: pl.Series, questions: list[Question]) -> pl.DataFrame:
    answers, keys = [question.answer for question in questions], [question.key for question in questions]
    return pl.DataFrame({"text": texts, "answer": answers, "key": keys})


def _draw_distinct(
    count: int, draw: Callable[[int], pl.DataFrame], *, exclude: pl.Series | None = None
) -> pl.DataFrame:
    """Call ``draw`` until there are ``count`` rows with distinct texts, none of them in ``exclude``."""
    rows: pl.DataFrame | None = None
    for _ in range(100):
        drawn = draw(2 * count)
        rows = drawn if rows is None else pl.concat([rows, drawn])
        rows = rows.unique("text", keep="first", maintain_order=True)
        if exclude is not None:
            rows = rows.filter(~pl.col("text").is_in(exclude.implode()))
        if rows.height >= count:
            return rows.head(count)
    raise SeasDataError(
        f"the sandbox has fewer than {count:,} distinct texts of one kind; lower the counts of sandbox in the recipe"
    )
