"""Asking a version: answers as frames, in types that every format has, and errors that say what is wrong."""

import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl
import pytest

from seas_data.errors import SeasDataError
from seas_data.query import sql
from tests.query.frames import store, table

Shards = dict[str, list[Path]]


@pytest.fixture
def shards(tmp_path: Path) -> Shards:
    return store(
        tmp_path / "it's a [folder]",
        prompts=table("prompts", {"prompt_id": "a", "type": "Role Play"}, {"prompt_id": "b"}),
        embeddings=table("embeddings", {"prompt_id": "a", "vector": [0.5, 0.25]}),
    )


def test_both_ways_to_ask_answer_alike(shards: Shards) -> None:
    query = "select *, $limit as given from prompts left join embeddings using (prompt_id) order by prompt_id"
    answers = [ask(shards, query, {"limit": 3}) for ask in (sql.run_untrusted, sql.run_trusted)]
    assert answers[0].equals(answers[1])
    assert answers[0].schema == answers[1].schema
    assert answers[0]["prompt_id"].to_list() == ["a", "b"]
    assert answers[0]["vector"].to_list() == [[0.5, 0.25], None]


def test_a_table_comes_back_as_it_was_written(shards: Shards) -> None:
    written = pl.read_parquet(shards["prompts"][0], glob=False)
    assert sql.run_trusted(shards, "select * from prompts order by prompt_id").equals(written)


def test_an_answer_without_rows_has_its_columns(shards: Shards) -> None:
    answer = sql.run_untrusted(shards, "select prompt_id, 1.5 as figure from kept where false")
    assert answer.schema == {"prompt_id": pl.String, "figure": pl.Float64}


@pytest.mark.parametrize(
    ("expression", "value", "kind"),
    [
        ("sum(range)", 3, pl.Int64),
        ("count(*)", 3, pl.Int64),
        ("0.5", 0.5, pl.Float64),
        ("sum(range) * 1000000000000000000000", 3e21, pl.Float64),
        ("'a'::enum('a')", "a", pl.String),
        ("""'{"a": 1}'::json""", '{"a": 1}', pl.String),
        ("uuid '00000000-0000-0000-0000-000000000001'", "00000000-0000-0000-0000-000000000001", pl.String),
        ("[1, 2]", [1, 2], pl.List(pl.Int32)),
        ("{'a': 1}", {"a": 1}, pl.Struct({"a": pl.Int32})),
        ("null", None, pl.Null),
    ],
)
def test_types_are_those_of_a_frame(expression: str, value: object, kind: pl.DataType) -> None:
    answer = sql.run_trusted({}, f"select {expression} as value from range(3) group by all limit 1")
    if "sum" in expression or "count" in expression:
        answer = sql.run_trusted({}, f"select {expression} as value from range(3)")
    assert answer.schema == {"value": kind}
    assert answer["value"].to_list() == [value]


@pytest.mark.parametrize("expression", ["interval 1 day", "union_value(a := 1)", "[interval 1 day]", "{'a': 1.5}"])
def test_a_type_that_no_frame_has_is_refused_with_the_cast_that_helps(expression: str) -> None:
    with pytest.raises(SeasDataError, match="value::varchar"):
        sql.run_trusted({}, f"select {expression} as value")
    assert sql.run_trusted({}, f"select ({expression})::varchar as value").height == 1


def test_a_result_comes_in_parts_of_the_rows_asked_for_in_order(shards: Shards) -> None:
    query = "select range as number from range(50000) where range <> 7 order by number desc"
    parts = list(sql.stream_trusted({}, query, 20_000))
    assert [part.height for part in parts] == [20_000, 20_000, 9_999]
    assert pl.concat(parts).equals(sql.run_trusted({}, query))
    (none,) = sql.stream_trusted(shards, "select prompt_id from prompts where false", 10)
    assert none.is_empty() and none.columns == ["prompt_id"]
    with pytest.raises(SeasDataError, match="nothing"):
        list(sql.stream_trusted(shards, "select nothing", 10))


def test_only_own_queries_spill_to_a_folder_that_is_gone_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sql, "_READERS", sql._Readers(0))  # keeps none open
    query = "select current_setting('temp_directory') as folder from range(20)"
    parts = sql.stream_trusted({}, query, 10)
    (folder,) = next(parts)["folder"].unique()
    assert [str(each) for each in tmp_path.iterdir()] == [folder]
    assert stat.S_IMODE(Path(folder).stat().st_mode) == 0o700
    assert [part.height for part in parts] == [10] and not list(tmp_path.iterdir())
    assert sql.run_untrusted({}, query)["folder"].unique().to_list() == [""]


