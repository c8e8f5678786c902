"""A version as users see it: its tables as frames or datasets, SQL over them, and its difference from another one."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from seas_data.query import differences, sql
from seas_data.store import Workspace, open_workspace
from seas_data.store import version as store_version

if TYPE_CHECKING:
    import datasets


@dataclass(frozen=True)
class Version(store_version.Version):
    """One version of a workspace, open for queries."""

    @classmethod
    def of(cls, version: store_version.Version) -> "Version":
        """Return ``version`` with the methods of this class."""
        return cls(version.workspace, version.manifest)

    def dataset(self, name: str = "kept") -> "datasets.Dataset":
        """Return a table or view as a ``datasets.Dataset``."""
        import datasets

        return datasets.Dataset(self.table(name).to_arrow(compat_level=pl.CompatLevel.oldest()))

    def sql(self, query: str, parameters: Mapping[str, object] | None = None, *, exact: bool = False) -> pl.DataFrame:
        """Return the result of one SELECT over the version's tables. The query may be untrusted.

        It runs in a separate process that can only read the tables, and is stopped when it exceeds its time or memory
        limit. With ``exact``, decimals stay decimals instead of floats.
        Raises SeasDataError if the query is refused, fails or is stopped.
        """
        return sql.run_untrusted(self.paths(), query, dict(parameters or {}), exact=exact)

    def select(self, query: str, parameters: Mapping[str, object] | None = None) -> pl.DataFrame:
        """Return the result of one of the package's own queries: as ``sql``, but in this process."""
        return sql.run_trusted(self.paths(), query, dict(parameters or {}))

    def diff(self, later: "Version") -> dict[str, Any]:
        """Return what ``later`` has more, less and otherwise; see ``differences.compare_versions``."""
        return differences.compare_versions(self.paths(), later.paths())


def open(path: Path | str = "workspace") -> "OpenWorkspace":
    """Open the workspace at ``path`` for reading."""
    return OpenWorkspace(open_workspace(path))


@dataclass(frozen=True)
class OpenWorkspace:
    """A workspace opened for reading."""

    workspace: Workspace

    def versions(self) -> list[str]:
        """Return the names of the versions, oldest first."""
        return self.workspace.versions()

    def version(self, name: str | None = None) -> Version:
        """Return a version by name or tag; the newest without one."""
        return Version(self.workspace, self.workspace.manifest(name))
