"""Recipe keys of sources: where prompts are read from and what the columns mean."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from seas_data.recipe.answers import Answers, LogSettings
from seas_data.recipe.base import Proportion, StrictModel
from seas_data.recipe.languages import normalize_language
from seas_data.recipe.paths import RecipePath
from seas_data.registry import names


class Columns(StrictModel):
    """The source's column for each field of a prompt."""

    text: str = "prompt"
    """The text of the prompt."""
    id: str | None = None
    """The id of the row within its source. Null: the number of the row."""
    risk: str | None = None
    """The source's risk category, which `risk_map` maps to the taxonomy."""
    style: str | None = None
    """The source's attack style, which `style_map` maps to the taxonomy."""
    kind: str | None = None
    """The value that `kind_map` maps to a kind."""
    language: str | None = None
    """The language (ISO 639 code, BCP 47 tag or English name), or a text that `language_pattern` extracts it from."""
    goal: str | None = None
    """The plain request, where the source keeps it apart from the text that was sent."""


class Strip(StrictModel):
    """A fixed wrapper that is removed from every row of the source."""

    prefix: str = ""
    """Removed from the start of the text."""
    suffix: str = ""
    """Removed from the end of the text."""


class Source(StrictModel):
    """One set of prompts: where it is, what its columns mean, and its licence."""

    path: RecipePath | None = None
    """A file or folder in one of the source formats. `$NAME` is read from the environment."""
    hub: str | None = None
    """A dataset of the Hugging Face Hub, in place of `path`."""
    file: str | None = None
    """A file of the Hub dataset, which is downloaded and read like a local one, in place of `config` and `split`."""
    config: str | None = None
    """A config of the Hub dataset."""
    split: str | None = None
    """A split of the Hub dataset or of the `datasets` folder."""
    revision: str | None = None
    """Commit of the Hub dataset (7 to 40 hex digits). Required, so that the same recipe reads the same rows."""
    format: str | None = None
    """Name of the source format, such as `jsonl` or `csv`. Null: the format that reads the ending of the file."""
    log: str | None = None
    """Name of the log format, such as `garak`: the source is the log of a red-team tool, with prompts, answers and
    verdicts."""
    log_options: LogSettings = LogSettings()
    """What the log does not say itself."""
    answers: Answers | None = None
    """Columns of answers and verdicts in a JSONL, CSV or Parquet file. Null: the source has prompts only."""
    target: str | None = None
    """Name of the target that answered, in place of the one that the log or `answers.model` gives."""
    encoding: str = "utf-8"
    """Text encoding of a JSONL or CSV file."""
    columns: Columns = Columns()
    """The source's column for each field of a prompt."""
    turn: Literal["first", "last", "all"] | None = None
    """What of a conversation (a list of messages, also as JSON, or "Human:" and "Assistant:" before its turns) is the
    prompt: the first or last turn of the user, or all turns up to the last one of the user. Null: a text is taken as it
    is, and of a list of messages the only user turn; one with a system turn or more user turns is unreadable."""
    kind: Literal["adversarial", "harmless", "general"] | None = None
    """Kind of all prompts of the source; those of a log are adversarial unless it or `kind_map` is given."""
    kind_map: dict[str, Literal["adversarial", "harmless", "general"]] | None = None
    """Kinds by the values of `columns.kind`, or by the category of a log; a value may end with `*`. In place of
    `kind`."""
    risk_map: str | dict[str, str] | None = None
    """The name of a map of the taxonomy, or risk categories by the values of `columns.risk`."""
    style_map: str | dict[str, str] | None = None
    """The name of a map of the taxonomy, or attack styles by the values of `columns.style`."""
    hazard_map: str | dict[str, str] | None = None
    """The name of a set of the crosswalk, or MLCommons hazards by the values of `columns.risk`. Null: the set that
    `risk_map` names, if there is one."""
    licence: str | None = None
    """SPDX identifier of the source's licence. Null: the source states none."""
    language: str | None = None
    """Language of rows for which no column gives one, such as `en`. Null: it is detected from the text."""
    language_pattern: str | None = None
    """A regular expression whose first group extracts the language from `columns.language`."""
    check_language: bool = False
    """Detect the language of rows that state one, too; a detected language that is almost certain replaces it."""
    max_unreadable_proportion: Proportion | None = None
    """Proportion of rows that may be unreadable, undecodable, empty or without a mapping before the build stops. Null:
    0.01, and at least one row, of a training source; no row of a holdout source."""
    repository: str | None = None
    """Where the source comes from, such as `owner/name`. Default: the Hub dataset."""
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = 50
    """Of two duplicates the one whose source has the lower number is kept."""
    role: Literal["training", "holdout"] = "training"
    """Models are tested on holdout prompts; training prompts too similar to them are dropped."""
    strip: Strip | None = None
    """A fixed wrapper that is removed from every row; of a conversation, from its last turn."""

    @model_validator(mode="before")
    @classmethod
    def _apply_log_defaults(cls, content: Any) -> Any:
        if not isinstance(content, dict) or content.get("log") is None or content.keys() & {"kind", "kind_map"}:
            return content
        return {**content, "kind": "adversarial"}

    @model_validator(mode="after")
    def _check_location_and_kind(self) -> "Source":
        if (self.path is None) == (self.hub is None):
            raise ValueError("give either path or hub")
        if self.hub is not None and self.revision is None:
            raise ValueError(
                "give the revision (a commit) of a hub dataset, so that the same recipe reads the same rows"
            )
        if self.hub is not None and not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", self.hub, re.ASCII):
            raise ValueError(f"hub should be the name of a dataset on the Hub, as org/name (given: {self.hub!r})")
        if self.hub is not None and not re.fullmatch("[0-9a-f]{7,40}", str(self.revision)):
            raise ValueError(f"revision should be a commit, 7 to 40 hex digits: {self.revision} may move to other rows")
        if self.file is not None and (self.hub is None or self.config is not None or self.split is not None):
            raise ValueError("file is a file of a hub dataset, in place of config and split")
        if self.log is not None:
            return self._check_log()
        if (self.kind is None) == (self.kind_map is None):
            raise ValueError("give either kind, or columns.kind with kind_map")
        if self.kind_map is not None and self.columns.kind is None:
            raise ValueError("kind_map needs columns.kind")
        if self.log_options != LogSettings():
            raise ValueError("log_options needs log")
        if self.target is not None and self.answers is None:
            raise ValueError("target needs log or answers")
        if self.answers is not None and self.answers.model is None and self.target is None:
            raise ValueError("answers need the name of the target that gave them: give target, or answers.model")
        return self

    def _check_log(self) -> "Source":
        given = (self.answers, self.format, self.strip, self.turn)
        if self.columns != Columns() or any(each is not None for each in given):
            raise ValueError("log reads the fields of the tool, in place of columns, answers, format, strip and turn")
        if self.hub is not None and self.file is None:
            raise ValueError("log reads a file; of a hub dataset, give file")
        if (self.kind is None) == (self.kind_map is None):
            raise ValueError("give either kind or kind_map")
        return self

    @property
    def brings_answers(self) -> bool:
        """Return whether the source may have answers and verdicts beside its prompts."""
        return self.log is not None or self.answers is not None

    @field_validator("format")
    @classmethod
    def _check_format(cls, value: str | None) -> str | None:
        if value is not None and value not in (known := names("seas_data.formats")):
            raise ValueError(f"there is no source format {value!r}; set it to one of {', '.join(known)}")
        return value

    @field_validator("log")
    @classmethod
    def _check_log_format(cls, value: str | None) -> str | None:
        if value is not None and value not in (known := names("seas_data.logs")):
            raise ValueError(f"there is no log format {value!r}; set it to one of {', '.join(known)}")
        return value

    @field_validator("language")
    @classmethod
    def _check_language(cls, value: str | None) -> str | None:
        return None if value is None else normalize_language(value)

    @field_validator("language_pattern")
    @classmethod
    def _check_pattern(cls, value: str | None) -> str | None:
        try:
            if value is not None and re.compile(value).groups < 1:
                raise ValueError(
                    "language_pattern needs a group; the text that the first (...) matches is the language"
                )
        except (re.error, RecursionError, OverflowError) as problem:
            raise ValueError(f"not a regular expression: {problem}") from problem
        return value
