"""Attack success of single prompts and their vectors, shared by ``cluster_map`` and ``explore``."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

SUCCESS_CTE = """
success as (
    select prompt_id, avg(cast(unsafe as integer)) as success
    from answers
    where judge = judge_of('') and unsafe is not null
    group by prompt_id
)
"""
"""The common table expression ``success``: per prompt the proportion of its judged responses that are unsafe."""


def vector_matrix(vectors: pl.Series) -> NDArray[np.float32]:
    """Return ``vectors`` as the rows of a matrix. There must be at least one, all of the same embedding model."""
    return vectors.explode().to_numpy().astype(np.float32).reshape(len(vectors), -1)
