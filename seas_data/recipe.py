"""The recipe: what to build, typed and validated.

A recipe is a YAML file. Every key is a field of the classes below, so this page is the list of all there is to set; an
unknown key or a wrong value is refused with its name and what is allowed. ``$NAME`` in a path is taken from the
environment. Paths and what they expand to are no part of the recipe's digest: the rows that they lead to are digested
instead.
"""

import difflib
import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from seas_data.errors import SeasDataError
from seas_data.loop_settings import Judge, Loop, Model, ModelHttp, Sandbox, Training
from seas_data.taxonomy import ATTACK_STYLES, RISK_CATEGORIES, RISK_MAPS, STYLE_MAPS
from seas_data.text import printable

Share = Annotated[float, Field(ge=0, le=1)]
_Model = TypeVar("_Model", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Columns(_Strict):
    """Which of the source's columns hold what."""

    text: str = "prompt"
    id: str | None = None
    """The row's id within its source; without one the row's number serves."""
    risk: str | None = None
    style: str | None = None
    kind: str | None = None
    language: str | None = None


class Unwrap(_Strict):
    """A fixed wrapper that is taken off every row of the source."""

    prefix: str = ""
    suffix: str = ""


class Source(_Strict):
    """One set of prompts: where it is, what its columns mean, and under what licence it comes."""

    path: str | None = None
    """A JSONL, CSV or Parquet file, or a folder written by `datasets`; `$NAME` is read from the environment."""
    hub: str | None = None
    """A dataset of the Hugging Face Hub, in place of a path."""
    file: str | None = None
    """A file of the Hub dataset, read like a local one, in place of a config and split."""
    config: str | None = None
    split: str | None = None
    """A split of the Hub dataset or of the `datasets` folder."""
    revision: str | None = None
    """The commit of the Hub dataset (7 to 40 hex digits). Pinned, so that the same recipe reads the same rows."""
    columns: Columns = Columns()
    kind: Literal["adversarial", "harmless", "general"] | None = None
    kind_map: dict[str, Literal["adversarial", "harmless", "general"]] | None = None
    """From the values of `columns.kind` (a `*` may end them) to kinds."""
    risk_map: str | dict[str, str] | None = None
    """A map of the taxonomy by name, or from the values of `columns.risk` to risk categories."""
    style_map: str | dict[str, str] | None = None
    licence: str | None = None
    """An SPDX identifier; none means that the set states none."""
    language: str | None = None
    """An ISO 639-1 code, where no column gives it."""
    language_pattern: str | None = None
    """A regular expression whose first group takes the language out of `columns.language`."""
    repository: str | None = None
    priority: int = 50
    """Of two duplicates the one of the lower number is kept."""
    role: Literal["training", "holdout"] = "training"
    """Holdout rows are what a model is tested on: training rows too close to them are dropped."""
    unwrap: Unwrap | None = None
    encoding: str = "utf-8"

    @model_validator(mode="after")
    def _one_place_and_one_kind(self) -> "Source":
        if (self.path is None) == (self.hub is None):
            raise ValueError("give either path or hub")
        if self.hub is not None and self.revision is None:
            raise ValueError(
                "give the revision (a commit) of a hub dataset, so that the same recipe reads the same rows"
            )
        if self.hub is not None and not re.fullmatch("[0-9a-f]{7,40}", str(self.revision)):
            raise ValueError(f"revision should be a commit, 7 to 40 hex digits: {self.revision} may move to other rows")
        if self.file is not None and (self.hub is None or self.config is not None or self.split is not None):
            raise ValueError("file is a file of a hub dataset, in place of config and split")
        if (self.kind is None) == (self.kind_map is None):
            raise ValueError("give either kind, or columns.kind with kind_map")
        if self.kind_map is not None and self.columns.kind is None:
            raise ValueError("kind_map needs columns.kind")
        return self

    @field_validator("risk_map")
    @classmethod
    def _known_risks(cls, value: str | dict[str, str] | None) -> str | dict[str, str] | None:
        return _known_map(value, RISK_MAPS, RISK_CATEGORIES)

    @field_validator("style_map")
    @classmethod
    def _known_styles(cls, value: str | dict[str, str] | None) -> str | dict[str, str] | None:
        return _known_map(value, STYLE_MAPS, ATTACK_STYLES)

    @field_validator("language_pattern")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            if value is not None and re.compile(value).groups < 1:
                raise ValueError("language_pattern needs a group: what the first (...) matches is the language")
        except re.error as problem:
            raise ValueError(f"not a regular expression: {problem}") from problem
        return value


def _known_map(
    value: str | dict[str, str] | None, maps: dict[str, dict[str, str]], values: tuple[str, ...]
) -> str | dict[str, str] | None:
    if isinstance(value, str) and value not in maps:
        raise ValueError(f"no map is called {value!r}; there are {', '.join(maps)}, or give a mapping")
    if isinstance(value, dict) and (wrong := sorted(set(value.values()) - set(values))):
        raise ValueError(f"{wrong[0]!r} is not in the taxonomy; allowed are {', '.join(values)}")
    return value


class Embedder(_Strict):
    """A sentence-transformers model and the languages it was made for."""

    model: str = "all-MiniLM-L6-v2"
    """A name on the Hub or a folder; `all-MiniLM-L6-v2` is taken from the `embedder` extra when that is installed."""
    revision: str | None = None
    languages: list[str] = ["en"]
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """`auto` is bf16 where the processor multiplies it natively, otherwise fp32."""
    max_unknown: Share = 0.1
    """A text of which a larger share is unknown tokens, or encoded, is not embedded: its vector would say nothing."""


class Limits(_Strict):
    """Which rows are prompts at all."""

    min_characters: int = 3
    max_characters: int = 20_000


class Contamination(_Strict):
    """How close a training prompt may come to a holdout prompt."""

    ngram: Share = 0.8
    """Share of the holdout prompt's character 5-grams that the training prompt holds in one stretch, the rare ones
    counting most; and the plain share too."""
    semantic: Share = 0.95


class Templates(_Strict):
    """What counts as a wrapper, and how many prompts may share one."""

    find: bool = True
    min_rows: int = 20
    min_characters: int = 60
    max_per_template: int | None = 200


class Near(_Strict):
    """Jaccard similarity of character 5-grams of the normalised text."""

    duplicate: Share = 0.8
    group: Share = 0.6
    """Prompts this alike stay on one side of the split; those of opposite kinds are reported as contrast pairs."""


class Semantic(_Strict):
    """Cosine of the embeddings, where the embedder really sees both texts."""

    duplicate: Share = 0.95
    group: Share = 0.92


class Labels(_Strict):
    """The classifier that gives a type to adversarial rows without one."""

    infer: bool = True
    min_rows: int = 30
    min_probability: Share = 0.6


class Clusters(_Strict):
    """Spherical k-means over the embeddings, and the map."""

    count: int | None = None
    """Without one: the square root of a tenth of the embedded rows."""
    fit_rows: int = Field(default=3_000, ge=1, le=10_000)
    """The map is fitted on this many rows; the others are placed among their neighbours in it."""


class Split(_Strict):
    """Shares of the kept rows. Frozen by the first version."""

    test: Share = 0.1
    harmless: Share = 0.2
    """Of the harmless rows: the held-out over-refusal test."""
    by_request: bool = False
    """Keep the prompts that share a request on one side too."""


class Curation(_Strict):
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


class RedPairs(_Strict):
    """Two attacks of one seed: the one that drew more unsafe responses against the one that drew fewer."""

    margin: Share = 0.4
    """Least difference of the two unsafe rates, which must differ in any case."""
    min_verdicts: int = Field(default=3, ge=1)
    """Verdicts that parsed, for an attack to have a rate."""
    max_length_ratio: Annotated[float, Field(ge=1)] | None = 3.0
    """Characters of the longer attack over those of the shorter."""
    max_characters: int | None = None
    near_duplicate: Share | None = 0.8
    """Jaccard similarity of character 5-grams from which two attacks are too alike to say which is better."""
    max_per_seed: int = Field(default=1, ge=1)
    """Best against worst, then second best against second worst, and so on: no attack is in two pairs."""
    max_pairs: int | None = None
    """Those of the greatest margin are kept."""
    balance: bool = False
    """Spread max_pairs evenly over the types; without it, as many of every type as of the rarest."""
    shuffle: bool = False
    """A control: the same pairs, each turned round or not by chance, so that they teach nothing."""


Choice = Literal["score", "length", "first"]


class TargetPairs(_Strict):
    """A safe and an unsafe response to one attack."""

    choose: Choice = "score"
    """The surest verdicts (without scores: the first samples), the closest lengths, or the first samples."""
    max_per_prompt: int = Field(default=1, ge=1)
    max_pairs: int | None = None
    balance: bool = False


class HarmlessPairs(_Strict):
    """A full answer and a refusal of one harmless prompt."""

    choose: Choice = "score"
    max_per_prompt: int = Field(default=1, ge=1)
    max_pairs: int | None = None


class GeneralPairs(_Strict):
    """Preference pairs of a general set, mixed in so that the target keeps its general ability."""

    ratio: Annotated[float, Field(ge=0)] | None = None
    """General pairs for each target and harmless pair; 1 unless `count` is given."""
    count: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> "GeneralPairs":
        if self.ratio is not None and self.count is not None:
            raise ValueError("give either ratio or count")
        return self


class MartRows(_Strict):
    """What MART fine-tunes on: attacks that succeeded, and responses that are safe and full answers."""

    success_rate: Share = 0.5
    min_verdicts: int = Field(default=3, ge=1)
    min_reward: float | None = None
    """With a reward model: what a safe response must reach, in place of being a full answer."""


REFERENCE_PAIRS: dict[str, Any] = {
    "red": {"margin": 0, "min_verdicts": 1, "max_length_ratio": None, "max_characters": 3000, "near_duplicate": None},
    "target": {"choose": "first"},
    "harmless": None,
}


class Pairs(_Strict):
    """What the two models are trained on."""

    mode: Literal["seas", "reference", "mart"] = "seas"
    """`reference`: the paper's rule, as its defaults below; `mart`: rows for fine-tuning in place of pairs."""
    judge: str | None = None
    """Whose verdicts count, where there are several judges."""
    refusal_judge: str | None = None
    """Whose refusal classes count, where there are several."""
    red: RedPairs = RedPairs()
    target: TargetPairs = TargetPairs()
    harmless: HarmlessPairs | None = HarmlessPairs()
    general: GeneralPairs | None = GeneralPairs()
    mart: MartRows = MartRows()

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_mode(cls, content: Any) -> Any:
        if not isinstance(content, dict) or content.get("mode") != "reference":
            return content
        defaults = {
            key: default | content[key]
            if isinstance(default, dict) and isinstance(content.get(key), dict)
            else content.get(key, default)
            for key, default in REFERENCE_PAIRS.items()
        }
        return content | defaults


class Release(_Strict):
    """What a release is held to."""

    licence: str | None = None
    """The licence that it is to have; without one, that which follows from its sources and models."""
    licences: dict[str, str] = {}
    """Of sets that are no `sources`: of general preference pairs, by what their column `source` says."""
    unparsed_share: Share = 0.05
    """Of each judge's verdicts, how many may be unparsed."""


class Recipe(_Strict):
    """All of a recipe."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    description: str = ""
    sources: Annotated[dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")], Source], Field(min_length=1)]
    pulled: str | None = None
    """Whose recipe this is, where `pull` wrote it: what it would start or call runs with `--trust` only."""
    overrides: str | None = None
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

    @model_validator(mode="after")
    def _whole(self) -> "Recipe":
        if self.loop is not None:
            _require_models(self)
        return self

    def canonical(self) -> dict[str, Any]:
        """Return the recipe as JSON data less paths and what came from the environment: what its digest covers."""
        content = self.model_dump(
            mode="json", exclude={"overrides", "pulled"} | (_LOOP_KEYS if self.loop is None else set())
        )
        if self.loop is not None:
            _without_places(content)
        for source in content["sources"].values():
            if source["path"] is not None:
                source["path"] = Path(source["path"]).name
        for embedder in content["embedders"]:
            if "/" in embedder["model"] and Path(os.path.expandvars(embedder["model"])).exists():
                embedder["model"] = Path(embedder["model"]).name
        return content

    def digest(self) -> str:
        """Return the SHA-256 of ``canonical``."""
        content = json.dumps(self.canonical(), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()


_LOOP_KEYS = {"sandbox", "loop", "models", "judges", "pairs", "training"}


def _require_models(recipe: Recipe) -> None:
    """Raise ValueError if the loop names a model or judge that the recipe does not have."""
    loop = recipe.loop
    assert loop is not None
    wanted = {"loop.red_team": loop.red_team.model, "loop.target": loop.target.model}
    wanted |= {f"judges.{judge.label}": judge.model for judge in recipe.judges if judge.by != "rules"}
    for place, name in wanted.items():
        if name not in recipe.models:
            raise ValueError(f"{place} names the model {name}, and models has {', '.join(recipe.models) or 'none'}")
    labels = [judge.label for judge in recipe.judges]
    if not labels:
        raise ValueError("a loop needs judges: without verdicts nothing can be learned")
    if len(set(labels)) < len(labels):
        raise ValueError("two judges have the same name; give one of them another")
    judges = {"pairs.judge": recipe.pairs.judge, "pairs.refusal_judge": recipe.pairs.refusal_judge}
    for place, named in (judges | {"loop.harmless.judge": loop.harmless.judge}).items():
        if named is not None and named not in labels:
            raise ValueError(f"{place} is {named}, and the judges are {', '.join(labels)}")
    if loop.target.start == "sft" and loop.instructions is None:
        raise ValueError("loop.target starts with fine-tuning, so it needs loop.instructions; or set start: given")


def _without_places(content: dict[str, Any]) -> None:
    """Take from a recipe's data what does not change its rows: where files are, and how far the loop goes."""
    del content["loop"]["iterations"]
    for key in ("instructions", "preferences"):
        if content["loop"][key] is not None:
            content["loop"][key] = Path(content["loop"][key]).name
    answers = content["loop"]["evaluation"]["answers"]
    content["loop"]["evaluation"]["answers"] = {name: Path(path).name for name, path in answers.items()}
    if content["loop"]["evaluation"]["gold"] is not None:
        content["loop"]["evaluation"]["gold"] = Path(content["loop"]["evaluation"]["gold"]).name
    for model in content["models"].values():
        if model["model"].startswith(SANDBOX) or Path(model["model"]).exists():
            model["model"] = Path(model["model"]).name


def load(path: Path, changes: list[str] | None = None) -> Recipe:
    """Read the recipe at ``path``, with ``changes`` (``a.b=value``, values as in YAML) made to it first.

    Relative paths in it are taken from the folder that it lies in. Raises SeasDataError with the key at fault.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SeasDataError(f"there is no recipe at {path}; recipes that come with the package: {_shipped()}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as problem:
        raise SeasDataError(f"{path} cannot be read as YAML: {' '.join(str(problem).split())}") from problem
    if not isinstance(content, dict):
        raise SeasDataError(f"{path} is not a recipe: it should be a mapping with the keys name and sources")
    for change in changes or []:
        _change(content, change)
    try:
        recipe = Recipe.model_validate(content)
    except ValidationError as problem:
        raise SeasDataError(f"{path}: {_explain(problem)}") from problem
    return placed(
        recipe, lambda place: place if recipe.sandbox and place.startswith(SANDBOX) else _place(path.parent, place)
    )


def require_trust(recipe: Recipe) -> None:
    """Raise SeasDataError if the recipe is somebody else's, and would start a command here or call a server."""
    if recipe.pulled is None:
        return
    for name, model in recipe.models.items():
        if isinstance(model, ModelHttp):
            does = f"run {' '.join(model.serve)!r}" if model.serve else f"call {model.url}"
            raise SeasDataError(
                f"the recipe came from {printable(recipe.pulled)}, and its model {name} would {printable(does)}: read "
                "it, and build it with --trust if that is what you want"
            )


SANDBOX = "$SANDBOX"
"""In the paths of a recipe with a `sandbox`: the folder of its files, which a build makes."""


def in_sandbox(recipe: Recipe, folder: Path) -> Recipe:
    """Return ``recipe`` with ``folder`` where its paths say ``SANDBOX``."""
    return placed(recipe, lambda place: place.replace(SANDBOX, str(folder), 1) if place.startswith(SANDBOX) else place)


def placed(recipe: Recipe, place: Callable[[str], str]) -> Recipe:
    """Return ``recipe`` with every path in it put through ``place``, and the model folders of a sandbox too."""

    def put(settings: _Model, *keys: str) -> _Model:
        changed = {key: place(path) for key in keys if (path := getattr(settings, key)) is not None}
        return settings.model_copy(update=changed)

    loop = recipe.loop
    if loop is not None:
        answers = {name: place(path) for name, path in loop.evaluation.answers.items()}
        evaluation = put(loop.evaluation, "gold").model_copy(update={"answers": answers})
        loop = put(loop, "instructions", "preferences").model_copy(update={"evaluation": evaluation})
    models = {
        name: put(model, "model") if model.model.startswith(SANDBOX) else model for name, model in recipe.models.items()
    }
    sources = {name: put(source, "path") for name, source in recipe.sources.items()}
    return put(recipe, "overrides").model_copy(update={"sources": sources, "loop": loop, "models": models})


def shipped(name: str) -> Path:
    """Return the recipe ``name`` as given, or, where there is no such file, the one of that name in the package.

    A name with a folder other than ``pipelines`` is a file of yours, and is not looked for in the package.
    """
    from seas_data.resources import folder

    path = Path(name)
    inside = folder("pipelines") / f"{path.stem}.yaml"
    ours = str(path.parent) in (".", "pipelines")
    return inside if ours and not path.exists() and inside.exists() else path


def _shipped() -> str:
    from seas_data.resources import folder

    return ", ".join(sorted(f"pipelines/{path.name}" for path in folder("pipelines").glob("*.yaml")))


def _place(folder: Path, path: str) -> str:
    expanded = os.path.expandvars(path)
    if unset := re.search(r"\$\{?(\w+)", expanded):
        raise SeasDataError(f"the recipe reads {path}, but ${unset[1]} is not set; set it to the folder it stands for")
    return str(folder / Path(expanded).expanduser())


def _change(content: dict[str, Any], change: str) -> None:
    key, equals, value = change.partition("=")
    if not equals or not key:
        raise SeasDataError(f"--set {change}: write it as a.b=value")
    *parents, last = key.split(".")
    place = content
    for parent in parents:
        below = {} if place.get(parent) is None else place[parent]
        if not isinstance(below, dict):
            raise SeasDataError(f"--set {change}: {parent} is a value, so nothing can be set below it")
        # A YAML alias is the very mapping that its anchor names: changed in place, the other would change too.
        place[parent] = dict(below)
        place = place[parent]
    try:
        place[last] = yaml.safe_load(value)
    except yaml.YAMLError as problem:
        raise SeasDataError(f"--set {change}: {value!r} is not a YAML value") from problem


def _explain(problem: ValidationError) -> str:
    """Say of each fault which key it is and what is allowed there."""
    return "; ".join(_fault(dict(error)) for error in problem.errors())


def _fault(error: dict[str, Any]) -> str:
    key = ".".join(str(part) for part in error["loc"]) or "the recipe"
    if error["type"] == "extra_forbidden":
        allowed = sorted(_fields_at(error["loc"][:-1]))
        near = difflib.get_close_matches(str(error["loc"][-1]), allowed, n=1)
        meant = f" (did you mean {near[0]}?)" if near else ""
        return f"{key} is not a key{meant}; allowed there: {', '.join(allowed)}"
    if error["type"] == "missing":
        return f"{key} is missing"
    given = error["input"]
    shown = f" (given: {given!r})" if isinstance(given, str | int | float | bool) else ""
    return f"{key}: {error['msg'].removeprefix('Value error, ')}{shown}"


def _fields_at(location: tuple[str | int, ...]) -> set[str]:
    model: Any = Recipe
    for part in location:
        model = model.model_fields[part].annotation if isinstance(part, str) and part in model.model_fields else model
        model = next((kind for kind in _models_in(model)), model)
    return set(model.model_fields)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]
