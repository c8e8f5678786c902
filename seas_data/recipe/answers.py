"""Recipe keys of answers that come with prompts: the columns of a plain file, and what a log does not say itself."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, model_validator

from seas_data.recipe.base import Proportion, StrictModel


def _as_text(value: Any) -> Any:
    """Return a number or a truth value that YAML reads as one in the text that sources give for it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


_Value = Annotated[str, BeforeValidator(_as_text)]


class Answers(StrictModel):
    """The source's columns of answers and verdicts. Rows with the same text are answers to one prompt."""

    response: str | list[str]
    """The text of an answer; several columns: an answer in each."""
    model: str | None = None
    """The name of the target that answered. Null: `target` of the source names it."""
    sample: str | None = None
    """The number of the answer among those to the same prompt. Null: answers are numbered in order."""
    judge: str | None = None
    """The name of the judge; rows with the same answer then have the verdicts of several judges. Null: the keys of
    `verdict`, or the name of its column (of `refusal` without one)."""
    verdict: str | list[str] | dict[str, str] | None = None
    """The verdict, which `verdict_map` maps; a column for each column of `response`, or columns by judge."""
    verdict_map: dict[_Value, Literal["safe", "unsafe"]] = {}
    """What the values of `verdict` mean, without regard to case. Any other value, and none, is `unparsed`."""
    score: str | list[str] | dict[str, str] | None = None
    """The score, 0 to 1, towards unsafe; columns as those of `verdict`."""
    category: str | list[str] | dict[str, str] | None = None
    """The judge's categories of harm, a text or a list; columns as those of `verdict`."""
    refusal: str | None = None
    """The refusal class, which `refusal_map` maps."""
    refusal_map: dict[_Value, Literal["full_compliance", "partial_refusal", "full_refusal"]] = {}
    """Refusal classes by the values of `refusal`, without regard to case. Any other value is none."""

    @model_validator(mode="after")
    def _check_verdicts(self) -> "Answers":
        if isinstance(self.response, list) and not self.response:
            raise ValueError("response should name a column")
        if self.verdict is not None and not self.verdict_map:
            raise ValueError("verdict needs verdict_map: which values mean unsafe, and which safe")
        if self.refusal is not None and not self.refusal_map:
            raise ValueError("refusal needs refusal_map: what its values mean")
        if isinstance(self.verdict, dict) and (self.judge is not None or isinstance(self.response, list)):
            raise ValueError("verdict by judge is for files without a column of judges, and one column of response")
        answers = len(self.response) if isinstance(self.response, list) else None
        for name in ("verdict", "score", "category"):
            given = getattr(self, name)
            if isinstance(given, list) and len(given) != answers:
                raise ValueError(f"{name} should have as many columns as response")
            if isinstance(given, str) and answers is not None:
                raise ValueError(f"{name} should be a list of as many columns as response")
            if isinstance(given, dict) and not (isinstance(self.verdict, dict) and given.keys() <= self.verdict.keys()):
                raise ValueError(f"{name} by judge needs verdict by judge, with the same judges")
        return self

    def columns(self) -> list[str]:
        """Return the columns that this section names, each once."""
        named: list[str] = []
        for name in ("response", "model", "sample", "judge", "verdict", "score", "category", "refusal"):
            value = getattr(self, name)
            named += value if isinstance(value, list) else value.values() if isinstance(value, dict) else [value]
        return list(dict.fromkeys(name for name in named if name is not None))


class LogSettings(StrictModel):
    """What a log does not say itself. docs/logs.md lists which of these keys each log format uses."""

    scorers: list[str] = []
    """The judges to read, by their names in the log. Empty: all."""
    unsafe_values: dict[str, list[_Value]] = {}
    """For each judge, the values that mean unsafe, without regard to case."""
    safe_values: dict[str, list[_Value]] = {}
    """For each judge, the values that mean safe. A value that is in neither is `unparsed`."""
    threshold: Proportion | None = None
    """The score, towards unsafe, from which an answer is unsafe. Null: the tool's own threshold."""
    metadata: dict[Literal["goal", "style", "risk", "language"], str] = {}
    """The keys of a record's free metadata that hold these, in a tool that has no fields for them. Others are not
    read."""
