"""Recipe keys of curation: the embedders, and the settings of each step."""

from typing import Final, Literal

from pydantic import Field, field_validator

from seas_data.recipe.base import Proportion, StrictModel
from seas_data.recipe.dedup import Near, Semantic
from seas_data.recipe.languages import normalize_language
from seas_data.recipe.paths import ModelReference

BUNDLED_EMBEDDERS: Final = {
    "all-MiniLM-L6-v2": "embedder",
    "sentence-transformers/all-MiniLM-L6-v2": "embedder",
    "multilingual-e5-small-q4": "multilingual",
}
"""Embedders inside Python packages, and the extra that installs each."""


class Embedder(StrictModel):
    """A sentence-transformers model and the languages that it supports."""

    model: ModelReference = "all-MiniLM-L6-v2"
    """A name on the Hub, or a folder, which begins with `./`, `/`, `~` or `$`. `all-MiniLM-L6-v2` is taken from the
    extra `embedder` if that is installed, and `multilingual-e5-small-q4` is in the extra `multilingual`."""
    revision: str | None = None
    """Commit (7 to 40 hex digits) of another model of the Hub, so that the same recipe gives the same vectors."""
    languages: list[str] | Literal["all"] = ["en"]
    """The languages whose prompts this model embeds: ISO 639 codes, BCP 47 tags or English names. `all`: every prompt,
    also one of no known language."""
    prompt: str | None = None
    """Text before each prompt, such as `"query: "` for models of the E5 family. Null: the one in the model's files."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Number format of the model's weights. `auto` is bf16 if the processor multiplies it natively, otherwise fp32."""
    max_unknown_proportion: Proportion = 0.1
    """A text with a larger proportion of unknown tokens or encoded characters, in itself or in a window of it, is not
    embedded: the vector would carry no meaning."""

    @field_validator("languages")
    @classmethod
    def _normalize_languages(cls, value: list[str] | Literal["all"]) -> list[str] | Literal["all"]:
        return value if value == "all" else [normalize_language(each) or each for each in value]

    @property
    def named_languages(self) -> str:
        """The languages in one text: ``en/fr``, or ``all languages``."""
        return "all languages" if self.languages == "all" else "/".join(self.languages)

    def reads(self, language: str) -> bool:
        """Return whether this model was declared for ``language``."""
        return self.languages == "all" or language in self.languages


class Limits(StrictModel):
    """Lengths that a prompt may have."""

    min_characters: int = 3
    """Shorter rows are dropped."""
    max_characters: int = 20_000
    """Longer rows are dropped."""


class Contamination(StrictModel):
    """Similarity to a holdout prompt from which a training prompt is dropped."""

    ngram_threshold: Proportion = 0.8
    """Proportion of the holdout prompt's character 5-grams that the training prompt contains in one stretch. Both the
    proportion weighted by rarity and the plain one must reach it."""
    semantic_threshold: Proportion = 0.95
    """Cosine similarity of the embeddings."""


class Templates(StrictModel):
    """Detection of wrappers, and the number of prompts that may share one."""

    detect: bool = True
    """Whether to look for wrappers that prompts share."""
    min_rows: int = 20
    """Prompts that must share a text for it to be a wrapper."""
    min_characters: int = 60
    """Characters that a wrapper must have."""
    max_per_template: int | None = 200
    """Prompts kept for each template; the others are dropped. Null: no limit."""


class Labels(StrictModel):
    """The classifier that gives a type to adversarial prompts without one."""

    infer: bool = True
    """Whether to infer missing types."""
    min_rows: int = 30
    """Labelled prompts that a type needs to be learned."""
    min_probability: Proportion = 0.6
    """Probability from which an inferred type is used."""


class Clusters(StrictModel):
    """Spherical k-means over the embeddings, and the map of the prompts."""

    count: int | None = None
    """Number of clusters. Null: the square root of a tenth of the number of embedded prompts."""
    map_fit_rows: int = Field(default=3_000, ge=1, le=10_000)
    """Prompts on which the map is fitted. The others are placed among their neighbours in it."""


class Split(StrictModel):
    """Proportions of the kept prompts that are split off. The first version of a workspace fixes them."""

    test: Proportion = 0.1
    """Proportion of adversarial and general prompts in the split `test`."""
    harmless: Proportion = 0.2
    """Proportion of harmless prompts in the split `harmless`, the over-refusal test."""
    group_by_request: bool = False
    """Whether prompts with the same request get the same split as well."""


class Curation(StrictModel):
    """The steps of curation, in the order in which they run."""

    limits: Limits = Limits()
    """Lengths that a prompt may have."""
    contamination: Contamination = Contamination()
    """Similarity to holdout prompts."""
    templates: Templates = Templates()
    """Wrappers that prompts share."""
    near: Near | None = Near()
    """Near duplicates. Null: only exact duplicates are dropped."""
    semantic: Semantic | None = Semantic()
    """Semantic duplicates. Null: none are looked for."""
    drop_disguised: bool = False
    """Whether a row that equals a kept one only in disguise (look-alike letters, other widths, invisible characters) is
    dropped. Otherwise it is flagged, kept and on the side of the split of the plain text."""
    drop_other_system_turns: bool = False
    """Whether a copy of a kept row, exact or similar, is dropped although their system turns differ. Otherwise both are
    kept, share a request, and are on the same side of the split."""
    separate_negations: bool = True
    """Whether two similar texts of which one negates the other (safe, not safe, unsafe) are related instead of
    duplicates, so that neither is dropped."""
    labels: Labels = Labels()
    """Inferred types."""
    clusters: Clusters = Clusters()
    """Clusters and the map."""
    split: Split = Split()
    """Test splits."""
