"""The runs of SmolLM2 that docs/evidence.md asks for: seeds of the full loop, and controls; each built once."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from ablations import copy_models
from smollm2_evidence import CHECKOUT, store_runs
from smollm2_types import RECIPE

import seas_data as sd
from seas_data.store import open_workspace

RUNS = {
    "seas": [],
    "shuffled": ["pairs.red.random_labels=true"],
    "no-general": ["pairs.general=null"],
    "typed": ["loop.validity.types=way"],
    "sft": ["loop.update=sft"],
    "mart": ["pairs.mode=mart"],
}
"""Each run's changes of ``pipelines/smollm2.yaml``. Controls have the first seed and fewer iterations."""


def build_runs(arguments: argparse.Namespace) -> None:
    """Build the runs whose workspace is not complete, and store the figures of each as soon as it is."""
    for name in arguments.runs:
        last = arguments.iterations if name == "seas" else arguments.control_iterations
        for seed in arguments.seeds if name == "seas" else arguments.seeds[:1]:
            workspace = arguments.folder / f"{name}-{seed}"
            if not is_complete(workspace, last):
                origin = arguments.folder / f"seas-{seed}" / "models"
                open_workspace(workspace, create=True)  # a build refuses a folder that only holds models
                copy_models(origin, workspace / "models", 1)  # R0 and T0 are those of the full loop
                changes = [f"loop.seed={seed}", *RUNS[name], *arguments.set]
                build(workspace, last, changes, arguments.threads)
            store_runs({f"{name}, seed {seed}": workspace})


def is_complete(workspace: Path, last: int) -> bool:
    return (workspace / "workspace.json").exists() and f"v{last}" in sd.open(workspace).versions()


def build(workspace: Path, iterations: int, changes: list[str], threads: int) -> None:
    """Run the build of one workspace, which continues where it was stopped."""
    command = [sys.executable, "-m", "seas_data", "build", str(RECIPE), "--workspace", str(workspace)]
    command += ["--iterations", str(iterations), *(part for each in changes for part in ("--set", each))]
    subprocess.run(command, check=True, cwd=CHECKOUT, env=os.environ | {"OMP_NUM_THREADS": str(threads)})
