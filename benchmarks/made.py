"""The generated workspace that analysis.py and report.py measure: the paper's scale for three iterations."""

import os
from pathlib import Path


def generate(root: Path, *, prompts: int, seeds: int, dimensions: int = 384) -> None:
    """Write the workspace, unless the folder is there; in a process of its own: its memory is not what is measured."""
    if root.exists():
        return
    if os.fork() == 0:
        from tests import made

        made.workspace(root, prompts=prompts, iterations=3, seeds=seeds, attacks=5, responses=5, dimensions=dimensions)
        os._exit(0)
    if os.wait()[1]:
        raise SystemExit("the workspace could not be made")
