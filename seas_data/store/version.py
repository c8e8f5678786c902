"""A version as people use it: its tables as frames or datasets, and SQL over them.

    import seas_data as sd

    version = sd.open("workspace").version("v0")
    version.table("kept")                                   # a Polars frame
    version.dataset("kept")                                 # a datasets.Dataset
    version.sql("select type, count(*) from kept group by 1")

What a table holds is said once, by the SQL views in ``views.py``. Frames of ``prompts`` and ``kept``, of which those
say more than the files do, are read through them; all others are the files' rows, however many.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from seas_data import tables
from seas_data.errors import SeasDataError
from seas_data.query import sql
from seas_data.store import Manifest, Workspace, open_workspace
from seas_data.store.stages import RUNS

if TYPE_CHECKING:
    import datasets

VIEWS = ("kept", *tables.TABLES, "runs")
_SAY_MORE = ("kept", "prompts")


@dataclass(frozen=True)
class Version:
    """One version of a workspace."""

    workspace: Workspace
    manifest: Manifest

    @property
    def name(self) -> str:
        """The version's name, such as v0."""
        return self.manifest.version

    @property
    def digest(self) -> str:
        """The SHA-256 that covers all of the version's content."""
        return self.manifest.digest

    def paths(self) -> dict[str, list[Path]]:
        """Return the Parquet files of each table."""
        return self.workspace.shard_paths(self.manifest)

    def table(self, name: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Return a table, or the view ``kept`` (prompts less the dropped ones), as a frame sorted by its columns.

        ``columns``: those to read; without them all.
        """
        if name not in VIEWS:
            raise SeasDataError(f"there is no table {name}; there are {', '.join(VIEWS)}")
        if name in _SAY_MORE:
            listed = "*" if columns is None else ", ".join(f'"{column}"' for column in columns)
            return self.select(f'select {listed} from "{name}" order by all')
        schema = pl.Schema(RUNS) if name == "runs" else tables.empty(name).schema
        wanted = list(columns or schema)
        parts = [_read(name, path, wanted) for path in self.paths().get(name, [])]
        frame = pl.concat([pl.DataFrame(schema={each: schema[each] for each in wanted}), *parts])
        flat = [column for column, kind in frame.schema.items() if not kind.is_nested()]
        return frame.sort(flat, nulls_last=True, maintain_order=True)

    def dataset(self, name: str = "kept") -> "datasets.Dataset":
        """Return a table or view as a ``datasets.Dataset``."""
        import datasets

        return datasets.Dataset(self.table(name).to_arrow(compat_level=pl.CompatLevel.oldest()))

    def sql(self, query: str, parameters: Mapping[str, object] | None = None) -> pl.DataFrame:
        """Return what one SELECT, written by anybody, says of the version's tables.

        It can read nothing else and write nothing, and is stopped when it takes too long or too much memory.
        """
        return sql.run(self.paths(), query, dict(parameters or {}))

    def select(self, query: str, parameters: Mapping[str, object] | None = None) -> pl.DataFrame:
        """Return what one of the package's own queries says: as ``sql``, but in this process."""
        return sql.read(self.paths(), query, dict(parameters or {}))


def _read(table: str, path: Path, columns: Sequence[str]) -> pl.DataFrame:
    try:
        return pl.read_parquet(path, columns=list(columns)) if table == "runs" else tables.read(table, path, columns)
    except (OSError, pl.exceptions.PolarsError) as problem:
        raise SeasDataError(f"{path} cannot be read ({problem}); what is damaged says: seas-data verify") from problem


def open(path: Path | str = "workspace") -> "Open":
    """Open the workspace at ``path`` for reading."""
    return Open(open_workspace(path))


@dataclass(frozen=True)
class Open:
    """A workspace opened for reading."""

    workspace: Workspace

    def versions(self) -> list[str]:
        """Return the names of the versions, oldest first."""
        return self.workspace.versions()

    def version(self, name: str | None = None) -> Version:
        """Return a version by name or tag; the newest without one."""
        return Version(self.workspace, self.workspace.manifest(name))
