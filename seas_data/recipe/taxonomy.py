"""Taxonomies: the categories of prompts on two axes, as a YAML file, and the maps of other sets' labels.

A prompt can have a *risk category* (what it asks for) and an *attack style* (how it is wrapped). Its type is the style
if that is known, otherwise the risk category; its difficulty is that of the type's axis. A recipe names a packaged
taxonomy, such as ``seas``, or a file of one's own. Recipes hold the content, not the name, so a version knows the
taxonomy that it was built with.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import polars as pl
from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo, model_validator

from seas_data import tables, yaml_text
from seas_data.recipe.base import StrictModel
from seas_data.recipe.crosswalk import hazard_maps, hazards
from seas_data.recipe.paths import resolve_file
from seas_data.recipe.sources import Source
from seas_data.resources import folder
from seas_data.tables.values import CATEGORY_PATTERN, KINDS

DEFAULT: Final = "seas"
Difficulty = Literal["Easy", "Hard"]
_PACKAGED = re.compile("[a-z0-9][a-z0-9-]{0,99}")
_RESERVED = {*KINDS, "none", "plain", "unknown"}  # what queries and overrides call a prompt without a category


class Category(StrictModel):
    """One category of an axis."""

    name: Annotated[str, Field(pattern=CATEGORY_PATTERN)]
    """Its name, as it is in the column `type`."""
    description: Annotated[str, Field(max_length=500)] = ""
    """What belongs to it, in one sentence."""
    aliases: list[Annotated[str, Field(min_length=1, max_length=80)]] = []
    """Other names and codes of it, for labels that people give."""
    hazards: list[str] = []
    """The MLCommons hazards of its prompts. Where categories have some, sets of the crosswalk are maps too."""


class Axis(StrictModel):
    """The categories of one axis, and the maps of other sets' labels to them."""

    difficulty: Difficulty | None = None
    """The difficulty of prompts whose type is on this axis."""
    categories: Annotated[list[Category], Field(max_length=1000)] = []
    """The categories, in the order of seeds and lists."""
    maps: dict[str, dict[str, str]] = {}
    """Maps by name: categories by the label of a set. A label may end with `*`; the longest match counts."""

    @property
    def names(self) -> list[str]:
        """The names of the categories."""
        return [category.name for category in self.categories]

    def known_labels(self) -> dict[str, str]:
        """Return each category by its name and aliases: a map of labels that are in terms of the taxonomy itself."""
        return {label: each.name for each in self.categories for label in (each.name, *each.aliases)}


