"""What all settings have in common: an unknown key or a wrong value is refused with its name and what is allowed."""

import difflib
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

Share = Annotated[float, Field(ge=0, le=1)]


class Strict(BaseModel):
    """Settings that do not change, of known keys alone."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @model_validator(mode="wrap")
    @classmethod
    def _keys_are_known(cls, content: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Name each key that there is not, along with whatever else is wrong; here it is known which there are."""
        unknown = [key for key in content if key not in cls.model_fields] if isinstance(content, dict) else []
        if not unknown:
            return handler(content)
        faults = [
            _fault("unknown_key", _unknown(str(key), sorted(cls.model_fields)), (str(key),), None) for key in unknown
        ]
        try:
            handler({key: value for key, value in content.items() if key not in unknown})
        except ValidationError as problem:
            faults += [_fault(each["type"], each["msg"], each["loc"], each["input"]) for each in problem.errors()]
        raise ValidationError.from_exception_data(cls.__name__, faults)


def _fault(kind: str, message: str, location: tuple[Any, ...], given: Any) -> InitErrorDetails:
    error = PydanticCustomError(kind, "{message}", {"message": message})
    return InitErrorDetails(type=error, loc=location, input=given)


def _unknown(key: str, allowed: list[str]) -> str:
    near = difflib.get_close_matches(key, allowed, n=1)
    meant = f" (did you mean {near[0]}?)" if near else ""
    return f"is not a key{meant}; allowed there: {', '.join(allowed)}"
