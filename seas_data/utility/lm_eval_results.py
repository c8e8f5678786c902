"""Results of lm-evaluation-harness: ``results_*.json``, or what ``simple_evaluate`` returns.

Tested with files and results of lm-evaluation-harness 0.4.13.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from seas_data.errors import SeasDataError
from seas_data.sources.logs.values import count_or_none, items, mapping, number_or_none, text_or_none
from seas_data.utility.figures import Figure, Results, choose_primary, part_of, require_names

TOOL: Final = "lm-evaluation-harness"
KEYS: Final = ("results", "configs", "versions", "n-shot", "n-samples", "higher_is_better", "group_subtasks", "config")
"""Keys that a results file has, and that are read; others are skipped."""
_STDERR: Final = "_stderr"


def read_lm_eval(content: Mapping[str, Any], source: str) -> Results:
    """Return the figures of a run. ``source`` names it in messages.

    A metric is a key ``metric,filter`` of a task, with its standard error as ``metric_stderr,filter``. The primary
    figure of a task is the first that is from 0 to 1 and better when higher; tasks of a group that has such a figure
    itself have none. Raises SeasDataError if the results have no figures, or a figure is not a number.
    """
    tasks, higher = mapping(content.get("results")), mapping(content.get("higher_is_better"))
    figures: list[Figure] = []
    better: dict[int, bool] = {}
    for task, row in tasks.items():
        effective, original = _samples(content, task, mapping(row))
        for key, value in mapping(row).items():
            metric, comma, name = key.partition(",")
            if not comma or metric.endswith(_STDERR):
                continue
            number = number_or_none(value)
            if number is None:
                raise SeasDataError(
                    f"{source} has no number as {key} of the task {task!r}; run the task again, to its end"
                )
            better[len(figures)] = mapping(higher.get(task)).get(metric) is True
            counted = count_or_none(
                mapping(mapping(row).get("sample_count")).get(key)
            )  # of a group: of the tasks with this metric
            stderr = number_or_none(mapping(row).get(f"{metric}{_STDERR},{name}"))
            figures.append(
                Figure(
                    task=task,
                    metric=metric,
                    value=number,
                    stderr=stderr if stderr is None or stderr >= 0 else None,
                    n=effective if counted is None else counted,
                    filter=name or None,
                    task_version=_version(mapping(content.get("versions")).get(task)),
                    shots=count_or_none(mapping(content.get("n-shot")).get(task)),
                    partial=part_of(effective, original),
                )
            )
    chosen = _without_members(choose_primary(figures, better), content)
    version = text_or_none(content.get("lm_eval_version"))
    return require_names(Results(TOOL, version, _model(content), chosen), source)


def _without_members(figures: tuple[Figure, ...], content: Mapping[str, Any]) -> tuple[Figure, ...]:
    """Return ``figures`` without primary ones of tasks that count in the figure of a group."""
    groups = {each.task for each in figures if each.primary and _members(content, each.task)}
    inside = {member for group in groups for member in _leaves(content, group)}
    return tuple(replace(each, primary=each.primary and each.task not in inside) for each in figures)


def _members(content: Mapping[str, Any], group: str) -> list[str]:
    found = items(mapping(content.get("group_subtasks")).get(group))
    return [each for each in found if isinstance(each, str)]


def _leaves(content: Mapping[str, Any], group: str) -> set[str]:
    """Return everything below ``group``: its tasks, groups, and theirs."""
    found: set[str] = set()
    waiting = _members(content, group)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _members(content, name)
    return found - {group}


def _samples(content: Mapping[str, Any], task: str, row: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Return how many samples of a task, or of all tasks of a group, were counted, and how many there are."""
    samples = mapping(content.get("n-samples"))
    names = [task] if task in samples else [each for each in _leaves(content, task) if each in samples]
    if not names:
        return count_or_none(row.get("sample_len")), None
    counts = [(count_or_none(mapping(samples[each]).get(key)) for key in ("effective", "original")) for each in names]
    effective, original = zip(*counts, strict=True)
    return _total(effective), _total(original)


def _total(counts: tuple[int | None, ...]) -> int | None:
    known = [each for each in counts if each is not None]
    return sum(known) if len(known) == len(counts) else None


def _version(value: object) -> str | None:
    number = number_or_none(value)
    return f"{number:g}" if number is not None else text_or_none(value)


def _model(content: Mapping[str, Any]) -> str | None:
    settings = mapping(content.get("config")).get("model_args")
    return text_or_none(content.get("model_name")) or text_or_none(mapping(settings).get("pretrained"))
