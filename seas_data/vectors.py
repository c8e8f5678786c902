"""Embeddings: the unit vector of every text that an embedder really sees, computed once and kept in the workspace.

``embed`` takes the texts of a build and the recipe's embedders and gives an ``Embedded``: for each text which model saw
it and which row of that model's matrix is its vector, or why no model did. Vectors of different models are never in one
matrix, because they cannot be compared.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data.recipe import Embedder


@dataclass(frozen=True)
class Embedded:
    """What the embedders made of some texts.

    ``sight``: one row for each input row, in the input's order, with the columns ``text``, ``language``, ``model`` (the
    key of the model that embedded it, or null), ``row`` (Int64, its row of ``matrices[model]``; equal texts share one),
    and, where there is no model, ``reason`` (``language`` | ``unknown_tokens`` | ``truncated``) and ``detail`` (a few
    words for the ledger, such as ``truncated: 412 of 256 tokens``).
    ``matrices``: for each model key the float32 unit vectors, (distinct texts, dimensions).
    """

    sight: pl.DataFrame
    matrices: dict[str, NDArray[np.float32]]


def embed(texts: pl.DataFrame, embedders: list[Embedder], folder: Path) -> Embedded:
    """Return the vectors of ``texts`` (columns ``text``, ``language``), computing and storing those not in ``folder``.

    For each text the first embedder declared for its language is asked. Raises SeasDataError if a model cannot be
    had.
    """
    raise NotImplementedError
