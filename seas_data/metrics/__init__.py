"""Metrics: one file each, with the rows of the table ``metrics`` that it computes and their intervals.

A metric is a ``registry.Metric`` and an entry point of the group ``seas_data.metrics``. To add one, write a file beside
``attack_success.py``, or in another distribution, and add its entry point; ``compute_metrics`` then runs it on the
inputs (``inputs``) that it is computed from.
"""

from seas_data.metrics.inputs import JoinedAttacks, MatrixAnswers, RedTeamAttacks, TargetAnswers
from seas_data.metrics.registry import METRICS, Metric, compute_metrics

__all__ = [
    "METRICS",
    "JoinedAttacks",
    "MatrixAnswers",
    "Metric",
    "RedTeamAttacks",
    "TargetAnswers",
    "compute_metrics",
]
