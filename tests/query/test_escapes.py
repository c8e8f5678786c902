"""Attempts to escape from SQL: each is refused or stopped with one sentence, and nothing is read, written or left.

What the reader refuses is tried in this process (``sql.run_trusted``), what only an end by force stops, in the one that
``sql.run_untrusted`` starts; both ask the same reader.
"""

import hashlib
import time
from pathlib import Path

import duckdb
import polars as pl
import pytest

from seas_data.errors import SeasDataError
from seas_data.query import reader, sql
from tests.conftest import quick
from tests.query.frames import store, table

SECRET = "the-other-version"
Shards = dict[str, list[Path]]


@pytest.fixture
def shards(tmp_path: Path) -> Shards:
    """Two versions' shards in one folder, as they lie in a workspace; the first alone is asked."""
    both = store(
        tmp_path,
        prompts=[table("prompts", {"prompt_id": "a"}), table("prompts", {"prompt_id": SECRET})],
        decisions=table("decisions", {"prompt_id": "a", "decision": "flag", "reason": "contrast_pair"}),
    )
    return both | {"prompts": both["prompts"][:1]}


def state(folder: Path) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


WRITING = {
    "copy out": "copy prompts to '{folder}/out.csv'",
    "copy over a shard": "copy (select 1) to '{shard}' (use_tmp_file false)",
    "copy over it, inside a SELECT": "with x as (copy (select 1) to '{shard}' (use_tmp_file false)) select * from x",
    "the same as csv": "with x as (copy (select 1 a) to '{shard}' (format csv, use_tmp_file false)) from x",
    "the same, deeper": "select * from (values (1)) union all (with x as (copy (select 1) to '{shard}' "
    "(use_tmp_file false)) select * from x)",
    "the same, in a CTE of a CTE": "with y as (with x as (copy (select 1) to '{shard}' (use_tmp_file false)) "
    "from x) from y",
    "the same, as text": "from query('with x as (copy (select 1) to ''{shard}'' (use_tmp_file false)) from x')",
    "the same, serialised": "from json_execute_serialized_sql(json_serialize_sql("
    "'with x as (copy (select 1) to ''{shard}'' (use_tmp_file false)) from x'))",
    "the same, serialised, as text": "from query('from JSON_execute_serialized_sql(json_serialize_sql("
    "''with x as (copy (select 1) to {shard} (use_tmp_file false)) from x''))')",
    "the same, serialised, in a subquery": "select (select count(*) from main.json_execute_serialized_sql("
    "json_serialize_sql('with x as (copy (select 1) to ''{shard}'' (use_tmp_file false)) from x')))",
    "copy out, inside a SELECT": "with x as (copy prompts to '{folder}/out.csv') select * from x",
    "insert": "insert into prompts select * from prompts",
    "insert, inside a SELECT": "with x as (insert into prompts select * from prompts returning *) from x",
    "delete": "delete from prompts",
    "delete, inside a SELECT": "with x as (delete from prompts returning *) from x",
    "update": "update prompts set kind = 'general'",
    "update, inside a SELECT": "with x as (update prompts set kind = 'general' returning *) from x",
    "merge": "merge into prompts using decisions on true when matched then delete",
    "create a table": "create table t as select 1",
    "create a macro": "create macro f() as 1",
    "drop a view": "drop view kept",
    "alter a view": "alter view kept rename to gone",
    "export": "export database '{folder}/all'",
    "attach": "attach '{folder}/new.db' as new",
    "comment": "comment on view kept is 'x'",
}
READING = {
    "another version's shard by name": "select * from '{other}'",
    "another version's shard": "select * from read_parquet('{other}')",
    "another version's shard beside an own one": "select * from read_parquet(['{shard}', '{other}'])",
    "another version's shard by a path through an own one": "select * from read_parquet('{shard}/../1.parquet')",
    "the folder's shards": "select * from read_parquet('{folder}/prompts/*.parquet')",
    "another version's rows as metadata": "select * from parquet_metadata('{other}')",
    "a file of the system": "select * from read_text('/etc/passwd')",
    "a file of the system by name": "from '/etc/passwd'",
    "a file of the system as csv": "select * from read_csv('/etc/passwd')",
    "a file of the system as bytes": "select * from read_blob('/etc/passwd')",
    "a file of the system as json": "select * from read_json('/etc/passwd')",
    "a file of the system, guessed": "select * from sniff_csv('/etc/passwd')",
    "a file of the system by URL": "select * from read_text('file:///etc/passwd')",
    "the process": "select * from read_text('/proc/self/environ')",
    "a list of files": "select * from glob('/etc/*')",
    "the network": "select * from read_csv('https://example.org/a.csv')",
    "a bucket": "select * from read_parquet('s3://bucket/a.parquet')",
    "the environment": "select getenv('HOME')",
    "stored secrets": "select * from duckdb_secrets()",
    "another database": "from read_duckdb('{folder}/a.db')",
}
SETTINGS = {
    "install": "install httpfs",
    "load": "load httpfs",
    "pragma": "pragma database_list",
    "set": "set enable_external_access = true",
    "set more paths": "set allowed_directories = ['/']",
    "reset": "reset memory_limit",
    "set by a function": "from enable_profiling()",
    "call": "call duckdb_settings()",
    "several statements": "select 1; select 2",
    "several statements, the last of them a COPY": "select 1; copy prompts to '{folder}/out.csv'",
    "no statement": "-- nothing",
    "explain": "explain analyze select 1",
    "prepare": "prepare q as select 1",
    "transaction": "begin",
    "use": "use memory",
    "a pivot that makes types": "pivot prompts on kind using count(*)",
    "a pointer": "from arrow_scan(1::pointer, 2::pointer, 3::pointer)",
    "a scan of Python's memory": "from pandas_scan(140000000000000)",
}
ATTEMPTS = WRITING | READING | SETTINGS


