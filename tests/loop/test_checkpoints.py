"""Rows of the table ``checkpoints`` that lead nowhere, in a circle, or out of the workspace."""

from pathlib import Path

import polars as pl
import pytest

from seas_data.errors import SeasDataError
from seas_data.loop.checkpoints import checkpoint_row, resolve_checkpoint
from seas_data.models.checkpoint import model_path


def unchanged(name: str, parent: str | None) -> pl.DataFrame:
    return checkpoint_row(name, "target", 1, "0" * 24, parent, "unchanged", 0)


def test_a_checkpoint_that_is_its_own_parent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SeasDataError, match="T1 is unchanged from itself"):
        resolve_checkpoint(unchanged("T1", "T1"), tmp_path, "T1")


def test_checkpoints_that_are_unchanged_from_each_other_are_refused(tmp_path: Path) -> None:
    circle = pl.concat([unchanged("T1", "T3"), unchanged("T2", "T1"), unchanged("T3", "T2")])
    for name in ("T1", "T2", "T3"):
        with pytest.raises(SeasDataError, match=f"{name} is unchanged from itself"):
            resolve_checkpoint(circle, tmp_path, name)


@pytest.mark.parametrize("parent", ["T0", None])
def test_a_parent_that_does_not_exist_is_named(parent: str | None, tmp_path: Path) -> None:
    with pytest.raises(SeasDataError, match=f"there is no checkpoint {parent}"):
        resolve_checkpoint(unchanged("T1", parent), tmp_path, "T1")


def test_an_unchanged_checkpoint_has_the_weights_of_its_parent(tmp_path: Path) -> None:
    rows = pl.concat([checkpoint_row("T0", "target", 0, "0" * 24, None, "given", 0), unchanged("T1", "T0")])
    assert resolve_checkpoint(rows, tmp_path, "T1") is None


@pytest.mark.parametrize("name", ["../../x", "/etc", "..", "", "a/b", "R2\n", ".hidden", "\x1b[31mR2"])
def test_names_of_models_that_are_paths_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(SeasDataError, match="is not the name of a model; use one such as R2 or T3"):
        model_path(tmp_path, name)
    row = checkpoint_row(name, "target", 0, "0" * 24, None, "sft", 1)
    with pytest.raises(SeasDataError, match="is not the name of a model"):
        resolve_checkpoint(row, tmp_path, name)