class Taxonomy(StrictModel):
    """The categories of prompts: two axes, of which one may be empty."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
    """Name of the taxonomy, such as `seas`."""
    title: Annotated[str, Field(max_length=200)] = ""
    """Its name in prose, such as in cards."""
    description: Annotated[str, Field(max_length=1000)] = ""
    """One sentence about it."""
    url: Annotated[str, Field(max_length=500)] = ""
    """Where it is published."""
    risk: Axis = Axis()
    """What prompts ask for."""
    style: Axis = Axis()
    """How prompts are wrapped."""

    @model_validator(mode="after")
    def _check_names(self) -> "Taxonomy":
        labels = [
            (fold_label(label), each.name)
            for axis in (self.style, self.risk)
            for each in axis.categories
            for label in {fold_label(each.name): each.name, **{fold_label(alias): alias for alias in each.aliases}}
        ]
        counts = Counter(label for label, _ in labels)
        for label, name in labels:
            if counts[label] > 1:
                raise ValueError(f"{label!r} names more than one category, among them {name!r}; rename one of them")
            if label in _RESERVED:
                raise ValueError(f"a category cannot be called {label!r}; the word has another meaning in queries")
        if not labels:
            raise ValueError("it has no category; add some to risk or style")
        codes = Counter(code for axis in (self.style, self.risk) for each in axis.categories for code in each.hazards)
        for code, count in codes.items():
            if code not in hazards():
                raise ValueError(f"{code!r} is not an MLCommons hazard; allowed are {', '.join(hazards())}")
            if count > 1:
                raise ValueError(f"the hazard {code!r} belongs to more than one category; leave it to one of them")
        for place, axis in (("risk", self.risk), ("style", self.style)):
            for name, mapping in axis.maps.items():
                if wrong := unknown_values(mapping, axis):
                    raise ValueError(f"{place}.maps.{name}: {wrong[0]!r} is not a category of {place}")
        return self

    @property
    def types(self) -> list[str]:
        """All categories: the styles, then the risk categories."""
        return self.style.names + self.risk.names

    def frame(self) -> pl.DataFrame:
        """Return the categories as rows of the table ``taxonomy``, in the order of ``types``."""
        categories = [("style", self.style, each) for each in self.style.categories]
        categories += [("risk", self.risk, each) for each in self.risk.categories]
        rows = [
            {
                "type": each.name,
                "axis": name,
                "difficulty": axis.difficulty,
                "position": position,
                "description": each.description or None,
            }
            for position, (name, axis, each) in enumerate(categories)
        ]
        return tables.cast("taxonomy", pl.DataFrame(rows, schema=tables.empty("taxonomy").schema))

    def type_of(self, risk_category: str | None, attack_style: str | None) -> tuple[str | None, str | None]:
        """Return (type, difficulty) of a prompt from its two axes; (None, None) when neither is known."""
        if attack_style is not None:
            return attack_style, self.style.difficulty
        if risk_category is not None:
            return risk_category, self.risk.difficulty
        return None, None

    def canonical(self, label: str) -> str | None:
        """Return the category that ``label`` names, in any case and with ``_`` or blanks; None if there is none."""
        folded = fold_label(label)
        axes = (self.style.known_labels() | self.risk.known_labels()).items()
        return next((name for known, name in axes if fold_label(known) == folded), None)


def fold_label(label: str) -> str:
    """Return ``label`` without differences of case, and with single blanks for ``_`` and white space."""
    return " ".join(label.replace("_", " ").casefold().split())


def apply_map(mapping: Mapping[str, str], label: str) -> str | None:
    """Return the value of ``label``: its exact entry, else the longest matching entry that ends in ``*``, else None."""
    if label in mapping:
        return mapping[label]
    prefixes = [key for key in mapping if key.endswith("*") and label.startswith(key[:-1])]
    return mapping[max(prefixes, key=len)] if prefixes else None


def unknown_values(mapping: Mapping[str, str], axis: Axis) -> list[str]:
    """Return the values of a map that are not categories of ``axis``, sorted."""
    return sorted(set(mapping.values()) - set(axis.names))


@dataclass(frozen=True)
class Labelling:
    """How the labels of sources become categories and hazards."""

    taxonomy: Taxonomy = field(default_factory=lambda: default_taxonomy())

    def risk_map(self, source: Source) -> Mapping[str, str]:
        """Return the risk categories by the source's labels."""
        return self._find(source.risk_map, self.taxonomy.risk)

    def style_map(self, source: Source) -> Mapping[str, str]:
        """Return the attack styles by the source's labels."""
        return self._find(source.style_map, self.taxonomy.style)

    def faults(self, source: Source) -> list[tuple[str, str]]:
        """Return the keys of the source whose maps the taxonomy does not fit, each with what is allowed."""
        found = (
            ("risk_map", self._fault(source.risk_map, self.taxonomy.risk)),
            ("style_map", self._fault(source.style_map, self.taxonomy.style)),
            ("hazard_map", _hazard_fault(source.hazard_map)),
        )
        return [(key, message) for key, message in found if message]

    def hazard_map(self, source: Source) -> Mapping[str, str]:
        """Return the MLCommons hazards by the source's labels: by default those of the set that ``risk_map`` names."""
        if isinstance(source.hazard_map, dict):
            return source.hazard_map
        name = source.hazard_map or source.risk_map
        return hazard_maps().get(name, {}) if isinstance(name, str) else {}

    def used_maps(self, sources: Iterable[Source]) -> Taxonomy:
        """Return the taxonomy with the maps that ``sources`` name, and no others."""
        names = {name for each in sources for name in (each.risk_map, each.style_map) if isinstance(name, str)}
        axes = {
            place: axis.model_copy(update={"maps": self._named(axis, names - {self.taxonomy.name})})
            for place, axis in (("risk", self.taxonomy.risk), ("style", self.taxonomy.style))
        }
        return self.taxonomy.model_copy(update=axes)

    def _named(self, axis: Axis, names: set[str]) -> dict[str, dict[str, str]]:
        return {name: each for name, each in self._maps(axis).items() if name in names}

    def _maps(self, axis: Axis) -> dict[str, dict[str, str]]:
        return _crosswalk_maps(axis) | {self.taxonomy.name: axis.known_labels()} | axis.maps

    def _find(self, given: str | dict[str, str] | None, axis: Axis) -> Mapping[str, str]:
        if not axis.categories:
            return {}
        return self._maps(axis).get(given, {}) if isinstance(given, str) else given or {}

    def _fault(self, given: str | dict[str, str] | None, axis: Axis) -> str | None:
        if not axis.categories:  # a map to an axis that the taxonomy leaves empty maps nothing
            return None
        if isinstance(given, str) and given not in (maps := self._maps(axis)):
            return f"there is no map {given!r}; set it to one of {', '.join(maps)}, or give a mapping"
        if isinstance(given, dict) and (wrong := unknown_values(given, axis)):
            return f"{wrong[0]!r} is not in the taxonomy; allowed are {', '.join(axis.names)}"
        return None


