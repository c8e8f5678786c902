"""Requests: who shares one is like its anchor, and is asked in different wrappers."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data.curate.templates.request_ids import assign_request_ids
from seas_data.text import content_id, text_digest
from tests.conftest import examples

Row = tuple[str, str, str | None]


def frames(rows: list[Row]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return prompts and templates of (prompt_id, what it asks, template or None)."""
    wholes = [asked if template is None else f"{template} around {asked}" for _, asked, template in rows]
    prompts = pl.DataFrame(
        {"prompt_id": [row[0] for row in rows], "text_digest": list(map(text_digest, wholes))},
        schema={"prompt_id": pl.String, "text_digest": pl.String},
    )
    wrapped = [row for row in rows if row[2] is not None]
    templates = pl.DataFrame(
        {
            "prompt_id": [row[0] for row in wrapped],
            "template_id": [row[2] for row in wrapped],
            "payload": [row[1] for row in wrapped],
        },
        schema={"prompt_id": pl.String, "template_id": pl.String, "payload": pl.String},
    )
    return prompts, templates


def alike(*pairs: tuple[str, str, float] | tuple[str, str, float, str]) -> pl.DataFrame:
    rows = [(*pair, "near_duplicate")[:4] for pair in pairs]
    columns = {"prompt_id": pl.String, "neighbour_id": pl.String, "score": pl.Float32, "reason": pl.String}
    return pl.DataFrame(rows, schema=columns, orient="row")


def shared(rows: list[Row], pairs: pl.DataFrame, **options: Any) -> dict[str, str]:
    return dict(assign_request_ids(*frames(rows), pairs, **options).iter_rows())


def request_of(asked: str) -> str:
    return content_id("request", text_digest(asked))


def test_equal_payloads_share_a_request_in_any_wrapper() -> None:
    rows = [
        ("a", "how to fold a crane", None),
        ("b", "How to fold  a crane", "story"),
        ("c", "how to fold a crane", "game"),
    ]
    assert set(shared(rows, alike()).values()) == {request_of("how to fold a crane")}
    assert set(shared(rows, alike())) == {"a", "b", "c"}


def test_a_request_needs_two_forms() -> None:
    rows = [
        ("a", "one", "story"),
        ("b", "one", "story"),
        ("c", "two", None),
        ("d", "two", None),
        ("e", "three", "game"),
    ]
    assert shared(rows, alike()) == {}


def test_a_payload_joins_its_best_plain_neighbour() -> None:
    rows = [
        ("p", "plain one", None),
        ("q", "plain two", None),
        ("w", "payload", "story"),
        ("x", "other payload", "game"),
    ]
    pairs = alike(("p", "w", 0.85), ("q", "w", 0.9), ("w", "x", 0.99))
    assert shared(rows, pairs) == {"q": request_of("plain two"), "w": request_of("plain two")}


def test_the_surer_measure_precedes_the_higher_score() -> None:
    rows = [("p", "plain one", None), ("q", "plain two", None), ("w", "payload", "story")]
    pairs = alike(("p", "w", 0.96, "semantic_duplicate"), ("q", "w", 0.85, "near_duplicate"))
    assert set(shared(rows, pairs)) == {"q", "w"}


def test_a_chain_is_not_one_request() -> None:
    rows: list[Row] = [(f"p{i}", f"payload {i}", f"wrapper {i}") for i in range(5)]
    pairs = alike(*((f"p{i}", f"p{i + 1}", 0.9) for i in range(4)))
    found = shared(rows, pairs)
    assert len(set(found.values())) > 1
    assert found["p0"] != found["p4"]


def test_the_request_of_a_prompt_without_payload_is_its_text() -> None:
    prompts, templates = frames([("a", "one", "story"), ("b", "two", "story"), ("c", "one", None)])
    templates = templates.with_columns(payload=pl.when(pl.col("prompt_id") != "b").then("payload"))
    assert dict(assign_request_ids(prompts, templates, alike()).iter_rows()) == {
        "a": request_of("one"),
        "c": request_of("one"),
    }


