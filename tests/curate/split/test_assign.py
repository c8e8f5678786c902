"""Groups, shares, frozen sides, and the check that the build runs over them."""

import itertools
from dataclasses import dataclass

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seas_data.curate.split.assign import assign_splits
from seas_data.curate.split.bridges import find_bridges
from seas_data.curate.split.crossings import find_crossings
from seas_data.curate.split.groups import build_groups
from seas_data.recipe import Curation, Split
from seas_data.recipe.dedup import Near, Semantic
from seas_data.text import content_id
from tests.curate.settings import curation

EDGE = {"prompt_id": pl.String, "neighbour_id": pl.String, "reason": pl.String, "score": pl.Float32}
WRAPPED = {"prompt_id": pl.String, "template_id": pl.String, "request_id": pl.String}
PLACED = {"prompt_id": pl.String, "split": pl.String, "group_id": pl.String}
NOBODY = pl.DataFrame(schema=PLACED)


def rows(
    names: list[str], kind: str = "adversarial", type_: str | None = None, texts: list[str] | None = None
) -> pl.DataFrame:
    return pl.DataFrame(
        {"prompt_id": names, "text_digest": texts or [f"text of {name}" for name in names]},
        schema={"prompt_id": pl.String, "text_digest": pl.String},
    ).with_columns(kind=pl.lit(kind), type=pl.lit(type_, dtype=pl.String), role=pl.lit("training"))


def edges(*found: tuple[str, str, str, float]) -> pl.DataFrame:
    return pl.DataFrame(found, schema=EDGE, orient="row")


def wrapped(*found: tuple[str, str | None, str | None]) -> pl.DataFrame:
    return pl.DataFrame(found, schema=WRAPPED, orient="row")


def numbered(count: int, letter: str = "p") -> list[str]:
    return [f"{letter}{number:05}" for number in range(count)]


def chain(names: list[str], score: float, reason: str = "near_duplicate") -> pl.DataFrame:
    return edges(*((a, b, reason, score) for a, b in itertools.pairwise(names)))


def families(frame: pl.DataFrame) -> list[list[str]]:
    return sorted(frame.group_by("group_id").agg(pl.col("prompt_id").sort())["prompt_id"].to_list())


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


@dataclass(frozen=True)
class Placed:
    """``kept`` less the ``bridges``, and where it went."""

    kept: pl.DataFrame
    splits: pl.DataFrame
    bridges: pl.DataFrame
    reports: pl.DataFrame


def split(
    kept: pl.DataFrame,
    links: pl.DataFrame,
    templates: pl.DataFrame,
    chosen: Curation,
    earlier: pl.DataFrame | None = None,
) -> Placed:
    """Do what a build does with ``kept``: drop the bridges, find the groups, give them a side."""
    bridges = find_bridges(kept, links, templates, chosen, NOBODY if earlier is None else earlier)
    kept = kept.join(bridges, on="prompt_id", how="anti", maintain_order="left")
    members, reports = build_groups(kept.filter(pl.col("role") == "training"), links, templates, chosen, earlier)
    return Placed(kept, assign_splits(kept, members, chosen, earlier), bridges, reports)


def place(kept: pl.DataFrame, links: pl.DataFrame | None = None, **proportions: float) -> dict[str, str]:
    chosen = curation(split=Split(**proportions))
    links = edges() if links is None else links
    placed = split(kept, links, wrapped(), chosen)
    assert find_crossings(kept, placed.splits, links, wrapped(), chosen).is_empty()
    assert placed.kept.equals(kept)
    return dict(placed.splits.select("prompt_id", "split").rows())


def counts(placed: dict[str, str], letter: str = "") -> dict[str, int]:
    chosen = [side for name, side in placed.items() if name.startswith(letter)]
    return {side: chosen.count(side) for side in sorted(set(chosen))}


def test_each_stratum_gives_its_proportion() -> None:
    kept = pl.concat(
        [
            rows(numbered(300, "r"), type_="Role Play"),
            rows(numbered(50, "w"), type_="Word Play"),
            rows(numbered(40, "n")),
            rows(numbered(100, "g"), "general"),
            rows(numbered(100, "h"), "harmless"),
        ]
    )
    placed = place(kept, test=0.1, harmless=0.2)
    assert counts(placed, "r") == {"test": 30, "train": 270}
    assert counts(placed, "w") == {"test": 5, "train": 45}
    assert counts(placed, "n") == {"test": 4, "train": 36}
    assert counts(placed, "g") == {"test": 10, "train": 90}
    assert counts(placed, "h") == {"harmless": 20, "test": 8, "train": 72}


def test_the_harmless_split_has_no_contrast_pair() -> None:
    pairs = [(f"a{number:03}", f"h{number:03}", "semantic_duplicate", 0.97) for number in range(100)]
    kept = pl.concat(
        [
            rows([pair[0] for pair in pairs]),
            rows([pair[1] for pair in pairs], "harmless"),
            rows(numbered(10, "x"), "harmless"),
        ]
    )
    placed = place(kept, edges(*pairs), test=0.1, harmless=0.2)
    assert {placed[f"h{number:03}"] for number in range(100)} == {"train", "test"}
    assert all(placed[a] == placed[h] for a, h, *_ in pairs)
    assert counts(placed, "a") == {"test": 10, "train": 90}
    # All that could go there did.
    assert counts(placed, "x") == {"harmless": 10}


