"""The closed reader: one SELECT over a version's own files, in DuckDB, and nothing else.

What is closed, and how:

- other files, the network, extensions, settings: ``allowed_paths`` names the version's files, external access is off,
  and the configuration is locked before the query is looked at;
- Python's variables: replacement scans are off;
- writing: one statement, of type SELECT, whose every node reads and whose every table function is one of a few. Its
  type alone does not tell: to DuckDB 2.0, ``with x as (copy (select 1) to 'a shard' (use_tmp_file false)) from x`` is a
  SELECT, and it overwrites the shard, since a path that may be read may be written; and table functions
  (``json_execute_serialized_sql``, ``query``) run such a query from a text that no check sees;
- time and memory: DuckDB's own limits, which hold where it looks at them. Inside a function (``repeat``, ``lpad``,
  ``levenshtein``) it looks at neither, so queries that people write run in a process of their own (this file, run as a
  program), which has limits of the operating system's and which ``sql.run`` ends when its time is up.

As a program it reads a request from standard input and writes a line of JSON, then the answer as an Arrow stream. It
imports nothing of the package, so that it starts in a fraction of a second.
"""

import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import duckdb
import pyarrow as pa

# The nodes of a parsed query that only read. COPY, INSERT, UPDATE and DELETE have nodes of their own.
_READING = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
_TABLE_FUNCTIONS = {
    *("range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree"),
    *("duckdb_columns", "duckdb_views", "duckdb_functions", "duckdb_keywords"),
}
_SHARE = 4  # of its memory that an answer may take: whoever asked has to hold it too
_BATCH = 20_000  # rows; the texts of one batch have to stay under 2 GB


class RefusedError(Exception):
    """A query that is not run, or did not end well: one sentence for the person who asked."""


@dataclass(frozen=True)
class Request:
    """What to read, what to ask, and how much that may take (seconds; bytes)."""

    views: list[str]
    paths: list[str]
    query: str
    parameters: dict[str, Any]
    seconds: float
    memory: int


def answer(request: Request) -> pa.Table:
    """Return the answer to the request's query. Raises RefusedError."""
    (found,) = answers(request, [(request.query, request.parameters)])
    if isinstance(found, RefusedError):
        raise found
    return found


def answers(
    request: Request, asked: Sequence[tuple[str, dict[str, Any]]], held: Sequence[str] = ()
) -> list[pa.Table | RefusedError]:
    """Return the answers to several queries, each with its parameters, over views made once.

    The views ``held`` are worked out once for all queries, and held in memory. A query that is refused has the error in
    the place of its answer. Raises RefusedError where none of them could be asked.
    """
    connection = duckdb.connect(
        ":memory:",
        config={
            # The rest is for what DuckDB does not count: functions' intermediate values and the answer itself.
            "memory_limit": f"{request.memory * 3 // 4}B",
            "temp_directory": "",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "python_enable_replacements": False,
            "python_scan_all_frames": False,
        },
    )
    with contextlib.closing(connection):
        _open(connection, request)
        for view in held:  # a temporary table is found before the view of its name
            with _refusing(request):
                connection.execute(f'create temp table "{view}" as from main."{view}"')
        found: list[pa.Table | RefusedError] = []
        for query, parameters in asked:
            try:
                _check(connection, query)
                found.append(_plain(_ask(connection, replace(request, query=query, parameters=parameters))))
            except RefusedError as problem:
                found.append(RefusedError(str(problem)))  # what was raised would hold the connection
        return found


def _open(connection: duckdb.DuckDBPyConnection, request: Request) -> None:
    try:
        for view in request.views:
            connection.execute(view)
    except (duckdb.IOException, duckdb.InvalidInputException) as problem:
        raise RefusedError(
            f"a file of the version cannot be read ({_first(problem)}); see: seas-data verify"
        ) from problem
    connection.execute("set allowed_paths = $paths", {"paths": request.paths})
    connection.execute("set enable_external_access = false")
    connection.execute("set max_execution_time = $milliseconds", {"milliseconds": int(request.seconds * 1000)})
    connection.execute("set enable_progress_bar = false")  # it would go where the facts go
    connection.execute("set TimeZone = 'UTC'")  # the same answer wherever it is asked
    connection.execute("set lock_configuration = true")


