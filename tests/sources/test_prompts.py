"""From a source's rows to prompts: ids, labels on two axes, kinds, languages, wrappers, and what is set aside."""

import json
from pathlib import Path

import polars as pl
import pytest

from seas_data import sources, tables
from seas_data.errors import SeasDataError
from seas_data.recipe import Source
from seas_data.text import content_id, text_digest


def read(
    tmp_path: Path, *rows: dict[str, object], name: str = "set", limit: int = 100, **keys: object
) -> sources.SourceRows:
    path = tmp_path / "set.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return sources.read_source(name, Source(path=str(path), **({"kind": "adversarial"} | keys)), max_characters=limit)


def test_the_columns_are_those_of_the_tables(tmp_path: Path) -> None:
    found = read(tmp_path, {"prompt": "a"}, {"prompt": ""})
    assert found.prompts.columns == tables.TABLES["prompts"].column_names()
    assert found.set_aside.columns == tables.TABLES["set_aside"].column_names()


def test_identity_is_source_id_and_text(tmp_path: Path) -> None:
    columns = {"id": "id"}
    prompts = read(tmp_path, {"prompt": " What? ", "id": "q1"}, {"prompt": "what?"}, columns=columns).prompts
    assert prompts["prompt_id"].to_list() == [
        content_id("prompt", "set", "q1", " What? "),
        content_id("prompt", "set", "2", "what?"),
    ]
    assert prompts["text"].to_list() == [" What? ", "what?"]
    assert prompts["text_digest"].to_list() == [text_digest("what?")] * 2
    renamed = read(tmp_path, {"prompt": " What? ", "id": "q1"}, name="other", columns=columns).prompts
    assert renamed["prompt_id"][0] != prompts["prompt_id"][0]


def test_a_broken_row_does_not_shift_the_ids_of_the_others(tmp_path: Path) -> None:
    prompts = read(tmp_path, {"prompt": "a"}, {"prompt": 1}, {"prompt": "b"}).prompts
    assert prompts["source_id"].to_list() == ["1", "3"]


def test_the_same_row_twice_is_set_aside_and_the_same_text_is_not(tmp_path: Path) -> None:
    row = {"prompt": "a", "id": "1"}
    found = read(tmp_path, row, {"prompt": "a", "id": "2"}, row, columns={"id": "id"})
    assert found.prompts["source_id"].to_list() == ["1", "2"]
    assert found.set_aside.select("location", "reason").rows() == [("set.jsonl:3", "repeated")]


def test_the_style_gives_the_type_and_else_the_risk(tmp_path: Path) -> None:
    rows = [
        {"prompt": "a", "risk": "Health_Harm", "style": "Role_Play"},
        {"prompt": "b", "risk": "Health_Harm"},
        {"prompt": "c", "style": "One_sided_statement"},
        {"prompt": "d", "risk": "weather", "style": "sonnet"},
        {"prompt": "e"},
    ]
    columns = {"risk": "risk", "style": "style"}
    prompts = read(tmp_path, *rows, columns=columns, risk_map="seas", style_map="seas").prompts
    assert prompts.select("risk_category", "attack_style", "type", "difficulty", "label_source").rows() == [
        ("Health Harm", "Role Play", "Role Play", "Hard", "source"),
        ("Health Harm", None, "Health Harm", "Easy", "source"),
        (None, "One Sided Statement", "One Sided Statement", "Hard", "source"),
        (None, None, None, None, None),
        (None, None, None, None, None),
    ]
    assert prompts["source_risk"].to_list() == ["Health_Harm", "Health_Harm", None, "weather", None]
    assert prompts["source_style"].to_list() == ["Role_Play", None, "One_sided_statement", "sonnet", None]


def test_a_mapping_of_ones_own(tmp_path: Path) -> None:
    mapping = {"vault / *": "Unsafe Instruction", "vault / word": "Privacy And Property"}
    rows = [{"prompt": name, "risk": f"vault / {name}"} for name in ("word", "door")]
    prompts = read(tmp_path, *rows, columns={"risk": "risk"}, risk_map=mapping).prompts
    assert prompts["type"].to_list() == ["Privacy And Property", "Unsafe Instruction"]


