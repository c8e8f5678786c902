"""The benchmark's own parts: a wrong yardstick would measure anything."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from seas_data.pairs.convert_reference import convert_file


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "pairs.py"
    specification = importlib.util.spec_from_file_location("benchmark_of_pairs", path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_rule_as_the_reference_applies_it_and_what_is_wrong_with_it(benchmark: ModuleType, tmp_path: Path) -> None:
    def rows(prompt: str, attack: str, *evaluations: str) -> list[dict[str, str]]:
        return [
            {"prompt": prompt, "atk_output": attack, "tgt_output": f"{attack} {number}", "evaluation": evaluation}
            for number, evaluation in enumerate(evaluations)
        ]

    source = tmp_path / "in.jsonl"
    every = [
        *rows("even", "a", "unsafe", "unsafe"),
        *rows("even", "b", "unsafe\nS1", "unsafe"),
        *rows("uneven", "c", "safe", "safe", "unsafe"),
        *rows("uneven", "d", "unsafe", "safe", "unsafe"),
        *rows("alone", "e", "unsafe", "safe"),
        *rows("garbled", "f", "", "", "unsafe"),
        *rows("garbled", "g", "unclear", "is safe", "unsafe"),
    ]
    source.write_text("".join(json.dumps(row) + "\n" for row in every))
    found = {}
    for role in ("red", "target"):
        output = tmp_path / f"{role}.jsonl"
        benchmark.reference_rule(source, role, output)
        found[role] = [
            tuple(pair[name][0]["content"] for name in ("chosen", "rejected"))
            for pair in map(json.loads, output.read_text().splitlines())
        ]
        found[role, "faults"] = dict(benchmark.wrong(source, output, role))
    assert found["red"] == [("a", "b"), ("d", "c"), ("f", "g")]
    assert found["red", "faults"] == {"equal rates": 2, "right": 1}
    assert found["target"] == [("a 0", "a 1"), ("b 0", "b 1"), ("c 0", "c 2"), ("d 0", "d 2"), ("g 1", "g 2")]
    assert found["target", "faults"] == {"unsafe chosen": 3, "right": 1, "a verdict that does not parse": 1}


def test_none_of_our_pairs_is_wrong(benchmark: ModuleType, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    benchmark.generate(source, 2_500)
    assert source.stat().st_size == pytest.approx(2_500 * 2_000, rel=0.05)
    for role in ("red", "target"):
        summary = convert_file(source, role, tmp_path / "out.jsonl")
        assert summary["pairs"] > 40
        assert dict(benchmark.wrong(source, tmp_path / "out.jsonl", role)) == {"right": summary["pairs"]}
