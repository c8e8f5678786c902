"""The loop from end to end, with real training, in a mini-world too small for meaningful metrics.

The tests check that every row has its sources, that nothing leaves its split, and that a killed loop resumes.
"""

import json
import os
import random
import shutil
import signal
import subprocess
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

import seas_data as sd
from seas_data import recipe as recipes
from seas_data.cli import app
from seas_data.query.version import Version
from seas_data.recipe import Recipe
from seas_data.run import build
from seas_data.store import open_workspace
from tests.conftest import CHECKOUT, shared_workspace
from tests.program import PROGRAM

pytest.importorskip("trl", reason="needs the extra train")

SMOKE = CHECKOUT / "pipelines" / "sandbox-smoke.yaml"
SMALL = [
    "sandbox.attacks=240",
    "sandbox.look_alikes=60",
    "sandbox.general=60",
    "sandbox.target_sft_rows=480",
    "sandbox.general_pairs=60",
    "sandbox.held_out=10",
    "loop.red_sft_rows=200",
    "loop.seeds_per_iteration=8",
    "loop.harmless.prompts_per_iteration=6",
    "loop.evaluation.seeds=6",
    "loop.evaluation.max_prompts=8",
    "training.red_sft.epochs=1",
    "training.target_sft.epochs=1",
    "training.red.min_rows=1",
    "training.target.min_rows=1",
    # With so little training two of three responses are seldom unsafe, and other processors train other models.
    "loop.success.min_unsafe_rate=0.3",
    "loop.success.min_verdicts=2",
    "loop.iterations=2",
]


