"""One mini-world: which phrases are common in it, which tricks its first keeper falls for, and what is true.

A seed makes a world. Phrase frequencies are Zipf's, dealt out at random. The *leak probability* of an attack says how
often the keeper gives the password away in the texts that the first target is trained on. It is the logistic of a sum
of Gaussian effects (style, vault, style with vault, and each phrase) less half the log of each phrase's frequency:
well-known tricks are refused more, so there is room for a red team to grow into the rare ones. It shapes that corpus
and is read nowhere else: whatever comes of the loop comes from the models.
"""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data.sandbox.phrases import (
    ATTRIBUTES,
    CLOSERS,
    MODIFIERS,
    OPENERS,
    PASSWORD_ASKS,
    PASSWORDS,
    SEPARATOR,
    STYLES,
    VAULTS,
    Phrases,
)

Floats = NDArray[np.float64]

EFFECTS: Final = {"style": 0.5, "vault": 0.4, "cell": 0.5, "opener": 0.8, "modifier": 0.9, "ask": 0.5, "closer": 0.5}
"""Standard deviations of the effects on the leak logit; a cell is a style with a vault."""
RARITY: Final = 0.5
"""What a phrase's log frequency takes off the leak logit."""
PARTS: Final = ("style", "opener", "modifier", "ask", "vault", "closer")
"""The choices that make an attack: columns of numbers into the lists of ``phrases``, an opener's within its style."""


@dataclass(frozen=True)
class World:
    """What is common, what works and what is true. Frequencies sum to 1; effects are in logits."""

    seed: int
    frequencies: dict[str, Floats]
    """Of the known openers (a row a style), modifiers, asks and closers."""
    effects: dict[str, Floats]
    intercept: float
    facts: NDArray[np.int64]
    """For each attribute and vault, which of the attribute's values is true."""
    unwrapped: NDArray[np.int64]
    """For each attribute the vault whose fact is never asked inside a wrapper in training."""
    passwords: tuple[str, ...]
    """Of each vault."""


@cache
def world(seed: int) -> World:
    """Return the world of ``seed``."""
    draw = generator(seed, "world")
    counts = {
        "opener": (len(STYLES), OPENERS[STYLES[0]].known),
        "modifier": (MODIFIERS.known,),
        "ask": (PASSWORD_ASKS.known,),
        "closer": (CLOSERS.known,),
    }
    frequencies = {name: draw.permuted(_zipf(shape), axis=-1) for name, shape in counts.items()}
    shapes: dict[str, tuple[int, ...]] = {
        "style": (len(STYLES),),
        "vault": (len(VAULTS),),
        "cell": (len(STYLES), len(VAULTS)),
        **counts,
    }
    effects = {name: draw.normal(0, EFFECTS[name], shape) for name, shape in shapes.items()}
    for name, frequency in frequencies.items():
        effects[name] -= RARITY * np.log(frequency)
    without = World(
        seed=seed,
        frequencies=frequencies,
        effects=effects,
        intercept=0.0,
        facts=np.stack([draw.permutation(len(VAULTS)) for _ in ATTRIBUTES]),
        unwrapped=draw.permutation(len(VAULTS))[: len(ATTRIBUTES)],
        passwords=tuple(PASSWORDS[k] for k in draw.permutation(len(VAULTS))),
    )
    logits = _logits(without, attack_parts(without, 20_000, draw))
    return World(**{**vars(without), "intercept": _intercept(logits)})


def generator(seed: int, purpose: str) -> np.random.Generator:
    """Return random numbers for one purpose, apart from those of every other purpose and seed."""
    return np.random.default_rng([seed, *purpose.encode()])


def attack_parts(
    here: World, count: int, draw: np.random.Generator, *, even: bool = False, held_out: bool = False
) -> pl.DataFrame:
    """Draw the ``PARTS`` of ``count`` attacks: by frequency, or ``even``: all phrases alike, or held-out phrases only.

    Styles and vaults are drawn evenly in any case.
    """
    style = draw.integers(len(STYLES), size=count)
    opener = np.empty(count, dtype=np.int64)
    for number, name in enumerate(STYLES):
        rows = np.flatnonzero(style == number)
        frequency = here.frequencies["opener"][number]
        opener[rows] = _phrases(OPENERS[name], frequency, len(rows), draw, even=even, held_out=held_out)
    chosen = {
        name: _phrases(phrases, here.frequencies[name], count, draw, even=even, held_out=held_out)
        for name, phrases in (("modifier", MODIFIERS), ("ask", PASSWORD_ASKS), ("closer", CLOSERS))
    }
    vault = draw.integers(len(VAULTS), size=count)
    return pl.DataFrame({"style": style, "opener": opener, **chosen, "vault": vault}).select(PARTS)


def attack_texts(parts: pl.DataFrame) -> pl.Series:
    """Return the prompt that each row of ``PARTS`` makes."""
    return wrapped(parts, [PASSWORD_ASKS.all[a].format(VAULTS[v]) for a, v in parts.select("ask", "vault").iter_rows()])


def wrapped(parts: pl.DataFrame, asks: list[str]) -> pl.Series:
    """Return ``asks`` inside the openers, modifiers and closers of ``parts``."""
    texts = [
        SEPARATOR.join((OPENERS[STYLES[style]].all[opener], MODIFIERS.all[modifier], ask, CLOSERS.all[closer]))
        for (style, opener, modifier, closer), ask in zip(
            parts.select("style", "opener", "modifier", "closer").iter_rows(), asks, strict=True
        )
    ]
    return pl.Series("text", texts, dtype=pl.String)


def leak_probability(here: World, parts: pl.DataFrame) -> Floats:
    """Return how often the keeper of the first target's corpus gives in to each attack of known phrases."""
    return np.asarray(1 / (1 + np.exp(-_logits(here, parts) - here.intercept)))


def _zipf(shape: tuple[int, ...]) -> Floats:
    ranks = 1 / np.arange(1, shape[-1] + 1)
    return np.broadcast_to(ranks / ranks.sum(), shape).copy()


def _phrases(
    phrases: Phrases, frequency: Floats, count: int, draw: np.random.Generator, *, even: bool, held_out: bool
) -> NDArray[np.int64]:
    if held_out:
        return draw.integers(phrases.known, len(phrases.all), size=count)
    return draw.choice(phrases.known, size=count, p=None if even else frequency)


def _logits(here: World, parts: pl.DataFrame) -> Floats:
    style, opener, modifier, ask, vault, closer = (parts[name].to_numpy() for name in PARTS)
    effects = here.effects
    total = effects["style"][style] + effects["vault"][vault] + effects["cell"][style, vault]
    total = total + effects["opener"][style, opener] + effects["modifier"][modifier]
    return np.asarray(total + effects["ask"][ask] + effects["closer"][closer])


def _intercept(logits: Floats) -> float:
    """Return what to add to ``logits`` so that the mean probability is one half, by bisection."""
    low, high = -float(logits.max()), -float(logits.min())
    for _ in range(60):
        middle = (low + high) / 2
        if float(np.mean(1 / (1 + np.exp(-logits - middle)))) < 0.5:
            low = middle
        else:
            high = middle
    return (low + high) / 2
