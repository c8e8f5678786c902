"""Recipe keys of pairs: which attacks and responses the two models are trained on."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from seas_data.recipe.base import Proportion, StrictModel


class RedPairs(StrictModel):
    """Two attacks of one seed: chosen the one with the higher unsafe rate, rejected the one with the lower."""

    min_margin: Proportion = 0.4
    """Least difference between the two unsafe rates. They must differ in any case."""
    min_verdicts: int = Field(default=3, ge=1)
    """Verdicts that parsed, which an attack needs to have an unsafe rate."""
    max_length_ratio: Annotated[float, Field(ge=1)] | None = 3.0
    """Maximum ratio of the characters of the longer attack to those of the shorter."""
    max_characters: int | None = None
    """Maximum characters of an attack."""
    near_duplicate_threshold: Proportion | None = 0.8
    """Jaccard similarity of character 5-grams from which two attacks are too similar to compare."""
    prefer_valid: bool = True
    """Whether only a valid attack (`attacks.invalid` is null) can be the chosen side, or a demonstration of MART."""
    max_pairs_per_seed: int = Field(default=1, ge=1)
    """Best against worst, then second best against second worst, and so on: no attack is in two pairs."""
    max_pairs: int | None = None
    """Maximum number of pairs. Those with the largest margin are kept."""
    balance_types: bool = False
    """Spread `max_pairs` evenly over the types. Without `max_pairs`: as many pairs of every type as of the rarest."""
    random_labels: bool = False
    """A control: swap chosen and rejected of each pair at random, so that the pairs teach nothing."""


SelectBy = Literal["score", "length", "first"]


class TargetPairs(StrictModel):
    """A safe and an unsafe response to one attack."""

    select_by: SelectBy = "score"
    """The surest verdicts (without scores the first samples), the closest lengths, or the first samples."""
    max_pairs_per_prompt: int = Field(default=1, ge=1)
    """Maximum number of pairs for each attack."""
    max_pairs: int | None = None
    """Maximum number of pairs."""
    balance_types: bool = False
    """Spread `max_pairs` evenly over the types. Without `max_pairs`: as many pairs of every type as of the rarest."""


class HarmlessPairs(StrictModel):
    """A full answer and a refusal to one harmless prompt."""

    select_by: SelectBy = "score"
    """The surest verdicts (without scores the first samples), the closest lengths, or the first samples."""
    max_pairs_per_prompt: int = Field(default=1, ge=1)
    """Maximum number of pairs for each prompt."""
    max_pairs: int | None = None
    """Maximum number of pairs."""


_Count = Annotated[int, Field(ge=0)]


class GeneralPairs(StrictModel):
    """General preference pairs, mixed in so that the target keeps its general ability."""

    ratio: Annotated[float, Field(ge=0)] | None = None
    """General pairs for each target and harmless pair; 1 unless `count` is given."""
    count: _Count | Annotated[list[_Count], Field(min_length=1)] | None = None
    """Number of general pairs in every iteration, or one number for each iteration, the last one also for all that
    follow."""

    @model_validator(mode="after")
    def _check_ratio_or_count(self) -> "GeneralPairs":
        if self.ratio is not None and self.count is not None:
            raise ValueError("give either ratio or count")
        return self


class MartRows(StrictModel):
    """Rows of MART's fine-tuning: successful attacks, safe responses to attacks, and full answers to harmless prompts.

    `target` and `harmless` say how many responses are taken, `general` how many chosen sides of general preferences."""

    min_success_rate: Proportion = 0.5
    """Proportion of an attack's responses that must be unsafe."""
    min_verdicts: int = Field(default=3, ge=1)
    """Verdicts that parsed, which an attack needs."""
    reward_model: str | None = None
    """One of `models` in this process: a sequence classifier with one output. Its score decides which safe responses
    are used, in place of the refusal judge's class."""
    min_reward: float | None = None
    """Least score of a response that is used."""
    max_score: Proportion | None = None
    """Greatest score of the verdict of a response that is used: 0 is surely safe. A verdict without a score is then
    not enough."""

    @model_validator(mode="after")
    def _check_reward(self) -> "MartRows":
        if (self.reward_model is None) != (self.min_reward is None):
            raise ValueError("reward_model and min_reward go together; give both or neither")
        return self


REFERENCE_PAIRS: dict[str, Any] = {
    "red": {
        "min_margin": 0,
        "min_verdicts": 1,
        "max_length_ratio": None,
        "max_characters": 3000,
        "near_duplicate_threshold": None,
        "prefer_valid": False,
    },
    "target": {"select_by": "first"},
    "harmless": None,
}


class Pairs(StrictModel):
    """The data that the two models are trained on."""

    mode: Literal["seas", "reference", "mart"] = "seas"
    """`seas`: our rules. `reference`: the rules of the paper's code, as defaults of the keys below. `mart`: rows for
    fine-tuning in place of pairs."""
    judge: str | None = None
    """The judge whose verdicts are used, if there are several."""
    judges: list[str] = []
    """Without a loop, in place of `judge`: several judges, such as those of two logs. An answer counts by the first of
    them that judged it, and a pair compares answers that one judge judged."""
    refusal_judge: str | None = None
    """The judge whose refusal classes are used, if there are several."""
    red: RedPairs = RedPairs()
    """Pairs of attacks."""
    target: TargetPairs = TargetPairs()
    """Pairs of responses to attacks."""
    harmless: HarmlessPairs | None = HarmlessPairs()
    """Pairs of responses to harmless prompts. Null: none."""
    general: GeneralPairs | None = GeneralPairs()
    """General preference pairs. Null: none."""
    mart: MartRows = MartRows()
    """Rows of MART's fine-tuning."""
    thinking: bool = False
    """Whether responses in target and harmless rows begin with what the model thought, between `<think>` and
    `</think>`, so that it is trained too. By default the models are trained on answers alone."""

    @model_validator(mode="before")
    @classmethod
    def _apply_mode_defaults(cls, content: Any) -> Any:
        if not isinstance(content, dict) or content.get("mode") != "reference":
            return content
        defaults = {
            key: default | content[key]
            if isinstance(default, dict) and isinstance(content.get(key), dict)
            else content.get(key, default)
            for key, default in REFERENCE_PAIRS.items()
        }
        return content | defaults

    @model_validator(mode="after")
    def _check_judges(self) -> "Pairs":
        if self.judge is not None and self.judges:
            raise ValueError("give either judge or judges")
        return self
