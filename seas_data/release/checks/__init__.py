"""The gates of a release: what stops one that would do harm, leak, or not hold together.

Each check is one function of a candidate (``check.py``). ``run`` runs them all, and by ``refuse_unless_allowed`` a push
takes their word. ``structure`` asks whether the version is whole, ``curation`` whether its promises hold, ``content``
whether what is in it may be there.
"""

from collections.abc import Callable, Mapping, Sequence

from seas_data.errors import SeasDataError
from seas_data.release.checks import content, curation, structure
from seas_data.release.checks.check import Candidate, Check, Told
from seas_data.release.profile import named
from seas_data.version import Version

__all__ = ["Check", "described", "names", "refuse_unless_allowed", "run"]

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

    ``card``: the text of a stored card, which has to be current; ``allowed``: the checks that it says were overruled.
    Where the files or tables are damaged, that check alone is returned: the others could not be asked.
    """
    candidate = Candidate(version, named(profile), _QUESTIONS, card, allowed or {})
    found: list[Check] = []
    for check in _FOUNDATION:
        found.append(_run(check, candidate))
        if not found[-1].passed:
            return found
    return [*found, *(_run(check, candidate) for check in _CHECKS)]


def _run(check: Callable[[Candidate], Told], candidate: Candidate) -> Check:
    ids, sentence = check(candidate)
    return Check(_name(check), not ids, ids, sentence)


def names() -> list[str]:
    """Return the names of the checks, in the order in which they run."""
    return [_name(check) for check in (*_FOUNDATION, *_CHECKS)]


def described() -> str:
    """Return the checks as a Markdown list, as docs/release.md has it."""
    lines = [(_name(check), " ".join((check.__doc__ or "").split())) for check in (*_FOUNDATION, *_CHECKS)]
    return "".join(f"- `{name}`: {sentence}\n" for name, sentence in lines)


def refuse_unless_allowed(found: Sequence[Check], allowed: Mapping[str, str]) -> None:
    """Raise SeasDataError if a check of ``found`` fails that ``allowed`` (its name, and why it may) does not hold.

    Also where a reason is blank, and whatever ``allowed`` says where files or tables are damaged: then most checks
    could not be asked.
    """
    foundation = {_name(check) for check in _FOUNDATION}
    excused = {name for name, because in allowed.items() if because.strip()} - foundation
    failed = [each for each in found if not each.passed and each.name not in excused]
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
