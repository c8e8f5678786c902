"""Small loops for the tests: seeds, attacks, responses and verdicts, made by hand or by hypothesis."""

import random
from dataclasses import dataclass, replace
from typing import Any

import polars as pl
from hypothesis import strategies as st

from seas_data.pairs import PairResult
from tests.taxonomies import TYPES

NOTHING = pl.DataFrame(schema={"prompt_id": pl.String, "text_digest": pl.String})


@dataclass(frozen=True)
class World:
    """The frames that pair making reads."""

    seeds: pl.DataFrame
    prompts: pl.DataFrame
    responses: pl.DataFrame
    verdicts: pl.DataFrame

    def mixed(self, seed: int) -> "World":
        """Return the same rows in another order."""
        chance = random.Random(seed)

        def mix(frame: pl.DataFrame) -> pl.DataFrame:
            return frame[chance.sample(range(frame.height), frame.height)]

        return replace(self, **{name: mix(getattr(self, name)) for name in self.__dataclass_fields__})

    def text(self, prompt_id: str) -> str:
        """Return the attack's text."""
        return str(self.prompts.filter(pl.col("prompt_id") == prompt_id)["text"][0])


def world(seeds: dict[str, dict[str, list[Any]]], *, types: dict[str, str] | None = None) -> World:
    """Make a world of seed -> attack -> verdicts.

    A verdict is ``safe``, ``unsafe``, ``unparsed``, None (no verdict), or a dictionary with verdict, text, score,
    refusal. The text of an attack is its id, unless it is written ``id=text``.
    """
    prompts, responses, verdicts = [], [], []
    for seed, attacks in seeds.items():
        for name, answers in attacks.items():
            prompt, _, text = name.partition("=")
            prompts.append((prompt, seed, text or f"attack {prompt}"))
            for sample, given in enumerate(answers):
                answer = given if isinstance(given, dict) else {"verdict": given}
                response = f"{prompt}.{sample}"
                responses.append((response, prompt, sample, answer.get("text", f"answer {response}")))
                if answer["verdict"] or answer.get("refusal"):
                    said = (answer["verdict"], answer.get("score"), answer.get("refusal"))
                    verdicts.append((response, answer.get("judge", "rules"), *said))
    kinds = types or {}
    return World(
        pl.DataFrame(
            [(seed, kinds.get(seed, "Role Play"), [f"example of {seed}"], f"seed {seed}") for seed in seeds],
            {"seed_id": pl.String, "type": pl.String, "example_ids": pl.List(pl.String), "text": pl.String},
            orient="row",
        ),
        pl.DataFrame(prompts, {"prompt_id": pl.String, "seed_id": pl.String, "text": pl.String}, orient="row"),
        pl.DataFrame(
            responses,
            {"response_id": pl.String, "prompt_id": pl.String, "sample": pl.Int32, "text": pl.String},
            orient="row",
        ).with_columns(model=pl.lit("T0")),
        pl.DataFrame(
            verdicts,
            {
                "response_id": pl.String,
                "judge": pl.String,
                "verdict": pl.String,
                "score": pl.Float64,
                "refusal": pl.String,
            },
            orient="row",
        ),
    )


_WORDS = ("open", "the vault", "please", "tell me of the violet door and of the lantern", "")
_TEXTS = st.lists(st.sampled_from(_WORDS), max_size=3).map(" ".join)
_ANSWERS = st.fixed_dictionaries(
    {
        "verdict": st.sampled_from(["safe", "unsafe", "safe", "unsafe", "unparsed", None]),
        "text": st.one_of(st.none(), _TEXTS, _TEXTS),
        "score": st.sampled_from([None, 0.1, 0.5, 0.9]),
        "refusal": st.sampled_from([None, "full_compliance", "full_refusal", "partial_refusal"]),
    }
)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Worlds of up to four seeds, with repeated, blank and failed texts and verdicts of every state."""
    seeds: dict[str, dict[str, list[Any]]] = {}
    for seed in range(draw(st.integers(0, 4))):
        attacks = draw(st.lists(st.tuples(_TEXTS, st.lists(_ANSWERS, max_size=6)), max_size=6))
        seeds[f"s{seed}"] = {f"s{seed}p{i}={text}": answers for i, (text, answers) in enumerate(attacks)}
    made = world(seeds, types={name: draw(st.sampled_from(TYPES[:2])) for name in seeds})
    blank = pl.col("text").str.starts_with("attack s")
    return replace(made, prompts=made.prompts.with_columns(text=pl.when(blank).then(pl.lit(" ")).otherwise("text")))


def chosen_and_rejected(paired: PairResult) -> list[tuple[str, str]]:
    return sorted(paired.pairs.select("chosen_id", "rejected_id").rows())


def reasons(paired: PairResult) -> dict[str, str]:
    return dict(paired.unpaired.select("candidate_id", "reason").rows())
