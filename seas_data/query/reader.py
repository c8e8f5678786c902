"""The closed reader: runs one SELECT in DuckDB over a version's own files, with no other access.

What is closed, and how:

- other files, the network, extensions, settings: ``allowed_paths`` names the version's files, external access is off,
  and the configuration is locked before the query is parsed;
- Python's variables: replacement scans are off;
- writing: one statement, of type SELECT, whose every node reads and whose every table function is one of a few. The
  type is not enough: for DuckDB 2.0, ``with x as (copy (select 1) to 'a shard' (use_tmp_file false)) from x`` is a
  SELECT, and it overwrites the shard, because an allowed path may also be written; and table functions
  (``json_execute_serialized_sql``, ``query``) run such a query from a text that no check sees;
- time and memory: DuckDB's own limits. DuckDB does not check them inside a function (``repeat``, ``lpad``,
  ``levenshtein``), so untrusted queries run in a separate process (this file as a program) with limits of the operating
  system, and ``sql.run_untrusted`` kills it when its time is up.

As a program it reads a request from standard input and writes a line of JSON, then the result as an Arrow stream. It
imports nothing of the package, so that it starts in a fraction of a second.
"""

import contextlib
import json
import math
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

# The nodes of a parsed query that only read. COPY, INSERT, UPDATE and DELETE have nodes of their own.
_READING = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
_TABLE_FUNCTIONS = {
    *("range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree"),
    *("duckdb_columns", "duckdb_views", "duckdb_functions", "duckdb_keywords"),
}
_RESULT_FRACTION = 4  # a result may take a quarter of the memory, since the caller has to hold it too
GRACE = 3.0  # seconds for the reader to start, and to stop by itself
_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
_BATCH = 20_000  # rows; the texts of one batch must stay under 2 GB


class RefusedError(Exception):
    """A query that was refused, failed or was stopped. The message is one sentence for the user."""


@dataclass(frozen=True)
class Request:
    """The views to create, the files they may read, the query with its parameters, and its limits (seconds; bytes).

    ``variables``: the statements that set the variables which the query needs.
    """

    views: list[str]
    variables: list[str]
    paths: list[str]
    query: str
    parameters: dict[str, Any]
    seconds: float
    memory: int
    exact: bool = False
    """Whether decimals stay decimals; otherwise they become floats, as the package's own queries expect."""
    spill: bool = False
    """Whether what exceeds the memory goes to a temporary folder, which only its owner can read."""


def run_query(request: Request) -> pa.Table:
    """Return the result of the request's query. Raises RefusedError."""
    with contextlib.closing(Reader(request)) as opened:
        (result,) = opened.run([(request.query, request.parameters)], variables=request.variables)
    if isinstance(result, RefusedError):
        raise result
    return result


