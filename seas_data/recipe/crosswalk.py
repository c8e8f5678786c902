"""The crosswalk: labels of published sets and codes of guards, with the MLCommons hazards that they stand for.

``taxonomies/crosswalk.csv`` has a row for each label and hazard. ``relation`` is that of the label to the hazard:
``exact``, ``narrower`` (every prompt with the label has the hazard), ``broader`` (the label covers more than the
hazard) or ``none`` (no hazard). Only ``exact`` and ``narrower`` labels say which hazard a prompt has.
"""

import csv
from functools import cache
from typing import Final, NamedTuple

from seas_data.resources import folder

HAZARD_SET: Final = "ailuminate"
"""The set whose labels are the codes of the hazards."""
VERDICT_SET: Final = "verdicts"
"""The set whose labels are the categories in verdicts of guards."""
RELATIONS: Final = ("exact", "broader", "narrower", "none")


class Row(NamedTuple):
    """A row of the crosswalk."""

    set: str
    label: str
    hazard: str
    relation: str
    source: str


@cache
def load_crosswalk() -> tuple[Row, ...]:
    """Return the rows of the packaged crosswalk."""
    with (folder("taxonomies") / "crosswalk.csv").open(encoding="utf-8", newline="") as lines:
        return tuple(Row(**row) for row in csv.DictReader(lines))


@cache
def hazard_maps() -> dict[str, dict[str, str]]:
    """Return the hazards by label of each set of the crosswalk. Labels without one hazard of their own are left out."""
    maps: dict[str, dict[str, str]] = {row.set: {} for row in load_crosswalk()}
    for row in load_crosswalk():
        if row.relation in ("exact", "narrower"):
            maps[row.set][row.label] = row.hazard
    return maps


def hazards() -> list[str]:
    """Return the codes of the hazards."""
    return list(hazard_maps()[HAZARD_SET])