def test_attempts_on_one_connection_are_refused_each_in_one_sentence_and_change_nothing(
    shards: Shards, tmp_path: Path
) -> None:
    before = state(tmp_path)
    own, other = shards["prompts"][0], shards["prompts"][0].with_name("1.parquet")
    asked = [query.format(folder=tmp_path, shard=own, other=other) for query in ATTEMPTS.values()]
    results = sql.run_each(shards, [(query, {}) for query in [*asked, "select count(*) as rows from prompts"]])
    for name, said in zip(ATTEMPTS, results, strict=False):
        assert isinstance(said, SeasDataError), name
        assert str(said) and "\n" not in str(said) and len(str(said)) < 600 and SECRET not in str(said), name
    last = results[-1]
    assert isinstance(last, pl.DataFrame) and last["rows"].item() == 1
    assert state(tmp_path) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTEMPTS)
def test_an_attempt_is_refused_in_one_sentence_and_changes_nothing(name: str, shards: Shards, tmp_path: Path) -> None:
    before = state(tmp_path)
    own, other = shards["prompts"][0], shards["prompts"][0].with_name("1.parquet")
    assert other.exists()
    with pytest.raises(SeasDataError) as refusal:
        sql.run_trusted(shards, ATTEMPTS[name].format(folder=tmp_path, shard=own, other=other))
    said = str(refusal.value)
    assert said and "\n" not in said and len(said) < 600
    assert SECRET not in said
    assert state(tmp_path) == before


@pytest.mark.parametrize("hole", ["the same, serialised", "copy over it, inside a SELECT"])
def test_duckdb_takes_a_write_to_a_shard_for_a_select_and_lets_it_pass(hole: str, tmp_path: Path) -> None:
    """Why the reader looks at the parsed query. Once this fails, DuckDB has closed the hole and a check may go."""
    path = store(tmp_path, runs=pl.DataFrame({"a": [0]}))["runs"][0]
    connection = duckdb.connect()
    connection.execute("set allowed_paths = $paths", {"paths": [str(path)]})
    connection.execute("set enable_external_access = false")
    query = WRITING[hole].format(shard=path)
    assert [each.type for each in connection.extract_statements(query)] == [duckdb.StatementType.SELECT]
    connection.execute(query).fetchall()
    assert pl.read_parquet(path).to_dicts() == [{"1": 1}]


def test_python_variables_are_out_of_reach(shards: Shards) -> None:
    secret = pl.DataFrame({"a": [SECRET]})
    for query in ("select * from secret", "select * from shards", "select * from pl"):
        with pytest.raises(SeasDataError, match="does not exist"):
            sql.run_trusted(shards, query)
    assert secret.height == 1


def test_a_value_is_bound_and_never_becomes_part_of_the_query(shards: Shards) -> None:
    value = "' or 1 = 1; drop view prompts; --"
    asked = sql.run_trusted(shards, "select $value as value from prompts where prompt_id <> $value", {"value": value})
    assert asked["value"].to_list() == [value]
    assert sql.run_trusted(shards, "select * from prompts where prompt_id = $value", {"value": value}).height == 0


