"""What the readers find in a run is as much as the tool itself counted: one function for the files of each tool."""

import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from seas_data.sources.logs.deepteam import DEEPTEAM
from seas_data.sources.logs.formats import LogFormat
from seas_data.sources.logs.garak import GARAK
from seas_data.sources.logs.inspect_ai import INSPECT
from seas_data.sources.logs.promptfoo import PROMPTFOO
from seas_data.sources.logs.pyrit import PYRIT
from tests.sources.logs.reading import answers, attempts, read, skipped, verdicts

INSPECT_OPTIONS: Final[dict[str, Any]] = {
    "scorers": ("model_graded_qa",),
    "unsafe_values": {"model_graded_qa": ("C",)},
}
INSPECT_FILES: Final = ("small.eval", "small.json", "chunked.eval")
PROMPTFOO_FILES: Final = ("small.json", "small.yaml", "small.jsonl", "promptfoo.db")
FILES: Final[dict[str, tuple[LogFormat, tuple[str, ...]]]] = {
    "deepteam": (DEEPTEAM, ("assessment.json",)),
    "garak": (GARAK, ("small.report.jsonl", "small.hitlog.jsonl", "unfinished.report.jsonl")),
    "inspect_ai": (INSPECT, (*INSPECT_FILES, "unfinished.eval")),
    "promptfoo": (PROMPTFOO, PROMPTFOO_FILES),
    "pyrit": (PYRIT, ("memory.db",)),
}
"""The reader and the files of each tool."""


def by_judge_and_verdict(found: Counter[tuple[str | None, str, str]]) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for (_, judge, verdict), number in found.items():
        counts[judge, verdict] += number
    return counts


def check_deepteam(folder: Path) -> int:
    """Compare with the overview. Return the number of verdicts."""
    file = folder / "assessment.json"
    log, found = json.loads(file.read_text()), read(DEEPTEAM, file)
    expected: Counter[tuple[str | None, str, str]] = Counter()
    for result in log["overview"]["attack_method_results"]:
        expected[result["attack_method"], "deepteam", "safe"] = result["passing"]
        expected[result["attack_method"], "deepteam", "unsafe"] = result["failing"]
    judged = Counter({key: number for key, number in verdicts(found).items() if key[2] != "unparsed"})
    assert judged == +expected
    assert len(found) == len(log["test_cases"])
    return judged.total()


def check_garak(folder: Path) -> int:
    """Compare with the evaluations of the report. Return the number of verdicts."""
    file = next(file for file in folder.glob("*.report.jsonl") if not file.name.startswith("unfinished"))
    expected: Counter[tuple[str | None, str, str]] = Counter()
    for line in map(json.loads, file.read_text().splitlines()):
        if line["entry_type"] == "eval":
            key = (line["probe"], f"garak:{line['detector']}")
            expected[(*key, "safe")] = line["passed"]
            expected[(*key, "unsafe")] = line["fails"]
            expected[(*key, "unparsed")] = line["nones"]
    found = verdicts(read(GARAK, file))
    assert found == +expected
    return found.total()


def check_inspect_ai(folder: Path) -> int:
    """Compare each form of the log with its results. Return the number of unsafe verdicts."""
    log = json.loads((folder / "small.json").read_text())
    results, score, epochs = log["results"], log["results"]["scores"][0], log["eval"]["config"]["epochs"]
    unsafe = round(score["metrics"]["accuracy"]["value"] * score["scored_samples"] * epochs)
    for name in INSPECT_FILES:
        found = read(INSPECT, folder / name, **INSPECT_OPTIONS)
        assert len(found) == results["total_samples"], name
        failed = [each for each in answers(found) if each.finish_reason == "error"]
        assert results["total_samples"] - len(failed) == results["completed_samples"], name
        assert verdicts(found).total() + len(skipped(found)) == score["scored_samples"] * epochs, name
        assert by_judge_and_verdict(verdicts(found))["inspect:model_graded_qa", "unsafe"] == unsafe, name
    return unsafe


def check_promptfoo(folder: Path) -> int:
    """Compare each form of the results with the statistics. Return the number of verdicts."""
    stats = json.loads((folder / "small.json").read_text())["results"]["stats"]
    for name in PROMPTFOO_FILES:
        found = read(PROMPTFOO, folder / name)
        never_sent = skipped(found)
        assert {reason for _, reason in never_sent} == {"never_sent"}, name
        assert by_judge_and_verdict(verdicts(found)) == {
            ("promptfoo", "safe"): stats["successes"] - len(never_sent),
            ("promptfoo", "unsafe"): stats["failures"],
            ("promptfoo", "unparsed"): stats["errors"],
        }, name
    return int(stats["successes"] + stats["failures"])


def check_pyrit(folder: Path) -> int:
    """Compare with the outcomes and scores in the memory. Return the number of outcomes."""
    policy = "where scorer_class_identifier like '%stir it for%'"
    with sqlite3.connect(f"file:{folder / 'memory.db'}?mode=ro", uri=True) as memory:
        outcomes = dict(memory.execute("select outcome, count(*) from AttackResultEntries group by 1").fetchall())
        scores = dict(memory.execute(f"select score_value, count(*) from ScoreEntries {policy} group by 1").fetchall())
        find_hash = f"select distinct scorer_class_identifier ->> 'hash' from ScoreEntries {policy}"
        ((identifier,),) = memory.execute(find_hash).fetchall()
    judge = f"SubStringScorer:{identifier[:8]}"
    found = read(PYRIT, folder / "memory.db", unsafe_values={judge: ("true",)})
    counts = by_judge_and_verdict(verdicts(found))
    for outcome, verdict in {"success": "unsafe", "failure": "safe", "error": "unparsed"}.items():
        assert counts["pyrit:outcome", verdict] == outcomes[outcome]
    assert (counts[f"pyrit:{judge}", "unsafe"], counts[f"pyrit:{judge}", "safe"]) == (scores["true"], scores["false"])
    assert len(attempts(found)) == sum(outcomes.values()) and not skipped(found)
    return int(sum(outcomes.values()))


CHECKS: Final[dict[str, Callable[[Path], int]]] = {
    "deepteam": check_deepteam,
    "garak": check_garak,
    "inspect_ai": check_inspect_ai,
    "promptfoo": check_promptfoo,
    "pyrit": check_pyrit,
}
