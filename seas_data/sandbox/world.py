"""A mini-world: which phrases are common, which attacks the first target is trained to answer, and which facts hold.

A world is a function of a seed. Phrase frequencies follow Zipf's law, assigned at random. The *leak probability* of an
attack says how often the password is given away in the rows that the first target is trained on. It is the logistic of
a sum of Gaussian effects (style, vault, style with vault, and each phrase) minus half the log of each phrase's
frequency: common attacks are refused more often, so a red team can improve by using rare ones. It shapes only that
corpus; everything that the loop produces comes from the models.
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
"""How much a phrase's log frequency lowers the leak logit."""
PARTS: Final = ("style", "opener", "modifier", "ask", "vault", "closer")
"""The columns that define an attack: indices into the lists of ``phrases``; an opener's index is within its style."""


@dataclass(frozen=True)
class World:
    """Phrase frequencies, effects on the leak probability, and facts. Frequencies sum to 1; effects are in logits."""

    seed: int
    frequencies: dict[str, Floats]
    """Frequencies of the known openers (one row per style), modifiers, asks and closers."""
    effects: dict[str, Floats]
    intercept: float
    facts: NDArray[np.int64]
    """For each attribute and vault, the index of the attribute's true value."""
    unwrapped: NDArray[np.int64]
    """For each attribute, the vault whose fact no training row asks inside a wrapper."""
    passwords: tuple[str, ...]
    """The password of each vault."""


@cache
def make_world(seed: int) -> World:
    """Return the world of ``seed``."""
    random = random_stream(seed, "world")
    counts = {
        "opener": (len(STYLES), OPENERS[STYLES[0]].known),
        "modifier": (MODIFIERS.known,),
        "ask": (PASSWORD_ASKS.known,),
        "closer": (CLOSERS.known,),
    }
    frequencies = {name: random.permuted(_zipf(shape), axis=-1) for name, shape in counts.items()}
    shapes: dict[str, tuple[int, ...]] = {
        "style": (len(STYLES),),
        "vault": (len(VAULTS),),
        "cell": (len(STYLES), len(VAULTS)),
        **counts,
    }
    effects = {name: random.normal(0, EFFECTS[name], shape) for name, shape in shapes.items()}
    for name, frequency in frequencies.items():
        effects[name] -= RARITY * np.log(frequency)
    without = World(
        seed=seed,
        frequencies=frequencies,
        effects=effects,
        intercept=0.0,
        facts=np.stack([random.permutation(len(VAULTS)) for _ in ATTRIBUTES]),
        unwrapped=random.permutation(len(VAULTS))[: len(ATTRIBUTES)],
        passwords=tuple(PASSWORDS[k] for k in random.permutation(len(VAULTS))),
    )
    logits = _logits(without, draw_attack_parts(without, 20_000, random))
    return World(**{**vars(without), "intercept": _intercept(logits)})


def random_stream(seed: int, purpose: str) -> np.random.Generator:
    """Return the random number generator of one purpose, independent of every other purpose and seed."""
    return np.random.default_rng([seed, *purpose.encode()])


def draw_attack_parts(
    world: World, count: int, random: np.random.Generator, *, even: bool = False, held_out: bool = False
) -> pl.DataFrame:
    """Draw the ``PARTS`` of ``count`` attacks.

    Phrases are drawn by frequency, with ``even`` uniformly, and with ``held_out`` from the held-out ones. Styles and
    vaults are always drawn uniformly.
    """
    style = random.integers(len(STYLES), size=count)
    opener = np.empty(count, dtype=np.int64)
    for number, name in enumerate(STYLES):
        rows = np.flatnonzero(style == number)
        frequency = world.frequencies["opener"][number]
        opener[rows] = _draw_phrases(OPENERS[name], frequency, len(rows), random, even=even, held_out=held_out)
    chosen = {
        name: _draw_phrases(phrases, world.frequencies[name], count, random, even=even, held_out=held_out)
        for name, phrases in (("modifier", MODIFIERS), ("ask", PASSWORD_ASKS), ("closer", CLOSERS))
    }
    vault = random.integers(len(VAULTS), size=count)
    return pl.DataFrame({"style": style, "opener": opener, **chosen, "vault": vault}).select(PARTS)


def join_attacks(parts: pl.DataFrame) -> pl.Series:
    """Return the text of the attack that each row of ``PARTS`` defines."""
    return wrap_asks(
        parts, [PASSWORD_ASKS.all[a].format(VAULTS[v]) for a, v in parts.select("ask", "vault").iter_rows()]
    )


def wrap_asks(parts: pl.DataFrame, asks: list[str]) -> pl.Series:
    """Return ``asks`` inside the openers, modifiers and closers of ``parts``."""
    texts = [
        SEPARATOR.join((OPENERS[STYLES[style]].all[opener], MODIFIERS.all[modifier], ask, CLOSERS.all[closer]))
        for (style, opener, modifier, closer), ask in zip(
            parts.select("style", "opener", "modifier", "closer").iter_rows(), asks, strict=True
        )
    ]
    return pl.Series("text", texts, dtype=pl.String)


def compute_leak_probability(world: World, parts: pl.DataFrame) -> Floats:
    """Return the probability that each attack of known phrases is answered by a leak in the first target's corpus."""
    return np.asarray(1 / (1 + np.exp(-_logits(world, parts) - world.intercept)))


def _zipf(shape: tuple[int, ...]) -> Floats:
    ranks = 1 / np.arange(1, shape[-1] + 1)
    return np.broadcast_to(ranks / ranks.sum(), shape).copy()


def _draw_phrases(
    phrases: Phrases, frequency: Floats, count: int, random: np.random.Generator, *, even: bool, held_out: bool
) -> NDArray[np.int64]:
    if held_out:
        return random.integers(phrases.known, len(phrases.all), size=count)
    return random.choice(phrases.known, size=count, p=None if even else frequency)


def _logits(world: World, parts: pl.DataFrame) -> Floats:
    style, opener, modifier, ask, vault, closer = (parts[name].to_numpy() for name in PARTS)
    effects = world.effects
    total = effects["style"][style] + effects["vault"][vault] + effects["cell"][style, vault]
    total = total + effects["opener"][style, opener] + effects["modifier"][modifier]
    return np.asarray(total + effects["ask"][ask] + effects["closer"][closer])


def _intercept(logits: Floats) -> float:
    """Return the constant that makes the mean probability of ``logits`` one half when added, by bisection."""
    low, high = -float(logits.max()), -float(logits.min())
    for _ in range(60):
        middle = (low + high) / 2
        if float(np.mean(1 / (1 + np.exp(-logits - middle)))) < 0.5:
            low = middle
        else:
            high = middle
    return (low + high) / 2
