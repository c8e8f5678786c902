"""A recipe's pairs: which answers the two models learn from."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from seas_data.recipe.base import Share, Strict


class RedPairs(Strict):
    """Two attacks of one seed: the one that drew more unsafe responses against the one that drew fewer."""

    margin: Share = 0.4
    """Least difference of the two unsafe rates, which must differ in any case."""
    min_verdicts: int = Field(default=3, ge=1)
    """Verdicts that parsed, for an attack to have a rate."""
    max_length_ratio: Annotated[float, Field(ge=1)] | None = 3.0
    """Characters of the longer attack over those of the shorter."""
    max_characters: int | None = None
    near_duplicate: Share | None = 0.8
    """Jaccard similarity of character 5-grams from which two attacks are too alike to say which is better."""
    max_per_seed: int = Field(default=1, ge=1)
    """Best against worst, then second best against second worst, and so on: no attack is in two pairs."""
    max_pairs: int | None = None
    """Those of the greatest margin are kept."""
    balance: bool = False
    """Spread max_pairs evenly over the types; without it, as many of every type as of the rarest."""
    shuffle: bool = False
    """A control: the same pairs, each turned round or not by chance, so that they teach nothing."""


Choice = Literal["score", "length", "first"]


class TargetPairs(Strict):
    """A safe and an unsafe response to one attack."""

    choose: Choice = "score"
    """The surest verdicts (without scores: the first samples), the closest lengths, or the first samples."""
    max_per_prompt: int = Field(default=1, ge=1)
    max_pairs: int | None = None
    balance: bool = False


class HarmlessPairs(Strict):
    """A full answer and a refusal of one harmless prompt."""

    choose: Choice = "score"
    max_per_prompt: int = Field(default=1, ge=1)
    max_pairs: int | None = None


_Count = Annotated[int, Field(ge=0)]


class GeneralPairs(Strict):
    """Preference pairs of a general set, mixed in so that the target keeps its general ability."""

    ratio: Annotated[float, Field(ge=0)] | None = None
    """General pairs for each target and harmless pair; 1 unless `count` is given."""
    count: _Count | Annotated[list[_Count], Field(min_length=1)] | None = None
    """In every iteration, or a number for each, of which the last stands for all that follow too."""

    @model_validator(mode="after")
    def _one_of_them(self) -> "GeneralPairs":
        if self.ratio is not None and self.count is not None:
            raise ValueError("give either ratio or count")
        return self


class MartRows(Strict):
    """What MART fine-tunes on: attacks that succeeded, and responses that are safe and full answers."""

    success_rate: Share = 0.5
    min_verdicts: int = Field(default=3, ge=1)
    reward: str | None = None
    """One of `models`, in this process: a sequence classifier with one output. What it gives to a safe response says
    whether that is learned, in place of a refusal judge's word that it is a full answer."""
    min_reward: float | None = None
    """The least that it must give."""

    @model_validator(mode="after")
    def _both_or_none(self) -> "MartRows":
        if (self.reward is None) != (self.min_reward is None):
            raise ValueError("reward and min_reward go together: which model, and what a response must reach")
        return self


REFERENCE_PAIRS: dict[str, Any] = {
    "red": {"margin": 0, "min_verdicts": 1, "max_length_ratio": None, "max_characters": 3000, "near_duplicate": None},
    "target": {"choose": "first"},
    "harmless": None,
}


class Pairs(Strict):
    """What the two models are trained on."""

    mode: Literal["seas", "reference", "mart"] = "seas"
    """`reference`: the paper's rule, as its defaults below; `mart`: rows for fine-tuning in place of pairs."""
    judge: str | None = None
    """Whose verdicts count, where there are several judges."""
    refusal_judge: str | None = None
    """Whose refusal classes count, where there are several."""
    red: RedPairs = RedPairs()
    target: TargetPairs = TargetPairs()
    harmless: HarmlessPairs | None = HarmlessPairs()
    general: GeneralPairs | None = GeneralPairs()
    mart: MartRows = MartRows()

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_mode(cls, content: Any) -> Any:
        if not isinstance(content, dict) or content.get("mode") != "reference":
            return content
        defaults = {
            key: default | content[key]
            if isinstance(default, dict) and isinstance(content.get(key), dict)
            else content.get(key, default)
            for key, default in REFERENCE_PAIRS.items()
        }
        return content | defaults
