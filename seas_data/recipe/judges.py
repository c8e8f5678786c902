"""Recipe section ``judges``: guards, rules, and models that classify refusals."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field, field_validator, model_validator

from seas_data.recipe.base import StrictModel
from seas_data.registry import names

GUARDS_GROUP: Final = "seas_data.guards"
"""The entry point group of guards."""


class JudgeGuard(StrictModel):
    """A safety classifier that gives verdicts, prompted and parsed as its makers published it."""

    by: Literal["guard"]
    """A safety classifier judges."""
    guard: str
    """One of the installed guards; `seas-data judge --help` lists them."""
    model: str
    """One of `models`."""
    name: str = ""
    """The judge's name in verdicts; by default its guard's."""
    options: dict[str, Any] = {}
    """The guard's own options, such as `{controversial: safe}` of qwen3guard."""
    thinking_tokens: int = Field(default=0, ge=0)
    """Room for thinking before the verdict, for guards that think; only what follows the thinking is read."""

    @field_validator("guard")
    @classmethod
    def _is_registered(cls, value: str) -> str:
        if value not in (known := names(GUARDS_GROUP)):
            raise ValueError(f"there is no guard {value!r}; set it to one of {', '.join(known)}")
        return value

    @property
    def label(self) -> str:
        """Return the judge's name in verdicts."""
        return self.name or self.guard


class JudgePatterns(StrictModel):
    """What to search for in a response."""

    patterns: list[str] = []
    """Regular expressions in Rust's syntax, which takes linear time: no look-around, no back-references."""
    words: list[str] = []
    """Whole words or phrases, searched in the folded text: case, invisible characters and look-alike letters do not
    matter."""


class JudgeRules(StrictModel):
    """Verdicts and refusal classes by patterns and words in a response."""

    by: Literal["rules"]
    """Words and patterns judge."""
    name: str = "rules"
    """The judge's name in verdicts."""
    unsafe: JudgePatterns | None = None
    """A response that matches is unsafe, any other is safe; null: no verdicts."""
    refusal: JudgePatterns | None = None
    """A response that matches is a refusal, any other is full compliance; null: no refusal classes."""
    compliance: JudgePatterns | None = None
    """A refusal that also matches this is a partial refusal."""

    @property
    def model(self) -> None:
        """Return None: rules need no model."""
        return

    @property
    def label(self) -> str:
        """Return the judge's name in verdicts."""
        return self.name

    @model_validator(mode="after")
    def _gives_something(self) -> "JudgeRules":
        if self.unsafe is None and self.refusal is None:
            raise ValueError("rules give nothing; set unsafe, refusal or both")
        if self.compliance is not None and self.refusal is None:
            raise ValueError("compliance only separates partial from full refusals; set refusal, too")
        return self


class JudgeRefusal(StrictModel):
    """A model that classifies, by the XSTest protocol, whether a response answers or refuses."""

    by: Literal["refusal"]
    """A chat model names the refusal class."""
    model: str
    """One of `models`."""
    name: str = "xstest"
    """The judge's name in verdicts."""
    thinking_tokens: int = Field(default=0, ge=0)
    """Room for thinking before the class, for models that think; only what follows the thinking is read."""

    @property
    def label(self) -> str:
        """Return the judge's name in verdicts."""
        return self.name


Judge = Annotated[JudgeGuard | JudgeRules | JudgeRefusal, Field(discriminator="by")]
