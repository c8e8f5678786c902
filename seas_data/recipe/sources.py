"""A recipe's sources: where prompts lie and what their columns mean."""

import re
from typing import Literal

from pydantic import field_validator, model_validator

from seas_data.recipe.base import Strict
from seas_data.recipe.paths import Place
from seas_data.registry import names
from seas_data.tables.taxonomy import ATTACK_STYLES, RISK_CATEGORIES, RISK_MAPS, STYLE_MAPS


class Columns(Strict):
    """Which of the source's columns hold what."""

    text: str = "prompt"
    id: str | None = None
    """The row's id within its source; without one the row's number serves."""
    risk: str | None = None
    style: str | None = None
    kind: str | None = None
    language: str | None = None


class Unwrap(Strict):
    """A fixed wrapper that is taken off every row of the source."""

    prefix: str = ""
    suffix: str = ""


class Source(Strict):
    """One set of prompts: where it is, what its columns mean, and under what licence it comes."""

    path: Place | None = None
    """A JSONL, CSV or Parquet file, or a folder written by `datasets`; `$NAME` is read from the environment."""
    hub: str | None = None
    """A dataset of the Hugging Face Hub, in place of a path."""
    file: str | None = None
    """A file of the Hub dataset, read like a local one, in place of a config and split."""
    config: str | None = None
    split: str | None = None
    """A split of the Hub dataset or of the `datasets` folder."""
    revision: str | None = None
    """The commit of the Hub dataset (7 to 40 hex digits). Pinned, so that the same recipe reads the same rows."""
    format: str | None = None
    """Name of the source format, such as `jsonl` or `csv`. Default: the format that reads the ending of the file."""
    columns: Columns = Columns()
    kind: Literal["adversarial", "harmless", "general"] | None = None
    kind_map: dict[str, Literal["adversarial", "harmless", "general"]] | None = None
    """From the values of `columns.kind` (a `*` may end them) to kinds."""
    risk_map: str | dict[str, str] | None = None
    """A map of the taxonomy by name, or from the values of `columns.risk` to risk categories."""
    style_map: str | dict[str, str] | None = None
    licence: str | None = None
    """An SPDX identifier; none means that the set states none."""
    language: str | None = None
    """An ISO 639-1 code, where no column gives it."""
    language_pattern: str | None = None
    """A regular expression whose first group takes the language out of `columns.language`."""
    repository: str | None = None
    priority: int = 50
    """Of two duplicates the one of the lower number is kept."""
    role: Literal["training", "holdout"] = "training"
    """Holdout rows are what a model is tested on: training rows too close to them are dropped."""
    unwrap: Unwrap | None = None
    encoding: str = "utf-8"

    @model_validator(mode="after")
    def _one_place_and_one_kind(self) -> "Source":
        if (self.path is None) == (self.hub is None):
            raise ValueError("give either path or hub")
        if self.hub is not None and self.revision is None:
            raise ValueError(
                "give the revision (a commit) of a hub dataset, so that the same recipe reads the same rows"
            )
        if self.hub is not None and not re.fullmatch("[0-9a-f]{7,40}", str(self.revision)):
            raise ValueError(f"revision should be a commit, 7 to 40 hex digits: {self.revision} may move to other rows")
        if self.file is not None and (self.hub is None or self.config is not None or self.split is not None):
            raise ValueError("file is a file of a hub dataset, in place of config and split")
        if (self.kind is None) == (self.kind_map is None):
            raise ValueError("give either kind, or columns.kind with kind_map")
        if self.kind_map is not None and self.columns.kind is None:
            raise ValueError("kind_map needs columns.kind")
        return self

    @field_validator("format")
    @classmethod
    def _known_format(cls, value: str | None) -> str | None:
        if value is not None and value not in (known := names("seas_data.formats")):
            raise ValueError(f"there is no source format {value!r}; set it to one of {', '.join(known)}")
        return value

    @field_validator("risk_map")
    @classmethod
    def _known_risks(cls, value: str | dict[str, str] | None) -> str | dict[str, str] | None:
        return _known_map(value, RISK_MAPS, RISK_CATEGORIES)

    @field_validator("style_map")
    @classmethod
    def _known_styles(cls, value: str | dict[str, str] | None) -> str | dict[str, str] | None:
        return _known_map(value, STYLE_MAPS, ATTACK_STYLES)

    @field_validator("language_pattern")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            if value is not None and re.compile(value).groups < 1:
                raise ValueError("language_pattern needs a group: what the first (...) matches is the language")
        except re.error as problem:
            raise ValueError(f"not a regular expression: {problem}") from problem
        return value


def _known_map(
    value: str | dict[str, str] | None, maps: dict[str, dict[str, str]], values: tuple[str, ...]
) -> str | dict[str, str] | None:
    if isinstance(value, str) and value not in maps:
        raise ValueError(f"no map is called {value!r}; there are {', '.join(maps)}, or give a mapping")
    if isinstance(value, dict) and (wrong := sorted(set(value.values()) - set(values))):
        raise ValueError(f"{wrong[0]!r} is not in the taxonomy; allowed are {', '.join(values)}")
    return value
