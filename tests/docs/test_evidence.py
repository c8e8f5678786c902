"""docs/evidence.md has what the stored figures and readings say, so that no number in it is only written by hand."""

import importlib
import json

import polars as pl
import pytest

from tests.conftest import CHECKOUT

BENCHMARKS, PAGE = CHECKOUT / "benchmarks", CHECKOUT / "docs" / "evidence.md"


def test_the_page_has_the_figures_of_the_stored_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    evidence = importlib.import_module("smollm2_evidence")
    stored = json.loads((BENCHMARKS / "smollm2.json").read_text(encoding="utf-8"))
    page = PAGE.read_text(encoding="utf-8")
    assert evidence.to_markdown(stored) in page, "run: python benchmarks/smollm2.py evidence --write"
    assert evidence.replace_block(page, evidence.START, evidence.to_markdown(stored)) == page


@pytest.mark.parametrize(("name", "column"), [("smollm2_reading", "response_id"), ("smollm2_reasons", "prompt_id")])
def test_the_page_has_the_tables_of_the_readings(name: str, column: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    reading = importlib.import_module(name)
    readings = pl.read_csv(reading.READINGS)
    assert readings.height == reading.ROWS == readings[column].n_unique()
    assert reading.describe(readings) in PAGE.read_text(encoding="utf-8")
