"""The greedy pass against a plain quadratic one, and what must hold of every selection."""

from dataclasses import dataclass

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data.curate.dedup.select import select
from seas_data.curate.outcome import DECISION_COLUMNS
from seas_data.recipe import Templates
from seas_data.recipe.dedup import Near
from tests.conftest import examples
from tests.curate.settings import curation

KINDS = ("adversarial", "harmless", "general")
DUPLICATE = {"near_duplicate": 0.8, "semantic_duplicate": 0.95}
GROUP = {"near_duplicate": 0.6, "semantic_duplicate": 0.92}


def rows(*given: tuple[str, str, str, int]) -> pl.DataFrame:
    """Make prompts of (id, text, kind, priority)."""
    return pl.DataFrame(
        given,
        schema={"prompt_id": pl.String, "text_digest": pl.String, "kind": pl.String, "priority": pl.Int32},
        orient="row",
    )


def edges(*given: tuple[str, str, str, float]) -> pl.DataFrame:
    schema = {"prompt_id": pl.String, "neighbour_id": pl.String, "reason": pl.String, "score": pl.Float32}
    return pl.DataFrame(given, schema=schema, orient="row")


def wrapped(*given: tuple[str, str]) -> pl.DataFrame:
    return pl.DataFrame(given, schema={"prompt_id": pl.String, "template_id": pl.String}, orient="row")


def ids(*given: str) -> pl.Series:
    return pl.Series(given, dtype=pl.String)


def dropped(decisions: pl.DataFrame) -> dict[str, tuple[str, str | None]]:
    drops = decisions.filter(decision="drop")
    assert drops["prompt_id"].is_unique().all()
    return {row["prompt_id"]: (row["reason"], row["witness_id"]) for row in drops.iter_rows(named=True)}


def test_a_chain_keeps_every_second_row() -> None:
    prompts = rows(*((name, name, "general", 0) for name in "abcde"))
    links = edges(*((left, right, "near_duplicate", 0.9) for left, right in zip("abcd", "bcde", strict=True)))
    outcome = select(prompts, links, wrapped(), curation())
    assert outcome.kept["prompt_id"].to_list() == ["a", "c", "e"]
    assert dropped(outcome.decisions) == {"b": ("near_duplicate", "a"), "d": ("near_duplicate", "c")}
    assert outcome.decisions.schema == pl.Schema(DECISION_COLUMNS)
    assert outcome.decisions.select("score", "threshold").row(0) == (0.9, 0.8)


def test_rank_is_earlier_then_manual_keep_then_priority_then_id() -> None:
    prompts = rows(
        ("a", "t", "general", 5), ("b", "t", "general", 1), ("c", "t", "general", 1), ("d", "t", "general", 9)
    )
    assert select(prompts, edges(), wrapped(), curation()).kept["prompt_id"].to_list() == ["b"]
    outcome = select(prompts, edges(), wrapped(), curation(), earlier=ids("d"), manual_keeps=ids("c"))
    assert outcome.kept["prompt_id"].to_list() == ["c", "d"]
    assert dropped(outcome.decisions) == {"a": ("exact_duplicate", "d"), "b": ("exact_duplicate", "d")}


def test_the_witness_is_the_surest_kept_neighbour() -> None:
    prompts = rows(*((name, name, "general", 0) for name in "abcx"))
    links = edges(
        ("a", "x", "semantic_duplicate", 0.99), ("b", "x", "near_duplicate", 0.85), ("c", "x", "near_duplicate", 0.9)
    )
    assert dropped(select(prompts, links, wrapped(), curation()).decisions) == {"x": ("near_duplicate", "c")}


