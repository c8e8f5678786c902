"""The gates of a release: what stops one that would do harm, leak, or not hold together.

Each check is one function of a candidate (``check.py``). ``run`` runs them all, and by ``refuse_unless_allowed`` a push
takes their word. ``structure`` asks whether the version is whole, ``curation`` whether its promises hold, ``content``
whether what is in it may be there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from seas_data.errors import SeasDataError
from seas_data.release.checks import content, curation, structure
from seas_data.release.checks.check import Candidate, Check, Told
from seas_data.release.visibility import named as profile_named
from seas_data.store.version import Version
from seas_data.text import printable

__all__ = ["Check", "described", "excused", "named", "names", "refuse_unless_allowed", "run"]

_FOUNDATION: tuple[Callable[[Candidate], Told], ...] = (structure.manifest, structure.schemas)
"""Nothing else can be asked of files that are damaged or have other columns, so no one can allow these to fail."""
_CHECKS: tuple[Callable[[Candidate], Told], ...] = (
    structure.unique_ids,
    structure.references,
    curation.witnesses,
    curation.splits,
    curation.held_out,
    content.licences,
    content.personal_data,
    content.secrets,
    content.unparsed,
    content.profile,
    content.card,
)


_QUESTIONS = structure.QUESTIONS | curation.QUESTIONS | content.QUESTIONS


def run(
    version: Version,
    profile: str = "public",
    card: str | None = None,
    allowed: Mapping[str, str] | None = None,
) -> list[Check]:
    """Return what every check says of releasing ``version`` in ``profile``.

    ``card``: the text of a stored card, which has to be current; ``allowed``: the checks that were overruled, and why.
    Of those the card has to tell the ones that fail.
    Where the files or tables are damaged, that check alone is returned: the others could not be asked.
    """
    candidate = Candidate(version, profile_named(profile), _QUESTIONS, card, allowed or {})
    found: list[Check] = []
    for check in _FOUNDATION:
        found.append(_run(check, candidate))
        if not found[-1].passed:
            return found
    for check in _CHECKS:
        if check is content.card:
            candidate = replace(candidate, allowed=excused(found, candidate.allowed))
        found.append(_run(check, candidate))
    return found


def _run(check: Callable[[Candidate], Told], candidate: Candidate) -> Check:
    ids, sentence = check(candidate)
    return Check(_name(check), not ids, ids, sentence)


def names() -> list[str]:
    """Return the names of the checks, in the order in which they run."""
    return [_name(check) for check in (*_FOUNDATION, *_CHECKS)]


def named(allowed: Mapping[str, str]) -> Mapping[str, str]:
    """Return ``allowed`` if each of its names is a check's. Raises SeasDataError for one that is not."""
    if strangers := sorted({*allowed} - {*names()}):
        raise SeasDataError(f"there is no check {printable(strangers[0])}; there are {', '.join(names())}")
    return allowed


def excused(found: Sequence[Check], allowed: Mapping[str, str]) -> dict[str, str]:
    """Return those of ``allowed`` (names, and why) that fail and that a person may let pass, by giving a reason."""
    foundation = {_name(check) for check in _FOUNDATION}
    failed = {each.name for each in found if not each.passed} - foundation
    return {name: because for name, because in allowed.items() if name in failed and because.strip()}


def described() -> str:
    """Return the checks as a Markdown list, as docs/release.md has it."""
    lines = [(_name(check), " ".join((check.__doc__ or "").split())) for check in (*_FOUNDATION, *_CHECKS)]
    return "".join(f"- `{name}`: {sentence}\n" for name, sentence in lines)


def refuse_unless_allowed(found: Sequence[Check], allowed: Mapping[str, str]) -> None:
    """Raise SeasDataError if a check of ``found`` fails that ``allowed`` (its name, and why it may) does not hold.

    Also where a reason is blank, and whatever ``allowed`` says where files or tables are damaged: then most checks
    could not be asked.
    """
    let_pass = excused(found, allowed)
    foundation = {_name(check) for check in _FOUNDATION}
    failed = [each for each in found if not each.passed and each.name not in let_pass]
    if not failed:
        return
    told = "; ".join(f"{each.name} ({len(each.ids)}): {each.sentence}" for each in failed)
    step = (
        f'or say why not with --allow {failed[0].name} --because "..."'
        if failed[0].name not in foundation
        else "which nobody can allow to fail"
    )
    raise SeasDataError(f"{len(failed)} checks fail: {told}. Mend them (their ids: seas-data check --json), {step}")


def _name(check: Callable[[Candidate], Told]) -> str:
    return check.__name__.replace("_", "-")
