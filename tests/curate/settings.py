"""Curation settings stated for the tests, so that a tuned default breaks no test but the one of the defaults."""

from typing import Any

from seas_data.recipe import Clusters, Contamination, Curation, Labels, Limits, Split, Templates
from seas_data.recipe.dedup import Near, Semantic

LIMITS = Limits(min_characters=3, max_characters=20_000)
CONTAMINATION = Contamination(ngram_threshold=0.8, semantic_threshold=0.95)
TEMPLATES = Templates(min_rows=20, min_characters=60, max_per_template=200)
NEAR = Near(duplicate_threshold=0.8, group_threshold=0.6)
SEMANTIC = Semantic(duplicate_threshold=0.95, group_threshold=0.92)
LABELS = Labels(min_rows=30, min_probability=0.6)
CLUSTERS = Clusters(count=3, map_fit_rows=3_000)
SPLIT = Split(test=0.1, harmless=0.2)


def curation(**changes: Any) -> Curation:
    """Return the stated settings, with some of them changed."""
    stated: dict[str, Any] = {
        "limits": LIMITS,
        "contamination": CONTAMINATION,
        "templates": TEMPLATES,
        "near": NEAR,
        "semantic": SEMANTIC,
        "labels": LABELS,
        "clusters": CLUSTERS,
        "split": SPLIT,
    }
    return Curation(**stated | changes)
