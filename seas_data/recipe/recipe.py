"""The whole recipe, and its digest."""

import hashlib
import json
from typing import Annotated, Any

from pydantic import Field

from seas_data.recipe.base import Share, Strict
from seas_data.recipe.curation import Curation, Embedder
from seas_data.recipe.judges import Judge
from seas_data.recipe.loop import Loop, Sandbox
from seas_data.recipe.models import Model
from seas_data.recipe.pairs import Pairs
from seas_data.recipe.paths import Place
from seas_data.recipe.sources import Source
from seas_data.recipe.training import Training


class Release(Strict):
    """What a release is held to."""

    licence: str | None = None
    """The licence that it is to have; without one, that which follows from its sources and models."""
    licences: dict[str, str] = {}
    """Of sets that are no `sources`: of general preference pairs, by what their column `source` says."""
    unparsed_share: Share = 0.05
    """Of each judge's verdicts, how many may be unparsed."""


class Recipe(Strict):
    """All of a recipe."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    description: str = ""
    sources: Annotated[dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")], Source], Field(min_length=1)]
    pulled: str | None = None
    """Whose recipe this is, where `pull` wrote it: what it would start or call runs with `--trust` only."""
    overrides: Place | None = None
    """A CSV of what people decided: prompt_id, decision, label, who, because."""
    embedders: list[Embedder] = [Embedder()]
    """For each text the first one declared for its language."""
    curation: Curation = Curation()
    sandbox: Sandbox | None = None
    """With one, `$SANDBOX` stands in paths for the folder into which its files and models are written."""
    loop: Loop | None = None
    """Without one, a build ends with the version that the sources make."""
    models: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")], Model] = {}
    judges: list[Judge] = []
    pairs: Pairs = Pairs()
    training: Training = Training()
    release: Release = Release()

    def canonical(self) -> dict[str, Any]:
        """Return the recipe as JSON data less what does not change its rows: what its digest covers.

        Of a path it has the name alone, and it says nothing of how far the loop goes.
        """
        left_out = {"overrides", "pulled"} | (_LOOP_KEYS if self.loop is None else set())
        content = self.model_dump(mode="json", context={"digest": True}, exclude=left_out)
        if self.loop is not None:
            del content["loop"]["iterations"]
        return content

    def digest(self) -> str:
        """Return the SHA-256 of ``canonical``."""
        content = json.dumps(self.canonical(), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()


_LOOP_KEYS = {"sandbox", "loop", "models", "judges", "pairs", "training"}
