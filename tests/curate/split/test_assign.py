"""Assignment of rows to splits: proportions by stratum, whole groups, frozen earlier rows."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from seas_data.curate.split.crossings import find_crossings
from seas_data.recipe import Split
from seas_data.recipe.dedup import Near, Semantic
from seas_data.text import content_id
from tests.conftest import examples
from tests.curate.settings import SPLIT, curation
from tests.curate.split.frames import PLACED, chain, edges, numbered, rows, run_split, wrapped


def place(kept: pl.DataFrame, links: pl.DataFrame | None = None, **proportions: float) -> dict[str, str]:
    chosen = curation(split=SPLIT.model_copy(update=proportions))
    links = edges() if links is None else links
    placed = run_split(kept, links, wrapped(), chosen)
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
    placed = run_split(kept, edges(), wrapped(), curation()).splits
    assert placed.filter(split="holdout").select("prompt_id", "group_id").rows() == [
        ("c", content_id("group", "c")),
        ("d", content_id("group", "d")),
    ]
    assert set(placed.filter(pl.col("split") != "holdout")["prompt_id"]) == {"a", "b"}


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


SETTINGS = curation(split=Split(test=0.3, harmless=0.4))


@examples(25)
@given(kept_rows())
def test_no_group_crosses_and_no_proportion_is_off_by_more_than_a_group(
    drawn: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame],
) -> None:
    frame, links, templates = drawn
    placed = run_split(frame, links, templates, SETTINGS).splits
    assert sorted(placed["prompt_id"]) == sorted(frame["prompt_id"])
    assert placed.group_by("group_id").agg(pl.col("split").n_unique())["split"].max() == 1
    assert find_crossings(frame, placed, links, templates, SETTINGS).is_empty()
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


@examples(15)
@given(kept_rows(), st.integers(0, 1000))
def test_the_order_of_the_input_changes_nothing(
    drawn: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame], seed: int
) -> None:
    placed = run_split(*drawn, SETTINGS)
    shuffled = [frame.sample(fraction=1, shuffle=True, seed=seed) for frame in drawn]
    again = run_split(*shuffled, SETTINGS)  # type: ignore[arg-type]
    assert again.splits.equals(placed.splits)
    assert again.reports.equals(placed.reports)


@examples(20)
@given(kept_rows(), st.integers(1, 30))
def test_a_later_version_moves_nothing_and_leaks_nothing(
    drawn: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame], first: int
) -> None:
    frame, links, templates = drawn
    old = frame.head(first)
    before = run_split(old, links, templates, SETTINGS).splits
    after = run_split(frame, links, templates, SETTINGS, before)
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
