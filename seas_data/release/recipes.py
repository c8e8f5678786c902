"""What a release asks of the recipes that its version and the versions before it were built from.

Rows keep what was said of them when they came, but of models only recipes speak: which one played which part, and
under what licence. A model may be swapped between two iterations, and a later build may have no loop at all, so the
recipes of all versions count (``played``), and not the newest alone.

A recipe in a manifest may be older than this program, or, where it was pulled, be anybody's. So it is not read as one
that is to be built: only what a release needs, and whatever else is in it.
"""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.release.privacy import redact as scrub
from seas_data.store import Manifest
from seas_data.text import printable

_OrDefault = BeforeValidator(lambda value: {} if value is None else value)


class _Loose(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Source(_Loose):
    """A source, and what it says of itself."""

    licence: str | None = None
    hub: str | None = None


class Model(_Loose):
    """A model: its checkpoint, and the licence that it comes under."""

    model: str = ""
    revision: str | None = None
    licence: str | None = None


class Judge(_Loose):
    """A judge. ``by``: guard, rules or refusal; ``model``: one of the recipe's models, of rules none."""

    by: str
    name: str = ""
    guard: str | None = None
    model: str | None = None

    @property
    def label(self) -> str:
        """Return what verdicts name this judge."""
        return self.name or self.guard or {"refusal": "xstest"}.get(self.by, self.by)


class Player(_Loose):
    """One of the two that train against each other."""

    model: str


class Loop(_Loose):
    """The loop's players."""

    red_team: Player = Player(model="red")
    target: Player = Player(model="target")


class Mart(_Loose):
    """The model that says which responses MART learns, if one does."""

    reward: str | None = None


class Pairs(_Loose):
    """What the models learn from."""

    mode: str = ""
    mart: Annotated[Mart, _OrDefault] = Mart()


class Release(_Loose):
    """What a release is held to."""

    licence: str | None = None
    licences: dict[str, str] = {}
    unparsed_share: float = 0.05


class Lora(_Loose):
    """The rank of the adapters that are trained."""

    rank: int | None = None


class Training(_Loose):
    """The settings of one of the loop's trainings that a card tells."""

    loss: list[str] = ["likelihood"]
    learning_rate: float | None = None
    batch: int | None = None
    epochs: float | None = None
    beta: float | None = None
    lora: Lora | None = None


class Said(_Loose):
    """What a recipe says that a release has to know."""

    name: str = "dataset"
    description: str = ""
    sources: dict[str, Source] = {}
    loop: Annotated[Loop, _OrDefault] = Loop()
    models: dict[str, Model] = {}
    judges: list[Judge] = []
    pairs: Annotated[Pairs, _OrDefault] = Pairs()
    training: dict[str, Training | None] = {}
    release: Annotated[Release, _OrDefault] = Release()

    def player(self, role: str) -> str:
        """Return the name of the model that plays ``role``: red or target."""
        return (self.loop.red_team if role == "red" else self.loop.target).model

    @property
    def reward(self) -> str | None:
        """Return the name of the model that chose what MART learned."""
        return self.pairs.mart.reward if self.pairs.mode == "mart" else None


def of(manifest: Manifest) -> Said:
    """Return what the recipe of ``manifest`` says, as ``scrub`` leaves it. Raises SeasDataError if it is no recipe."""
    try:
        return Said.model_validate(scrub.recipe(manifest.recipe))
    except ValidationError as problem:
        key = printable(".".join(str(part) for part in problem.errors()[0]["loc"]))
        raise SeasDataError(
            f"{manifest.version} was built from a recipe that cannot be read ({key} is not what it should be), so it "
            "cannot be released; build it again from one that seas-data build takes"
        ) from None


def played(version: Version) -> dict[int, Said]:
    """Return the recipe of each iteration that was played for ``version``, as far as its ancestors are here."""
    found: dict[int, Said] = {}
    before = 0
    for name in version.workspace.lineage(version.manifest):
        manifest = version.manifest if name == version.name else version.workspace.manifest(name)
        if manifest.iteration > before:
            found[manifest.iteration] = of(manifest)
        before = manifest.iteration
    return found