def _crosswalk_maps(axis: Axis) -> dict[str, dict[str, str]]:
    """Return a map for each set of the crosswalk, by the hazards of the categories; none if they have no hazards."""
    by_hazard = {hazard: each.name for each in axis.categories for hazard in each.hazards}
    if not by_hazard:
        return {}
    return {
        name: {label: by_hazard[hazard] for label, hazard in labels.items() if hazard in by_hazard}
        for name, labels in hazard_maps().items()
    }


def _hazard_fault(given: str | dict[str, str] | None) -> str | None:
    if isinstance(given, str) and given not in hazard_maps():
        return f"the crosswalk has no set {given!r}; set it to one of {', '.join(hazard_maps())}, or give a mapping"
    if isinstance(given, dict) and (wrong := sorted(set(given.values()) - set(hazards()))):
        return f"{wrong[0]!r} is not a hazard; allowed are {', '.join(hazards())}"
    return None


@cache
def load_packaged(name: str) -> Taxonomy:
    """Return the packaged taxonomy ``name``. Raises ValueError if there is none."""
    path = folder("taxonomies") / f"{name}.yaml"
    if not _PACKAGED.fullmatch(name) or not path.is_file():
        raise ValueError(
            f"there is no taxonomy {name!r}; set it to one of {', '.join(packaged_names())}, or to a file that ends "
            "in .yaml"
        )
    return _load_file(path)


def packaged_names() -> list[str]:
    """Return the names of the packaged taxonomies, the default first."""
    names = sorted(path.stem for path in folder("taxonomies").glob("*.yaml"))
    return sorted(names, key=lambda name: name != DEFAULT)


def default_taxonomy() -> Taxonomy:
    """Return SEAS's taxonomy."""
    return load_packaged(DEFAULT)


def taxonomy_of(recipe: Mapping[str, Any]) -> Taxonomy:
    """Return the taxonomy of a manifest's recipe: the default one if the recipe is older than taxonomies."""
    content = recipe.get("taxonomy")
    return default_taxonomy() if content is None else Taxonomy.model_validate(content)


def _load_file(path: Path) -> Taxonomy:
    try:
        content = yaml_text.load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise ValueError(
            f"the taxonomy {path} cannot be read as YAML: {' '.join(str(problem).split())[:500]}"
        ) from None
    try:
        return Taxonomy.model_validate(content)
    except ValidationError as problem:
        first = problem.errors()[0]
        place = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"the taxonomy {path.name}: {place + ': ' if place else ''}{message}") from None


def _read(value: Any, info: ValidationInfo) -> Any:
    """Return the taxonomy of a recipe: a name, a file, or its content."""
    if not isinstance(value, str):
        return value
    return _load_file(Path(resolve_file(value, info))) if value.endswith((".yaml", ".yml")) else load_packaged(value)


TaxonomyKey = Annotated[Taxonomy, BeforeValidator(_read)]
"""The name of a packaged taxonomy, a YAML file, or the content of one."""
