"""What ``show`` and the end of a loop tell, and how the terminal prints it."""

from pathlib import Path

import pytest

import seas_data as sd
from seas_data.cli import terminal
from seas_data.query import library, summary
from seas_data.resources import folder


def test_a_loop_went_as_its_queries_say(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    version = sd.open(made).version()
    told = summary.describe_loop(version)
    queries = library.load(folder("sql"))
    assert told["matrix"] == version.select(queries["attack-success-matrix"].sql, {"judge": ""}).to_dicts()
    assert [row["target"] for row in told["frontier"]] == ["T0", "T1", "T2"]
    assert {"attack_success_low", "over_refusal_low", "utility_low"} <= told["frontier"][0].keys()
    terminal.print_loop(told)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"v2, after iteration 2: digest {version.digest}"
    lines = [line.split() for line in said]
    assert ["attack", "success", "T0", "T1", "T2"] in [line[:5] for line in lines]
    assert [line[0] for line in lines if line and line[0] in ("R0", "R1", "R2")] == ["R0", "R1", "R2"]
    assert said[-1].startswith("Next: seas-data sql")


def test_tables_are_aligned_and_nothing_in_them_acts(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.print_records(
        [{"name": "a\x1b[1m", "rows": 1200, "share": 0.25}, {"name": "bc", "rows": 7, "share": None}]
    )
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "name         rows  share",
        "a\\u{1b}[1m  1,200   0.25",
        "bc              7",
    ]
