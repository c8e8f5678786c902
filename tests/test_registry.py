import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from seas_data import registry
from seas_data.errors import SeasDataError
from seas_data.registry import Registry

GROUP = "seas_data.tests_only"


@pytest.fixture
def entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[Path]:
    (tmp_path / "registered_module.py").write_text("from pathlib import Path\nHERE = Path('here')\nTEXT = 'text'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = tuple(
        EntryPoint(name, value, GROUP)
        for name, value in (
            ("here", "registered_module:HERE"),
            ("gone", "registered_module:NOT_THERE"),
            ("text", "registered_module:TEXT"),
            ("twice", "registered_module:HERE"),
            ("twice", "other_module:HERE"),
        )
    )
    monkeypatch.setattr(registry, "entry_points", lambda group: found)
    registry.refresh()
    return Registry(GROUP, "folder", Path)


def test_listing_names_imports_nothing(entries: Registry[Path]) -> None:
    assert entries.names() == ("gone", "here", "text", "twice")
    assert "registered_module" not in sys.modules


def test_an_entry_is_loaded_by_name(entries: Registry[Path]) -> None:
    assert entries.load("here") == Path("here")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hree", "there is no folder 'hree'; choose one of: gone, here, text, twice"),
        ("gone", "folder 'gone' could not be loaded from registered_module:NOT_THERE"),
        ("text", "folder 'text': registered_module:TEXT is not a Path"),
        ("twice", "folder 'twice' is defined more than once (other_module:HERE and registered_module:HERE)"),
    ],
)
def test_an_entry_that_cannot_be_used_is_one_sentence(entries: Registry[Path], name: str, message: str) -> None:
    with pytest.raises(SeasDataError) as problem:
        entries.load(name)
    assert message in str(problem.value)
