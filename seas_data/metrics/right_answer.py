"""Right answers: the proportion of responses that contain the expected words, for prompts where those are known."""

import polars as pl

from seas_data.metrics.inputs import TargetAnswers
from seas_data.metrics.registry import Metric
from seas_data.metrics.rows import proportions


def of_sets(data: TargetAnswers) -> pl.DataFrame:
    """Return the proportion for each set."""
    rows = add_right(data.answers, data.expected)
    return proportions("right_answer", rows, "right", "prompt_id", ("set",), {"target": data.target})


def add_right(answers: pl.DataFrame, expected: pl.DataFrame) -> pl.DataFrame:
    """Return each response to a prompt of ``expected`` once, with ``right``: it contains the expected words.

    Input columns: ``answers`` as ``TargetAnswers.answers``; ``expected`` has prompt_id and answer.
    """
    responses = answers.unique("response_id", keep="first", maintain_order=True)
    return responses.join(expected, on="prompt_id").with_columns(right=_contains(pl.col("text"), pl.col("answer")))


def _contains(text: pl.Expr, words: pl.Expr) -> pl.Expr:
    """Return whether ``text`` contains ``words`` as whole words, ignoring case; false for a null text."""
    return _padded(text).str.contains(_padded(words), literal=True).fill_null(False)


def _padded(text: pl.Expr) -> pl.Expr:
    return pl.lit(" ") + text.str.to_lowercase().str.replace_all(r"[^\pL\pN]+", " ").str.strip_chars() + pl.lit(" ")


METRIC = Metric(
    description="proportion of responses that contain the expected words",
    facets=("target", "set"),
    compute={TargetAnswers: of_sets},
)
