"""The digest of the package's code: it follows imports between rooms, and covers nothing else."""

import shutil
from pathlib import Path

import pytest

from seas_data.store import code
from seas_data.store.code import code_digest
from tests.conftest import quick


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package's source."""
    return Path(shutil.copytree(code.PACKAGE, tmp_path / "seas_data", ignore=shutil.ignore_patterns("__pycache__")))


def digest(package: Path, room: str) -> str:
    code_digest.cache_clear()
    return code_digest(room, package=package)


@pytest.mark.parametrize(
    ("changed", "rooms"),
    quick(
        4,
        [
            ("curate/pipeline.py", {"curate", "loop"}),
            ("similarity/near.py", {"curate", "loop"}),
            ("text.py", {"curate", "loop", "models"}),
            ("judges/run.py", {"loop"}),
            ("train/fit.py", {"loop"}),
            ("models/chat_template.py", {"loop", "models"}),
            ("release/folder.py", set()),
            ("report/charts_from_sql.py", set()),
            ("cli/terminal.py", set()),
        ],
    ),
)
def test_a_changed_file_changes_the_digests_of_the_rooms_that_use_it(
    package: Path, changed: str, rooms: set[str]
) -> None:
    before = {room: digest(package, room) for room in ("curate", "loop", "models")}
    with (package / changed).open("a") as file:
        file.write("CHANGED = True\n")
    assert {room for room in before if digest(package, room) != before[room]} == rooms


def test_the_digest_depends_on_contents_and_not_on_times_or_places(package: Path) -> None:
    before = digest(package, "loop")
    for path in package.rglob("*.py"):
        path.touch()
    assert digest(package, "loop") == before == digest(code.PACKAGE, "loop")


def test_a_new_file_of_a_room_counts_and_bytecode_does_not(package: Path) -> None:
    before = digest(package, "curate")
    (package / "curate" / "__pycache__").mkdir()
    (package / "curate" / "__pycache__" / "pipeline.cpython-311.pyc").write_bytes(b"code")
    assert digest(package, "curate") == before
    (package / "curate" / "more.py").touch()
    assert digest(package, "curate") != before


@pytest.mark.parametrize(
    ("source", "rooms"),
    [
        ("from seas_data import recipe as recipes, tables", {"recipe", "tables"}),
        ("from seas_data import (\n    pairs,\n    text,\n)", {"pairs", "text"}),
        ("from seas_data.store.files import sha256", {"store"}),
        ("def f():\n    import seas_data.build_version as pipeline", {"build_version"}),
    ],
)
def test_every_form_of_import_is_followed(tmp_path: Path, source: str, rooms: set[str]) -> None:
    for room in (*rooms, "start"):
        (tmp_path / f"{room}.py").write_text(source if room == "start" else "")
    for room in rooms:
        before = digest(tmp_path, "start")
        (tmp_path / f"{room}.py").write_text("X = 1\n")
        assert digest(tmp_path, "start") != before, room
