"""Run the loop of the sandbox, and each change of it, in the same worlds; compare them in pairs, in one table.

    python benchmarks/ablations.py --folder worlds [--seeds 1] [--runs seas sft] [--write]

Builds ``pipelines/sandbox.yaml`` in the workspace ``NAME-SEED`` for each run and seed (a seed is another world with
other draws) and prints the table as Markdown. ``--write`` stores the figures in ``benchmarks/ablations.json`` and the
table in docs/loop.md, at the end of "Controls and ablations". Runs whose workspace is complete are not built again, so
the command continues where it was stopped. ``benchmarks/sandbox.py`` shares the folder. All builds use ``--threads``
threads (default: 1), because the number of threads changes rounding. A build takes about six minutes on one free core.

All runs of a world have the same T0, R0, evaluation seeds and random numbers, so each is compared with the full loop
seed by seed (attack success) or prompt by prompt (the rest). R0 and T0 are trained once: the models that a run shares
with the full loop are copied from its workspace, where the build recognises them. ``--smoke`` runs one short iteration
(``pipelines/sandbox-smoke.yaml``), whose figures mean nothing.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import yaml
from sandbox import table

import seas_data as sd
from seas_data.loop.evaluation import join_cells
from seas_data.metrics.intervals import effective_interval, paired_interval
from seas_data.metrics.right_answer import add_right
from seas_data.metrics.verdicts import add_refusal_flags, add_unsafe
from seas_data.query.version import Version
from seas_data.store import open_workspace

CHECKOUT = Path(__file__).parents[1]
FIGURES, PAGE = Path(__file__).with_name("ablations.json"), CHECKOUT / "docs" / "loop.md"
NEXT = "## Standalone stages\n"
START, END = "<!-- Written by benchmarks/ablations.py from benchmarks/ablations.json. -->\n", "<!-- end -->\n"


class Run(NamedTuple):
    """A run of the loop: how the table calls it, and its difference from ``pipelines/sandbox.yaml``."""

    label: str
    settings: list[str]
    recipe: str = "sandbox"
    last_only: bool = False
    """The settings hold for the last iteration only."""


RUNS = {
    "seas": Run("the full loop", []),
    "shuffled": Run("shuffled red labels", ["pairs.red.random_labels=true"]),
    "no-general": Run("no general pairs", ["pairs.general=null"]),
    "sft": Run("SFT in place of DPO", ["loop.update=sft"]),
    "all-rounds": Run("all rounds at once", ["loop.update_data=all"], last_only=True),
    "reference-pairs": Run("pairs by the paper's rule", ["pairs.mode=reference", "pairs.red={}"]),
    "reference-model": Run("T0 as DPO's reference", ["training.target.reference_model=first"]),
    "mart": Run("MART", [], recipe="sandbox-mart"),
}
MEASURES = {
    "last_on_first": "R{last} on T0",
    "first_on_last": "R0 on T{last}",
    "last_on_last": "R{last} on T{last}",
    "over_refusal": "over-refusal of T{last}",
    "right_harmless": "right answers, harmless",
    "right_general": "right answers, general",
}


def main() -> None:
    arguments = parse()
    last = 1 if arguments.smoke else 3
    chosen = dict.fromkeys(["seas", *arguments.runs])
    for seed in arguments.seeds:
        for name in chosen:
            build_run(arguments.folder, name, seed, last, smoke=arguments.smoke, threads=arguments.threads)
    figures = measure(arguments.folder, arguments.seeds, list(chosen), last)
    print(to_markdown(figures))
    if arguments.write:
        FIGURES.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        PAGE.write_text(replace_table(PAGE.read_text(encoding="utf-8"), figures), encoding="utf-8")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The loop of the sandbox beside changes of it, compared in pairs.")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=list(RUNS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--write", action="store_true", help="store the figures, and the table in docs/loop.md")
    return parser.parse_args()


def build_run(folder: Path, name: str, seed: int, last: int, *, smoke: bool, threads: int) -> None:
    """Build a run's workspace up to version ``last``, unless it is complete."""
    workspace, run = folder / f"{name}-{seed}", RUNS[name]
    open_workspace(workspace, create=True)  # a build refuses a folder that only holds models
    if f"v{last}" in sd.open(workspace).versions():
        return
    copy_models(folder / f"seas-{seed}" / "models", workspace / "models", last if run.last_only else 1)
    common = [f"sandbox.seed={seed}", f"loop.seed={seed}", *(smoke_settings() if smoke else [])]
    steps = [(last - 1, []), (last, run.settings)] if run.last_only else [(last, run.settings)]
    for iterations, settings in steps:
        changes = [*common, *settings]
        recipe = str(CHECKOUT / "pipelines" / f"{run.recipe}.yaml")
        command = [sys.executable, "-m", "seas_data", "build", recipe, "--workspace", str(workspace)]
        command += ["--iterations", str(iterations), *(part for each in changes for part in ("--set", each))]
        if iterations:
            subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": str(threads)})


