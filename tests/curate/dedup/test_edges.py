"""What is compared, and what a pair of alike items means."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data.curate.dedup.edges import (
    EDGE_REASONS,
    Edges,
    find_edges,
    is_duplicate,
    must_stay_together,
    restrict_to_kept,
)
from seas_data.curate.dedup.items import Items, collect_items, flag_not_embeddable
from seas_data.curate.templates.request_ids import assign_request_ids
from seas_data.folding import leak_digest
from seas_data.recipe.dedup import Semantic
from seas_data.similarity.embeddings import Embedded
from seas_data.text import normalise, text_digest
from tests.conftest import examples
from tests.curate.settings import curation

NEAR_ONLY = curation(semantic=None)
SEMANTIC_ONLY = curation(near=None)
BREAD = "how should a baker store fresh rye bread over a long weekend"
BREADS = f"{BREAD}s"  # near, over 0.8
BREAD_AGAIN = "how should a baker store fresh rye bread over a short week"  # near, between 0.6 and 0.8
LAMP = "which lamp is best for reading small print at night"


def prompts(*texts: tuple[str, str], styles: dict[str, str] = {}) -> pl.DataFrame:  # noqa: B006
    return pl.DataFrame(
        [(name, text, text_digest(text), leak_digest(text), "en", styles.get(name)) for name, text in texts],
        schema=dict.fromkeys(
            ("prompt_id", "text", "text_digest", "leak_digest", "language", "attack_style"), pl.String
        ),
        orient="row",
    )


def wrapped(*found: tuple[str, str, str | None]) -> pl.DataFrame:
    schema = {"prompt_id": pl.String, "template_id": pl.String, "payload": pl.String}
    return pl.DataFrame(found, schema=schema, orient="row")


def in_wrapper(template: str, payload: str) -> str:
    story = {
        "T": "You are an old clock maker who answers whatever the visitors of the shop ask, in rhyme, "
        "slowly, with many winding turns, never losing patience, until the last of the candles in the window is out:",
        "U": "Below is a task for a patient librarian. Write the answer on a small card in blue ink.",
    }
    return f"{story[template]} {payload}"


def library(*rows: tuple[str, str | None, str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Make prompts of (id, template or None, payload) and their templates."""
    return (
        prompts(*((name, in_wrapper(template, text) if template else text) for name, template, text in rows)),
        wrapped(*((name, template, text) for name, template, text in rows if template)),
    )


def pairs(edges: pl.DataFrame) -> list[tuple[str, str, str]]:
    return [(a, b, reason) for a, b, reason, _ in edges.rows()]


def seeing(compared: Items, angles: dict[str, float | None]) -> Embedded:
    """Embed each text as a point of the unit circle, at so many degrees; None: not seen."""
    texts = compared.items["text"].map_elements(normalise, return_dtype=pl.String)
    by_text = {normalise(text): angle for text, angle in angles.items()}
    seen = [text for text, angle in by_text.items() if angle is not None]
    turned = np.radians([by_text[text] for text in seen]).astype(np.float64)
    row = {text: number for number, text in enumerate(seen)}
    lookup = compared.items.select(
        model=pl.Series([("circle" if text in row else None) for text in texts], dtype=pl.String),
        row=pl.Series([row.get(text) for text in texts], dtype=pl.Int64),
        windows=pl.lit(1, pl.Int64),
        detail=pl.Series([(None if text in row else "truncated: 9 of 8 tokens") for text in texts], dtype=pl.String),
    )
    return Embedded(lookup, {"circle": np.stack([np.cos(turned), np.sin(turned)], axis=1).astype(np.float32)})


