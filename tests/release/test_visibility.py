"""What a profile holds of each table: nothing that it leaves out comes through, whatever the rows are."""

import re
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from seas_data import tables
from seas_data.errors import SeasDataError
from seas_data.release import visibility as profile
from seas_data.release.visibility import redact
from seas_data.tables import PAIR_ROLES, TABLES
from seas_data.text import text_digest
from tests.conftest import CHECKOUT, examples

SECRET = "what the model answered"


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Return values of a Polars type; every text among them holds ``SECRET``."""
    if isinstance(kind, pl.List):
        return st.lists(values(kind.inner), max_size=2)
    if isinstance(kind, pl.Struct):
        return st.fixed_dictionaries({part.name: values(part.dtype) for part in kind.fields})
    kinds: dict[Any, Callable[[], st.SearchStrategy[Any]]] = {
        pl.String: lambda: st.text(max_size=4).map(lambda text: SECRET + text),
        pl.Float64: lambda: st.floats(0, 1),
        pl.Float32: lambda: st.floats(0, 1, width=32),
        pl.Int64: lambda: st.integers(0, 9),
        pl.Int32: lambda: st.integers(0, 9),
    }
    return st.none() | kinds[kind]()


@st.composite
def frames(draw: st.DrawFn, table: str) -> pl.DataFrame:
    """Return rows with a table's columns, hardly ever sensible ones; ``role`` is one that there is, or anything."""
    schema = tables.empty(table).schema
    columns = {name: values(kind) for name, kind in schema.items()}
    if "role" in columns:
        columns["role"] |= st.sampled_from([*PAIR_ROLES, "training", "holdout", "RED", ""])
    if "reason" in columns:
        columns["reason"] |= st.sampled_from(["manual", "near_duplicate", ""])
    return pl.DataFrame(draw(st.lists(st.fixed_dictionaries(columns), max_size=5)), schema=schema)


def texts(frame: pl.DataFrame) -> str:
    return str(frame.rows())


@given(frames("responses"))
@examples(15)
def test_no_text_of_a_response_is_public(frame: pl.DataFrame) -> None:
    held = redact("responses", frame, "public")
    assert held.schema == frame.schema and held.height == frame.height
    withheld = ["text", "thinking", "detail"]
    assert SECRET not in texts(held.select(withheld))
    assert held.drop(withheld).equals(frame.drop(withheld))


@given(frames("verdicts"))
@examples(15)
def test_nothing_that_a_judge_wrote_is_public(frame: pl.DataFrame) -> None:
    held = redact("verdicts", frame, "public")
    withheld = ["raw", "detail"]
    assert SECRET not in texts(held.select(withheld))
    assert held.drop(withheld).equals(frame.drop(withheld))


@pytest.mark.parametrize("table", ["pairs", "demonstrations"])
@given(st.data())
@examples(15)
def test_a_public_pair_is_of_role_red_and_whole(table: str, data: st.DataObject) -> None:
    frame = data.draw(frames(table))
    held = redact(table, frame, "public")
    assert held.equals(frame.filter(role="red"))


@given(frames("prompts"))
@examples(15)
def test_a_public_prompt_has_its_text_unless_it_is_a_holdout_or_of_no_known_role(frame: pl.DataFrame) -> None:
    held = redact("prompts", frame, "public")
    assert held.drop("text", "messages", "goal").equals(frame.drop("text", "messages", "goal"))
    of_known_role = (pl.col("role") != "holdout").fill_null(False)
    assert held.filter(of_known_role).equals(frame.filter(of_known_role))
    withheld = held.filter(~of_known_role).select("text", "messages", "goal")
    assert withheld.null_count().row(0) == (withheld.height,) * 3


@pytest.mark.parametrize("table", TABLES)
@given(st.data())
@examples(10)
def test_redacting_twice_is_redacting_once_and_gated_is_everything(table: str, data: st.DataObject) -> None:
    frame = data.draw(frames(table))
    once = redact(table, frame, "public")
    assert redact(table, once, "public").equals(once)
    assert redact(table, frame, "gated").equals(frame)


def test_what_the_public_profile_withholds() -> None:
    found = {each["table"]: each["what"] for each in profile.withheld("public")}
    assert found == {
        "prompts": "text, messages, goal, names in label_source",
        "decisions": "detail",
        "relabels": "because, names in label_source",
        "responses": "text, thinking, detail",
        "expected": "all rows",
        "verdicts": "raw, detail",
        "pairs": "rows",
        "demonstrations": "rows",
    }
    assert profile.withheld("gated") == []


@given(frames("relabels"))
@examples(15)
def test_no_name_and_no_note_of_a_reviewer_is_public(frame: pl.DataFrame) -> None:
    frame = frame.with_columns(label_source=pl.lit("manual:ann"))
    held = redact("relabels", frame, "public", lambda: b"key")
    assert held["because"].null_count() == held.height == frame.height
    assert set(held["label_source"]) <= {"manual:reviewer-9d77c318"}
    assert set(redact("relabels", frame, "public")["label_source"]) <= {"manual:reviewer"}
    assert redact("relabels", held, "public", lambda: b"another").equals(held)
    assert held.drop("because", "label_source").equals(frame.drop("because", "label_source"))


@given(frames("decisions"))
@examples(15)
def test_the_detail_of_a_decision_is_public_unless_a_person_made_it(frame: pl.DataFrame) -> None:
    held = redact("decisions", frame, "public")
    by_program = (pl.col("reason") != "manual").fill_null(False)
    assert held.filter(by_program).equals(frame.filter(by_program))
    assert held.filter(~by_program)["detail"].drop_nulls().is_empty()


def test_a_table_that_the_schema_does_not_have_is_not_public() -> None:
    frame = pl.DataFrame({"text": [SECRET]})
    assert redact("answers_2", frame, "public").is_empty()
    assert redact("answers_2", frame, "gated").equals(frame)


def test_a_profile_that_there_is_not_is_refused() -> None:
    assert profile.parse_profile("gated") == "gated"
    with pytest.raises(SeasDataError, match="no profile private; --profile is public or gated"):
        profile.parse_profile("private")


@given(st.text())
@example("Caf\u00e9  au\u2028lait \u201cß\u201d")
def test_who_has_a_withheld_text_can_match_its_digest_as_the_docs_say(text: str) -> None:
    docs = (CHECKOUT / "docs" / "release.md").read_text(encoding="utf-8")
    snippet = re.search(r"```python\n(import hashlib.*?)```", docs, flags=re.DOTALL)
    assert snippet is not None
    known: dict[str, Callable[[str], str]] = {}
    exec(snippet[1], known)
    assert known["text_digest"](text) == text_digest(text)