class Reader:
    """A closed connection to the views of a request, on which one query after another runs.

    Raises RefusedError if a view cannot be created. Threads must take turns.
    """

    def __init__(self, request: Request) -> None:
        self.closed = False
        self._request = request
        self._has_variables = False
        folder = _make_temporary_folder() if request.spill else ""
        self._remove_folder = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True) if folder else None
        self._connection = duckdb.connect(
            ":memory:",
            config={
                # The rest is for what DuckDB does not count: intermediate values of functions and the result itself.
                "memory_limit": f"{request.memory * 3 // 4}B",
                "temp_directory": folder,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "allow_community_extensions": False,
                "python_enable_replacements": False,
                "python_scan_all_frames": False,
            },
        )
        try:
            _create_views(self._connection, request)
        except RefusedError:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection and remove its temporary files."""
        self.closed = True
        self._connection.close()
        if self._remove_folder is not None:
            self._remove_folder()

    def run(
        self,
        queries: Sequence[tuple[str, dict[str, Any]]],
        materialised: Sequence[str] = (),
        variables: Sequence[str] = (),
    ) -> list[pa.Table | RefusedError]:
        """Return the results of several queries, each with its parameters.

        The views ``materialised`` are computed once for all queries and kept in memory until the end. ``variables``:
        the statements that set variables; they run once for each reader. The result of a query that fails is its error.
        Raises RefusedError if no query can be run.
        """
        connection = self._connection
        if variables and not self._has_variables:
            _execute_all(connection, variables)
            self._has_variables = True
        try:
            for view in materialised:  # a temporary table takes precedence over the view of the same name
                with _translate_errors(self._request):
                    connection.execute(f'create temp table "{view}" as from main."{view}"')
            return [self._run_one(query, parameters) for query, parameters in queries]
        finally:
            for view in materialised:
                with contextlib.suppress(duckdb.Error):
                    connection.execute(f'drop table if exists temp."{view}"')

    def stream(self, query: str, rows: int) -> Iterator[pa.Table]:
        """Yield the result of a query in parts of ``rows`` rows; a result without rows is one part.

        Raises RefusedError if the query fails.
        """
        _check_is_select(self._connection, query)
        with _translate_errors(self._request):
            found = self._connection.sql(query).to_arrow_reader(rows)
            whole = pa.Table.from_batches([], found.schema)
            for batch in found:
                whole = pa.concat_tables([whole, pa.Table.from_batches([batch])])
                while whole.num_rows > rows:
                    yield _to_plain_types(whole.slice(0, rows))
                    whole = whole.slice(rows)
            yield _to_plain_types(whole)

    def _run_one(self, query: str, parameters: dict[str, Any]) -> pa.Table | RefusedError:
        request = replace(self._request, query=query, parameters=parameters)
        try:
            _check_is_select(self._connection, query)
            return _to_plain_types(_execute(self._connection, request), request.exact)
        except RefusedError as problem:
            return RefusedError(str(problem))  # the raised error would keep the connection alive


def _make_temporary_folder() -> str:
    """Return a new folder that only its owner can read; an empty path if none can be made: then nothing is spilled."""
    try:
        return tempfile.mkdtemp(prefix="seas-data-")
    except OSError:
        return ""


def _create_views(connection: duckdb.DuckDBPyConnection, request: Request) -> None:
    _execute_all(connection, request.views)
    connection.execute("set allowed_paths = $paths", {"paths": request.paths})
    connection.execute("set enable_external_access = false")
    connection.execute("set max_execution_time = $milliseconds", {"milliseconds": int(request.seconds * 1000)})
    connection.execute("set enable_progress_bar = false")  # it would be written to standard output
    connection.execute("set enable_external_file_cache = false")  # a kept reader holds no content of files
    connection.execute("set TimeZone = 'UTC'")  # the same result on every machine
    connection.execute("set lock_configuration = true")


def _execute_all(connection: duckdb.DuckDBPyConnection, statements: Sequence[str]) -> None:
    """Execute statements that read the version's files. Raises RefusedError if a file is damaged or missing."""
    try:
        for statement in statements:
            connection.execute(statement)
    except (duckdb.IOException, duckdb.InvalidInputException) as problem:
        raise RefusedError(
            f"a file of the version could not be read ({_first_paragraph(problem)}); run: seas-data verify"
        ) from problem


_ACCEPTED: set[str] = set()
"""Queries that were found to be one SELECT that only reads, which depends on their text alone."""
_MAX_ACCEPTED = 1000


