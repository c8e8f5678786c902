"""Parts: computed once, named by what determines them, and the same whoever computes them and how often."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from seas_data.store.parts import LOCAL, Parts, Unit, store_part
from tests.conftest import CHECKOUT

ROWS = pl.DataFrame({"text": [f"row {number}" for number in range(10)]})
calls: list[int] = []


def lengths(rows: pl.DataFrame, settings: Mapping[str, Any]) -> pl.DataFrame:
    calls.append(rows.height)
    return rows.select("text", length=pl.col("text").str.len_chars() + settings["more"])


def slices(rows: pl.DataFrame = ROWS, size: int = 3) -> list[pl.DataFrame]:
    return [rows[start : start + size] for start in range(0, rows.height, size)]


def computed(parts: Parts, rows: list[pl.DataFrame], settings: dict[str, Any]) -> list[pl.DataFrame]:
    return list(parts.map(lengths, rows.__getitem__, len(rows), settings, "lengths"))


def mapped(parts: Parts, rows: list[pl.DataFrame] | None = None, more: int = 0) -> pl.DataFrame:
    calls.clear()
    return pl.concat(computed(parts, slices() if rows is None else rows, {"more": more}))


def test_parts_come_in_the_order_of_the_slices_and_are_computed_once(tmp_path: Path) -> None:
    expected = lengths(ROWS, {"more": 0})
    assert_frame_equal(mapped(Parts(tmp_path)), expected)
    assert calls == [3, 3, 3, 1]
    assert_frame_equal(mapped(Parts(tmp_path)), expected)
    assert calls == []


def test_other_settings_and_other_rows_are_other_parts(tmp_path: Path) -> None:
    mapped(Parts(tmp_path))
    assert mapped(Parts(tmp_path), more=1)["length"].to_list() == [6] * 10
    assert calls == [3, 3, 3, 1]
    mapped(Parts(tmp_path), slices(ROWS.tail(-3)))
    assert calls == []  # the slices are the same ones
    mapped(Parts(tmp_path), slices(ROWS.tail(-1)))
    assert calls == [3, 3, 3]


def test_equal_rows_have_equal_names_however_they_are_held(tmp_path: Path) -> None:
    mapped(Parts(tmp_path), [ROWS, ROWS.clear()])
    chunked = pl.concat([ROWS.head(4), ROWS.tail(6)], rechunk=False)
    larger = pl.concat([pl.DataFrame({"text": ["a longer text that is not in the slice"]}), ROWS])
    for same in (chunked, larger.slice(1)):
        mapped(Parts(tmp_path), [same, same.clear()])
        assert calls == []


@pytest.mark.parametrize("damage", ["flipped", "cut", "emptied", "renamed"])
def test_a_damaged_part_is_named_and_computed_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    expected = mapped(Parts(tmp_path))
    path, other = sorted(tmp_path.iterdir())[:2]
    content = bytearray(path.read_bytes())
    changed = {
        "flipped": bytes([*content[:-9], content[-9] ^ 1, *content[-8:]]),
        "cut": content[: len(content) // 2],
        "emptied": b"",
        "renamed": other.read_bytes(),
    }
    path.write_bytes(changed[damage])
    assert_frame_equal(mapped(Parts(tmp_path)), expected)
    assert len(calls) == 1
    assert f"{path} is damaged; it is computed again" in capsys.readouterr().err
    assert path.read_bytes() == content


class Backwards:
    """An engine that runs each unit twice, the last one first."""

    def run(
        self, function: Callable[[Any], None], units: Iterable[Any], count: int, what: str, *, gpus: int = 0
    ) -> None:
        every = list(units)
        assert len(every) == count
        for unit in [*reversed(every), *every]:
            function(unit)


def test_the_parts_of_engines_are_the_same_files(tmp_path: Path) -> None:
    assert_frame_equal(mapped(Parts(tmp_path / "backwards", Backwards())), mapped(Parts(tmp_path / "local", LOCAL)))
    stored = [{each.name: each.read_bytes() for each in folder.iterdir()} for folder in tmp_path.iterdir()]
    assert stored[0] == stored[1]
    mapped(Parts(tmp_path / "backwards", LOCAL))
    assert calls == []


def test_a_single_part_of_this_process_is_not_stored(tmp_path: Path) -> None:
    assert_frame_equal(mapped(Parts(tmp_path), [ROWS]), lengths(ROWS, {"more": 0}))
    assert_frame_equal(mapped(Parts(None)), lengths(ROWS, {"more": 0}))
    assert list(tmp_path.iterdir()) == []


def test_two_writers_of_one_part_leave_one_whole_part(tmp_path: Path) -> None:
    units: list[Unit] = []

    class Recorder:
        def run(
            self, function: Callable[[Any], None], units_: Iterable[Any], count: int, what: str, *, gpus: int = 0
        ) -> None:
            units.extend(units_)

    expected = mapped(Parts(tmp_path, Recorder()))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: units[number % 2].store(), range(40)))
    store_part(units[0])
    assert len(list(tmp_path.iterdir())) == 4
    assert_frame_equal(mapped(Parts(tmp_path)), expected)
    assert calls == []


KILLED = """
import os, signal
from pathlib import Path
from seas_data.store.parts import LOCAL, Parts
from tests.store import test_parts

class Killed:
    def run(self, function, units, count, what, *, gpus=0):
        for number, unit in enumerate(units):
            if number == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            function(unit)

test_parts.mapped(Parts(Path({folder!r}), Killed()))
"""


@pytest.mark.slow
def test_a_killed_process_loses_only_the_unit_that_it_was_working_on(tmp_path: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED.format(folder=str(tmp_path))], capture_output=True, cwd=CHECKOUT, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert len(list(tmp_path.iterdir())) == 2
    assert_frame_equal(mapped(Parts(tmp_path)), lengths(ROWS, {"more": 0}))
    assert calls[:-1] == [3, 1]


def test_a_failure_of_the_function_stores_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        computed(Parts(tmp_path), slices(), {})
    assert list(tmp_path.iterdir()) == []
