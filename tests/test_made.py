"""The made workspace is whole, the same every time, and every id in it leads somewhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import seas_data as sd
from seas_data import recipe, tables
from seas_data.query.version import Version
from tests import made as making
from tests.conftest import CHECKOUT

# What each table names, and where that is: none of these queries may find a row.
LOST = {
    "a kept prompt without a split": "from kept anti join splits using (prompt_id)",
    "a dropped prompt with a split, unless it was dropped later": """
        from splits semi join dropped using (prompt_id)
        anti join (from decisions where reason = 'manual') using (prompt_id)""",
    "a witness that is not there": """
        from decisions anti join prompts on prompts.prompt_id = witness_id where witness_id is not null""",
    "a dropped prompt whose witness was dropped": """
        from dropped join dropped as witness on dropped.witness_id = witness.prompt_id""",
    "a group on both sides": "select group_id from splits group by 1 having count(distinct split) > 1",
    "a template without its wrapper": """
        from templates anti join wrappers using (template_id) where template_id is not null""",
    "an example that is not there": """
        from (select unnest(example_ids) as prompt_id from seeds) anti join prompts using (prompt_id)""",
    "an attack without a seed": "from attacks anti join seeds using (seed_id)",
    "a response to nothing": "from responses anti join attacks using (prompt_id) anti join prompts using (prompt_id)",
    "a response without settings": "from responses anti join settings using (settings_id)",
    "settings of no checkpoint": "from settings anti join checkpoints using (model)",
    "a verdict on nothing": "from verdicts anti join responses using (response_id)",
    "a red pair of no attacks": "from pairs anti join attacks on attacks.prompt_id = chosen_id where role = 'red'",
    "a target pair of no responses": """
        from pairs anti join responses on response_id = chosen_id where role in ('target', 'harmless')""",
    "a joined prompt of no attack": "from prompts anti join attacks using (prompt_id) where source = 'red-team'",
    "a vector without a place on the map": "from embeddings anti join clusters using (prompt_id)",
}


@pytest.fixture(scope="module")
def version(made: Path) -> Version:
    return sd.open(made).version()


def test_it_verifies_and_holds_three_versions_with_a_loop(version: Version) -> None:
    for name in ("v0", "v1", "v2"):
        assert version.workspace.verify(version.workspace.manifest(name)) == []
    assert recipe.Recipe.model_validate(version.manifest.recipe).loop is not None


def test_every_table_has_rows_but_that_of_what_was_forgotten(version: Version) -> None:
    assert [name for name in tables.TABLES if not version.manifest.rows().get(name)] == ["tombstones"]


@pytest.mark.parametrize("what", LOST)
def test_every_id_leads_somewhere(what: str, version: Version) -> None:
    assert version.select(f"select count(*) from ({LOST[what]})").item() == 0


@pytest.mark.slow
def test_another_process_makes_the_same(version: Version, tmp_path: Path) -> None:
    program = "import pathlib, sys; from tests import made; print(made.workspace(pathlib.Path(sys.argv[1])).digest)"
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-c", program, str(tmp_path / "ws")]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert ended.stdout.split()[-1] == version.digest


@pytest.mark.slow
def test_it_grows_as_it_is_asked_to(tmp_path: Path) -> None:
    rows = making.workspace(
        tmp_path / "ws", prompts=900, iterations=1, seeds=40, attacks=2, responses=2
    ).manifest.rows()
    assert rows["prompts"] > 900
    assert 40 * 2 + 2 * 20 * 2 < rows["attacks"] <= 40 * 2 + 2 * 30 * 2  # some seeds come out the same