def test_recall_is_measured_if_not_all_pairs_are_compared() -> None:
    texts = [f"{BREAD} {number}" for number in range(20)]
    compared = collect_items(prompts(*((f"p{number:02}", text) for number, text in enumerate(texts))), wrapped())
    embedded = seeing(compared, {text: number // 2 * 36.0 + number % 2 * 5 for number, text in enumerate(texts)})
    exact, in_cells = (
        find_edges(compared, embedded, curation(near=None, semantic=Semantic(exact_rows=rows))) for rows in (20, 19)
    )
    assert exact.metrics.is_empty()
    assert in_cells.duplicates.equals(exact.duplicates) and exact.duplicates.height == 10
    assert in_cells.metrics.select("name", "value", "n").rows() == [("semantic_recall", 1.0, 20)] * 2
    assert [json.loads(facets) for facets in in_cells.metrics["facets"]] == [
        {"model": "circle", "rows_compared": 20, "threshold": threshold} for threshold in (0.92, 0.95)
    ]


def test_translations_share_a_request_and_are_not_duplicates_unless_the_settings_say_so() -> None:
    rows = prompts(("a", BREAD), ("b", "wie lagert man Brot"), ("c", "wie lagert man frisches Brot"), ("d", LAMP))
    rows = rows.with_columns(language=pl.Series(["en", "de", "de", "en"]))
    compared = collect_items(rows, wrapped())
    embedded = seeing(compared, dict(zip(rows["text"], (0.0, 10.0, 10.5, 90.0), strict=True)))
    edges = find_edges(compared, embedded, SEMANTIC_ONLY)
    assert pairs(edges.duplicates) == [
        ("a", "b", "related"),
        ("a", "c", "related"),
        ("b", "c", "semantic_duplicate"),
    ]
    assert pairs(edges.requests) == [("a", "b", "semantic_duplicate"), ("a", "c", "semantic_duplicate")]
    requests = assign_request_ids(rows, wrapped(), edges.requests.filter(is_duplicate(SEMANTIC_ONLY)))
    assert requests["prompt_id"].to_list() == ["a", "b", "c"]
    assert requests["request_id"].n_unique() == 1
    dropping = curation(near=None, semantic=Semantic(translations="drop"))
    edges = find_edges(compared, embedded, dropping)
    assert {reason for _, _, reason in pairs(edges.duplicates)} == {"semantic_duplicate"}
    assert edges.requests.is_empty()


def test_copies_are_one_unit_with_the_lowest_id() -> None:
    compared = collect_items(prompts(("c", BREAD), ("b", BREAD.upper()), ("a", LAMP), ("d", f"  {BREAD}")), wrapped())
    assert compared.units["prompt_id"].to_list() == ["a", "b"]
    assert compared.items["text"].to_list() == [LAMP, BREAD.upper()]
    edges = find_edges(compared, None, NEAR_ONLY)
    assert edges.duplicates.is_empty()
    assert (
        edges.duplicates.schema
        == edges.requests.schema
        == pl.Schema({"prompt_id": pl.String, "neighbour_id": pl.String, "reason": EDGE_REASONS, "score": pl.Float32})
    )


def test_a_payload_in_several_wrappers_is_one_item() -> None:
    compared = collect_items(*library(("a", "T", BREAD), ("b", "U", BREAD), ("c", "U", LAMP), ("d", None, BREAD)))
    assert compared.items["text"].to_list()[4:] == [BREAD, LAMP]
    assert compared.units["payload_item"].to_list() == [4, 4, 5, None]


def test_plain_prompts_are_compared_whole() -> None:
    edges = find_edges(
        collect_items(*library(("a", None, BREAD), ("b", None, BREADS), ("c", None, LAMP))), None, NEAR_ONLY
    )
    assert pairs(edges.duplicates) == [("a", "b", "near_duplicate")]
    assert edges.duplicates.filter(is_duplicate(NEAR_ONLY)).height == 1
    assert edges.requests.is_empty()


def test_prompts_of_one_wrapper_are_compared_by_payload() -> None:
    rows = library(("a", "T", BREAD), ("b", "T", BREADS), ("c", "T", LAMP))
    assert pairs(find_edges(collect_items(*rows), None, NEAR_ONLY).duplicates) == [("a", "b", "near_duplicate")]
    # Without the template they would all be alike.
    assert len(pairs(find_edges(collect_items(rows[0], wrapped()), None, NEAR_ONLY).duplicates)) == 3


def test_one_request_in_different_wrappers_or_plain_is_a_request_edge_only() -> None:
    rows = library(("a", "T", BREAD), ("b", "U", BREADS), ("c", None, BREAD_AGAIN), ("d", "U", LAMP))
    edges = find_edges(collect_items(*rows), None, NEAR_ONLY)
    assert edges.duplicates.is_empty()
    assert pairs(edges.requests) == [
        ("a", "b", "near_duplicate"),
        ("a", "c", "near_duplicate"),
        ("b", "c", "near_duplicate"),
    ]
    assert edges.requests.filter(is_duplicate(NEAR_ONLY))["neighbour_id"].to_list() == ["b"]


def test_an_equal_payload_is_a_request_edge_without_any_measure() -> None:
    compared = collect_items(*library(("a", "T", BREAD), ("b", "U", BREAD.upper()), ("c", "U", LAMP)))
    edges = find_edges(compared, None, curation(near=None, semantic=None))
    assert pairs(edges.requests) == [("a", "b", "exact_duplicate")]
    assert edges.duplicates.is_empty()


def test_payloads_of_one_wrapper_are_not_a_request_edge() -> None:
    edges = find_edges(collect_items(*library(("a", "T", BREAD), ("b", "T", BREADS))), None, NEAR_ONLY)
    assert edges.requests.is_empty()
    rows = library(("a", "T", BREAD), ("b", "T", BREADS), ("c", "U", BREADS))
    edges = find_edges(collect_items(*rows), None, NEAR_ONLY)
    assert pairs(edges.requests) == [("a", "c", "near_duplicate"), ("b", "c", "exact_duplicate")]


def test_a_payload_twice_in_one_wrapper_is_a_near_duplicate_of_itself() -> None:
    rows = prompts(("a", in_wrapper("T", BREAD)), ("b", in_wrapper("T", BREAD) + "!"))
    edges = find_edges(collect_items(rows, wrapped(("a", "T", BREAD), ("b", "T", BREAD))), None, NEAR_ONLY)
    assert edges.duplicates.rows() == [("a", "b", "near_duplicate", 1.0)]


def test_prompts_without_a_payload_are_similar_to_each_other_only() -> None:
    rows = prompts(("a", in_wrapper("T", "")), ("b", in_wrapper("T", " .")), ("c", in_wrapper("T", "cat")))
    edges = find_edges(
        collect_items(rows, wrapped(("a", "T", None), ("b", "T", None), ("c", "T", "cat"))), None, NEAR_ONLY
    )
    assert pairs(edges.duplicates) == [("a", "b", "near_duplicate")]


def test_semantic_edges_need_embedded_texts() -> None:
    rows = library(("a", None, "one"), ("b", None, "two"), ("c", None, "three"), ("d", None, "four"))
    compared = collect_items(*rows)
    embedded = seeing(compared, {"one": 0, "two": 15, "three": 60, "four": None})
    edges = find_edges(compared, embedded, SEMANTIC_ONLY)
    assert pairs(edges.duplicates) == [("a", "b", "semantic_duplicate")]
    assert edges.duplicates["score"][0] == pytest.approx(np.cos(np.radians(15)))
    flags = flag_not_embeddable(rows[0], compared, embedded)
    assert flags.select("prompt_id", "decision", "reason", "detail").rows() == [
        ("d", "flag", "not_embeddable", "truncated: 9 of 8 tokens")
    ]


def test_long_texts_are_alike_if_every_window_has_a_partner() -> None:
    rows = library(("a", None, "one"), ("b", None, "two"), ("c", None, "three"), ("d", None, "four"))
    compared = collect_items(*rows)
    windows = {"one": [0, 40], "two": [5, 35, 42], "three": [0, 90], "four": [2]}
    angles = np.radians([angle for text in compared.items["text"] for angle in windows[text]])
    counts = pl.Series([len(windows[text]) for text in compared.items["text"]], dtype=pl.Int64)
    lookup = compared.items.select(
        model=pl.lit("circle"), row=counts.cum_sum() - counts, windows=counts, detail=pl.lit(None, pl.String)
    )
    matrix = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    edges = find_edges(compared, Embedded(lookup, {"circle": matrix}), SEMANTIC_ONLY)
    assert pairs(edges.duplicates) == [("a", "b", "semantic_duplicate")], "c and d are alike a in one window only"
    assert edges.duplicates["score"][0] == pytest.approx(np.cos(np.radians(5)))
    assert flag_not_embeddable(rows[0], compared, Embedded(lookup, {"circle": matrix})).is_empty()


def test_the_near_measure_precedes_the_semantic_one_for_duplicates() -> None:
    rows = library(("a", None, BREAD), ("b", None, BREADS), ("c", None, BREAD_AGAIN))
    compared = collect_items(*rows)
    edges = find_edges(compared, seeing(compared, {BREAD: 0, BREADS: 1, BREAD_AGAIN: 2}), curation())
    assert pairs(edges.duplicates) == [
        ("a", "b", "near_duplicate"),
        ("a", "c", "semantic_duplicate"),
        ("b", "c", "semantic_duplicate"),
    ]
    # A near score below its threshold is still a link where the embedder sees nothing alike.
    apart = find_edges(compared, seeing(compared, {BREAD: 0, BREADS: 1, BREAD_AGAIN: 90}), curation())
    assert pairs(apart.duplicates)[1] == ("a", "c", "near_duplicate")


def test_the_flag_names_the_part_of_a_wrapped_prompt_without_a_vector() -> None:
    rows = library(("a", "T", BREAD), ("b", "T", LAMP), ("c", "U", LAMP))
    again = prompts(("z", in_wrapper("T", BREAD).upper()))  # a copy of a
    every = pl.concat([rows[0], again])
    compared = collect_items(every, rows[1])
    angles = {
        BREAD: 0.0,
        LAMP: None,
        in_wrapper("T", BREAD): None,
        in_wrapper("T", LAMP): 5.0,
        in_wrapper("U", LAMP): None,
    }
    flags = flag_not_embeddable(every, compared, seeing(compared, angles))
    assert dict(flags.select("prompt_id", "detail").rows()) == {
        "a": "truncated: 9 of 8 tokens; its payload is embedded",
        "b": "payload truncated: 9 of 8 tokens; the whole text is embedded",
        "c": "truncated: 9 of 8 tokens; payload truncated: 9 of 8 tokens",
        "z": "truncated: 9 of 8 tokens; its payload is embedded",
    }
    new = flag_not_embeddable(every, compared, seeing(compared, angles), earlier=pl.Series(["a", "b"]))
    assert new["prompt_id"].to_list() == ["c", "z"]


def test_rows_of_earlier_versions_are_not_compared_again() -> None:
    rows = prompts(("a", BREAD), ("b", BREADS), ("c", f"{BREADS}!"))
    edges = find_edges(collect_items(rows, wrapped(), pl.Series(["a", "b"])), None, NEAR_ONLY)
    assert pairs(edges.duplicates) == [("a", "c", "near_duplicate"), ("b", "c", "near_duplicate")]
    # Nor are two that a payload of a new row leads to.
    wrapped_rows = library(("a", "T", BREAD), ("b", "T", BREADS), ("c", "U", BREAD))
    edges = find_edges(collect_items(*wrapped_rows, pl.Series(["a", "b"])), None, NEAR_ONLY)
    assert edges.duplicates.is_empty()
    assert pairs(edges.requests) == [("a", "c", "exact_duplicate"), ("b", "c", "near_duplicate")]
    # A text that a new row has too is compared: that row may be of another kind.
    rows = prompts(("a", BREAD), ("b", BREADS), ("c", BREADS))
    edges = find_edges(collect_items(rows, wrapped(), pl.Series(["a", "b"])), None, NEAR_ONLY)
    assert pairs(edges.duplicates) == [("a", "b", "near_duplicate")]


def test_edges_of_kept_rows_name_the_kept_copy_of_each_text() -> None:
    rows = prompts(("a", BREAD), ("z", BREAD), ("b", BREADS), ("c", LAMP))
    edges = find_edges(collect_items(rows, wrapped()), None, NEAR_ONLY).duplicates
    assert pairs(restrict_to_kept(edges, rows, rows.filter(pl.col("prompt_id").is_in(["z", "b", "c"])))) == [
        ("b", "z", "near_duplicate")
    ]
    assert restrict_to_kept(edges, rows, rows.filter(prompt_id="z")).is_empty()


WORDS = ("bread rye", "bread ryes", "lamp night", "lamp nights", "clock")


def meaning(
    rows: list[tuple[str, str | None, str]], angles: dict[str, float]
) -> tuple[set[frozenset[str]], set[frozenset[str]]]:
    """Return the duplicate pairs and the families of requests that the table of the module's docstring gives."""
    whole = {name: in_wrapper(template, text) if template else text for name, template, text in rows}

    def alike(one: str, other: str) -> bool:
        return bool(np.cos(np.radians(angles[one] - angles[other])) >= 0.92)

    duplicates, family = set(), {name: {name} for name, *_ in rows}
    for a, template_a, text_a in rows:
        for b, template_b, text_b in rows:
            if a >= b:
                continue
            same = template_a == template_b and template_a is not None
            if alike(text_a, text_b) if same else alike(whole[a], whole[b]):
                duplicates.add(frozenset((a, b)))
            if template_a != template_b and alike(text_a, text_b):
                joined = family[a] | family[b]
                family.update(dict.fromkeys(joined, joined))
    return duplicates, {frozenset(members) for members in family.values()}


@examples(25)
@given(
    st.lists(st.tuples(st.sampled_from([None, "T", "U"]), st.sampled_from(WORDS)), unique=True, min_size=1),
    st.lists(st.integers(0, 11), min_size=15, max_size=15),
)
def test_pairs_mean_what_the_table_of_the_module_says(drawn: list[tuple[str | None, str]], turns: list[int]) -> None:
    rows = [(f"p{number}", template, text) for number, (template, text) in enumerate(drawn)]
    every = [*WORDS, *(in_wrapper(template, text) for template in "TU" for text in WORDS)]
    angles = {text: 30.0 * turn for text, turn in zip(every, turns, strict=True)}
    compared = collect_items(*library(*rows))
    edges = find_edges(compared, seeing(compared, dict(angles)), SEMANTIC_ONLY)
    duplicates, families = meaning(rows, angles)
    assert {frozenset(pair[:2]) for pair in pairs(edges.duplicates)} == duplicates
    check_families(edges, rows, families)


def check_families(edges: Edges, rows: list[tuple[str, str | None, str]], families: set[frozenset[str]]) -> None:
    family = {name: {name} for name, *_ in rows}
    for a, b, _ in pairs(edges.requests):
        joined = family[a] | family[b]
        family.update(dict.fromkeys(joined, joined))
    assert {frozenset(members) for members in family.values()} == families


def test_the_same_request_with_another_attack_style_is_related() -> None:
    rows = prompts(("a", BREAD), ("b", LAMP), ("c", "a third text"), styles={"b": "Role Play", "c": "Role Play"})
    compared = collect_items(rows, wrapped())
    embedded = seeing(compared, {BREAD: 0, LAMP: 10, "a third text": 25})
    found = find_edges(compared, embedded, SEMANTIC_ONLY).duplicates
    assert pairs(found) == [("a", "b", "related"), ("b", "c", "semantic_duplicate")]
    assert found.filter(is_duplicate(SEMANTIC_ONLY))["prompt_id"].to_list() == ["b"]
    assert found.filter(must_stay_together(SEMANTIC_ONLY)).height == 2


@pytest.mark.parametrize(("other", "reason"), [(BREADS, "near_duplicate"), (LAMP, "related")])
def test_in_similar_wrappers_the_payloads_decide(other: str, reason: str) -> None:
    story = in_wrapper("T", "") + " ".join(f"At {hour} you strike gong number {hour * 37}." for hour in range(1, 40))
    rows = prompts(("a", f"{story} {BREAD}"), ("b", f"{story.replace('winding', 'twisted')} {other}"))
    compared = collect_items(rows, wrapped(("a", "T", BREAD), ("b", "T2", other)))
    found = find_edges(compared, None, NEAR_ONLY).duplicates
    assert pairs(found) == [("a", "b", reason)]
    assert found["score"].item() >= 0.8


HIDDEN = "\U000e0062\U000e0061\U000e006b\U000e0065"  # tags, which spell a word


def test_near_duplicates_with_other_attack_styles_are_duplicates() -> None:
    rows = prompts(("a", BREAD), ("b", BREADS), styles={"b": "Role Play"})
    assert pairs(find_edges(collect_items(rows, wrapped()), None, NEAR_ONLY).duplicates) == [
        ("a", "b", "near_duplicate")
    ]


@pytest.mark.parametrize("hidden", ["a", "b", None])
def test_what_resembles_a_text_with_a_hidden_payload_is_related(hidden: str | None) -> None:
    rows = prompts(
        *((name, f"{text}{HIDDEN}" if name == hidden else text) for name, text in (("a", LAMP), ("b", BREAD)))
    )
    compared = collect_items(rows, wrapped())
    found = find_edges(compared, seeing(compared, dict.fromkeys(rows["text"], 0.0)), SEMANTIC_ONLY).duplicates
    assert pairs(found) == [("a", "b", "related" if hidden else "semantic_duplicate")]


def test_pairs_below_the_duplicate_threshold_keep_their_measure() -> None:
    rows = prompts(("a", BREAD), ("b", f"not {BREAD_AGAIN}{HIDDEN}"), ("c", LAMP), styles={"b": "Role Play"})
    compared = collect_items(rows, wrapped())
    near = find_edges(compared, None, NEAR_ONLY).duplicates
    assert pairs(near) == [("a", "b", "near_duplicate")] and not near.filter(must_stay_together(NEAR_ONLY)).height
    embedded = seeing(compared, dict(zip(rows["text"], (0.0, 20.0, 90.0), strict=True)))
    semantic = find_edges(compared, embedded, SEMANTIC_ONLY).duplicates
    assert pairs(semantic) == [("a", "b", "semantic_duplicate")]
    assert semantic["score"].item() == pytest.approx(np.cos(np.radians(20)))


def test_one_request_in_two_similar_wrappers_is_a_duplicate() -> None:
    story = in_wrapper("T", "") + " ".join(f"At {hour} you strike gong number {hour * 37}." for hour in range(1, 40))
    texts = [f"{story} {BREAD}", f"{story.replace('winding', 'twisted')} {BREAD}!"]
    rows = prompts(*zip("ab", texts, strict=True))
    for found, reason in (
        (wrapped(("a", "T", BREAD), ("b", "T2", BREAD)), "near_duplicate"),
        (wrapped(("a", "T", BREAD)), "near_duplicate"),
        (wrapped(("a", "T", BREAD), ("b", "T2", BREAD_AGAIN)), "related"),
        (wrapped(("a", "T", LAMP), ("b", "T2", BREAD)), "related"),
    ):
        assert pairs(find_edges(collect_items(rows, found), None, NEAR_ONLY).duplicates) == [("a", "b", reason)]