def test_kinds_from_a_column_and_labels_for_adversarial_rows_alone(tmp_path: Path) -> None:
    rows = [
        {"prompt": "a", "label": "unsafe / Health_Harm", "risk": "Health_Harm"},
        {"prompt": "b", "label": "safe / Health_Harm", "risk": "Health_Harm"},
        {"prompt": "c", "label": "unclear\u202e", "risk": "Health_Harm"},
        {"prompt": "d", "risk": "Health_Harm"},
    ]
    found = read(
        tmp_path,
        *rows,
        columns={"kind": "label", "risk": "risk"},
        kind=None,
        kind_map={"safe*": "harmless", "unsafe*": "adversarial"},
        risk_map="seas",
    )
    assert found.prompts.select("kind", "type", "source_risk").rows() == [
        ("adversarial", "Health Harm", "Health_Harm"),
        ("harmless", None, "Health_Harm"),
    ]
    assert found.set_aside.select("reason", "detail").rows() == [
        ("unknown_kind", "kind_map has no entry for unclear\\u{202e}"),
        ("unknown_kind", "kind_map has no entry for null"),
    ]


def test_languages(tmp_path: Path) -> None:
    rows = [{"prompt": "a", "id": "0-de"}, {"prompt": "b", "id": "1-zh"}, {"prompt": "c", "id": "2"}]
    taken = {"columns": {"id": "id", "language": "id"}, "language_pattern": "-([a-z]{2})$"}
    assert read(tmp_path, *rows, **taken).prompts["language"].to_list() == ["de", "zh", None]
    assert read(tmp_path, *rows, **taken, language="en").prompts["language"].to_list() == ["de", "zh", "en"]
    assert read(tmp_path, *rows, language="en").prompts["language"].to_list() == ["en"] * 3
    assert read(tmp_path, *rows).prompts["language"].to_list() == [None] * 3


def test_the_wrapper_comes_off_before_anything_else(tmp_path: Path) -> None:
    wrapper = {"prefix": "Ask:\n", "suffix": "\nAnswer:\n"}
    rows = [{"prompt": f"Ask:\n{text}\nAnswer:\n"} for text in (" a door ", " ")] + [{"prompt": "Ask: as it is"}]
    found = read(tmp_path, *rows, strip=wrapper)
    assert found.prompts["text"].to_list() == [" a door ", "Ask: as it is"]
    assert found.set_aside["reason"].to_list() == ["empty"]


def test_too_long(tmp_path: Path) -> None:
    found = read(tmp_path, {"prompt": "门" * 11}, {"prompt": "门" * 10}, limit=10)
    assert found.prompts.height == 1
    assert found.set_aside.select("reason", "detail").rows() == [("too_long", "11 characters; at most 10 are allowed")]


def test_what_the_recipe_says_of_the_whole_source(tmp_path: Path) -> None:
    keys = {"licence": "MIT", "repository": "a/b", "priority": 7, "role": "holdout"}
    prompts = read(tmp_path, {"prompt": "a"}, **keys).prompts
    said = prompts.select("source", "licence", "repository", "priority", "role", "iteration", "seed_id", "model")
    assert said.row(0) == ("set", "MIT", "a/b", 7, "holdout", 0, None, None)


def test_set_aside_rows_are_in_file_order_and_can_be_recognised(tmp_path: Path) -> None:
    rows = [{"prompt": ""}, {"prompt": 5}, {"prompt": "a", "id": "x"}, {"prompt": "a", "id": "x"}, {"prompt": 6}]
    found = read(tmp_path, *rows, columns={"id": "id"}).set_aside
    assert found["location"].to_list() == [f"set.jsonl:{line}" for line in (1, 2, 4, 5)]
    assert found["row_digest"].is_unique().all()
    assert (
        found["row_digest"].to_list() == read(tmp_path, *rows, columns={"id": "id"}).set_aside["row_digest"].to_list()
    )
    assert "5" not in found.select(pl.exclude("location", "row_digest")).write_csv(), "the row itself is not kept"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("gone.jsonl", "there is no .*gone.jsonl"),
        (
            "set.docx",
            "the format of .*set.docx is unknown; set format to one of csv, datasets-folder, .*, jsonl, parquet",
        ),
        ("", "not a folder written by datasets"),
    ],
)
def test_places_that_cannot_be_read(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "set.docx").touch()
    with pytest.raises(SeasDataError, match=f"source set: .*{says}"):
        sources.read_source("set", Source(path=str(tmp_path / name), kind="general"))
