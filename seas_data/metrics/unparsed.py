"""Unparsed verdicts: the proportion of responses that are in no rate, because the judge's answer was not understood."""

from collections.abc import Sequence

import polars as pl

from seas_data.metrics.inputs import MatrixAnswers, TargetAnswers
from seas_data.metrics.registry import Metric
from seas_data.metrics.retention import without_expected_answer
from seas_data.metrics.rows import metric_frame, proportions
from seas_data.metrics.verdicts import add_refusal_flags


def of_cells(data: MatrixAnswers) -> pl.DataFrame:
    """Return the proportion for each new cell and judge; no rows if every verdict was parsed."""
    return _verdicts(data.new_answers(), "seed_id", ("red_team", "target", "judge"), {"set": "evaluation"})


def of_sets(data: TargetAnswers) -> pl.DataFrame:
    """Return the proportion for each set and judge: of verdicts on attacks, and of refusal classes on other prompts.

    Rows of refusal classes have the facet ``kind`` (harmless or general) and count blank responses, which have no
    class. No rows where everything was parsed.
    """
    facets = {"target": data.target}
    attacks = data.answers.filter(pl.col("kind") == "adversarial")
    parts = [_verdicts(attacks, "prompt_id", ("set", "judge"), facets)]
    classified = add_refusal_flags(data.answers)
    for rows in (
        classified.filter(pl.col("kind") == "harmless"),
        without_expected_answer(classified, data.expected),
    ):
        if rows["complied"].has_nulls():
            flagged = rows.with_columns(unparsed=pl.col("complied").is_null())
            parts.append(proportions("unparsed", flagged, "unparsed", "prompt_id", ("set", "judge", "kind"), facets))
    return pl.concat(parts)


def _verdicts(answers: pl.DataFrame, cluster: str, by: Sequence[str], facets: dict[str, str]) -> pl.DataFrame:
    judged = answers.drop_nulls("verdict").with_columns(unparsed=pl.col("verdict") == "unparsed")
    if not judged["unparsed"].any():
        return metric_frame([])
    return proportions("unparsed", judged, "unparsed", cluster, by, facets)


METRIC = Metric(
    description="proportion of responses without a parsed verdict; with kind, without a refusal class",
    facets=("red_team", "target", "judge", "set", "kind"),
    compute={MatrixAnswers: of_cells, TargetAnswers: of_sets},
)