def _check(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    """Let one SELECT pass, and only one that reads."""
    try:
        given = connection.extract_statements(query)
    except duckdb.Error as problem:
        raise RefusedError(f"the query cannot be read: {_first(problem)}") from problem
    if len(given) != 1:
        raise RefusedError(f"one SELECT at a time: this is {len(given) or 'no'} statement{'s' if given else ''}")
    if given[0].type == duckdb.StatementType.MULTI:
        raise RefusedError("a PIVOT has to name its columns here: pivot ... on column in ('a', 'b') using ...")
    if given[0].type != duckdb.StatementType.SELECT:
        raise RefusedError(f"only a SELECT is run here, and this is {_named(given[0].type)}")
    parsed = connection.execute("select json_serialize_sql($query)", {"query": query}).fetchall()
    try:
        tree = json.loads(parsed[0][0])
    except RecursionError:
        raise RefusedError("the query is nested too deeply; write it in fewer levels") from None
    if tree.get("error") is not False:
        raise RefusedError("only a SELECT is run here, and this is none")
    nodes, functions = _parts(tree)
    for node in sorted(nodes - _READING):
        raise RefusedError(f"a SELECT may not hold {_article(node.split('_')[0])}: a version never changes")
    for function in sorted(functions - _TABLE_FUNCTIONS):
        raise RefusedError(
            f"the table function {function} is closed: a query reads the tables that `show tables` lists, and "
            f"may use {', '.join(sorted(_TABLE_FUNCTIONS))}"
        )


def _parts(tree: Any) -> tuple[set[str], set[str]]:
    """Return the types of all query nodes of a parsed statement, and the names of its table functions."""
    nodes, functions, waiting = set(), set(), [tree]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            kind = str(part.get("type"))
            if kind.endswith("_NODE"):
                nodes.add(kind)
            elif kind == "TABLE_FUNCTION":
                functions.add(str(part.get("function", {}).get("function_name")).casefold())
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)
    return nodes, functions


def _ask(connection: duckdb.DuckDBPyConnection, request: Request) -> pa.Table:
    with _refusing(request):
        return connection.sql(request.query, params=request.parameters).to_arrow_table(_BATCH)


@contextlib.contextmanager
def _refusing(request: Request) -> Iterator[None]:
    """Say in one sentence what went wrong in DuckDB."""
    try:
        yield
    except (duckdb.OutOfMemoryException, MemoryError):
        raise RefusedError(too_much(request.memory)) from None
    except duckdb.InterruptException:
        raise RefusedError(too_long(request.seconds)) from None
    except duckdb.PermissionException as problem:
        raise RefusedError(f"a query reads its version's tables and nothing else: {_first(problem)}") from problem
    except duckdb.Error as problem:
        raise RefusedError(f"the query cannot be answered: {_first(problem)}") from problem


def too_much(memory: int) -> str:
    """Say that a query took more than ``memory`` bytes."""
    return f"the query was stopped: it took more than its {memory / 1e9:g} GB of memory; ask for less at once"


def too_large(memory: int) -> str:
    """Say that an answer is larger than a query's share of ``memory`` bytes."""
    return f"the answer takes more than {memory // _SHARE / 1e9:g} GB; ask for fewer rows or columns"


def too_long(seconds: float) -> str:
    """Say that a query took more than ``seconds``."""
    return f"the query was stopped: it took longer than its {seconds:g} seconds; ask for less at once"


def _plain(table: pa.Table) -> pa.Table:
    """Return the answer in types that a Polars frame has, under names that differ."""
    names: list[str] = []
    for name in table.column_names:
        number = 1
        while (unique := name if number == 1 else f"{name}_{number}") in names:
            number += 1
        names.append(unique)
    columns = [_column(name, table.column(position)) for position, name in enumerate(names)]
    return pa.table(dict(zip(names, columns, strict=True)))


def _column(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_decimal(kind):
        # sum(bigint) is a HUGEINT, which arrives as a decimal; a figure with a point is a figure
        with contextlib.suppress(pa.ArrowInvalid):
            return column.cast(pa.int64() if kind.scale == 0 else pa.float64())
        return column.cast(pa.float64())
    if pa.types.is_dictionary(kind):
        return column.cast(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType) and kind.extension_name == "arrow.json":
        return column.cast(pa.string())
    if _strange(kind):
        raise RefusedError(f"column {name} is of a type that no output format has; cast it: {name}::varchar")
    return column


def _strange(kind: pa.DataType) -> bool:
    if pa.types.is_nested(kind):
        return pa.types.is_union(kind) or any(_strange(kind.field(i).type) for i in range(kind.num_fields))
    return pa.types.is_interval(kind) or isinstance(kind, pa.BaseExtensionType) or pa.types.is_decimal(kind)


def _named(kind: duckdb.StatementType) -> str:
    return _article(str(kind).rpartition(".")[2].replace("_", " "))


def _article(word: str) -> str:
    return f"{'an' if word[0] in 'AEIOU' else 'a'} {word}"


def _first(problem: Exception) -> str:
    """Return the first paragraph of DuckDB's message; the rest quotes the query."""
    message = " ".join(str(problem).split("\n\n")[0].split())
    return message if len(message) <= 400 else f"{message[:400]}..."


def main() -> None:
    """Answer the request on standard input, within limits that the operating system keeps."""
    request = Request(**json.load(sys.stdin))
    _limit(request.memory)
    try:
        table = answer(request)
    except RefusedError as problem:
        print(json.dumps({"refused": str(problem)}), flush=True)
        return
    except MemoryError:
        print(json.dumps({"refused": too_much(request.memory)}), flush=True)
        return
    if table.nbytes > request.memory // _SHARE:
        print(json.dumps({"refused": too_large(request.memory)}), flush=True)
        return
    print("{}", flush=True)
    with pa.ipc.new_stream(sys.stdout.buffer, table.schema) as stream:
        stream.write_table(table)


def _limit(memory: int) -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))


def to_json(request: Request) -> str:
    """Return the request as ``main`` reads it."""
    return json.dumps(asdict(request))


if __name__ == "__main__":
    main()