@pytest.mark.slow
def test_columns_of_one_name_are_told_apart() -> None:
    assert sql.run_untrusted({}, "select 1 as a, 2 as a, 3 as A").columns == ["a", "a_2", "A"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("selec 1", 'the query could not be parsed: Parser Error: syntax error at or near "selec"'),
        ("select colour from kept", 'the query failed: Binder Error: Referenced column "colour" not found'),
        ("select * from promts", "the query failed: Catalog Error: Table with name promts does not exist"),
        ("select $a", "the query failed: .*Values were not provided for the following parameters: a"),
        ("", "expected one SELECT, got 0 statements"),
        ("select 1; select 2", "expected one SELECT, got 2 statements"),
        ("copy prompts to 'a'", "only a SELECT is allowed, not a COPY"),
        ("insert into prompts select 1", "only a SELECT is allowed, not an INSERT"),
        ("with x as (copy prompts to 'a') from x", "a SELECT must not contain a COPY: versions are read-only"),
    ],
)
def test_what_is_wrong_with_a_query_is_said_in_one_sentence(query: str, said: str) -> None:
    with pytest.raises(SeasDataError, match=f"^{said}"):
        sql.run_trusted({}, query)


def test_of_several_queries_one_that_is_wrong_costs_no_other_its_answer(shards: Shards) -> None:
    asked: list[tuple[str, dict[str, object]]] = [
        ("select 1 as a", {}), ("select nothing", {}), ("copy prompts to 'a'", {}), ("select $b as b", {"b": 2})
    ]  # fmt: skip
    first, wrong, closed, last = sql.run_each(shards, asked)
    assert isinstance(first, pl.DataFrame) and isinstance(last, pl.DataFrame)
    assert (first["a"].item(), last["b"].item()) == (1, 2)
    assert isinstance(wrong, SeasDataError) and "nothing" in str(wrong)
    assert isinstance(closed, SeasDataError) and str(closed).startswith("only a SELECT is allowed")
    with pytest.raises(SeasDataError, match="nothing"):
        sql.run_all(shards, asked)


def test_what_cannot_be_held_is_said_in_one_sentence(shards: Shards) -> None:
    shards["prompts"][0].write_bytes(shards["prompts"][0].read_bytes()[:-200] + b"x" * 192 + b"....PAR1")
    with pytest.raises(SeasDataError, match=r"could not be read .*seas-data verify"):
        sql.run_all(shards, [("select 1", {})], ("prompts",))


def test_a_second_query_reads_a_file_that_changed_since_the_first(shards: Shards) -> None:
    """Readers stay open between queries; what they read is what the files hold now."""
    query = "select prompt_id from prompts order by all"
    first = sql.run_trusted(shards, query)
    assert sql.run_trusted(shards, query).equals(first)
    path = shards["prompts"][0]
    rows = pl.read_parquet(path, glob=False)
    rows.with_columns(prompt_id="z" + pl.col("prompt_id")).write_parquet(path)
    assert sql.run_trusted(shards, query)["prompt_id"].str.starts_with("z").any()
    path.unlink()
    with pytest.raises(SeasDataError, match=r"could not be read .*seas-data verify"):
        sql.run_trusted(shards, query)


def test_what_was_materialised_for_some_queries_is_gone_after_them(shards: Shards) -> None:
    listed = ("select count(*) as n from duckdb_columns() where table_name = 'kept' and not internal", {})
    ((before,),) = sql.run_all(shards, [listed])[0].rows()
    sql.run_all(shards, [("from kept", {})], ("kept",))
    assert sql.run_all(shards, [listed])[0].rows() == [(before,)]


def test_what_an_error_quotes_from_the_query_cannot_act_on_the_terminal() -> None:
    with pytest.raises(SeasDataError) as refusal:
        sql.run_untrusted({}, 'select "\x1b[31m\u202e\n" from kept')
    assert "\x1b" not in str(refusal.value) and "\u202e" not in str(refusal.value) and "\n" not in str(refusal.value)


def test_an_error_about_a_long_query_is_short() -> None:
    with pytest.raises(SeasDataError) as refusal:
        sql.run_trusted({}, f'select "{"x" * 100_000}"')
    assert len(str(refusal.value)) < 600


def test_the_order_of_the_query_is_the_order_of_the_rows() -> None:
    answer = sql.run_trusted({}, "select range as n from range(100000) order by hash(range)")
    again = sql.run_trusted({}, "select n from (select range as n, hash(range) as h from range(100000)) order by h")
    assert answer["n"].to_list() == again["n"].to_list() != sorted(answer["n"].to_list())


@pytest.mark.parametrize("memory", ["4", "4TB", "-1GB", "much"])
def test_an_amount_of_memory_is_checked(memory: str) -> None:
    with pytest.raises(SeasDataError, match="write it as 500MB or 4GB"):
        sql.run_untrusted({}, "select 1", memory=memory)


@pytest.mark.slow
def test_asking_loads_no_library_of_models() -> None:
    code = (
        "import sys; from pathlib import Path; from seas_data.query import library, output_formats, sql, text_table; "
        "sql.run_trusted({}, 'select 1'); heavy = {'torch', 'transformers', 'sklearn', 'scipy', 'datasets'}; "
        "heavy &= set(sys.modules); sys.exit(' '.join(sorted(heavy)) or 0)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
