"""A recipe's judges: guards, rules, and models that class refusals."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from seas_data.recipe.base import Strict

GuardName = Literal[
    "llama-guard-2",
    "llama-guard-3",
    "llama-guard-3-1b",
    "llama-guard-4",
    "wildguard",
    "qwen3guard",
    "shieldgemma",
    "granite-guardian-3.2",
    "granite-guardian-3.3",
    "granite-guardian-4.1",
]


class JudgeGuard(Strict):
    """A safety classifier that gives verdicts, asked and read as its makers published it."""

    by: Literal["guard"]
    guard: GuardName
    model: str
    """One of `models`."""
    name: str = ""
    """As verdicts name it; without one, as its guard."""
    controversial: Literal["safe", "unsafe"] = "unsafe"
    """What Qwen3Guard's third verdict counts as."""

    @property
    def label(self) -> str:
        """Return what verdicts name this judge."""
        return self.name or self.guard


class JudgePatterns(Strict):
    """What is looked for in a response."""

    patterns: list[str] = []
    """Regular expressions in Rust's syntax, which takes linear time: no look-around, no back-references."""
    words: list[str] = []
    """Whole words or phrases, whatever their case."""


class JudgeRules(Strict):
    """Verdicts and refusal classes by what a response says."""

    by: Literal["rules"]
    name: str = "rules"
    unsafe: JudgePatterns | None = None
    """A response in which one of these is found is unsafe, any other is safe; null: no verdicts."""
    refusal: JudgePatterns | None = None
    """A response in which one of these is found is a refusal, any other full compliance; null: no classes."""
    compliance: JudgePatterns | None = None
    """A refusal in which one of these is found too is a partial one."""

    @property
    def label(self) -> str:
        """Return what verdicts name this judge."""
        return self.name

    @model_validator(mode="after")
    def _says_something(self) -> "JudgeRules":
        if self.unsafe is None and self.refusal is None:
            raise ValueError("rules need unsafe, refusal or both")
        if self.compliance is not None and self.refusal is None:
            raise ValueError("compliance tells partial refusals from full ones, so it needs refusal")
        return self


class JudgeRefusal(Strict):
    """A model that is asked, by the XSTest protocol, whether a response answers or refuses."""

    by: Literal["refusal"]
    model: str
    """One of `models`."""
    name: str = "xstest"

    @property
    def label(self) -> str:
        """Return what verdicts name this judge."""
        return self.name


Judge = Annotated[JudgeGuard | JudgeRules | JudgeRefusal, Field(discriminator="by")]
