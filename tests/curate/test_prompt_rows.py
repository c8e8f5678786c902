"""Rows of ``prompts`` read in slices are the rows read at once, and kept rows have the labels of curation."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from seas_data import tables
from seas_data.curate import incoming
from seas_data.curate.prompt_rows import LABEL_COLUMNS, PromptRows
from tests.curate.test_incoming import PLAIN, recipe_of


@pytest.mark.parametrize("is_stored", [False, True], ids=["in memory", "put aside"])
def test_slices_are_the_rows_and_kept_ones_have_the_labels_of_curation(is_stored: bool, tmp_path: Path) -> None:
    read = incoming.read_incoming(recipe_of(tmp_path, plain=PLAIN), incoming.read_earlier(None))
    ids = read.prompts["prompt_id"].sort()
    labels = pl.DataFrame({"prompt_id": ids[1::2]}).with_columns(
        pl.lit(1.5 if name == "label_probability" else f"new {name}").alias(name) for name in LABEL_COLUMNS
    )
    is_first = pl.col("prompt_id") == ids[1]  # whose labels were taken away
    labels = labels.with_columns(pl.when(~is_first).then(pl.col(name)).alias(name) for name in LABEL_COLUMNS)
    rows = PromptRows(read.put_aside(tmp_path / "aside.parquet") if is_stored else read, labels[::-1])
    whole = rows.to_frame()
    assert rows.height == whole.height == len(PLAIN)
    assert whole["prompt_id"].to_list() == ids.to_list()
    assert whole[::2].equals(read.prompts.sort("prompt_id")[::2]), "dropped rows keep the labels of their source"
    assert whole[1::2].select("prompt_id", *LABEL_COLUMNS).equals(labels)
    assert whole.drop(LABEL_COLUMNS).equals(read.prompts.sort("prompt_id").drop(LABEL_COLUMNS))
    for size in (1, 3, 10, 99):
        slices = [*rows.iter_slices(size)]
        assert all(each.height == size for each in slices[:-1])
        assert pl.concat(slices).equals(whole)


@pytest.mark.parametrize("is_stored", [False, True], ids=["in memory", "put aside"])
def test_no_prompts_make_no_slice(is_stored: bool, tmp_path: Path) -> None:
    read = incoming.read_incoming(recipe_of(tmp_path, plain=PLAIN), incoming.read_earlier(None))
    none = replace(read, prompts=read.prompts.clear())
    rows = PromptRows(none.put_aside(tmp_path / "aside.parquet") if is_stored else none, tables.empty("prompts"))
    assert (rows.height, [*rows.iter_slices(5)], rows.to_frame().height) == (0, [], 0)
