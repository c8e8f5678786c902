"""YAML from outside, such as a recipe or the metadata of a card, read in bounded time."""

from typing import Any, Final

import yaml

MAX_CHARACTERS: Final = 1 << 20
_MAX_BRACKETS: Final = 32
"""PyYAML compares each token with the brackets around it, so deep nesting costs minutes."""

_MAX_BITS: Final = 14_000
"""Python writes integers of at most 4,300 digits."""


class _Loader(yaml.SafeLoader):
    def fetch_flow_collection_start(self, TokenClass: Any) -> None:  # noqa: N803 (the name in PyYAML)
        if self.flow_level >= _MAX_BRACKETS:
            raise RecursionError
        super().fetch_flow_collection_start(TokenClass)

    def construct_yaml_int(self, node: Any) -> int:
        """Return an integer that Python can write; a hexadecimal one of any length could be read."""
        value: int = super().construct_yaml_int(node)
        if value.bit_length() > _MAX_BITS:
            raise ValueError("a number with thousands of digits")
        return value


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


class _StrictLoader(_Loader):
    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Compose a mapping. A key that is given twice is an error: PyYAML would take the last and drop the first."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value[:40]!r} is given twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return node


def load(text: str, *, repeated_keys: bool = False) -> Any:
    """Return the value of ``text``. Raise ValueError if it is not YAML, too long or too deep, or has a faulty value.

    With ``repeated_keys``, of a key that is given twice the last value counts; otherwise it is an error.
    """
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"it has {len(text):,} characters, and at most {MAX_CHARACTERS:,} are read")
    try:
        return yaml.load(text, _Loader if repeated_keys else _StrictLoader)
    except yaml.YAMLError as problem:
        raise ValueError(str(problem)) from problem
    except RecursionError as problem:
        raise ValueError("it is nested too deep") from problem
    except (ValueError, AttributeError, KeyError, TypeError, OverflowError) as problem:  # 2024-02-30, !!bool "a"
        known = isinstance(problem, ValueError | OverflowError)
        reason = str(problem).partition(":")[0] if known else "a value does not fit its tag"
        raise ValueError(f"{reason}; put text that looks like a date or a number between quotes") from problem
