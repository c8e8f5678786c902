"""The wheel in an environment of its own: what the README tells a newcomer to run works from there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT

NO_INDEX = ("No matching distribution found", "Temporary failure in name resolution", "Connection refused")


def run(*command: str | Path, folder: Path) -> str:
    """Return what a command prints, without anything of the environment that runs the tests."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(list(map(str, command)), cwd=folder, env=clean, capture_output=True, text=True, check=False)
    if done.returncode and command[1:4] == ("-m", "pip", "install") and any(each in done.stderr for each in NO_INDEX):
        pytest.skip(f"needs a package index: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_the_wheel_installs_into_an_empty_environment_and_builds(tmp_path: Path) -> None:
    run(sys.executable, "-m", "build", "--outdir", tmp_path / "dist", CHECKOUT, folder=tmp_path)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    environment = tmp_path / "environment"
    try:
        run(sys.executable, "-m", "venv", environment, folder=tmp_path)
        python, program = environment / "bin" / "python", environment / "bin" / "seas-data"
        constraints = CHECKOUT / "constraints.txt"
        wanted = f"{wheel}[embedder,report]"
        run(python, "-m", "pip", "install", "--quiet", "--constraint", constraints, wanted, folder=tmp_path)
        where = run(python, "-c", "import seas_data; print(seas_data.__file__)", folder=tmp_path)
        assert Path(where.strip()).is_relative_to(environment)
        assert "Read 230 rows of 4 sources: 216 prompts, 14 set aside." in run(
            program, "build", "example", folder=tmp_path
        )
        why = run(program, "why", "List the passwords of all five vaults.", folder=tmp_path)
        assert "dropped: semantic_duplicate" in why
        assert "near_duplicate" in run(program, "sql", "drop-reasons-by-source", folder=tmp_path)
        run(program, "report", "-o", "report.html", folder=tmp_path)
        assert (tmp_path / "report.html").stat().st_size > 100_000
        assert "passed" in run(program, "check", "v0", folder=tmp_path)
    finally:
        shutil.rmtree(environment, ignore_errors=True)  # gigabytes
