"""The licence of a release: what follows from the licences of its sources and of the models that wrote for it.

A release is one work made of many. So it may be licensed under nothing that asks less than any of its parts:

- one part without a licence, or with an unknown one, or with one that allows no derivatives: there is none;
- share-alike parts: their licence, in its newest version, if all other parts allow that. Two share-alike families, or
  a non-commercial part beside a share-alike one that is commercial, allow none;
- else non-commercial parts: Creative Commons' non-commercial licence;
- else the licence of the part that asks most.

A model's licence is no licence of what it wrote: a permissive or share-alike one binds nothing. But it may say what
outputs may be used for. Then that sentence goes with the release, and the duty to name the model; a model that is not
for commercial use makes the release non-commercial. Where outputs may improve only models of one family, and the
version trained others, that is a fault.

What each licence asks is in ``licence_table``. This is an engineer's reading, no advice of a lawyer.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import polars as pl

from seas_data.query import sql
from seas_data.query.version import Version
from seas_data.release import recipes
from seas_data.release.licences.table import Licence, creative_commons, find
from seas_data.release.recipes import Model, Said
from seas_data.release.visibility import Profile, redact


@dataclass(frozen=True)
class Part:
    """A source, a model or a set of general pairs with rows in the release, and the licence it is said to have."""

    kind: Literal["source", "model", "pairs"]
    name: str
    licence: str | None
    trained: bool = False
    """Whether it is a model that this version trained."""

    @property
    def known(self) -> Licence | None:
        """What the licence asks, if it is one that is known."""
        return find(self.licence) if self.licence else None


@dataclass(frozen=True)
class Outcome:
    """``licence``: that of the release, or None. ``parts``: what it follows from, sorted.

    ``faults``: a sentence for each reason why it cannot be released so, and the names of the parts at fault.
    """

    licence: Licence | None
    parts: tuple[Part, ...]
    faults: tuple[tuple[str, tuple[str, ...]], ...]


def of(version: Version, profile: Profile) -> Outcome:
    """Return the licence under which ``profile`` of ``version`` can be released."""
    return derive(parts(version, profile), recipes.of(version.manifest).release.licence)


def derive(parts: Iterable[Part], stated: str | None = None) -> Outcome:
    """Return the licence that follows from ``parts``; ``stated``, if it asks no less, in its place."""
    parts = sorted(parts, key=lambda part: (part.kind, part.name, part.licence or ""))
    known = [(part, licence) for part in parts if (licence := part.known) is not None]
    faults = [fault for fault in (*_unusable(parts), *_misused(known)) if fault[1]]
    followed = None
    if not faults:
        followed, fault = _followed(known)
        faults += [fault] if fault else []
    if followed is not None and stated is not None:
        followed, fault = _stated(stated, followed)
        faults += [fault] if fault else []
    return Outcome(followed, tuple(parts), tuple(faults))


Fault = tuple[str, tuple[str, ...]]


def _unusable(parts: list[Part]) -> list[Fault]:
    """Return what is wrong with parts by themselves."""
    missing = [part for part in parts if not part.licence]
    unknown = [part for part in parts if part.licence and part.known is None]
    closed = [part for part in parts if part.known is not None and not part.known.derivatives]
    return [
        (
            f"no licence is stated for {_list(missing)}; state it in the recipe (sources.NAME.licence, "
            "models.NAME.licence, release.licences), or leave out what has none",
            _names(missing),
        ),
        (f"the licence of {_list(unknown)} is not known; name it by its SPDX identifier", _names(unknown)),
        (f"the licence of {_list(closed)} allows no derivatives; leave it out", _names(closed)),
    ]


def _misused(known: list[tuple[Part, Licence]]) -> list[Fault]:
    """Return where outputs trained a model that their model's licence rules out."""
    faults: list[Fault] = []
    for part, licence in known:
        others = [each for each, own in known if each.trained and licence.only_for and own.only_for != licence.only_for]
        if others:
            sentence = f"outputs of {part.name} ({licence.id}) may improve no other models, and {_list(others)} learned"
            faults.append((f"{sentence} from them; use another model", (part.name,)))
    return faults


def _followed(known: list[tuple[Part, Licence]]) -> tuple[Licence | None, Fault | None]:
    """Return the licence that follows from parts that are all usable, or why there is none."""
    sets = [(part, licence) for part, licence in known if part.kind != "model"]
    families: dict[str, list[tuple[Part, Licence]]] = {}
    for part, licence in sets:
        # Who publishes a set under a model's licence passes that licence's terms on.
        family = licence.id if licence.of_model else licence.share_alike
        if family is not None:
            families.setdefault(family, []).append((part, licence))
    limited = [part for part, licence in known if not licence.commercial]
    if len(families) > 1:
        parts = [part for each in families.values() for part, _ in each]
        return None, (
            f"{_list(parts)} must each stay under a licence of their own, so they cannot be in one release; leave out "
            "all but those of one licence",
            _names(parts),
        )
    if families:
        members = next(iter(families.values()))
        licence = max((licence for _, licence in members), key=_strictness)
        if licence.commercial and limited:
            parts = [*limited, *(part for part, _ in members)]
            return None, (
                f"{_list(limited)} may not be used commercially, and {licence.id} must allow it; leave one of them out",
                _names(parts),
            )
        return licence, None
    if limited:
        versions = [licence.version for _, licence in sets if licence.version]
        return creative_commons("by-nc", max(versions, default=4.0)), None
    duties = [licence.duty for part, licence in known if part.kind != "model" or licence.outputs]
    best = max((licence for _, licence in sets), key=lambda each: (each.duty, each.version, each.id), default=None)
    return (best if best is not None and best.duty >= max(duties, default=0) else creative_commons("by")), None


