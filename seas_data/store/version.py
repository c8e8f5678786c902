"""A version's tables as Polars frames.

The files of ``prompts`` and ``decisions`` are append-only, so two frames are more than the files: ``prompts`` has the
newest relabel of each row applied, and ``kept`` is ``prompts`` less the rows whose newest keep or drop decision is a
drop. ``query.views`` defines the same two as SQL views; a test keeps the definitions equal.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, overload

import dataframely as dy
import polars as pl

from seas_data import tables
from seas_data.errors import SeasDataError
from seas_data.store.stages import RUNS
from seas_data.store.workspace import Manifest, Workspace
from seas_data.tables import schema

VIEWS = ("kept", *tables.TABLES, "runs")
_LABEL_COLUMNS = (*tables.LABELS, "label_probability")


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

    @overload
    def table(self, name: Literal["prompts"], columns: None = None) -> dy.DataFrame[schema.Prompts]: ...
    @overload
    def table(self, name: Literal["taxonomy"], columns: None = None) -> dy.DataFrame[schema.Taxonomy]: ...
    @overload
    def table(self, name: Literal["set_aside"], columns: None = None) -> dy.DataFrame[schema.SetAside]: ...
    @overload
    def table(self, name: Literal["decisions"], columns: None = None) -> dy.DataFrame[schema.Decisions]: ...
    @overload
    def table(self, name: Literal["relabels"], columns: None = None) -> dy.DataFrame[schema.Relabels]: ...
    @overload
    def table(self, name: Literal["templates"], columns: None = None) -> dy.DataFrame[schema.Templates]: ...
    @overload
    def table(self, name: Literal["wrappers"], columns: None = None) -> dy.DataFrame[schema.Wrappers]: ...
    @overload
    def table(self, name: Literal["splits"], columns: None = None) -> dy.DataFrame[schema.Splits]: ...
    @overload
    def table(self, name: Literal["clusters"], columns: None = None) -> dy.DataFrame[schema.Clusters]: ...
    @overload
    def table(self, name: Literal["embeddings"], columns: None = None) -> dy.DataFrame[schema.Embeddings]: ...
    @overload
    def table(self, name: Literal["metrics"], columns: None = None) -> dy.DataFrame[schema.Metrics]: ...
    @overload
    def table(self, name: Literal["seeds"], columns: None = None) -> dy.DataFrame[schema.Seeds]: ...
    @overload
    def table(self, name: Literal["attacks"], columns: None = None) -> dy.DataFrame[schema.Attacks]: ...
    @overload
    def table(self, name: Literal["responses"], columns: None = None) -> dy.DataFrame[schema.Responses]: ...
    @overload
    def table(self, name: Literal["settings"], columns: None = None) -> dy.DataFrame[schema.Settings]: ...
    @overload
    def table(self, name: Literal["checkpoints"], columns: None = None) -> dy.DataFrame[schema.Checkpoints]: ...
    @overload
    def table(self, name: Literal["expected"], columns: None = None) -> dy.DataFrame[schema.Expected]: ...
    @overload
    def table(self, name: Literal["verdicts"], columns: None = None) -> dy.DataFrame[schema.Verdicts]: ...
    @overload
    def table(self, name: Literal["pairs"], columns: None = None) -> dy.DataFrame[schema.Pairs]: ...
    @overload
    def table(self, name: Literal["demonstrations"], columns: None = None) -> dy.DataFrame[schema.Demonstrations]: ...
    @overload
    def table(self, name: Literal["unpaired"], columns: None = None) -> dy.DataFrame[schema.Unpaired]: ...
    @overload
    def table(self, name: Literal["tombstones"], columns: None = None) -> dy.DataFrame[schema.Tombstones]: ...
    @overload
    def table(self, name: Literal["kept"], columns: None = None) -> dy.DataFrame[schema.Prompts]: ...
    @overload
    def table(self, name: str, columns: Sequence[str] | None = None) -> pl.DataFrame: ...
    def table(self, name: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Return a table, or ``kept``, sorted by its columns.

        ``columns`` selects the columns to read; the default is all of them. Raises SeasDataError if there is no such
        table or column, or if a file cannot be read.
        """
        if name not in VIEWS:
            raise SeasDataError(f"there is no table {name}; choose one of: {', '.join(VIEWS)}")
        stored = "prompts" if name == "kept" else name
        types = _schema(stored)
        selected = list(types) if columns is None else list(columns)
        if unknown := [column for column in selected if column not in types]:
            raise SeasDataError(f"table {name} has no column {unknown[0]}; choose from: {', '.join(types)}")
        if stored != "prompts":
            return _sort(self._read(name, selected))
        rows = apply_relabels(self._read("prompts", dict.fromkeys([*selected, "prompt_id"])), self._read("relabels"))
        if name == "kept":
            rows = rows.join(newest_drops(self._read("decisions")), on="prompt_id", how="anti")
        return _sort(rows.select(selected))

    def _read(self, table: str, columns: Iterable[str] | None = None) -> pl.DataFrame:
        """Return the rows of the files of ``table``, oldest file first."""
        types = _schema(table)
        selected = list(types if columns is None else columns)
        parts = [read_shard(table, path, selected) for path in self.paths().get(table, [])]
        return pl.concat([pl.DataFrame(schema={name: types[name] for name in selected}), *parts])