def test_a_damaged_shard_is_named_with_what_to_do(shards: Shards) -> None:
    shards["decisions"][0].write_bytes(b"PAR1 no more")
    with pytest.raises(SeasDataError, match=r"could not be read .*seas-data verify"):
        sql.run_trusted(shards, "select 1")


def test_a_missing_shard_is_named_with_what_to_do(shards: Shards) -> None:
    shards["decisions"][0].unlink()
    with pytest.raises(SeasDataError, match=r"could not be read .*seas-data verify"):
        sql.run_trusted(shards, "select 1")


# In a process of their own: DuckDB looks at its limits only between vectors of rows.
TOO_LONG = {
    "a cross join": "select count(*) from range(1000000) a, range(1000000) b, range(1000) c",
    "a recursion": "with recursive r(n) as (select 1 union all select n + 1 from r) select count(*) from r",
    "one function": "select levenshtein(repeat('a', 300000), repeat('b', 300000))",
    "sleep": "select sleep_ms(600000)",
}
TOO_MUCH = {
    "a long text": "select length(repeat('x', 4000000000))",
    "many long texts": "select repeat('x', 100000000) from range(100)",
    "a long list": "select list_sum(range(1000000000))",
    "one aggregate": "select string_agg(repeat('x', 1000)) from range(10000000)",
    "a sort": "select range from range(1000000000) order by random()",
    "the answer": "select range, range + 1, range + 2, range + 3 from range(1000000000)",
}


@pytest.mark.parametrize("name", quick(1, TOO_LONG))
def test_a_runaway_is_stopped_by_time(
    name: str, shards: Shards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql.reader, "GRACE", 0.5)
    before, started = state(tmp_path), time.monotonic()
    with pytest.raises(SeasDataError, match=r"^the query was stopped because it ran for more than 1 seconds"):
        sql.run_untrusted(shards, TOO_LONG[name], seconds=1)
    assert time.monotonic() - started < 10
    assert state(tmp_path) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", quick(1, TOO_MUCH))
def test_a_runaway_is_stopped_by_memory(name: str, shards: Shards) -> None:
    with pytest.raises(SeasDataError, match=r"^the query was stopped because it used more than 0.5 GB of memory"):
        sql.run_untrusted(shards, TOO_MUCH[name], seconds=30, memory="500MB")


@pytest.mark.slow
def test_an_answer_that_whoever_asked_could_not_hold_is_refused_before_it_is_sent(shards: Shards) -> None:
    query = "select repeat('x', 100) as text from range({})"
    with pytest.raises(SeasDataError, match=r"^the result takes more than 0.2 GB; select fewer rows or columns$"):
        sql.run_untrusted(shards, query.format(2_000_000), memory="800MB")
    assert sql.run_untrusted(shards, query.format(1_500_000), memory="800MB").height == 1_500_000


def test_deep_nesting_is_refused() -> None:
    for query in ("select " + "(" * 5000 + "1" + ")" * 5000, "select " + "abs(" * 900 + "1" + ")" * 900):
        with pytest.raises(SeasDataError, match=r"deep|depth"):
            sql.run_trusted({}, query)


def test_the_process_that_answers_can_write_no_file_and_knows_no_token(
    shards: Shards, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Were the query to get past the reader, its process has no right to write a byte, and nothing to tell."""
    spy = tmp_path / "spy.py"
    spy.write_text(
        "import json, os, resource, sys\nsys.path.insert(0, os.environ['PYTHONPATH'])\n"
        "from seas_data.query import reader\nreader.set_limits(10**9, 60)\n"
        "try:\n    open('left', 'wb', 0).write(b'x')\n    wrote = True\nexcept OSError:\n    wrote = False\n"
        "print(json.dumps({'refused': f'wrote {wrote} token {os.environ.get(\"HF_TOKEN\")}'}))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_TOKEN", SECRET)
    monkeypatch.setenv("PYTHONPATH", str(Path(reader.__file__).parent.parent.parent))
    monkeypatch.setattr(sql.reader, "__file__", str(spy))
    with pytest.raises(SeasDataError, match=r"^wrote False token None$"):
        sql.run_untrusted(shards, "select 1")
    assert not (tmp_path / "left").exists() or (tmp_path / "left").stat().st_size == 0
