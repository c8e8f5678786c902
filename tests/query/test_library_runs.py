"""Every query of the library, on every kind of version: it answers, draws columns that it has, and shows no text; and
it says the same in DuckDB alone, over a folder that was checked out."""

from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest

import seas_data as sd
from seas_data.query import library, views
from seas_data.release import folder as folders
from seas_data.release.folder import checkout
from seas_data.resources import folder
from seas_data.tables import TABLES

QUERIES = library.load(folder("sql"))
WORDS = ("what is kept in box", "Beside the", "with puzzle", "for a soup", "I am sorry")  # of made prompts and answers
TIMED = ("stage-times", "tokens")  # a release holds no ``runs``

Rows = list[tuple[Any, ...]]


def connected(root: Path, version: str | None = None, *, shuffled: bool = False) -> duckdb.DuckDBPyConnection:
    """Open a version, its tables in memory, as the reader has them for many queries."""
    paths = sd.open(root).version(version).paths()
    connection = duckdb.connect()
    for statement in views.create_statements({table: [str(path) for path in found] for table, found in paths.items()}):
        connection.execute(statement)
    for view in (*TABLES, "dropped", "kept", "target_prompts", "answers"):
        order = f'order by hash("{view}"::varchar)' if shuffled else ""
        connection.execute(f'create temp table "{view}" as from main."{view}" {order}')
    return connection


@cache
def ask(connection: duckdb.DuckDBPyConnection, name: str) -> tuple[list[str], Rows]:
    """Return the columns and rows of a query, which each connection is asked once."""
    query = QUERIES[name]
    answer = connection.execute(query.sql, query.values([]))
    return [column[0] for column in answer.description or []], answer.fetchall()


@pytest.fixture(scope="module")
def newest(made: Path) -> duckdb.DuckDBPyConnection:
    return connected(made)


@pytest.fixture(scope="module")
def shuffled(made: Path) -> duckdb.DuckDBPyConnection:
    return connected(made, shuffled=True)


@pytest.fixture(scope="module")
def first(made: Path) -> duckdb.DuckDBPyConnection:
    """Version 0, before the loop."""
    return connected(made, "v0")


@pytest.fixture(scope="module")
def nothing() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    for statement in views.create_statements({}):
        connection.execute(statement)
    return connection


@pytest.fixture(scope="module", params=["gated", pytest.param("public", marks=pytest.mark.slow)])
def checked_out(request: pytest.FixtureRequest, made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("out") / str(request.param)
    with pytest.MonkeyPatch.context() as patch:  # the card takes longer than all the rest, and no query reads it
        patch.setattr(folders.card, "dataset_files", lambda *_: {"README.md": ""})
        checkout(sd.open(made).version(), place, request.param)
    return place


@pytest.fixture(scope="module")
def alone(checked_out: Path) -> duckdb.DuckDBPyConnection:
    """DuckDB as it comes, after ``views.sql`` in the folder."""
    connection = duckdb.connect()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(checked_out)
        connection.execute(Path("views.sql").read_text(encoding="utf-8"))
    return connection


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_draws_columns_that_it_has_shows_no_text_and_says_the_same_of_rows_in_another_order(
    name: str, newest: duckdb.DuckDBPyConnection, shuffled: duckdb.DuckDBPyConnection
) -> None:
    columns, rows = ask(newest, name)
    # No evaluation harness was run on the made targets, and no vectors were compared in part: tests/utility and
    # test_queries.py ask these.
    assert rows or name in ("utility", "semantic-recall")
    assert set(QUERIES[name].chart.channels.values()) <= set(columns)
    shown = " ".join(str(value) for row in rows for value in row)
    assert not [word for word in WORDS if word in shown]
    assert ask(shuffled, name)[1] == rows


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_answers_with_the_same_columns_before_the_loop_and_without_rows(
    name: str,
    newest: duckdb.DuckDBPyConnection,
    first: duckdb.DuckDBPyConnection,
    nothing: duckdb.DuckDBPyConnection,
) -> None:
    columns = ask(newest, name)[0]
    assert ask(first, name)[0] == columns
    assert ask(nothing, name) == (columns, [])


@pytest.mark.slow
@pytest.mark.parametrize("name", QUERIES)
def test_a_query_runs_in_duckdb_alone_over_a_checked_out_folder(
    name: str,
    alone: duckdb.DuckDBPyConnection,
    newest: duckdb.DuckDBPyConnection,
    checked_out: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(checked_out)  # the paths of ``views.sql`` are taken from where the question is asked
    columns, rows = ask(alone, name)
    if checked_out.name == "gated" and name not in TIMED:
        assert (columns, rows) == ask(newest, name)
