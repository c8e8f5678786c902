"""What a build with the decisions of a sheet would change, without building a version.

The decisions are applied to a copy of the workspace by the pipeline itself, with the recipe of its newest version and
no new rows of the sources, and the version that comes out is compared with the newest one. The copy consists of hard
links and is removed. The loop is not run: pairs that rest on dropped prompts are counted, because no build takes them
back.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import polars as pl

from seas_data.build_version import LoopSteps, build
from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.recipe import Recipe
from seas_data.store import open_workspace
from seas_data.store.files import link_or_copy

_COPIED = ("workspace.json", "versions", "shards", "runs", "tags", "vectors")
_FIGURES = """
select 'kept prompts' as figure, count(*) as number from kept
union all select 'kept ' || kind, count(*) from kept group by kind
union all select 'in ' || split, count(*) from kept join splits using (prompt_id) group by split
union all select 'kept attacks with a type', count(*) from kept where kind = 'adversarial' and type is not null
order by figure
"""
_SPLITS = "select prompt_id, split from kept join splits using (prompt_id) order by prompt_id"
_PAIRS = """
select role, count(*) as pairs from pairs
where prompt_id in (select unnest($ids)) or chosen_id in (select unnest($ids)) or rejected_id in (select unnest($ids))
group by role order by role
"""


@dataclass(frozen=True)
class Preview:
    """What a build would change.

    ``decisions``: number of decisions and labels that it would record. ``rows``: as of ``Version.diff``. ``splits``:
    rows of kept prompts by split before and after, where they change (null: not kept). ``pairs``: existing pairs by
    role that rest on prompts that would be dropped. ``figures``: figure, before, after; those that change.
    """

    decisions: int
    rows: dict[str, Any]
    splits: pl.DataFrame
    pairs: pl.DataFrame
    figures: pl.DataFrame

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return all tables by name."""
        rows = {name: part for name, part in self.rows.items() if isinstance(part, pl.DataFrame)}
        return rows | {"splits": self.splits, "pairs": self.pairs, "figures": self.figures}


def preview(version: Version, sheet: Path) -> Preview:
    """Return what a build with the decisions of ``sheet`` would change in ``version``, the newest of its workspace.

    Raises SeasDataError if it is not the newest, if a build with the sheet would fail, or if its release withholds
    texts.
    """
    if not sheet.is_file():
        raise SeasDataError(f"there is no sheet at {sheet}; make one with: seas-data review VERSION -o FILE")
    workspace = version.workspace
    if version.name != workspace.versions()[-1]:
        raise SeasDataError(f"a build continues {workspace.versions()[-1]}, not {version.name}; name that version")
    recipe = Recipe.model_validate(version.manifest.recipe).model_copy(
        update={"sources": {}, "overrides": str(sheet), "loop": None, "sandbox": None}
    )
    with tempfile.TemporaryDirectory(prefix=".preview-", dir=workspace.root) as folder:
        copy = Path(folder) / "workspace"
        _link(workspace.root, copy)
        built = build(recipe, copy, LoopSteps(_not_run, _not_run, _not_run, lambda *_: {}))
        after = Version(open_workspace(copy), built.version.manifest)
        rows = version.diff(after)
        dropped = rows["dropped"]["prompt_id"].to_list()
        decisions = after.table("decisions").height - version.table("decisions").height
        return Preview(
            decisions=decisions,
            rows=rows,
            splits=_compare_splits(version.select(_SPLITS), after.select(_SPLITS)),
            pairs=version.select(_PAIRS, {"ids": dropped}),
            figures=_compare_figures(version.select(_FIGURES), after.select(_FIGURES)),
        )


def _link(root: Path, copy: Path) -> None:
    """Make the files that a build reads available below ``copy``."""
    for name in _COPIED:
        paths = [root / name] if (root / name).is_file() else (root / name).rglob("*")
        for path in paths:
            if path.is_file():
                target = copy / path.relative_to(root)
                target.parent.mkdir(parents=True, exist_ok=True)
                link_or_copy(path, target)


def _not_run(*_: Any) -> NoReturn:
    raise AssertionError("a preview runs no loop")


def _compare_splits(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that change by their split before and after. Input columns: prompt_id, split."""
    both = before.join(after, on="prompt_id", how="full", coalesce=True, suffix="_after")
    changed = both.filter(pl.col("split").ne_missing(pl.col("split_after")))
    counts = changed.group_by("split", "split_after").len("rows")
    return counts.select(before="split", after="split_after", rows="rows").sort("before", "after", nulls_last=True)


def _compare_figures(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Return the figures that change. Input columns: figure, number."""
    both = before.join(after, on="figure", how="full", coalesce=True, suffix="_after")
    both = both.select("figure", before=pl.col("number").fill_null(0), after=pl.col("number_after").fill_null(0))
    return both.filter(pl.col("before") != pl.col("after")).sort("figure")
