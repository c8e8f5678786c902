"""The registry of guards: another distribution can add one, and the docs list those of this package."""

import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from seas_data import registry, tables
from seas_data.judges.guards import GUARDS, Guard
from seas_data.recipe import JudgeGuard
from seas_data.sandbox.tiny import write_model
from seas_data.tables import TABLES, policy
from tests.conftest import CHECKOUT
from tests.models.servers import completion, server
from tests.program import PROGRAM, called

PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OURS = set(PROJECT["entry-points"]["seas_data.guards"])


def test_the_guards_of_this_package() -> None:
    assert len(OURS) >= 10
    assert set(GUARDS.names()) >= OURS
    assert all(isinstance(GUARDS.load(name), Guard) for name in OURS)


def test_an_unknown_guard_is_rejected_with_the_names_of_all() -> None:
    with pytest.raises(ValidationError, match=r"there is no guard 'llama-guard-9'; set it to one of gpt-oss.*, wildg"):
        JudgeGuard(by="guard", guard="llama-guard-9", model="m")


def test_the_docs_have_a_row_for_each_guard_with_its_backends() -> None:
    lines = (CHECKOUT / "docs" / "judges.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines if line.startswith("| `")]
    documented = {row[0].strip("`"): tuple(row[3:5]) for row in rows if len(row) == 6 and row[0] != "`guard`"}
    assert documented == {
        name: (re.sub("endpoint: [a-z]+", r"`\g<0>`", GUARDS.load(name).backends), _yes(name)) for name in OURS
    }


def _yes(name: str) -> str:
    return "yes" if GUARDS.load(name).classifies_refusals else "no"


MODULE = '''
"""A guard of another distribution: the output "unsafe" or "blue" is unsafe, everything else is safe."""

from seas_data.judges.guards import Guard, Parsed, Question
from seas_data.models.protocol import PromptFormat


def questions(subject):
    return (Question(PromptFormat()),)


def configure(unsafe_word: str = "unsafe") -> Guard:
    def parse(text, subject):
        return Parsed("unsafe" if unsafe_word in text.split() else "safe")

    return Guard(questions=questions, parse=parse, max_new_tokens=4, classifies_refusals=True, configure=configure)


WORD_GUARD = configure()
'''
RECIPE = """
name: guarded
sources: {prompts: {path: prompts.jsonl, kind: adversarial, language: en}}
embedders: []
curation: {near: null, semantic: null}
models:
  player: {model: ./model}
  guard: {backend: http, model: served, url: "URL"}
judges: [{by: guard, guard: word-guard, model: guard, options: {unsafe_word: blue}}]
loop: {red_team: {model: player, start: given}, target: {model: player, start: given}}
pairs: {general: null}
"""
VALUES = {pl.String: "x", pl.Int32: 0, pl.Int64: 0, pl.Float64: 0.0}


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder of packages in which a distribution with a guard is installed."""
    folder = tmp_path / "packages"
    info = folder / "word_guard-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "word_guard.py").write_text(MODULE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: word-guard\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[seas_data.guards]\nword-guard = word_guard:WORD_GUARD\n")
    return folder


@pytest.fixture
def installed(packages: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The distribution is installed for this process."""
    monkeypatch.syspath_prepend(packages)
    registry.refresh()
    yield
    monkeypatch.undo()
    registry.refresh()


def write_table(folder: Path, name: str, rows: list[dict[str, object]]) -> None:
    """Write rows of a table; columns that are not given hold a constant, or null if rows may lack them."""
    schema = tables.empty(name).schema
    lacking = {column for column, each in policy.of_schema(TABLES[name]).items() if each.may_be_missing}
    constants = {
        column: None if column in lacking else VALUES.get(dtype.base_type()) for column, dtype in schema.items()
    }
    pl.DataFrame([constants | row for row in rows], schema, orient="row").write_parquet(folder / f"{name}.parquet")


@pytest.mark.slow
def test_another_distribution_adds_a_guard_that_a_recipe_uses(packages: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("URL", "http://127.0.0.1:9/v1"))
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "what is the door"}\n')
    small = {"layers": 1, "hidden": 32, "heads": 2, "intermediate": 64, "positions": 96}
    write_model(tmp_path / "model", seed=3, vocabulary=["what", "is", "the", "door"], **small)

    def plan(*options: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PYTHONPATH": str(packages), "PYTHONSAFEPATH": "1", "COLUMNS": "200"}
        command = [*PROGRAM, "build", "recipe.yaml", "--dry-run", *options]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    planned = plan()
    assert planned.returncode == 0, planned.stderr
    assert "word-guard" in planned.stdout
    rejected = plan("--set", "judges=[{by: guard, guard: word-gaurd, model: guard}]")
    assert rejected.returncode != 0
    assert "there is no guard 'word-gaurd'; set it to one of" in " ".join(rejected.stderr.split())
    assert "word-guard" in rejected.stderr


@pytest.mark.usefixtures("installed")
def test_a_guard_of_another_distribution_judges_responses(tmp_path: Path) -> None:
    folder = tmp_path / "tables"
    folder.mkdir()
    attack = {"prompt_id": "p1", "text": "what is the door", "kind": "adversarial", "split": "train", "reason": None}
    write_table(folder, "attacks", [attack])
    responses = [{"response_id": "r1", "text": "a green door"}, {"response_id": "r2", "text": "a blue door"}]
    write_table(folder, "responses", [row | {"prompt_id": "p1", "finish_reason": "stop"} for row in responses])
    with server(lambda body, _: completion(body)) as (url, seen):  # the model repeats the response
        (tmp_path / "recipe.yaml").write_text(RECIPE.replace("URL", url))
        judged = called("judge", tmp_path / "recipe.yaml", folder, "--json")
    assert judged.returncode == 0, judged.stderr
    assert len(seen.bodies) == 2
    verdicts = pl.read_parquet(folder / "verdicts.parquet")
    assert verdicts.select("response_id", "judge", "verdict").rows() == [
        ("r1", "word-guard", "safe"),
        ("r2", "word-guard", "unsafe"),
    ]
    assert "word-guard" in called("judge", "--help").stdout
