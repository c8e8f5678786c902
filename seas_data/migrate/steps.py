"""The steps from one format to the next, oldest first. A change of a schema or of recipe keys adds to the last step.

A step knows two things: how the recipe in a manifest is written in the newer format, and which columns and values of a
table have other names there. Columns that a newer schema adds need no step: they are null in older rows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.migrate import format_1


@dataclass(frozen=True)
class Step:
    """What changes between a format and the next one."""

    recipe: Callable[[dict[str, Any]], dict[str, Any]]
    """Returns a recipe (JSON data, as manifests hold it) of the older format as one of the newer format."""
    tables: Mapping[str, Callable[[pl.DataFrame], pl.DataFrame]] = field(default_factory=dict)
    """Functions by table: rows of the older format in, rows of the newer format out."""


STEPS: Mapping[int, Step] = {
    1: Step(recipe=format_1.convert_recipe, tables={"settings": format_1.convert_settings}),
}
"""The step from each older format to the next."""


def steps_from(number: int, current: int) -> list[Step]:
    """Return the steps from format ``number`` to ``current``. Raises SeasDataError if a step is missing."""
    if missing := [each for each in range(number, current) if each not in STEPS]:
        raise SeasDataError(f"there is no migration from format {missing[0]}; use the seas-data that wrote it")
    return [STEPS[each] for each in range(number, current)]
