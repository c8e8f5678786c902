"""The registry of checks: a check of another installed distribution runs, fails a release and can be waived."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from seas_data.release import checks
from seas_data.release.checks import Phase
from tests.conftest import CHECKOUT

MODULE = """
from seas_data.release.checks import Check, finding

QUERY = "select prompt_id as id from kept where source = 'riddles'"


def find_riddles(candidate):
    return finding(candidate.select(QUERY)["id"], passed="no riddles", failed="there are riddles; drop the source")


CHECK = Check("There are no riddles.", find_riddles, (QUERY,))
"""


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """The environment of a process in which another distribution with a check is installed."""
    site = tmp_path / "site"
    about = site / "riddle_check-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: riddle-check\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[seas_data.checks]\nno-riddles = riddle_check:CHECK\n")
    (site / "riddle_check.py").write_text(MODULE)
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(site), str(CHECKOUT)])}


# The commands, in one process with the distribution: each starts for a second or two otherwise.
COMMANDS = """
import json, sys
from typer.testing import CliRunner
from seas_data.cli import app

ended = [CliRunner().invoke(app, command) for command in json.load(sys.stdin)]
json.dump([[each.exit_code, each.stdout] for each in ended], sys.stdout)
"""


def run(environment: dict[str, str], *commands: list[str]) -> list[tuple[int, str]]:
    """Return the exit status and the output of each command."""
    ended = subprocess.run(
        [sys.executable, "-c", COMMANDS],
        input=json.dumps(commands),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)  # type: ignore[no-any-return]


@pytest.mark.slow
def test_a_check_of_another_distribution_fails_a_release_and_can_be_waived(
    scanned: Path, installed: dict[str, str]
) -> None:
    workspace = ["--workspace", str(scanned)]
    allowed = ["--allow", "no-riddles", "--because", "we like riddles"]
    waived, described = run(installed, ["check", "--json", *allowed, *workspace], ["check", "--help"])
    results = json.loads(waived[1])["checks"]
    names = [each["name"] for each in results]
    assert names == [*checks.names()[:-1], "no-riddles", "card"]
    assert [each["name"] for each in results if not each["passed"]] == ["no-riddles"]
    riddles = next(each for each in results if each["name"] == "no-riddles")
    assert riddles["ids"] and riddles["message"] == "there are riddles; drop the source"
    assert waived[0] == 0
    assert "no-riddles" in described[1]


def test_integrity_checks_run_first_and_the_card_last() -> None:
    phases = [check.phase for check in (checks.CHECKS.load(name) for name in checks.names())]
    assert phases == sorted(phases)
    assert checks.names()[:2] == ["manifest", "schemas"]
    assert [phase for phase in phases if phase is Phase.CARD] == [Phase.CARD]
    assert checks.names()[-1] == "card"


def test_our_checks_have_distinct_positions_and_a_description() -> None:
    definitions = checks.CHECKS.all()
    assert len({check.position for check in definitions.values()}) == len(definitions)
    assert all(check.description.endswith(".") for check in definitions.values())
