"""Run the loop in several sandbox worlds, and in controls that leave a part of it out.

    python benchmarks/sandbox.py --folder worlds [--seeds 1 2 3 4 5] [--control-seeds 1 2 3]

Builds ``pipelines/sandbox.yaml`` in its own workspace for each seed (another world, other draws), again for each
control, and prints the metrics of all worlds as Markdown: mean, lowest and highest. Worlds that are already in the
folder are not built again, so a stopped run continues. One world takes about four minutes on two cores.

A *neighbour* is a pair of cells of the matrix that differ by one iteration of one model. It falls along a row if the
later target has a lower attack success rate, and rises down a column if the later red team has a higher one on the same
target. Pairs of cells that are both 0 have no order and are counted separately.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl

import seas_data as sd
from seas_data.query.version import Version

CONTROLS = {
    "seas": [],
    "shuffled": ["pairs.red.random_labels=true"],
    "no-general": ["pairs.general=null"],
}
ITERATIONS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the loop in several sandbox worlds.")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2, 3, 4, 5])
    parser.add_argument("--control-seeds", type=int, nargs="*", default=[1, 2, 3])
    arguments = parser.parse_args()
    worlds = {}
    for control in CONTROLS:
        seeds = arguments.seeds if control == "seas" else arguments.control_seeds
        worlds[control] = [build_world(arguments.folder, control, seed) for seed in seeds]
    print("\n\n".join(report(worlds)))


def build_world(folder: Path, control: str, seed: int) -> Version:
    """Return the last version of a world; build it if it does not exist."""
    workspace = folder / f"{control}-{seed}"
    last = f"v{ITERATIONS}"
    if not workspace.exists() or last not in sd.open(workspace).versions():
        changes = [f"sandbox.seed={seed}", f"loop.seed={seed}", *CONTROLS[control]]
        command = [sys.executable, "-m", "seas_data", "build", "pipelines/sandbox.yaml", "--workspace", str(workspace)]
        subprocess.run([*command, *(part for each in changes for part in ("--set", each))], check=True)
    return sd.open(workspace).version(last)


def report(worlds: dict[str, list[Version]]) -> Iterator[str]:
    """Yield the tables of the report."""
    for control, versions in worlds.items():
        if not versions:
            continue
        matrices = [matrix(version) for version in versions]
        yield f"### {control}: {len(versions)} worlds"
        yield table(
            ["attack success", *(f"T{j}" for j in range(ITERATIONS + 1))],
            [
                [f"R{i}", *(spread([each[i, j] for each in matrices]) for j in range(ITERATIONS + 1))]
                for i in range(ITERATIONS + 1)
            ],
        )
        yield table(["", "worlds"], [*orders(matrices), *gains(matrices), *preserved(versions)])
        yield table(["", "set", *(f"T{j}" for j in range(ITERATIONS + 1))], list(targets(versions)))
        yield table(["", *(f"R{i}" for i in range(ITERATIONS + 1))], list(red_teams(versions)))
        yield table(["pairs", *(str(i) for i in range(1, ITERATIONS + 1))], list(pairs(versions)))


def matrix(version: Version) -> dict[tuple[int, int], float]:
    """Return attack success by (red team, target)."""
    cells = version.sql(
        "select facets ->> 'red_team' as red_team, facets ->> 'target' as target, value from metrics "
        "where name = 'attack_success' and facets ->> 'set' = 'evaluation'"
    )
    return {(int(red[1:]), int(target[1:])): value for red, target, value in cells.iter_rows()}


def orders(matrices: list[dict[tuple[int, int], float]]) -> Iterator[list[str]]:
    """Yield how many neighbours have the order that the loop should produce."""
    steps = {
        "neighbours that fall along a row": [((i, j), (i, j + 1)) for i in range(4) for j in range(3)],
        "neighbours that rise down a column": [((i + 1, j), (i, j)) for i in range(3) for j in range(4)],
    }
    for name, compared in steps.items():
        found = [(each[high], each[low]) for each in matrices for high, low in compared]
        right = sum(high > low for high, low in found)
        empty = sum(high == low == 0 for high, low in found)
        yield [name, f"{right} of {len(found)} ({right / len(found):.1%}); {empty} more are 0 and 0"]


def gains(matrices: list[dict[tuple[int, int], float]]) -> Iterator[list[str]]:
    """Yield how much the last models differ from the first."""
    last = ITERATIONS
    yield ["R3 on T0, less R0 on T0", spread([each[last, 0] - each[0, 0] for each in matrices])]
    yield ["R0 on T3, relative to R0 on T0", spread([each[0, last] / each[0, 0] for each in matrices])]


def preserved(versions: list[Version]) -> Iterator[list[str]]:
    """Yield the right answers of the last target relative to T0's, world by world."""
    for measured_on in ("harmless", "general"):
        shares = []
        for version in versions:
            right = dict(
                version.sql(
                    "select facets ->> 'target', value from metrics where name = 'right_answer' "
                    "and facets ->> 'set' = $measured_on",
                    {"measured_on": measured_on},
                ).iter_rows()
            )
            shares.append(right[f"T{ITERATIONS}"] / right["T0"])
        yield [f"right answers of T{ITERATIONS}, relative to T0's: {measured_on}", spread(shares)]


def targets(versions: list[Version]) -> Iterator[list[str]]:
    """Yield the metrics of each target on every set."""
    parts = [
        version.sql(
            "select name, facets ->> 'set' as measured_on, facets ->> 'target' as target, value from metrics "
            "where name in ('attack_success', 'over_refusal', 'right_answer') and facets ->> 'set' <> 'evaluation' "
            "and facets ->> 'type' is null and facets ->> 'difficulty' is null"
        )
        for version in versions
    ]
    figures = pl.concat(parts)
    for (name, measured_on), rows in figures.sort("name", "measured_on").group_by(
        "name", "measured_on", maintain_order=True
    ):
        of = {
            str(target): part["value"].to_list()
            for (target,), part in rows.partition_by("target", as_dict=True).items()
        }
        yield [str(name), str(measured_on), *(spread(of[f"T{j}"]) for j in range(ITERATIONS + 1))]


def red_teams(versions: list[Version]) -> Iterator[list[str]]:
    """Yield the metrics of each red team's attacks as prompts."""
    figures = pl.concat(
        version.sql(
            "select name, facets ->> 'red_team' as red_team, value from metrics "
            "where name in ('validity', 'unique', 'on_type', 'grammatical')"
        )
        for version in versions
    )
    for (name,), rows in figures.sort("name").group_by("name", maintain_order=True):
        of = {str(red): part["value"].to_list() for (red,), part in rows.partition_by("red_team", as_dict=True).items()}
        yield [str(name), *(spread(of[f"R{i}"]) for i in range(ITERATIONS + 1))]


def pairs(versions: list[Version]) -> Iterator[list[str]]:
    """Yield the number of pairs of each role in each iteration."""
    counts = pl.concat(
        version.sql("select role, iteration, count(*) as rows from pairs group by all") for version in versions
    )
    for role in ("red", "target", "harmless", "general"):
        found = [
            counts.filter(role=role, iteration=iteration)["rows"].to_list() for iteration in range(1, ITERATIONS + 1)
        ]
        yield [role, *(spread([*each, *[0] * (len(versions) - len(each))], whole=True) for each in found)]


def spread(values: list[float], *, whole: bool = False) -> str:
    """Return the mean of the worlds, with the lowest and the highest."""
    form = "{:.0f}" if whole else "{:.3f}"
    mean, low, high = (form.format(each) for each in (sum(values) / len(values), min(values), max(values)))
    return f"{mean} ({low} to {high})"


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    main()
