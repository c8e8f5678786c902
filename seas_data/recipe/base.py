"""Base class of all recipe sections: unknown keys and wrong values are refused with the key and what is allowed."""

import difflib
import math
from typing import Annotated, Any, Final, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

_MAX_VALUES: Final = 10_000

Proportion = Annotated[float, Field(ge=0, le=1)]


def _require_json(options: dict[str, Any]) -> dict[str, Any]:
    """Return ``options``; ValueError if JSON lacks a value or a key. YAML has dates, sets, bytes and infinities."""
    waiting: list[Any] = [options]
    count = 0
    while waiting:
        value = waiting.pop()
        count += 1
        if count > _MAX_VALUES:  # aliases of YAML can make a list of itself, or a few lines a billion values
            raise ValueError(f"at most {_MAX_VALUES:,} values can be given")
        if isinstance(value, dict):
            for key in value:
                if not isinstance(key, str) and type(key) is not int:
                    raise ValueError(f"JSON has no key {key!r}; put it between quotes")
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"JSON has no number {value}; give a finite one, or null")
        elif not isinstance(value, str | int | float | None):
            raise ValueError(f"JSON has no {type(value).__name__}; put it between quotes")
    return options


FreeOptions = Annotated[dict[str, Any], AfterValidator(_require_json)]
"""Options of a server, guard or trainer: any keys, with values that JSON has."""


class StrictModel(BaseModel):
    """An immutable section of a recipe that accepts only its own keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @model_validator(mode="wrap")
    @classmethod
    def _refuse_unknown_keys(cls, content: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Report unknown keys together with all other errors. Only here the allowed keys of the section are known."""
        unknown = [key for key in content if key not in cls.model_fields] if isinstance(content, dict) else []
        if not unknown:
            return handler(content)
        errors = [
            _error("unknown_key", _unknown_key(str(key), sorted(cls.model_fields)), (str(key),), None)
            for key in unknown
        ]
        try:
            handler({key: value for key, value in content.items() if key not in unknown})
        except ValidationError as problem:
            errors += [_error(each["type"], each["msg"], each["loc"], each["input"]) for each in problem.errors()]
        raise ValidationError.from_exception_data(cls.__name__, errors)


def _error(kind: str, message: str, location: tuple[Any, ...], given: Any) -> InitErrorDetails:
    error = PydanticCustomError(kind, "{message}", {"message": message})
    return InitErrorDetails(type=error, loc=location, input=given)


def _unknown_key(key: str, allowed: list[str]) -> str:
    close = difflib.get_close_matches(key, allowed, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"is not a key{hint}; allowed keys: {', '.join(allowed)}"