def apply_relabels(prompts: pl.DataFrame, relabels: pl.DataFrame) -> pl.DataFrame:
    """Return ``prompts`` with the newest relabel of each row in place of its label.

    ``prompts`` may lack label columns; ``relabels`` has the columns of its table. ``label_probability`` of a relabelled
    row is null: it belongs to the label that was replaced.
    """
    newest = relabels.sort(_version_number(), "because", descending=[True, False]).unique(
        "prompt_id", keep="first", maintain_order=True
    )
    labels = newest.select("prompt_id", *tables.LABELS, label_probability=None, relabelled=True)
    joined = prompts.join(labels, on="prompt_id", how="left", suffix="_new", maintain_order="left")
    return joined.with_columns(
        pl.when(pl.col("relabelled")).then(pl.col(f"{name}_new")).otherwise(pl.col(name)).alias(name)
        for name in _LABEL_COLUMNS
        if name in prompts.columns
    ).select(prompts.columns)


def newest_drops(decisions: pl.DataFrame) -> pl.DataFrame:
    """Return, of each prompt whose newest keep or drop decision is a drop, that decision.

    ``decisions`` has the columns of its table. v10 is newer than v9. Within one version a ``split_bridge`` comes first
    (it would tie train to test), then a ``manual`` decision, then a drop before a keep.
    """
    order = {
        "newest": (_version_number(), True),
        "split_bridge": (pl.col("reason") == "split_bridge", True),
        "manual": (pl.col("reason") == "manual", True),
        **{name: (pl.col(name), False) for name in ("decision", "step", "reason", "witness_id")},
    }
    keys, descending = zip(*order.values(), strict=True)
    return (
        decisions.filter(pl.col("decision") != "flag")
        .sort(*keys, descending=list(descending), nulls_last=True)
        .unique("prompt_id", keep="first", maintain_order=True)
        .filter(pl.col("decision") == "drop")
    )


def _version_number() -> pl.Expr:
    return pl.col("version").str.slice(1).cast(pl.Int64)


def _schema(table: str) -> pl.Schema:
    return pl.Schema(RUNS) if table == "runs" else tables.empty(table).schema


def read_shard(table: str, path: Path, columns: Sequence[str]) -> pl.DataFrame:
    """Return ``columns`` of one file of ``table``. Raises SeasDataError if it cannot be read."""
    try:
        if table == "runs":
            return pl.read_parquet(path, glob=False, columns=list(columns))
        return tables.read(table, path, columns)
    except (OSError, pl.exceptions.PolarsError) as problem:
        raise SeasDataError(f"{path} could not be read ({problem}); find damage with: seas-data verify") from problem


def _sort(frame: pl.DataFrame) -> pl.DataFrame:
    flat = [column for column, kind in frame.schema.items() if not kind.is_nested()]
    return frame.sort(flat, nulls_last=True, maintain_order=True)
