"""Bridges: new rows that would link the training side to frozen rows of another split."""

import polars as pl

from seas_data.curate.split.bridges import find_bridges
from seas_data.curate.split.crossings import find_crossings
from seas_data.recipe import Split
from seas_data.text import content_id
from tests.curate.settings import curation
from tests.curate.split.frames import PLACED, Placed, edges, rows, run_split, wrapped

EARLIER = pl.DataFrame(
    [("a", "train", "A"), ("b", "test", "B"), ("c", "harmless", "C"), ("d", "train", "A"), ("e", "train", "E")],
    schema=PLACED,
    orient="row",
)


def later(links: pl.DataFrame, names: str, templates: pl.DataFrame | None = None, by_request: bool = False) -> Placed:
    chosen = curation(split=Split(group_by_request=by_request))
    templates = wrapped() if templates is None else templates
    placed = run_split(rows(sorted("abcde" + names)), links, templates, chosen, EARLIER)
    assert placed.splits.join(EARLIER, on=list(PLACED), how="semi").height == 5
    assert find_crossings(placed.kept, placed.splits, links, templates, chosen).is_empty()
    return placed


def test_new_rows_go_to_train_and_earlier_rows_do_not_move() -> None:
    placed = later(
        edges(("d", "x", "near_duplicate", 0.6), ("e", "x", "near_duplicate", 0.7), ("y", "z", "near_duplicate", 0.7)),
        "xyz",
    )
    assert placed.bridges.is_empty()
    assert placed.splits.filter(pl.col("prompt_id") > "e").rows() == [
        ("x", "train", "A"),
        ("y", "train", content_id("group", "y")),
        ("z", "train", content_id("group", "y")),
    ]


def test_a_bridge_has_its_closest_frozen_row_as_witness() -> None:
    links = edges(
        ("a", "v", "near_duplicate", 0.7),  # joins train and test
        ("b", "v", "near_duplicate", 0.65),
        ("b", "w", "near_duplicate", 0.6),
        ("c", "w", "semantic_duplicate", 0.93),  # the closest of its links
        ("w", "x", "near_duplicate", 0.7),  # was only linked through w
    )
    templates = wrapped(("b", "T", None), ("y", "T", None), ("c", None, "R"), ("z", None, "R"))
    placed = later(links, "vwxyz", templates, by_request=True)
    assert placed.bridges.rows() == [
        ("v", "b", 0.65, 0.6, "alike by characters to a row of the test side"),
        ("w", "c", 0.93, 0.92, "alike by meaning to a row of the harmless side"),
        ("y", "b", None, None, "the same template as a row of the test side"),
        ("z", "c", None, None, "the same request as a row of the harmless side"),
    ]
    assert placed.kept["prompt_id"].to_list() == list("abcdex")
    assert "z" in later(links, "vwxyz", templates).kept["prompt_id"]


def test_bridges_are_found_through_representatives_of_texts() -> None:
    # 0 stands for the text of the frozen b, and p for that of q; neither is frozen.
    prompts = rows(["0", "b", "p", "q", "r"], texts=["1", "1", "2", "2", "3"])
    found = find_bridges(prompts, edges(("0", "p", "near_duplicate", 0.7)), wrapped(), curation(), EARLIER)
    assert found.select("prompt_id", "witness_id", "score").rows() == [
        ("0", "b", None),
        ("p", "b", 0.7),
        ("q", "b", 0.7),
    ]
    assert found["detail"][0] == "the same text as a row of the test side"