def test_the_duplicate_threshold_is_inclusive() -> None:
    prompts = rows(("a", "a", "general", 0), ("b", "b", "general", 0))
    near = curation(near=Near(duplicate_threshold=0.7, group_threshold=0.5))
    assert select(prompts, edges(("a", "b", "near_duplicate", 0.69)), wrapped(), near).decisions.is_empty()
    # The Float32 nearest to 0.7 is less than 0.7.
    decisions = select(prompts, edges(("a", "b", "near_duplicate", 0.7)), wrapped(), near).decisions
    assert decisions.select("score", "threshold").row(0) == (0.7, 0.7)


def test_opposite_kinds_are_kept_and_flagged_even_with_equal_texts() -> None:
    prompts = rows(
        ("a", "t", "adversarial", 0), ("b", "t", "harmless", 0), ("c", "u", "general", 0), ("d", "t", "general", 1)
    )
    links = edges(("a", "c", "semantic_duplicate", 0.93))
    outcome = select(prompts, links, wrapped(), curation())
    assert outcome.kept["prompt_id"].to_list() == ["a", "b", "c"]
    assert dropped(outcome.decisions) == {"d": ("exact_duplicate", "b")}
    flags = outcome.decisions.filter(decision="flag").select(
        "prompt_id", "reason", "witness_id", "score", "threshold", "detail"
    )
    assert flags.rows() == [
        ("a", "contrast_pair", "b", 1.0, 1.0, "the same text"),
        ("a", "contrast_pair", "c", 0.93, 0.92, "alike by meaning"),
        ("b", "contrast_pair", "a", 1.0, 1.0, "the same text"),
        ("c", "contrast_pair", "a", 0.93, 0.92, "alike by meaning"),
    ]


def test_a_contrast_of_two_earlier_rows_is_not_flagged_again() -> None:
    prompts = rows(("a", "t", "adversarial", 0), ("b", "t", "harmless", 0))
    assert select(prompts, edges(), wrapped(), curation(), earlier=ids("a", "b")).decisions.is_empty()
    assert select(prompts, edges(), wrapped(), curation(), earlier=ids("a")).decisions.height == 2


def test_an_edge_holds_for_all_copies_of_its_texts() -> None:
    # b stands for its text but is adversarial; its harmless copy c is a duplicate of the harmless a.
    prompts = rows(("a", "t", "harmless", 0), ("b", "u", "adversarial", 0), ("c", "u", "harmless", 0))
    outcome = select(prompts, edges(("a", "b", "near_duplicate", 0.9)), wrapped(), curation())
    assert dropped(outcome.decisions) == {"c": ("near_duplicate", "a")}


def test_a_template_limit_counts_frozen_rows() -> None:
    prompts = rows(*((name, name, "adversarial", 0) for name in "abcd"))
    templates = wrapped(*((name, "T") for name in "abcd"))
    two = curation(templates=Templates(max_per_template=2))
    decisions = select(prompts, edges(), templates, two).decisions
    assert dropped(decisions) == {"c": ("template_cap", "a"), "d": ("template_cap", "a")}
    assert decisions.select("threshold", "detail").row(0) == (2.0, "T")
    frozen = select(prompts, edges(), templates, two, earlier=ids("b", "c", "d"))
    assert dropped(frozen.decisions) == {"a": ("template_cap", "b")}
    assert select(prompts, edges(), templates, curation(templates=Templates(max_per_template=None))).kept.height == 4


def test_a_bridge_is_dropped_as_a_duplicate_if_it_is_one() -> None:
    prompts = rows(*((name, name, "general", 0) for name in "abc"))
    barred = pl.DataFrame(
        [("b", "a", 0.85, 0.6, "alike"), ("c", "a", 0.7, 0.6, "alike")],
        schema=["prompt_id", "witness_id", "score", "threshold", "detail"],
        orient="row",
    )
    links = edges(("a", "b", "near_duplicate", 0.85), ("a", "c", "near_duplicate", 0.7))
    outcome = select(prompts, links, wrapped(), curation(), earlier=ids("a"), bridges=barred)
    assert dropped(outcome.decisions) == {"b": ("near_duplicate", "a"), "c": ("split_bridge", "a")}
    # Only that reason stands over a person's word, so a duplicate that a person keeps has it too.
    wished = select(prompts, links, wrapped(), curation(), earlier=ids("a"), manual_keeps=ids("b", "c"), bridges=barred)
    assert wished.kept["prompt_id"].to_list() == ["a"]
    assert dropped(wished.decisions) == {"b": ("split_bridge", "a"), "c": ("split_bridge", "a")}
    copies = rows(("a", "t", "general", 0), ("b", "t", "general", 0))
    wished = select(
        copies, edges(), wrapped(), curation(), earlier=ids("a"), manual_keeps=ids("b"), bridges=barred.head(1)
    )
    assert dropped(wished.decisions) == {"b": ("split_bridge", "a")}


