"""Every entry point that this checkout declares can be loaded, whatever an older installation still lists."""

import tomllib
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DECLARED = [
    EntryPoint(name, value, group)
    for group, entries in PROJECT["entry-points"].items()
    for name, value in entries.items()
]


@pytest.mark.parametrize("entry", DECLARED, ids=lambda entry: f"{entry.group}:{entry.name}")
def test_a_declared_entry_point_can_be_loaded(entry: EntryPoint) -> None:
    entry.load()


def test_the_installation_knows_every_declared_entry_point() -> None:
    installed = {
        (each.group, each.name, each.value)
        for group in {e.group for e in DECLARED}
        for each in entry_points(group=group)
    }
    missing = [
        f"{each.group}: {each.name}" for each in DECLARED if (each.group, each.name, each.value) not in installed
    ]
    assert not missing, "entry points take effect on installation: run `pip install --editable .`"


def test_each_group_has_entries() -> None:
    assert {"seas_data.guards", "seas_data.formats", "seas_data.checks", "seas_data.metrics"} <= {
        e.group for e in DECLARED
    }
