"""Recipe keys of deduplication: the similarity thresholds of near and semantic duplicates of prompts.

``pairs.red.near_duplicate_threshold`` (``recipe/pairs.py``) is separate: it compares the two attacks of a pair.
"""

from typing import Literal

from pydantic import Field

from seas_data.recipe.base import Proportion, StrictModel


class Near(StrictModel):
    """Near duplicates: Jaccard similarity of the character 5-grams of the normalised texts."""

    duplicate_threshold: Proportion = 0.8
    """Similarity from which two prompts are near duplicates, of which one is kept."""
    group_threshold: Proportion = 0.6
    """Similarity from which two prompts belong to one split group, so that they get the same split. Pairs of opposite
    kinds are reported as contrast pairs."""


class Semantic(StrictModel):
    """Semantic duplicates: cosine similarity of the embeddings, for texts that the embedder can represent."""

    duplicate_threshold: Proportion = 0.95
    """Similarity from which two prompts are semantic duplicates, of which one is kept."""
    group_threshold: Proportion = 0.92
    """Similarity from which two prompts belong to one split group, so that they get the same split."""
    translations: Literal["keep", "drop"] = "keep"
    """What becomes of semantic duplicates in different languages, which only an embedder of several languages finds:
    both are kept and share a `request_id`, or one of them is dropped."""
    exact_rows: int | None = Field(default=None, ge=0)
    """Number of texts of which all pairs are compared. Of more, only similar groups are compared, and the proportion of
    pairs found is measured (`semantic_recall` in `metrics`). Null: 300,000, or 10,000,000 on a GPU."""