def copy_models(origin: Path, target: Path, below: int) -> None:
    """Copy the trained models of iterations below ``below``; a build trains a model again unless it would be equal."""
    for name in (f"{role}{number}" for number in range(below) for role in "RT"):
        if (origin / name).exists() and not (target / name).exists():
            shutil.copytree(origin / name, target / name)


def smoke_settings() -> list[str]:
    """Return the settings of ``sandbox-smoke.yaml`` that make the loop small, as changes of another recipe."""
    content = yaml.safe_load((CHECKOUT / "pipelines" / "sandbox-smoke.yaml").read_text(encoding="utf-8"))
    return [
        f"{key}={json.dumps(value)}"
        for section in ("sandbox", "loop", "pairs", "training")
        for key, value in flatten(section, content[section])
    ]


def flatten(path: str, content: Any) -> Iterator[tuple[str, Any]]:
    """Yield the dotted key and the value of everything below ``path``."""
    if not isinstance(content, Mapping):
        yield path, content
        return
    for key, value in content.items():
        yield from flatten(f"{path}.{key}", value)


def measure(folder: Path, seeds: list[int], names: list[str], last: int) -> dict[str, Any]:
    """Return the figures of each run: values with intervals, and differences from the full loop, over all worlds."""
    found = {name: [sd.open(folder / f"{name}-{seed}").version(f"v{last}") for seed in seeds] for name in names}
    flags = {
        name: pl.concat(
            collect_flags(version, last).with_columns(unit=pl.format("{} {}", pl.lit(seed), "unit"))
            for seed, version in zip(seeds, versions, strict=True)
        )
        for name, versions in found.items()
    }
    runs = {
        name: {
            "values": {key: summarise(rows) for key, rows in split_measures(flags[name])},
            "differences": {
                key: compare(rows, flags["seas"].filter(measure=key)) for key, rows in split_measures(flags[name])
            },
            "unique": mean_metric(versions, "unique", last),
            "grammatical": mean_metric(versions, "grammatical", last),
            "rows": [training_rows(version) for version in versions],
        }
        for name, versions in found.items()
    }
    return {"seeds": seeds, "iterations": last, "runs": runs}


def collect_flags(version: Version, last: int) -> pl.DataFrame:
    """Return what each response counts for: measure, unit (an evaluation seed or a prompt), flag."""
    responses, verdicts = version.table("responses"), version.table("verdicts")
    cells = add_unsafe(join_cells(version.table("attacks"), responses, verdicts))
    parts = [
        cells.filter(red_team=red, target=target).select(pl.lit(key).alias("measure"), unit="seed_id", flag="unsafe")
        for key, red, target in (
            ("last_on_first", f"R{last}", "T0"),
            ("first_on_last", "R0", f"T{last}"),
            ("last_on_last", f"R{last}", f"T{last}"),
        )
    ]
    prompts = version.table("prompts").join(version.table("splits").select("prompt_id", "split"), on="prompt_id")
    answers = (
        prompts.filter(pl.col("split").is_in(["harmless", "test"])).select("prompt_id", "kind")
        .join(responses.filter(model=f"T{last}").select("prompt_id", "response_id", "text"), on="prompt_id")
        .join(verdicts.select("response_id", "judge", "verdict", "refusal"), on="response_id")
    )  # fmt: skip
    harmless = add_refusal_flags(answers).filter(kind="harmless")
    parts.append(harmless.select(pl.lit("over_refusal").alias("measure"), unit="prompt_id", flag="refused"))
    right = add_right(answers, version.table("expected").unique("prompt_id"))
    parts += [
        right.filter(kind=kind).select(pl.lit(f"right_{kind}").alias("measure"), unit="prompt_id", flag="right")
        for kind in ("harmless", "general")
    ]
    return pl.concat(parts).drop_nulls("flag")