def _strictness(licence: Licence) -> tuple[float, bool]:
    """Return what orders the licences of a family: one of this version only asks more than one of a later one too."""
    return licence.version, licence.id.endswith("-only")


def _stated(name: str, followed: Licence) -> tuple[Licence | None, Fault | None]:
    """Return the stated licence, or why it asks less than the one that follows."""
    stated = find(name)
    if stated is None:
        return None, (f"release.licence is {name}, which is not known; name it by its SPDX identifier", (name,))
    kept = followed.share_alike in (None, stated.share_alike) and (followed.share_alike is None or stated.derivatives)
    same = followed.share_alike is None or _strictness(stated) >= _strictness(followed)
    if kept and same and stated.duty >= followed.duty and stated.commercial <= followed.commercial:
        return stated, None
    return None, (
        f"release.licence is {stated.id}, which allows more than {followed.id}, the licence that follows from the "
        "sources and models; state that one, or none",
        (stated.id,),
    )


def _list(parts: list[Part]) -> str:
    return ", ".join(f"{part.kind} {part.name}" + f" ({part.licence})" * bool(part.licence) for part in parts)


def _names(parts: list[Part]) -> tuple[str, ...]:
    return tuple(part.name for part in parts)


def parts(version: Version, profile: Profile) -> list[Part]:
    """Return the sources and sets of pairs with texts in ``profile`` of ``version``, and the models that had a part."""
    newest, played = recipes.of(version.manifest), list(recipes.played(version).values())
    sources, sets, players, judges = sql.read_all(version.paths(), [(query, {}) for query in _PARTS])
    # A source of which the profile shows no text is not passed on. Which rows it shows does not hang on the texts.
    shown = redact("prompts", sources, profile).drop_nulls("text")
    # Rows keep what the recipe said when they came; where it says something else now, both have to be kept to.
    said: dict[str, set[str | None]] = {
        name: {newest.sources[name].licence} if name in newest.sources else set() for name in shown["source"]
    }
    for name, licence in shown["source", "licence"].iter_rows():
        said[name].add(licence)
    named = {name for table in ("pairs", "demonstrations") for name in _shown(table, sets, profile)["source"]}
    of_sets = {name: {each.release.licences.get(name) for each in (*played, newest)} for name in sorted(named)}
    return [
        *(Part("source", name, licence) for name, both in said.items() for licence in both - {None} or {None}),
        *(Part("pairs", name, licence) for name, both in of_sets.items() for licence in both - {None} or {None}),
        *_models(newest, played, dict(players.iter_rows()), judges["judge"].drop_nulls().to_list()),
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
    with writers as (select model from attacks union select model from responses union select model from prompts),
    roles as (select distinct role from checkpoints semi join writers using (model))
    select role, bool_or(method in ('sft', 'dpo')) as trained
    from checkpoints semi join roles using (role) group by role
    """,
    """
    select distinct judge from verdicts
    union select substr(label_source, 7) from prompts where label_source like 'judge:%'
    """,
)


def _models(newest: Said, played: list[Said], roles: dict[str, bool], judges: list[str]) -> list[Part]:
    """Return the models that wrote, judged or chose by reward, by their names in the recipes.

    ``played``: the recipe of each iteration; ``newest``: the last one, by which a licence may have been stated since.
    ``roles``: of each player that wrote, whether it was trained; ``judges``: who gave verdicts, by their labels.
    """
    found: dict[tuple[str, str | None], bool] = {}
    for place, recipe in enumerate(played):
        later = (*played[place + 1 :], newest)
        used = {judge.model: False for judge in recipe.judges if judge.label in judges and judge.model is not None}
        used |= {} if recipe.reward is None else {recipe.reward: False}
        for role, learned in roles.items():
            used[recipe.player(role)] = learned or used.get(recipe.player(role), False)
        for name, learned in used.items():
            for licence in _licences(name, recipe, later):
                found[name, licence] = learned or found.get((name, licence), False)
    known = {judge.label for recipe in played for judge in recipe.judges}
    found |= {(name, None): False for name in judges if name not in known}
    return [Part("model", name, licence, learned) for (name, licence), learned in found.items()]


def _licences(model: str, recipe: Said, later: Iterable[Said]) -> set[str | None]:
    """Return the licence that ``recipe`` states of a model; if it states none, what ``later`` ones say of the same."""
    own = recipe.models.get(model, Model())
    if own.licence is not None:
        return {own.licence}
    same = (each.models[model] for each in later if model in each.models)
    return {each.licence for each in same if each.model == own.model} - {None} or {None}
