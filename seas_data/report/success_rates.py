"""What the map of the report and that for embedding-atlas both show of a prompt: how often it succeeds, its vector."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

SUCCESS = """
success as (
    select prompt_id, avg(cast(unsafe as integer)) as success
    from answers
    where judge = judge_of('') and unsafe is not null
    group by prompt_id
)
"""
"""Of each prompt that was asked the share of its judged responses that were unsafe, all targets together."""


def matrix(vectors: pl.Series) -> NDArray[np.float32]:
    """Return ``vectors``, at least one, as the rows of a matrix. They are of one model, so that they have one width."""
    return vectors.explode().to_numpy().astype(np.float32).reshape(len(vectors), -1)