@dataclass(frozen=True)
class Case:
    prompts: pl.DataFrame
    links: pl.DataFrame
    templates: pl.DataFrame
    earlier: pl.Series
    forced: pl.Series
    most: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    count = draw(st.integers(1, 14))
    names = [f"p{number:02}" for number in draw(st.permutations(range(count)))]
    digests = [f"t{draw(st.integers(0, 7))}" for _ in names]
    prompts = rows(
        *((n, d, draw(st.sampled_from(KINDS)), draw(st.integers(0, 2))) for n, d in zip(names, digests, strict=True))
    )
    stands = dict(prompts.group_by("text_digest").agg(pl.col("prompt_id").min()).sort("text_digest").rows())
    pairs = [(a, b) for a in stands for b in stands if a < b]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=16)) if pairs else []
    found = []
    for a, b in chosen:
        left, right = sorted((stands[a], stands[b]))
        reason = draw(st.sampled_from(sorted(GROUP)))
        found.append((left, right, reason, draw(st.sampled_from([0.6, 0.8, 0.85, 0.92, 0.95, 1.0]))))
    found = [edge for edge in found if edge[3] >= GROUP[edge[2]]]
    wrapper = {digest: draw(st.sampled_from([None, "T1", "T2"])) for digest in stands}
    templates = wrapped(*((n, wrapper[d]) for n, d in zip(names, digests, strict=True) if wrapper[d]))
    some = st.lists(st.sampled_from(names), unique=True, max_size=3)
    return Case(prompts, edges(*found), templates, ids(*draw(some)), ids(*draw(some)), draw(st.integers(1, 4)))


def run(case: Case) -> tuple[list[str], pl.DataFrame]:
    chosen = curation(templates=Templates(max_per_template=case.most))
    outcome = select(case.prompts, case.links, case.templates, chosen, earlier=case.earlier, manual_keeps=case.forced)
    assert outcome.kept.equals(case.prompts.filter(pl.col("prompt_id").is_in(outcome.kept["prompt_id"].implode())))
    return outcome.kept["prompt_id"].to_list(), outcome.decisions


def scores(case: Case) -> dict[tuple[str, str], tuple[str, float]]:
    """Return reason and score of all pairs of rows that are alike, in both directions, exact copies included."""
    text = dict(case.prompts.select("prompt_id", "text_digest").rows())
    alike = {(a, b): ("exact_duplicate", 1.0) for a in text for b in text if a != b and text[a] == text[b]}
    for left, right, reason, score in case.links.rows():
        for a in text:
            for b in text:
                if {text[a], text[b]} == {text[left], text[right]} and text[a] != text[b]:
                    alike[a, b] = (reason, round(score, 6))
    return alike


def quadratic(case: Case) -> list[str]:
    """Return the ids that a plain greedy pass over the rows keeps, in rank order."""
    template, alike = dict(case.templates.rows()), scores(case)
    earlier, forced = set(case.earlier), set(case.forced)
    side = {name: kind == "adversarial" for name, _, kind, _ in case.prompts.rows()}
    ranked = sorted(case.prompts.rows(), key=lambda row: (row[0] not in earlier, row[0] not in forced, row[3], row[0]))
    kept: list[str] = []
    for name, *_ in ranked:
        if name not in earlier | forced:
            near = [alike[name, other] for other in kept if (name, other) in alike and side[name] == side[other]]
            if any(score >= DUPLICATE.get(reason, 1.0) for reason, score in near):
                continue
            if name in template and sum(template.get(other) == template[name] for other in kept) >= case.most:
                continue
        kept.append(name)
    return kept


