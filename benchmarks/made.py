"""The generated workspace that analysis.py and report.py measure: the paper's scale for three iterations."""

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
PROGRAM = """
import sys
from pathlib import Path
from tests import made
prompts, seeds, dimensions = map(int, sys.argv[2:])
made.workspace(
    Path(sys.argv[1]), prompts=prompts, iterations=3, seeds=seeds, attacks=5, responses=5, dimensions=dimensions
)
"""


def generate(root: Path, *, prompts: int, seeds: int, dimensions: int = 384) -> None:
    """Write the workspace, unless the folder is there; in a process of its own: its memory is not what is measured."""
    if root.exists():
        return
    # Not a fork: Polars hangs in the child if the parent used it.
    arguments = [str(root.absolute()), str(prompts), str(seeds), str(dimensions)]
    if subprocess.run([sys.executable, "-c", PROGRAM, *arguments], cwd=CHECKOUT, check=False).returncode:
        raise SystemExit("the workspace could not be made")