def test_small_groups_are_assigned_before_large_ones() -> None:
    names = numbered(400)
    large = [names[start : start + 20] for start in range(0, 200, 20)]
    placed = place(rows(names), pl.concat([chain(group, 0.7) for group in large]), test=0.1)
    assert {placed[name] for group in large for name in group} == {"train"}
    assert counts(placed) == {"test": 40, "train": 360}
    only_large = place(rows(names[:200]), pl.concat([chain(group, 0.7) for group in large]), test=0.1)
    assert counts(only_large) == {"test": 20, "train": 180}


def test_holdout_rows_are_a_split_with_a_group_each() -> None:
    kept = pl.concat([rows(["a", "b"]), rows(["c", "d"], texts=["a", "a"]).with_columns(role=pl.lit("holdout"))])
    placed = split(kept, edges(), wrapped(), curation()).splits
    assert placed.filter(split="holdout").select("prompt_id", "group_id").rows() == [
        ("c", content_id("group", "c")),
        ("d", content_id("group", "d")),
    ]
    assert set(placed.filter(pl.col("split") != "holdout")["prompt_id"]) == {"a", "b"}


EARLIER = pl.DataFrame(
    [("a", "train", "A"), ("b", "test", "B"), ("c", "harmless", "C"), ("d", "train", "A"), ("e", "train", "E")],
    schema=PLACED,
    orient="row",
)


def later(links: pl.DataFrame, names: str, templates: pl.DataFrame | None = None, by_request: bool = False) -> Placed:
    chosen = curation(split=Split(group_by_request=by_request))
    templates = wrapped() if templates is None else templates
    placed = split(rows(sorted("abcde" + names)), links, templates, chosen, EARLIER)
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


@st.composite
def kept_rows(draw: st.DrawFn) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    names = numbered(draw(st.integers(1, 60)))
    labels = [draw(st.sampled_from(["Role Play", "Word Play", None])) for _ in names]
    kinds = [draw(st.sampled_from(["adversarial", "adversarial", "harmless", "general"])) for _ in names]
    texts = [str(draw(st.integers(0, 80))) for _ in names]
    frame = rows(names, texts=texts).with_columns(type=pl.Series(labels, dtype=pl.String), kind=pl.Series(kinds))
    pairs = [(a, b) for a in names for b in names if a < b]
    measures = [("near_duplicate", 0.6), ("near_duplicate", 0.9), ("semantic_duplicate", 0.93)]
    some = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=40)) if pairs else []
    links = edges(*((a, b, *draw(st.sampled_from(measures))) for a, b in some))
    in_template = draw(st.lists(st.sampled_from(names), unique=True, max_size=10))
    return frame, links, wrapped(*((name, draw(st.sampled_from(["T", "U"])), None) for name in in_template))


CHOSEN = curation(split=Split(test=0.3, harmless=0.4))


@settings(max_examples=60, deadline=None)
@given(kept_rows())
def test_no_group_crosses_and_no_proportion_is_off_by_more_than_a_group(
    drawn: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame],
) -> None:
    frame, links, templates = drawn
    placed = split(frame, links, templates, CHOSEN).splits
    assert sorted(placed["prompt_id"]) == sorted(frame["prompt_id"])
    assert placed.group_by("group_id").agg(pl.col("split").n_unique())["split"].max() == 1
    assert find_crossings(frame, placed, links, templates, CHOSEN).is_empty()
    joined = frame.join(placed, on="prompt_id").with_columns(
        stratum=pl.concat_str("kind", pl.col("type").fill_null("-"))
    )
    assert set(joined.filter(split="harmless")["kind"]) <= {"harmless"}

    held = joined.filter(split="harmless").height
    assert held <= int(0.4 * joined.filter(kind="harmless").height + 0.5)
    rest = joined.filter(pl.col("split") != "harmless")
    wanted = {name: int(0.3 * count + 0.5) for name, count in rest.group_by("stratum").len().rows()}
    open_ = dict(wanted)
    for name, count in rest.filter(split="test").group_by("stratum").len().rows():
        open_[name] -= count
    assert min(open_.values(), default=0) >= 0
    for group in rest.filter(split="train").partition_by("group_id"):
        assert any(count > open_[name] for name, count in group.group_by("stratum").len().rows())


@settings(max_examples=30, deadline=None)
@given(kept_rows(), st.integers(0, 1000))
def test_the_order_of_the_input_changes_nothing(
    drawn: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame], seed: int
) -> None:
    placed = split(*drawn, CHOSEN)
    shuffled = [frame.sample(fraction=1, shuffle=True, seed=seed) for frame in drawn]
    again = split(*shuffled, CHOSEN)  # type: ignore[arg-type]
    assert again.splits.equals(placed.splits)
    assert again.reports.equals(placed.reports)


@settings(max_examples=40, deadline=None)
@given(kept_rows(), st.integers(1, 30))
def test_a_later_version_moves_nothing_and_leaks_nothing(
    drawn: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame], first: int
) -> None:
    frame, links, templates = drawn
    old = frame.head(first)
    before = split(old, links, templates, CHOSEN).splits
    after = split(frame, links, templates, CHOSEN, before)
    assert after.splits.join(before, on=list(PLACED), how="semi").height == old.height
    new = after.splits.join(old, on="prompt_id", how="anti")
    assert set(new["split"]) <= {"train"}
    assert new.height + after.bridges.height + old.height == frame.height
    # What is left is linked to no row of another side, at any level.
    at_group = curation(
        near=Near(duplicate_threshold=0.6, group_threshold=0.6),
        semantic=Semantic(duplicate_threshold=0.92, group_threshold=0.92),
    )
    crossing = find_crossings(after.kept, after.splits, links, templates, at_group)
    assert crossing.filter(pl.col("prompt_id").is_in(new["prompt_id"].implode())).is_empty()
    assert crossing.is_empty()