@examples(30)
@given(cases())
def test_the_selection_matches_a_quadratic_pass(case: Case) -> None:
    assert sorted(run(case)[0]) == sorted(quadratic(case))


@examples(25)
@given(cases())
def test_every_drop_has_a_kept_witness(case: Case) -> None:
    kept, decisions = run(case)
    alike, template = scores(case), dict(case.templates.rows())
    side = {name: kind == "adversarial" for name, _, kind, _ in case.prompts.rows()}
    drops = decisions.filter(decision="drop")
    assert sorted(kept + drops["prompt_id"].to_list()) == sorted(case.prompts["prompt_id"])
    assert not set(drops["prompt_id"]) & (set(case.earlier) | set(case.forced))
    for drop in drops.iter_rows(named=True):
        name, witness = drop["prompt_id"], drop["witness_id"]
        assert witness in kept
        if drop["reason"] == "template_cap":
            assert template[name] == template[witness] == drop["detail"]
        else:
            assert side[name] == side[witness]
            assert alike[name, witness] == (drop["reason"], drop["score"])
            assert drop["score"] >= drop["threshold"] == DUPLICATE.get(drop["reason"], 1.0)


@examples(25)
@given(cases())
def test_kept_rows_have_no_duplicates_and_all_contrasts_are_flagged(case: Case) -> None:
    kept, decisions = run(case)
    alike, frozen = scores(case), set(case.earlier) | set(case.forced)
    side = {name: kind == "adversarial" for name, _, kind, _ in case.prompts.rows()}
    expected = set()
    for (a, b), (reason, score) in alike.items():
        if a not in kept or b not in kept:
            continue
        if side[a] != side[b] and not {a, b} <= set(case.earlier):
            expected.add((a, b, score, GROUP.get(reason, 1.0)))
        if side[a] == side[b] and not (a in frozen and b in frozen):
            assert score < DUPLICATE.get(reason, 1.0)
    flags = decisions.filter(decision="flag")
    assert set(flags["reason"]) <= {"contrast_pair"}
    assert sorted(flags.select("prompt_id", "witness_id", "score", "threshold").rows()) == sorted(expected)


@examples(15)
@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_the_input_changes_nothing(case: Case, random: object) -> None:
    kept, decisions = run(case)
    seed = random.randrange(1000)  # type: ignore[attr-defined]
    turned = case.links.rename({"prompt_id": "neighbour_id", "neighbour_id": "prompt_id"}).select(case.links.columns)
    shuffled = Case(
        case.prompts.sample(fraction=1, shuffle=True, seed=seed),
        turned.sample(fraction=1, shuffle=True, seed=seed),
        case.templates.sample(fraction=1, shuffle=True, seed=seed),
        case.earlier,
        case.forced,
        case.most,
    )
    again, decided = run(shuffled)
    assert sorted(again) == sorted(kept)
    assert decided.equals(decisions)


@pytest.mark.parametrize("measure", ["near", "semantic"])
def test_a_disabled_measure_drops_and_flags_nothing(measure: str) -> None:
    prompts = rows(("a", "a", "general", 0), ("b", "b", "general", 0), ("c", "c", "adversarial", 0))
    links = edges(("a", "b", f"{measure}_duplicate", 1.0), ("a", "c", f"{measure}_duplicate", 1.0))
    assert select(prompts, links, wrapped(), curation(**{measure: None})).decisions.is_empty()


def test_empty_input_gives_empty_output() -> None:
    assert select(rows(), edges(), wrapped(), curation()).kept.is_empty()
