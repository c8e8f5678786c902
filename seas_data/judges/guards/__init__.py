"""Guards: safety classifiers, one file per family, registered as entry points of the group ``seas_data.guards``.

To add a guard, write a module with a ``Guard`` (``guard.py``) and register it in ``pyproject.toml``, here or in another
distribution. The name of the entry point is the guard's name in recipes::

    [project.entry-points."seas_data.guards"]
    my-guard = "my_package.my_guard:MY_GUARD"
"""

from inspect import signature
from typing import Final

from pydantic import ValidationError, validate_call

from seas_data.errors import SeasDataError
from seas_data.judges.guards.guard import UNPARSED, Guard, Parsed, Question, Subject, to_messages, to_turns
from seas_data.recipe import JudgeGuard
from seas_data.recipe.judges import GUARDS_GROUP
from seas_data.registry import Registry

__all__ = ["GUARDS", "UNPARSED", "Guard", "Parsed", "Question", "Subject", "load_guard", "to_messages", "to_turns"]

GUARDS: Final = Registry(GUARDS_GROUP, "guard", Guard)


def load_guard(settings: JudgeGuard) -> Guard:
    """Return the guard that ``settings`` name, configured with their ``options`` and ``policy``.

    Raises SeasDataError if there is no such guard, or it does not accept the options or lacks its policy.
    """
    guard = GUARDS.load(settings.guard)
    parameters = {} if guard.configure is None else signature(guard.configure).parameters
    if settings.policy is not None and "policy" not in parameters:
        raise SeasDataError(f"the judge {settings.label}: the guard {settings.guard} takes no policy; remove policy")
    if settings.policy is None and guard.needs_policy:
        raise SeasDataError(
            f"the judge {settings.label}: the guard {settings.guard} judges by a policy of yours; set policy to its "
            "text, or to a file that ends in .md or .txt"
        )
    if "policy" in settings.options:
        raise SeasDataError(f"the judge {settings.label}: policy is a key of the judge; move it out of options")
    given = settings.options | ({} if settings.policy is None else {"policy": settings.policy})
    if not given:
        return guard
    if guard.configure is None:
        raise SeasDataError(f"the judge {settings.label}: the guard {settings.guard} has no options; remove options")
    try:
        return validate_call(guard.configure)(**given)
    except ValidationError as problem:
        faults = "; ".join(
            f"{'' if error['loc'][:1] == ('policy',) else 'options.'}{'.'.join(map(str, error['loc']))}: {error['msg']}"
            for error in problem.errors(include_url=False)
        )
        raise SeasDataError(f"the judge {settings.label}: {faults}") from problem
