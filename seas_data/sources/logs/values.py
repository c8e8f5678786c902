"""Values of a log: text or nothing, numbers or nothing, and which values of a judge mean unsafe."""

import math
from pathlib import Path
from typing import Any, Final

from seas_data.errors import SeasDataError
from seas_data.sources.logs.records import LogOptions, Verdict

_OPPOSITES: Final = {"true": "false", "1": "0", "1.0": "0.0", "c": "i", "yes": "no", "pass": "fail", "p": "f"}
_OPPOSITE: Final = {**_OPPOSITES, **{right: left for left, right in _OPPOSITES.items()}}


def text_or_none(value: object) -> str | None:
    """Return ``value`` if it is text with more than white space, else None."""
    return value if isinstance(value, str) and value.strip() else None


def mapping(value: object) -> dict[str, Any]:
    """Return ``value`` if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """Return ``value`` if it is a JSON list, else an empty one."""
    return value if isinstance(value, list) else []


def number_or_none(value: object) -> float | None:
    """Return ``value`` if it is a finite number, else None. A boolean is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def count_or_none(value: object) -> int | None:
    """Return ``value`` if it is a whole number from 0 to below 2**31, else None. A boolean is no number."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31 else None


def proportion_or_none(value: object) -> float | None:
    """Return ``value`` if it is a number from 0 to 1, else None."""
    number = number_or_none(value)
    return number if number is not None and 0 <= number <= 1 else None


def identifier(value: object) -> str | None:
    """Return an id, as text, if ``value`` is a text or a whole number; else None."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < 1 << 63 else None
    return text_or_none(value)


def labels(value: object) -> tuple[str, ...]:
    """Return the texts of a list, or the one text."""
    found = [value] if isinstance(value, str) else items(value)
    return tuple(each for each in found if isinstance(each, str) and each.strip())


def verdict_of_value(judge: str, value: object, options: LogOptions) -> Verdict:
    """Return what ``value`` of ``judge`` means by the recipe: unsafe, safe or, if it does not say, unparsed.

    A number is compared with ``options.threshold`` if the recipe lists no values for the judge.
    """
    unsafe = {each.strip().casefold() for each in options.unsafe_values.get(judge, ())}
    safe = {each.strip().casefold() for each in options.safe_values.get(judge, ())}
    if not unsafe and not safe:
        number = number_or_none(value)
        if number is None or options.threshold is None:
            return "unparsed"
        return "unsafe" if number >= options.threshold else "safe"
    if not isinstance(value, str | bool | int | float):
        return "unparsed"
    text = str(value).strip().casefold()
    if text in unsafe:
        return "unparsed" if text in safe else "unsafe"
    return "safe" if text in (safe or {_OPPOSITE.get(each, each) for each in unsafe} - unsafe) else "unparsed"


def wanted(judge: str, options: LogOptions) -> bool:
    """Return whether the recipe reads this judge."""
    return not options.scorers or judge in options.scorers


def require_known_format(path: Path, version: object, newest: int) -> None:
    """Raise SeasDataError if a log says that it has a newer format than the reader knows."""
    if isinstance(version, int) and version > newest:
        raise SeasDataError(
            f"{path} has format {version} of its tool, and this reader knows formats up to {newest}; "
            "update seas-data, or write the log with an older release of the tool"
        )
