"""The whole recipe, and its digest."""

import hashlib
import json
import re
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from seas_data.recipe.base import Proportion, StrictModel
from seas_data.recipe.curation import Curation, Embedder
from seas_data.recipe.judges import Judge
from seas_data.recipe.loop import Loop, Sandbox
from seas_data.recipe.models import Model
from seas_data.recipe.pairs import Pairs
from seas_data.recipe.paths import RecipePath
from seas_data.recipe.sources import Source
from seas_data.recipe.taxonomy import Labelling, TaxonomyKey, default_taxonomy
from seas_data.recipe.training import Training


class Release(StrictModel):
    """Requirements of a release."""

    licence: str | None = None
    """Licence of the release. Null: the one that follows from its sources and models."""
    licences: dict[str, str] = {}
    """Licences of sets that are not in `sources`: of general preference pairs, by their column `source`."""
    max_unparsed_proportion: Proportion = 0.05
    """Proportion of each judge's verdicts that may be unparsed."""


class Ray(StrictModel):
    """The Ray cluster of `build --engine ray`. It changes no row, and is not part of the recipe's digest."""

    address: str | None = None
    """Address of the head node, such as 10.0.0.5:6379. Null: that in `$RAY_ADDRESS`, or else a Ray on this machine."""
    store: str | None = None
    """Where nodes store results: a folder that all of them see, or `s3://bucket/prefix`. Null: the workspace."""

    @field_validator("store")
    @classmethod
    def _require_address(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"/.+|[a-z0-9]+://[^/]+/.*[^/].*", value):
            raise ValueError("give the whole path of a folder, or a URL with a prefix, such as s3://bucket/prefix")
        if value is not None and re.match(r"[a-z0-9]+://[^/]*@", value):  # messages name the store
            raise ValueError("give the name and the password for the store in the environment, not in the address")
        return value


class Recipe(StrictModel):
    """All keys of a recipe."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    """Name of the recipe."""
    description: str = ""
    """One sentence, shown in lists and cards."""
    sources: Annotated[dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")], Source], Field(min_length=1)]
    """The sets of prompts, by name."""
    taxonomy: TaxonomyKey = Field(default_factory=default_taxonomy)
    """The categories: `seas`, another packaged taxonomy, or a YAML file of one's own."""
    pulled_from: str | None = None
    """The release from which `pull` took this recipe. What it would start or call runs with `--trust` only."""
    overrides: RecipePath | None = None
    """A CSV file of decisions of people: prompt_id, decision, label, who, because."""
    embedders: list[Embedder] = [Embedder()]
    """Embedding models. A text is embedded by the first one that supports its language."""
    curation: Curation = Curation()
    """The steps of curation."""
    sandbox: Sandbox | None = None
    """A harmless mini-world to generate. `$SANDBOX` in paths is the folder of its files and models."""
    loop: Loop | None = None
    """The self-evolving loop. Null: a build ends with the version made from the sources."""
    models: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")], Model] = {}
    """The models, by name."""
    judges: list[Judge] = []
    """The judges of responses and prompts."""
    pairs: Pairs = Pairs()
    """The pairs that the two models are trained on. Without a loop: the pairs of the answers that sources bring, if the
    key is given."""
    training: Training = Training()
    """The settings of each training."""
    release: Release = Release()
    """Requirements of a release."""
    ray: Ray = Ray()
    """The Ray cluster of `build --engine ray`."""

    @property
    def pairs_from_sources(self) -> bool:
        """Return whether pairs are made of the answers that sources bring: `pairs` is given, and there is no loop."""
        brought = any(source.brings_answers for source in self.sources.values())
        return self.loop is None and "pairs" in self.model_fields_set and brought

    @model_validator(mode="after")
    def _check_label_maps(self) -> "Recipe":
        errors = [
            InitErrorDetails(
                type=PydanticCustomError("value_error", "{message}", {"message": message}),
                loc=("sources", name, key),
                input=getattr(source, key),
            )
            for name, source in self.sources.items()
            for key, message in self.labelling.faults(source)
        ]
        if errors:
            raise ValidationError.from_exception_data("Recipe", errors)
        return self

    @property
    def labelling(self) -> Labelling:
        """How the labels of sources are mapped."""
        return Labelling(self.taxonomy)

    def canonical(self) -> dict[str, Any]:
        """Return the recipe as JSON data without what does not change its rows: the content of its digest.

        Paths are reduced to names. The number of iterations and the maps of labels that no source uses are left out.
        """
        used = {"pairs", "training"} if self.pairs_from_sources else set()
        left_out = {"overrides", "pulled_from", "ray"} | (_LOOP_KEYS - used if self.loop is None else set())
        content = self.model_dump(mode="json", context={"digest": True}, exclude=left_out)
        content["taxonomy"] = self.labelling.used_maps(self.sources.values()).model_dump()
        for name, source in self.sources.items():
            content["sources"][name]["hazard_map"] = dict(self.labelling.hazard_map(source)) or None
        for source in content["sources"].values():
            del source["max_unreadable_proportion"]  # it decides whether a build stops, and changes no row
        if self.loop is not None:
            del content["loop"]["iterations"]
        return content

    def digest(self) -> str:
        """Return the SHA-256 of ``canonical``."""
        content = json.dumps(self.canonical(), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()


_LOOP_KEYS = {"sandbox", "loop", "models", "judges", "pairs", "training"}
