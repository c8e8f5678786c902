"""Some mutated inputs per target. `make fuzz` runs a million; see docs/robustness.md."""

from pathlib import Path

import pytest

from tests.fuzz.engine import run_inputs
from tests.fuzz.targets import TARGETS

INPUTS = 60
FILES = 6  # of inputs that are written to a file, which take longest


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_inputs_are_read_and_accounted_for_or_refused_with_one_sentence(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    result = run_inputs(target, 7, range(FILES if name.startswith("source ") else INPUTS), tmp_path)
    assert result.failures == []
    assert result.refused < result.inputs
