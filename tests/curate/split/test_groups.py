"""Groups: which rows are joined, and how large components are cut."""

import polars as pl

from seas_data.curate.split.groups import build_groups
from seas_data.recipe import Split
from seas_data.text import content_id
from tests.curate.settings import curation
from tests.curate.split.frames import chain, edges, families, numbered, rows, wrapped


def test_similar_rows_form_a_group_with_the_hash_of_the_lowest_id() -> None:
    kept = rows(list("abcdefgh"), texts=["1", "2", "3", "4", "4", "5", "6", "7"])
    links = edges(("a", "b", "near_duplicate", 0.6), ("b", "c", "semantic_duplicate", 0.92))
    templates = wrapped(("f", "T", "R"), ("g", "T", None), ("h", None, "R"))
    members, reports = build_groups(kept, links, templates, curation())
    assert families(members) == [["a", "b", "c"], ["d", "e"], ["f", "g"], ["h"]]
    assert members["group_id"][1] == content_id("group", "a")
    assert reports.is_empty()
    by_request = curation(split=Split(group_by_request=True))
    assert ["f", "g", "h"] in families(build_groups(kept, links, templates, by_request)[0])


def test_a_component_over_one_percent_is_reported_and_cut_below_duplicate_thresholds() -> None:
    names = numbered(6000)
    links = pl.concat(
        [
            chain(names[:61], 0.7),
            chain(names[10:13], 0.8),
            chain(names[20:23], 0.94, "semantic_duplicate"),
            chain(names[100:160], 0.7),
        ]
    ).unique(["prompt_id", "neighbour_id"], keep="last", maintain_order=True)
    templates = wrapped((names[40], "T", None), (names[50], "T", None))
    members, reports = build_groups(rows(names), links, templates, curation())
    family = {group[0]: group for group in families(members)}
    assert reports.rows() == [(content_id("group", names[0]), 61, 58, 3)]
    assert family[names[10]] == names[10:13]
    assert family[names[40]] == [names[40], names[50]]
    assert family[names[20]] == [names[20]]
    # Sixty rows are not over 1 % of 6,000.
    assert family[names[100]] == names[100:160]


def test_small_components_and_templates_are_not_cut() -> None:
    names = numbered(120)
    members, reports = build_groups(rows(names), chain(names[:50], 0.7), wrapped(), curation())
    assert (len(families(members)), reports.height) == (71, 0)
    members, reports = build_groups(
        rows(names), edges(), wrapped(*((name, "T", None) for name in names[:80])), curation()
    )
    assert len(families(members)) == 41
    assert reports.select("rows", "groups", "largest").rows() == [(80, 1, 80)]