def split_measures(flags: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
    """Return the rows of each measure, in the order of the table."""
    return [(key, flags.filter(measure=key)) for key in MEASURES]


def summarise(rows: pl.DataFrame) -> dict[str, float]:
    """Return the proportion of true flags with its interval, in which the responses of a unit are not independent."""
    low, high = effective_interval(rows["flag"].to_numpy(), rows["unit"].to_numpy())
    return {"value": float(rows["flag"].mean()), "low": low, "high": high, "units": rows["unit"].n_unique()}  # type: ignore[arg-type]


def compare(rows: pl.DataFrame, full: pl.DataFrame) -> dict[str, float]:
    """Return the mean difference from the full loop, unit by unit, with its interval."""
    rates, others = (each.group_by("unit").agg(rate=pl.col("flag").mean()) for each in (rows, full))
    both = rates.join(others, on="unit", suffix="_full").sort("unit")
    value, low, high = paired_interval((both["rate"] - both["rate_full"]).to_numpy())
    return {"value": value, "low": low, "high": high, "units": both.height}


def mean_metric(versions: list[Version], name: str, last: int) -> float:
    """Return the mean over the worlds of a metric of the last red team's attacks."""
    query = "select value from metrics where name = $name and facets ->> 'red_team' = $red"
    values = [version.sql(query, {"name": name, "red": f"R{last}"})["value"][0] for version in versions]
    return float(sum(values) / len(values))


def training_rows(version: Version) -> dict[str, int]:
    """Return the number of rows that each model was trained on; 0 for one that stayed unchanged."""
    trained = pl.when(pl.col("method") == "unchanged").then(0).otherwise("rows")
    return dict(version.table("checkpoints").sort("model").select("model", trained).rows())


def to_markdown(figures: dict[str, Any]) -> str:
    """Return the table: of each run the values with intervals, and below them the differences from the full loop."""
    last = figures["iterations"]
    header = ["", *(text.format(last=last) for text in MEASURES.values()), f"unique, whole attacks of R{last}"]
    lines = []
    for name, run in figures["runs"].items():
        quality = f"{number(run['unique'])}, {number(run['grammatical'])}"
        lines.append([RUNS[name].label, *(span(run["values"][key]) for key in MEASURES), quality])
        if name != "seas":
            lines.append(["less the full loop", *(span(run["differences"][key], sign="+") for key in MEASURES), ""])
    return table(header, lines)


def span(figure: dict[str, float], sign: str = "") -> str:
    """Return a figure with its interval, such as ``.481 (.450 to .520)``."""
    return f"{number(figure['value'], sign)} ({number(figure['low'], sign)} to {number(figure['high'], sign)})"


def number(value: float, sign: str = "") -> str:
    """Return ``value`` with three decimals and no leading zero; one that rounds to zero has no sign."""
    text = f"{value:{sign}.3f}"
    return "0" if float(text) == 0 else text.replace("0.", ".", 1).replace("1.000", "1")


def replace_table(page: str, figures: dict[str, Any]) -> str:
    """Return ``page`` with the table of ``figures`` between ``START`` and ``END``; a new one is put before ``NEXT``."""
    if START not in page:
        before, _, after = page.partition(NEXT)
        page = f"{before}{START}{END}\n{NEXT}{after}"
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{to_markdown(figures)}\n\n{END}{after}"


if __name__ == "__main__":
    main()