def small(*changes: str) -> Recipe:
    return recipes.load(SMOKE, [*SMALL, *changes])


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of version 0 and two iterations, for slow tests. They only read it."""
    return shared_workspace(tmp_path_factory, "two-iterations", lambda root: build(small(), root))


@pytest.fixture(scope="module", params=[1, pytest.param(2, marks=pytest.mark.slow)])
def last(request: pytest.FixtureRequest) -> Version:
    """The version after one iteration, and, in slow tests, after two."""
    root = request.getfixturevalue("one") / "ws" if request.param == 1 else request.getfixturevalue("workspace")
    return sd.open(root).version(f"v{request.param}")


def with_first_models(root: Path, workspace: Path) -> Path:
    """Make a workspace at ``root`` with the R0 and T0 of ``workspace``, which a build with equal settings reuses."""
    open_workspace(root, create=True)
    for name in ("R0", "T0"):
        shutil.copytree(workspace / "models" / name, root / "models" / name)
    return root


def test_each_iteration_is_a_version_on_top_of_the_one_before(last: Version) -> None:
    workspace = last.workspace.root
    versions = [sd.open(workspace).version(name) for name in sd.open(workspace).versions()]
    assert [each.manifest.iteration for each in versions] == list(range(last.manifest.iteration + 1))
    for before, after in pairwise(versions):
        assert after.manifest.parent_digest == before.digest
        for table, shards in before.manifest.tables.items():
            assert after.manifest.tables[table][: len(shards)] == shards
    frozen = "select prompt_id, split from splits where split <> 'train' order by all"
    assert last.select(frozen).equals(versions[0].select(frozen)), "test, harmless and holdout stay as they were"
    assert open_workspace(workspace).verify(last.manifest) == []


@pytest.mark.slow
def test_the_same_loop_again_builds_nothing(workspace: Path) -> None:
    again = build(small(), workspace)
    assert not again.new
    assert again.version.digest == sd.open(workspace).version("v2").digest


def test_every_cell_is_there_once_and_stands_on_the_same_seeds_from_test(last: Version) -> None:
    models = range(last.manifest.iteration + 1)
    matrix = last.select((CHECKOUT / "sql" / "attack-success-matrix.sql").read_text(), {"judge": ""})
    assert matrix.columns == [
        *("red_team", "target", "value", "low", "high", "n"),
        *("of_valid", "validity", "nearest_similarity"),
    ]
    assert matrix.select("red_team", "target").rows() == [(f"R{i}", f"T{j}") for i in models for j in models]
    assert (matrix["low"] <= matrix["value"]).all()
    assert (matrix["value"] <= matrix["high"]).all()
    seeds = last.select(
        "select attacks.model, count(distinct seed_id) as seeds from attacks join seeds using (seed_id) "
        "where attacks.split = 'test' group by 1"
    )
    assert set(seeds["seeds"]) == {6}
    examples = last.select(
        "select distinct seeds.split as wanted, splits.split from (select split, unnest(example_ids) as prompt_id "
        "from seeds) as seeds join splits using (prompt_id) order by all"
    )
    assert examples.rows() == [("test", "test"), ("train", "train")]


def test_every_row_leads_back_to_what_made_it(last: Version) -> None:
    lost = {
        "responses": "from responses anti join (from attacks select prompt_id union from prompts select prompt_id) "
        "using (prompt_id)",
        "settings": "from responses anti join settings using (settings_id)",
        "verdicts": "from verdicts anti join responses using (response_id)",
        "attacks": "from attacks anti join seeds using (seed_id)",
        "checkpoints": "from settings anti join checkpoints on settings.checkpoint = checkpoints.digest",
        "red pairs": "from pairs anti join attacks on chosen_id = attacks.prompt_id where role = 'red'",
        "target pairs": "from pairs anti join responses on rejected_id = response_id where role = 'target'",
        "joined": "from prompts anti join attacks using (prompt_id) where source = 'red-team'",
    }
    for name, rows in lost.items():
        assert last.select(f"select * {rows}").height == 0, name
    for table in ("pairs", "responses", "attacks", "prompts", "verdicts"):
        key = {"pairs": "pair_id", "responses": "response_id"}.get(table, "prompt_id")
        rows = last.table(table)
        columns = ["response_id", "judge"] if table == "verdicts" else [key]
        assert rows.select(columns).is_unique().all(), table


def test_what_is_trained_on_comes_from_train_alone(last: Version) -> None:
    outside = (
        "select 1 from pairs join attacks on pairs.prompt_id = attacks.prompt_id where attacks.split <> 'train'",
        "select 1 from pairs join attacks on chosen_id = attacks.prompt_id where attacks.split <> 'train'",
        "select 1 from pairs join splits on pairs.prompt_id = splits.prompt_id where splits.split <> 'train'",
        "select 1 from demonstrations join splits on completion_id = splits.prompt_id where splits.split <> 'train'",
    )
    assert all(last.select(query).height == 0 for query in outside)
    assert last.select("select 1 from pairs where role = 'target'").height > 0
    assert last.select("select 1 from demonstrations where role = 'red'").height > 0


def test_attacks_that_worked_join_as_training_prompts(last: Version) -> None:
    worked = last.select(
        "select attacks.prompt_id, attacks.text, model, iteration from attacks join ("
        "  select prompt_id, avg((verdict = 'unsafe')::int) as rate, count(*) as n "
        "  from responses join verdicts using (response_id) "
        "  where verdict in ('safe', 'unsafe') and judge = 'keeper' group by 1"
        ") using (prompt_id) where attacks.split = 'train' and reason is null and rate >= 0.3 and n >= 2"
    )
    joined = last.select(
        "select prompt_id, text, model, iteration from prompts where source = 'red-team' and kind = 'adversarial'"
    )
    assert worked.height > 0
    assert joined.sort("prompt_id").equals(worked.sort("prompt_id"))
    assert set(
        last.select("select split from splits join prompts using (prompt_id) where source = 'red-team'")["split"]
    ) == {"train"}


def test_figures_have_intervals_and_cover_what_the_loop_promises(last: Version) -> None:
    metrics = last.table("metrics")
    names = set(metrics["name"])
    assert names >= {
        *("attack_success", "attack_success_difference", "over_refusal", "retention", "right_answer"),
        *("validity", "unique", "on_type", "training/loss", "training/reward_margin"),
    }
    assert not metrics.select("name", "facets").is_duplicated().any(), "each figure is computed once"
    shares = metrics.filter(pl.col("name").is_in(["attack_success", "over_refusal", "validity"]))
    assert (shares["high"] > shares["low"]).all()


UNTRAINED = ["loop.iterations=1", "training.red.min_rows=5000", "training.target.min_rows=5000"]


@pytest.fixture(scope="module")
def untrained(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Version:
    """Version 1 of a loop that has too few pairs to train on."""
    root = with_first_models(tmp_path_factory.mktemp("untrained") / "ws", workspace)
    return build(small(*UNTRAINED), root).version


@pytest.mark.slow
def test_too_few_pairs_end_an_iteration_with_a_statement(untrained: Version) -> None:
    version = untrained
    rows = version.table("checkpoints").filter(pl.col("iteration") == 1)
    assert set(rows["method"]) == {"unchanged"}
    assert all("fewer than min_rows (5000)" in statement for statement in rows["statement"])
    first = version.table("checkpoints").filter(pl.col("iteration") == 0)
    assert set(rows["digest"]) == set(first["digest"])


@pytest.mark.parametrize("change", ["pairs.mode=mart", "loop.update=sft"], ids=["mart", "sft"])
@pytest.mark.slow
def test_ablations_train_on_demonstrations(change: str, workspace: Path, tmp_path: Path) -> None:
    root = with_first_models(tmp_path / "ws", workspace)
    version = build(small("loop.iterations=1", change), root).version
    rows = version.table("checkpoints").filter(pl.col("iteration") == 1)
    assert set(rows["method"]) <= {"sft", "unchanged"}
    assert "sft" in set(rows["method"])
    assert version.select("select distinct iteration from demonstrations order by 1")["iteration"].to_list() == [0, 1]
    harmless = "select 1 from responses join prompts using (prompt_id) join splits using (prompt_id) "
    harmless += "where kind = 'harmless' and split = 'train' and prompts.model is null"
    assert version.select(harmless).height > 0
    if change == "pairs.mode=mart":
        assert version.table("pairs").is_empty()
        return
    count = "select count(*) from {} where iteration = 1 and role <> 'red'"
    trained = version.select(count.format("demonstrations")).item()
    assert trained == version.select(count.format("pairs")).item(), "the chosen side of every pair, general ones too"
    assert version.select("select rows from checkpoints where model = 'T1'").item() == trained


COMMAND = [*PROGRAM, "build", str(SMOKE)]


def start(root: Path, changed: list[str]) -> "subprocess.Popen[str]":
    changes = [part for change in (*SMALL, *changed) for part in ("--set", change)]
    return subprocess.Popen(
        [*COMMAND, "--workspace", str(root), *changes],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )


def check_kills(root: Path, line_counts: list[int], undisturbed: Version, *changed: str) -> None:
    """Kill the loop after each number of lines of output in turn; then it must finish as ``undisturbed``."""
    name = undisturbed.name
    lines = 0
    for count in line_counts:
        process = start(root, list(changed))
        assert process.stderr is not None
        for _ in range(count):
            if not process.stderr.readline():
                break
            lines += 1
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert lines > len(line_counts)
    process = start(root, list(changed))
    _, errors = process.communicate(timeout=900)
    assert process.returncode == 0, errors
    opened = open_workspace(root)
    assert opened.manifest(name).digest == undisturbed.digest
    assert opened.verify(opened.manifest(name)) == []
    assert not (root / "stages").exists()


@pytest.mark.slow
def test_a_killed_iteration_resumes_and_ends_with_the_same_tables(
    workspace: Path, untrained: Version, tmp_path: Path
) -> None:
    # After version 0 and the attacks of iteration 1, while the target responds.
    check_kills(with_first_models(tmp_path / "ws", workspace), [17], untrained, *UNTRAINED)


@pytest.mark.slow
def test_ten_kills_at_random_moments(workspace: Path, tmp_path: Path) -> None:
    moments = random.Random(10)
    undisturbed = sd.open(workspace).version("v2")
    check_kills(tmp_path / "ws", [moments.randint(1, 12) for _ in range(10)], undisturbed)


@pytest.mark.slow
def test_standalone_stages_write_the_same_kind_of_tables(one: Path, tmp_path: Path) -> None:
    workspace, last = one / "ws", sd.open(one / "ws").version("v1")
    folder = tmp_path / "round"
    prompts = tmp_path / "prompts.jsonl"
    drawn = "select text, type, kind from kept where kind = $kind order by prompt_id limit $limit"
    pl.concat(
        [last.select(drawn, {"kind": kind, "limit": limit}) for kind, limit in (("adversarial", 100), ("harmless", 20))]
    ).write_ndjson(prompts)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(recipes.read(SMOKE)).replace("$SANDBOX", str(workspace / "sandbox")))

    def run(*arguments: object) -> str:
        ended = CliRunner().invoke(app, [str(each) for each in arguments])
        assert ended.exit_code == 0, ended.output
        return ended.stdout

    models = ("--red", workspace / "models" / "R0", "--target", workspace / "models" / "T0")
    run("attack", recipe, folder, "--prompts", prompts, *models, "--set", "loop.seeds_per_iteration=8")
    assert "keeper, verdict: " in run("judge", recipe, folder)
    made = json.loads(run("pairs", recipe, folder, "--json"))
    assert made["pairs"] > 0
    roles = {name: set(pl.read_parquet(folder / f"{name}.parquet")["role"]) for name in ("pairs", "unpaired")}
    assert "harmless" in roles["pairs"] | roles["unpaired"]
    found = {row["name"] for row in json.loads(run("evaluate", folder, "--json"))}
    assert {"attack_success", "validity", "unique", "over_refusal"} <= found
    (folder / "demonstrations.parquet").write_bytes(b"of another recipe")
    small_enough = ("--set", "training.target.min_rows=1")
    run("train", recipe, folder, "--role", "target", "-o", tmp_path / "T1", *models[2:], *small_enough)
    assert (tmp_path / "T1" / "model.safetensors").exists()
