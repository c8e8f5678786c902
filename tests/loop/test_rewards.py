"""MART with a reward model: the reward of a safe response decides, not whether it is a full answer."""

from pathlib import Path

import polars as pl
import pytest

from seas_data import recipe as recipes
from seas_data.conversation import MESSAGES
from seas_data.loop.context import IterationContext
from seas_data.loop.training_rows import build_training_rows
from seas_data.loop.verdicts import compute_rewards
from seas_data.store import Workspace
from seas_data.store.stages import Stages
from tests.loop.test_loop import SMOKE
from tests.models.test_reward_model import write
from tests.pairs.worlds import NOTHING, world

ANSWERS = [
    {"verdict": "safe", "refusal": "full_refusal", "text": "the door is blue"},
    {"verdict": "safe", "refusal": "full_compliance", "text": "the house is red"},
    {"verdict": "unsafe", "refusal": "full_compliance", "text": "what colour is the door of a house"},
    {"verdict": "safe", "refusal": "full_compliance", "text": "green"},
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from seas_data.sandbox.tiny import write_model

    folder = tmp_path_factory.mktemp("models") / "tiny"
    words = " ".join(row["text"] for row in ANSWERS).split()
    write_model(folder, layers=1, seed=3, hidden=32, heads=2, intermediate=64, positions=96, vocabulary=words)
    return folder


@pytest.mark.slow
def test_the_target_is_trained_on_the_safe_responses_that_reach_the_reward(tiny: Path, tmp_path: Path) -> None:
    model = write(tmp_path / "model", tiny, 1)
    made = world({"s": {"a": ANSWERS}})
    attacks = made.prompts.drop("type", strict=False).with_columns(
        reason=pl.lit(None, pl.String), messages=pl.lit(None, MESSAGES)
    )
    answers = {"responses": made.responses, "verdicts": made.verdicts}

    def context(least: float) -> IterationContext:
        reward = f"pairs.mart={{reward_model: judge, min_reward: {least}}}"
        changes = [f"models.judge={{model: {model.model}, device: cpu}}", "pairs.mode=mart", "pairs.general=null"]
        changes += ["pairs.target.max_pairs_per_prompt=9", reward]
        return IterationContext(
            recipes.load(SMOKE, changes), Workspace(tmp_path), Stages(tmp_path / "stages", "key"), 1, pl.DataFrame()
        )

    given = compute_rewards(context(0), answers, attacks)
    assert given is not None
    assert given["response_id"].to_list() == ["a.0", "a.1", "a.3"], "only safe responses are scored"
    least = float(given["reward"].sort()[1])
    rows = build_training_rows(context(least), attacks, attacks.clear(), made.seeds, answers, NOTHING)["demonstrations"]
    learned = rows.filter(role="target")["completion_id"].sort().to_list()
    assert learned == given.filter(pl.col("reward") >= least)["response_id"].to_list() and len(learned) == 2
