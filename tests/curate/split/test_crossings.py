"""Crossings: rows on different sides of the split that must stay together."""

import polars as pl
import pytest

from seas_data.curate.split.crossings import find_crossings
from tests.curate.settings import curation
from tests.curate.split.frames import PLACED, edges, rows, wrapped


@pytest.mark.parametrize(
    ("links", "texts", "templates", "reason"),
    [
        (edges(("a", "b", "near_duplicate", 0.8)), ["1", "2"], wrapped(), "near_duplicate"),
        (edges(("a", "b", "semantic_duplicate", 0.95)), ["1", "2"], wrapped(), "semantic_duplicate"),
        (edges(), ["1", "1"], wrapped(), "exact_duplicate"),
        (edges(), ["1", "2"], wrapped(("a", "T", None), ("b", "T", None)), "template"),
    ],
)
def test_crossings_are_found(links: pl.DataFrame, texts: list[str], templates: pl.DataFrame, reason: str) -> None:
    kept = pl.concat([rows(["a"], texts=texts[:1]), rows(["b"], "harmless", texts=texts[1:])])
    placed = pl.DataFrame([("a", "train", "A"), ("b", "test", "B")], schema=PLACED, orient="row")
    found = find_crossings(kept, placed, links, templates, curation())
    assert found["reason"].to_list() == [reason]
    assert {*found.row(0)[:2]} == {"a", "b"}
    one_side = placed.with_columns(split=pl.lit("test"))
    assert find_crossings(kept, one_side, links, templates, curation()).is_empty()


def test_a_group_on_two_sides_is_a_crossing_and_an_edge_below_the_threshold_is_not() -> None:
    kept, half = rows(["a", "b"]), edges(("a", "b", "near_duplicate", 0.79))
    placed = pl.DataFrame([("a", "train", "A"), ("b", "test", "A")], schema=PLACED, orient="row")
    assert find_crossings(kept, placed, half, wrapped(), curation())["reason"].to_list() == ["group"]
