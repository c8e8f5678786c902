"""A recipe's curation: the embedders, and the settings of each step."""

from typing import Final, Literal

from pydantic import Field

from seas_data.recipe.base import Share, Strict
from seas_data.recipe.paths import ModelPlace

BUNDLED: Final = ("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2")
"""What the `embedder` extra brings, by both its names."""


class Embedder(Strict):
    """A sentence-transformers model and the languages it was made for."""

    model: ModelPlace = "all-MiniLM-L6-v2"
    """A name on the Hub, or a folder, which begins with `./`, `/`, `~` or `$`; `all-MiniLM-L6-v2` is taken from the
    `embedder` extra when that is installed."""
    revision: str | None = None
    """Of another model of the Hub: its commit (7 to 40 hex digits), so that the same recipe gives the same vectors."""
    languages: list[str] = ["en"]
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """`auto` is bf16 where the processor multiplies it natively, otherwise fp32."""
    max_unknown: Share = 0.1
    """A text of which a larger share is unknown tokens, or encoded, is not embedded: its vector would say nothing."""


class Limits(Strict):
    """Which rows are prompts at all."""

    min_characters: int = 3
    max_characters: int = 20_000


class Contamination(Strict):
    """How close a training prompt may come to a holdout prompt."""

    ngram: Share = 0.8
    """Share of the holdout prompt's character 5-grams that the training prompt holds in one stretch, the rare ones
    counting most; and the plain share too."""
    semantic: Share = 0.95


class Templates(Strict):
    """What counts as a wrapper, and how many prompts may share one."""

    find: bool = True
    min_rows: int = 20
    min_characters: int = 60
    max_per_template: int | None = 200


class Near(Strict):
    """Jaccard similarity of character 5-grams of the normalised text."""

    duplicate: Share = 0.8
    group: Share = 0.6
    """Prompts this alike stay on one side of the split; those of opposite kinds are reported as contrast pairs."""


class Semantic(Strict):
    """Cosine of the embeddings, where the embedder really sees both texts."""

    duplicate: Share = 0.95
    group: Share = 0.92


class Labels(Strict):
    """The classifier that gives a type to adversarial rows without one."""

    infer: bool = True
    min_rows: int = 30
    min_probability: Share = 0.6


class Clusters(Strict):
    """Spherical k-means over the embeddings, and the map."""

    count: int | None = None
    """Without one: the square root of a tenth of the embedded rows."""
    fit_rows: int = Field(default=3_000, ge=1, le=10_000)
    """The map is fitted on this many rows; the others are placed among their neighbours in it."""


class Split(Strict):
    """Shares of the kept rows. Frozen by the first version."""

    test: Share = 0.1
    harmless: Share = 0.2
    """Of the harmless rows: the held-out over-refusal test."""
    by_request: bool = False
    """Keep the prompts that share a request on one side too."""


class Curation(Strict):
    """The steps, in the order in which they run."""

    limits: Limits = Limits()
    contamination: Contamination = Contamination()
    templates: Templates = Templates()
    near: Near | None = Near()
    """Null: exact duplicates only."""
    semantic: Semantic | None = Semantic()
    labels: Labels = Labels()
    clusters: Clusters = Clusters()
    split: Split = Split()
