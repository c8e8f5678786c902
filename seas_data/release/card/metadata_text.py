"""The text of a card's metadata, updated in place: what does not change keeps its spelling and its comments.

Writing the values again would lose comments and turn an unquoted ``1.10`` into ``1.1``.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from seas_data import yaml_text

Dump = Callable[[Any], str]
"""Write a value as YAML."""


@dataclass(frozen=True)
class _Part:
    """A key of the metadata or an item of a list: the lines of its text, and ``top``, where comments above it begin."""

    top: int
    start: int
    stop: int
    node: yaml.Node


def update(text: str, existing: Mapping[str, Any], merged: Mapping[str, Any], dump: Dump) -> str:
    """Return the YAML ``text``, whose values are ``existing``, with the values ``merged``.

    Keys and list items that are equal in both keep their text, and comments above the others stay. If that does not
    give ``merged``, as with anchors or another style, the result is ``dump(merged)``.
    """
    try:
        updated = _update(text, existing, merged, dump)
        if yaml_text.load(updated, repeated_keys=True) == merged:
            return updated
    except (ValueError, yaml.YAMLError):
        pass
    return dump(merged)


def _update(text: str, existing: Mapping[str, Any], merged: Mapping[str, Any], dump: Dump) -> str:
    root = yaml.compose(text, yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode) or root.flow_style or len(root.value) != len(existing):
        raise ValueError("not a block of keys")
    lines = [f"{line}\n" for line in text.removesuffix("\n").split("\n")]
    parts = _split(lines, 0, len(lines), 0, [(key.start_mark.line, value) for key, value in root.value])
    written = []
    for (key, old), part in zip(existing.items(), parts, strict=True):
        written += lines[part.top : part.start]
        if key not in merged:
            continue
        new, node = merged[key], part.node
        if _same(new, old):
            written += lines[part.start : part.stop]
        elif isinstance(new, list) and isinstance(node, yaml.SequenceNode) and node.value and not node.flow_style:
            written += _update_list(lines, part, node, old, new, dump)
        else:
            written.append(_keep_comment(dump({key: new}), lines, node))
    added = [dump({key: value}) for key, value in merged.items() if key not in existing]
    return "".join([*written, *lines[parts[-1].stop :], *added])


def _update_list(
    lines: list[str], part: _Part, node: yaml.SequenceNode, old: Sequence[Any], new: Sequence[Any], dump: Dump
) -> list[str]:
    column = node.start_mark.column
    items = _split(lines, part.start + 1, part.stop, column, [(each.start_mark.line, each) for each in node.value])
    pairs = list(zip(items, old, strict=True))
    written = lines[part.start : items[0].top]
    for value in new:
        equal = next((item for item, each in pairs if _same(each, value)), None)
        named = next((item for item, each in pairs if None is not _name(each) == _name(value)), None)
        if item := equal or named:
            written += lines[item.top : item.start]
        text = "".join(lines[equal.start : equal.stop]) if equal else ""
        written.append(text or re.sub("(?m)^(?=.)", " " * column, dump([value])))
    return [*written, *lines[items[-1].stop : part.stop]]


def _split(lines: list[str], begin: int, end: int, column: int, starts: list[tuple[int, yaml.Node]]) -> list[_Part]:
    """Return the parts of the lines ``begin`` to ``end``, each with the comments above it."""
    tops = [start - _count_comments(lines[begin:start], column) for start, _ in starts]
    last = end - _count_comments(lines[begin:end], column)
    stops = [*tops[1:], last]
    return [_Part(top, start, stop, node) for top, (start, node), stop in zip(tops, starts, stops, strict=True)]


def _count_comments(lines: list[str], column: int) -> int:
    """Return the number of comments and blank lines at the end of ``lines``; comments are indented by ``column``."""
    comment = re.compile(rf" {{0,{column}}}#| *$")
    return next((number for number, line in enumerate(reversed(lines)) if not comment.match(line)), len(lines))


def _keep_comment(written: str, lines: list[str], node: yaml.Node) -> str:
    """Return the text ``written`` with the comment behind the value that it replaces, if both are one line."""
    behind = lines[node.end_mark.line][node.end_mark.column :].strip() if node.end_mark.line < len(lines) else ""
    one_line = node.start_mark.line == node.end_mark.line and written.count("\n") == 1
    return f"{written.rstrip()}  {behind}\n" if behind.startswith("#") and one_line else written


def _name(value: Any) -> str | None:
    """Return the name of a config in ``configs`` or ``dataset_info``."""
    return str(value["config_name"]) if isinstance(value, dict) and "config_name" in value else None


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)