def test_earlier_requests_do_not_change_and_new_rows_join_them() -> None:
    rows = [("a", "first", "story"), ("b", "second", "game")]
    known = pl.DataFrame({"prompt_id": ["a", "b"], "request_id": [request_of("first")] * 2})
    later = [*rows, ("c", "third", None), ("d", "fourth", None)]
    # Alone, the new plain prompt would be the anchor; but the request has one already.
    found = shared(later, alike(("a", "c", 0.9), ("b", "d", 0.9)), earlier_requests=known)
    assert found == dict.fromkeys(["a", "b", "c"], request_of("first"))


def test_earlier_rows_replace_a_missing_anchor() -> None:
    known = pl.DataFrame({"prompt_id": ["a", "b"], "request_id": [request_of("a row that was dropped")] * 2})
    rows = [("a", "first", "story"), ("b", "second", "game"), ("c", "third", None)]
    assert shared(rows, alike(("a", "c", 0.9)), earlier_requests=known) == dict.fromkeys(
        "abc", request_of("a row that was dropped")
    )


def test_empty_input_has_no_requests() -> None:
    found = assign_request_ids(*frames([]), alike())
    assert found.columns == ["prompt_id", "request_id"]
    assert found.is_empty()


WRAPPERS = st.sampled_from([None, "story", "game", "letter"])


@st.composite
def likes(draw: st.DrawFn) -> tuple[list[Row], list[tuple[str, str, float, str]]]:
    asked = draw(st.lists(st.tuples(st.integers(0, 9), WRAPPERS), min_size=2, max_size=16))
    rows: list[Row] = [(f"p{i:02}", f"ask {what}", wrapper) for i, (what, wrapper) in enumerate(asked)]
    ends = st.integers(0, len(rows) - 1)
    measures = st.sampled_from(["near_duplicate", "semantic_duplicate"])
    found = draw(st.lists(st.tuples(ends, ends, st.sampled_from([0.8, 0.9, 0.95]), measures), max_size=20))
    pairs = [(rows[i][0], rows[j][0], score, measure) for i, j, score, measure in found if rows[i][2] or rows[j][2]]
    return rows, pairs


@given(likes(), st.randoms(use_true_random=False))
@examples(25)
def test_rows_of_a_request_are_similar_to_its_anchor(
    drawn: tuple[list[Row], list[tuple[str, str, float, str]]], random: Any
) -> None:
    rows, pairs = drawn
    found = shared(rows, alike(*pairs))
    asks = {prompt_id: asked for prompt_id, asked, _ in rows}
    like = {(asks[a], asks[b]) for a, b, *_ in pairs} | {(asks[b], asks[a]) for a, b, *_ in pairs}
    anchors = {request_of(asked): asked for asked in asks.values()}
    for prompt_id, request_id in found.items():
        anchor = anchors[request_id]
        assert asks[prompt_id] == anchor or (asks[prompt_id], anchor) in like
    for request_id in found.values():
        members = {prompt_id for prompt_id, other in found.items() if other == request_id}
        assert len({template for prompt_id, _, template in rows if prompt_id in members}) > 1
    random.shuffle(rows)
    random.shuffle(pairs)
    assert shared(rows, alike(*((b, a, *rest) for a, b, *rest in pairs))) == found
    known = pl.DataFrame([*found.items()], schema={"prompt_id": pl.String, "request_id": pl.String}, orient="row")
    again = shared(rows, alike(*pairs), earlier_requests=known)
    assert found.items() <= again.items(), "rows of earlier versions keep their request"
    for prompt_id in again.keys() - found.keys():  # its own anchor had one wrapper only, so it can join an earlier one
        anchor = anchors[again[prompt_id]]
        assert again[prompt_id] in found.values()
        assert asks[prompt_id] == anchor or (asks[prompt_id], anchor) in like


@pytest.mark.parametrize("plain", [True, False])
def test_every_payload_similar_to_the_anchor_has_its_request(plain: bool) -> None:
    rows: list[Row] = [("anchor", "ask", None if plain else "wrapper")]
    rows += [(f"p{i}", f"ask {i}", f"wrapper {i}") for i in range(9)]
    pairs = alike(*(("anchor", f"p{i}", 0.9) for i in range(9)))
    assert set(shared(rows, pairs).values()) == {request_of("ask")}
    assert len(shared(rows, pairs)) == 10