def _check_is_select(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    """Raise RefusedError unless ``query`` is one SELECT that only reads."""
    if query not in _ACCEPTED:
        _parse_select(connection, query)
        if len(_ACCEPTED) < _MAX_ACCEPTED:
            _ACCEPTED.add(query)


def _parse_select(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    try:
        given = connection.extract_statements(query)
    except duckdb.Error as problem:
        raise RefusedError(f"the query could not be parsed: {_first_paragraph(problem)}") from problem
    if len(given) != 1:
        raise RefusedError(f"expected one SELECT, got {len(given)} statements")
    if given[0].type == duckdb.StatementType.MULTI:
        raise RefusedError("a PIVOT must name its columns: pivot ... on column in ('a', 'b') using ...")
    if given[0].type != duckdb.StatementType.SELECT:
        raise RefusedError(f"only a SELECT is allowed, not {_statement_name(given[0].type)}")
    parsed = connection.execute("select json_serialize_sql($query)", {"query": query}).fetchall()
    try:
        tree = json.loads(parsed[0][0])
    except RecursionError:
        raise RefusedError("the query is nested too deeply; use fewer levels") from None
    if tree.get("error") is not False:
        raise RefusedError("only a SELECT is allowed")
    nodes, functions = _node_types(tree)
    for node in sorted(nodes - _READING):
        raise RefusedError(f"a SELECT must not contain {_with_article(node.split('_')[0])}: versions are read-only")
    for function in sorted(functions - _TABLE_FUNCTIONS):
        raise RefusedError(
            f"the table function {function} is not allowed; query the tables that `show tables` lists, or use "
            f"{', '.join(sorted(_TABLE_FUNCTIONS))}"
        )


def _node_types(tree: Any) -> tuple[set[str], set[str]]:
    """Return the types of all query nodes of a parsed statement, and the names of its table functions."""
    nodes, functions, stack = set(), set(), [tree]
    while stack:
        part = stack.pop()
        if isinstance(part, dict):
            kind = str(part.get("type"))
            if kind.endswith("_NODE"):
                nodes.add(kind)
            elif kind == "TABLE_FUNCTION":
                functions.add(str(part.get("function", {}).get("function_name")).casefold())
            stack.extend(part.values())
        elif isinstance(part, list):
            stack.extend(part)
    return nodes, functions


def _execute(connection: duckdb.DuckDBPyConnection, request: Request) -> pa.Table:
    with _translate_errors(request):
        return connection.sql(request.query, params=request.parameters).to_arrow_table(_BATCH)


@contextlib.contextmanager
def _translate_errors(request: Request) -> Iterator[None]:
    """Turn DuckDB's errors into a RefusedError with one sentence."""
    try:
        yield
    except (duckdb.OutOfMemoryException, MemoryError):
        raise RefusedError(memory_message(request.memory)) from None
    except duckdb.InterruptException:
        raise RefusedError(timeout_message(request.seconds)) from None
    except duckdb.PermissionException as problem:
        raise RefusedError(f"a query may only read the tables of its version: {_first_paragraph(problem)}") from problem
    except duckdb.Error as problem:
        raise RefusedError(f"the query failed: {_first_paragraph(problem)}") from problem


def memory_message(memory: int) -> str:
    """Return the message for a query that used more than ``memory`` bytes."""
    return f"the query was stopped because it used more than {memory / 1e9:g} GB of memory; select fewer rows"


def size_message(memory: int) -> str:
    """Return the message for a result that is too large for a query with ``memory`` bytes."""
    return f"the result takes more than {memory // _RESULT_FRACTION / 1e9:g} GB; select fewer rows or columns"


def timeout_message(seconds: float) -> str:
    """Return the message for a query that ran for more than ``seconds``."""
    return f"the query was stopped because it ran for more than {seconds:g} seconds; select fewer rows"


def _to_plain_types(table: pa.Table, exact: bool = False) -> pa.Table:
    """Return the result with column types that Polars has, and unique column names."""
    names: list[str] = []
    table = _temporal_texts(table)
    for name in table.column_names:
        number = 1
        while (unique := name if number == 1 else f"{name}_{number}") in names:
            number += 1
        names.append(unique)
    columns = [_to_plain_type(name, table.column(position), exact) for position, name in enumerate(names)]
    return pa.table(dict(zip(names, columns, strict=True)))


def _to_plain_type(name: str, column: pa.ChunkedArray, exact: bool) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_decimal(kind):
        # sum(bigint) is a HUGEINT, which arrives as a decimal; one with a scale becomes a float
        with contextlib.suppress(pa.ArrowInvalid):
            return column.cast(pa.int64() if kind.scale == 0 else kind if exact else pa.float64())
        if exact:
            return column
        return column.cast(pa.float64())
    if pa.types.is_dictionary(kind):
        return column.cast(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType) and kind.extension_name == "arrow.json":
        return column.cast(pa.string())
    if _is_unsupported(kind):
        raise RefusedError(f"column {name} has a type that no output format supports; cast it: {name}::varchar")
    return column


def _temporal_texts(table: pa.Table) -> pa.Table:
    """Return ``table`` with columns as text that hold an infinite date or time, or one outside of the years 1 to 9999.

    Python has no such values.
    """
    outside = [at for at, column in enumerate(table.columns) if any(map(_is_outside, column.chunks))]
    if not outside:
        return table
    with contextlib.closing(duckdb.connect(":memory:", config={"python_enable_replacements": False})) as connection:
        connection.execute("set TimeZone = 'UTC'")
        for at in outside:
            connection.register("result", pa.table({"value": table.column(at)}))
            texts = connection.sql("select value::varchar as value from result").to_arrow_table(_BATCH)
            table = table.set_column(at, table.column_names[at], texts.column(0))
    return table


def _is_outside(values: pa.Array) -> bool:
    kind = values.type
    if pa.types.is_timestamp(kind) or pa.types.is_date32(kind):
        per_day = 1 if pa.types.is_date32(kind) else 86_400 * _UNITS[kind.unit]
        found = pc.min_max(values.view(pa.int32() if per_day == 1 else pa.int64())).as_py()
        if found["min"] is None:
            return False
        first, last = _FIRST_DAY * per_day, (_LAST_DAY + 1) * per_day - 1
        return bool(found["min"] < max(first, 1 - _INFINITE) or found["max"] > min(last, _INFINITE - 1))
    if pa.types.is_map(kind):
        return _is_outside(values.keys) or _is_outside(values.items)
    if pa.types.is_struct(kind):
        return any(map(_is_outside, values.flatten()))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _is_outside(values.flatten())
    return False


_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_INFINITE = 2**63 - 1  # and its negative: DuckDB's infinite times
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896  # 0001-01-01 and 9999-12-31


def _is_unsupported(kind: pa.DataType) -> bool:
    if pa.types.is_nested(kind):
        return pa.types.is_union(kind) or any(_is_unsupported(kind.field(i).type) for i in range(kind.num_fields))
    return pa.types.is_interval(kind) or isinstance(kind, pa.BaseExtensionType) or pa.types.is_decimal(kind)


def _statement_name(kind: duckdb.StatementType) -> str:
    return _with_article(str(kind).rpartition(".")[2].replace("_", " "))


def _with_article(word: str) -> str:
    return f"{'an' if word[0] in 'AEIOU' else 'a'} {word}"


def _first_paragraph(problem: Exception) -> str:
    """Return the first paragraph of DuckDB's message; the rest quotes the query."""
    message = " ".join(str(problem).split("\n\n")[0].split())
    return message if len(message) <= 400 else f"{message[:400]}..."


def main() -> None:
    """Run the query of the request on standard input, within limits of the operating system."""
    request = Request(**json.load(sys.stdin))
    set_limits(request.memory, request.seconds)
    try:
        table = run_query(request)
    except RefusedError as problem:
        print(json.dumps({"refused": str(problem)}), flush=True)
        return
    except MemoryError:
        print(json.dumps({"refused": memory_message(request.memory)}), flush=True)
        return
    if table.nbytes > request.memory // _RESULT_FRACTION:
        print(json.dumps({"refused": size_message(request.memory)}), flush=True)
        return
    print("{}", flush=True)
    with pa.ipc.new_stream(sys.stdout.buffer, table.schema) as stream:
        stream.write_table(table)


def set_limits(memory: int, seconds: float) -> None:
    """Limit this process to ``memory`` bytes, the processor time of ``seconds`` and the life of its parent.

    It also writes no core dumps and no bytes to files.
    """
    end_with_parent(os.getppid())
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        processor = math.ceil((seconds + GRACE) * (os.cpu_count() or 1))  # DuckDB uses every processor
        resource.setrlimit(resource.RLIMIT_CPU, (processor, processor))


def end_with_parent(parent: int) -> None:
    """End this process when ``parent`` ends: by a signal on Linux, elsewhere by looking once a second."""
    if not _request_death_signal():
        threading.Thread(target=_watch_parent, args=(parent,), daemon=True).start()


def _request_death_signal() -> bool:
    try:
        import ctypes

        return bool(ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL) == 0)
    except (ImportError, OSError, AttributeError, TypeError):
        return False


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def to_json(request: Request) -> str:
    """Return the request as ``main`` reads it."""
    return json.dumps(asdict(request))


if __name__ == "__main__":
    main()
