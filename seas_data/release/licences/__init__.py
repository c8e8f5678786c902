"""The licence of a release, derived from the licences of its sources and of the models that wrote for it.

A release combines many works, so its licence must require at least as much as that of each part:

- A part without a licence, with an unknown one, or with one that permits no derivatives: no licence is possible.
- Share-alike parts: their licence in its newest version, if all other parts permit that. Two share-alike families, or
  a non-commercial part with a commercial share-alike one, permit no licence.
- Otherwise, with non-commercial parts: the non-commercial licence of Creative Commons.
- Otherwise, the licence of the part that requires most.

The licence of a model does not cover its outputs: a permissive or share-alike one has no effect on them. But it may
state terms for outputs. Then these terms are listed with the release, and the release must attribute the model; a
non-commercial model makes the release non-commercial. If outputs may improve only models of one family and the version
trained others, no licence is possible.

``table.py`` has the terms of each licence. This is an engineer's reading, not legal advice.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import polars as pl

from seas_data.query import sql
from seas_data.query.version import Version
from seas_data.recipe.models import Model
from seas_data.recipe.recipe import Recipe
from seas_data.release import recipes
from seas_data.release.licences.table import Licence, creative_commons, find_licence
from seas_data.release.visibility import Profile, redact


@dataclass(frozen=True)
class Part:
    """A source, model or set of general pairs with rows in the release, and its stated licence."""

    kind: Literal["source", "model", "pairs"]
    name: str
    licence: str | None
    trained: bool = False
    """Whether it is a model that the version trained."""

    @property
    def terms(self) -> Licence | None:
        """The terms of the licence; None if it is unknown."""
        return find_licence(self.licence) if self.licence else None


@dataclass(frozen=True)
class LicenceResult:
    """The licence of a release, or None; the parts that it derives from, sorted; and faults.

    ``faults``: a message for each reason why the release has no licence, with the names of the parts at fault.
    """

    licence: Licence | None
    parts: tuple[Part, ...]
    faults: tuple[tuple[str, tuple[str, ...]], ...]


def derive_licence(version: Version, profile: Profile) -> LicenceResult:
    """Return the licence under which ``profile`` of ``version`` can be released."""
    return combine(collect_parts(version, profile), recipes.read_recipe(version.manifest).release.licence)


def combine(parts: Iterable[Part], stated: str | None = None) -> LicenceResult:
    """Return the licence that ``parts`` permit together, or the ``stated`` one if it requires no less."""
    parts = sorted(parts, key=lambda part: (part.kind, part.name, part.licence or ""))
    known = [(part, licence) for part in parts if (licence := part.terms) is not None]
    faults = [fault for fault in (*_unusable(parts), *_misused(known)) if fault[1]]
    derived = None
    if not faults:
        derived, fault = _derive(known)
        faults += [fault] if fault else []
    if derived is not None and stated is not None:
        derived, fault = _check_stated(stated, derived)
        faults += [fault] if fault else []
    return LicenceResult(derived, tuple(parts), tuple(faults))


Fault = tuple[str, tuple[str, ...]]


def _unusable(parts: list[Part]) -> list[Fault]:
    """Return the faults of single parts."""
    missing = [part for part in parts if not part.licence]
    unknown = [part for part in parts if part.licence and part.terms is None]
    closed = [part for part in parts if part.terms is not None and not part.terms.derivatives]
    return [
        (
            f"no licence is stated for {_list(missing)}; state it in the recipe (sources.NAME.licence, "
            "models.NAME.licence, release.licences), or remove these parts",
            _names(missing),
        ),
        (f"the licence of {_list(unknown)} is unknown; state its SPDX identifier", _names(unknown)),
        (f"the licence of {_list(closed)} permits no derivatives; remove these parts", _names(closed)),
    ]


def _misused(known: list[tuple[Part, Licence]]) -> list[Fault]:
    """Return the models whose outputs trained a model that their licence excludes."""
    faults: list[Fault] = []
    for part, licence in known:
        others = [each for each, own in known if each.trained and licence.only_for and own.only_for != licence.only_for]
        if others:
            message = (
                f"outputs of {part.name} ({licence.id}) may not improve other models, but {_list(others)} was "
                "trained on them; use another model"
            )
            faults.append((message, (part.name,)))
    return faults


def _derive(known: list[tuple[Part, Licence]]) -> tuple[Licence | None, Fault | None]:
    """Return the licence that usable parts permit together, or the fault if there is none."""
    sets = [(part, licence) for part, licence in known if part.kind != "model"]
    families: dict[str, list[tuple[Part, Licence]]] = {}
    for part, licence in sets:
        # A set that is published under a model's licence passes its terms on.
        family = licence.id if licence.is_model_licence else licence.share_alike
        if family is not None:
            families.setdefault(family, []).append((part, licence))
    non_commercial = [part for part, licence in known if not licence.commercial]
    if len(families) > 1:
        parts = [part for each in families.values() for part, _ in each]
        return None, (
            f"{_list(parts)} must each keep their own licence, so they cannot be in one release; keep only parts with "
            "one of these licences",
            _names(parts),
        )
    if families:
        members = next(iter(families.values()))
        licence = max((licence for _, licence in members), key=_strictness)
        if licence.commercial and non_commercial:
            parts = [*non_commercial, *(part for part, _ in members)]
            return None, (
                f"{_list(non_commercial)} may not be used commercially, but {licence.id} must permit it; remove one of "
                "them",
                _names(parts),
            )
        return licence, None
    if non_commercial:
        versions = [licence.version for _, licence in sets if licence.version]
        return creative_commons("by-nc", max(versions, default=4.0)), None
    duties = [licence.duty for part, licence in known if part.kind != "model" or licence.outputs]
    best = max((licence for _, licence in sets), key=lambda each: (each.duty, each.version, each.id), default=None)
    return (best if best is not None and best.duty >= max(duties, default=0) else creative_commons("by")), None


def _strictness(licence: Licence) -> tuple[float, bool]:
    """Return a sort key for the licences of a family: "this version only" requires more than "or any later version"."""
    return licence.version, licence.id.endswith("-only")


def _check_stated(name: str, derived: Licence) -> tuple[Licence | None, Fault | None]:
    """Return the stated licence, or the fault if it requires less than the ``derived`` one."""
    stated = find_licence(name)
    if stated is None:
        return None, (f"release.licence is {name}, which is unknown; state its SPDX identifier", (name,))
    kept = derived.share_alike in (None, stated.share_alike) and (derived.share_alike is None or stated.derivatives)
    same = derived.share_alike is None or _strictness(stated) >= _strictness(derived)
    if kept and same and stated.duty >= derived.duty and stated.commercial <= derived.commercial:
        return stated, None
    return None, (
        f"release.licence is {stated.id}, which permits more than {derived.id}, the licence that derives from the "
        "sources and models; state that one, or none",
        (stated.id,),
    )


def _list(parts: list[Part]) -> str:
    return ", ".join(f"{part.kind} {part.name}" + f" ({part.licence})" * bool(part.licence) for part in parts)


def _names(parts: list[Part]) -> tuple[str, ...]:
    return tuple(part.name for part in parts)


def collect_parts(version: Version, profile: Profile) -> list[Part]:
    """Return the sources and sets of pairs with text in ``profile`` of ``version``, and the models that contributed."""
    newest, by_iteration = recipes.read_recipe(version.manifest), list(recipes.read_iteration_recipes(version).values())
    sources, sets, writers, judges = sql.run_all(version.paths(), [(query, {}) for query in _PARTS])
    # A source whose text the profile withholds is not passed on. Which rows it shows does not depend on the texts.
    shown = redact("prompts", sources, profile).drop_nulls("text")
    # Rows keep the licence that the recipe stated when they were read; if it states another now, both apply.
    stated: dict[str, set[str | None]] = {
        name: {newest.sources[name].licence} if name in newest.sources else set() for name in shown["source"]
    }
    for name, licence in shown["source", "licence"].iter_rows():
        stated[name].add(licence)
    named = {name for table in ("pairs", "demonstrations") for name in _shown(table, sets, profile)["source"]}
    of_sets = {name: {each.release.licences.get(name) for each in (*by_iteration, newest)} for name in sorted(named)}
    return [
        *(Part("source", name, licence) for name, both in stated.items() for licence in both - {None} or {None}),
        *(Part("pairs", name, licence) for name, both in of_sets.items() for licence in both - {None} or {None}),
        *_models(newest, by_iteration, dict(writers.iter_rows()), judges["judge"].drop_nulls().to_list()),
    ]


def _shown(table: str, sets: pl.DataFrame, profile: Profile) -> pl.DataFrame:
    return redact(table, sets.filter(pl.col("place") == table), profile)


_PARTS = (
    "select distinct source, role, licence, '' as text from prompts where model is null",
    """
    select distinct 'pairs' as place, role, source from pairs where source is not null
    union all select distinct 'demonstrations', role, source from demonstrations where source is not null
    """,
    """
    with writers as (select model from attacks union select model from responses where source is null
        union select model from prompts),
    roles as (select distinct role from checkpoints semi join writers using (model))
    select role, bool_or(method in ('sft', 'dpo')) as trained
    from checkpoints semi join roles using (role) group by role
    """,
    """
    select distinct judge from verdicts join responses using (response_id) where responses.source is null
    union select substr(label_source, 7) from prompts where label_source like 'judge:%'
    """,
)


def _models(newest: Recipe, by_iteration: list[Recipe], roles: dict[str, bool], judges: list[str]) -> list[Part]:
    """Return the models that wrote, judged or gave rewards, by their names in the recipes.

    ``by_iteration``: the recipe of each iteration. ``newest``: the newest recipe, which may state a licence that an
    earlier one lacks. ``roles``: the roles that wrote, and whether they were trained. ``judges``: labels of judges.
    """
    found: dict[tuple[str, str | None], bool] = {}
    for index, recipe in enumerate(by_iteration):
        later = (*by_iteration[index + 1 :], newest)
        used = {judge.model: False for judge in recipe.judges if judge.label in judges and judge.model is not None}
        used |= {} if (reward := recipes.reward_model(recipe)) is None else {reward: False}
        for role, trained in roles.items():
            model = recipes.loop_model(recipe, role)
            used[model] = trained or used.get(model, False)
        for name, trained in used.items():
            for licence in _licences(name, recipe, later):
                found[name, licence] = trained or found.get((name, licence), False)
    known = {judge.label for recipe in by_iteration for judge in recipe.judges}
    found |= {(name, None): False for name in judges if name not in known}
    return [Part("model", name, licence, trained) for (name, licence), trained in found.items()]


def _licences(name: str, recipe: Recipe, later: Iterable[Recipe]) -> set[str | None]:
    """Return the licence that ``recipe`` states for a model; if it states none, those of ``later`` recipes."""
    model: Model | None = recipe.models.get(name)
    if model is not None and model.licence is not None:
        return {model.licence}
    same = (each.models[name] for each in later if name in each.models)
    return {each.licence for each in same if model is not None and each.model == model.model} - {None} or {None}
