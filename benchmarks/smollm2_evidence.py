"""Evidence from runs of SmolLM2: the figures of a run's newest version, and the page that has those of all runs."""

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
from ablations import number, span
from sandbox import table
from smollm2_types import RECIPE, typed_attacks

import seas_data as sd
from seas_data.query.library import load
from seas_data.query.version import Version

CHECKOUT = Path(__file__).parents[1]
FIGURES, PAGE = Path(__file__).with_name("smollm2.json"), CHECKOUT / "docs" / "evidence.md"
START = "<!-- Written by benchmarks/smollm2.py evidence from benchmarks/smollm2.json. -->\n"
END = "<!-- end -->\n"
SECTIONS = ("loop", "models", "pairs", "training")
"""The sections of the recipe whose settings describe a run."""
FILES = ("loop.instructions", "loop.preferences", "loop.evaluation.expected_answers")
"""Settings that name files: a version has their names alone."""
TARGET_COLUMNS = {
    "attack success, test": ("attack_success", "test"),
    "held-out attacks": ("attack_success", "held-out-attacks"),
    "over-refusal, harmless": ("over_refusal", "harmless"),
    "held-out look-alikes": ("over_refusal", "held-out-look-alikes"),
    "right answers, general": ("right_answer", "general"),
    "harmless": ("right_answer", "harmless"),
    "look-alikes held out": ("right_answer", "held-out-look-alikes"),
    "utility": ("utility", None),
}
"""Columns of the table of targets: a metric and the set it is measured on."""
JUDGES = {"attack_success": "cooking", "over_refusal": "refusals"}

Figure = dict[str, Any]


def show_evidence(arguments: argparse.Namespace) -> None:
    """Print the figures of the runs given; with ``--write`` store them, and write the page from all stored runs."""
    given = dict(map(parse_run, arguments.runs))
    if arguments.write:
        print(to_markdown(store_runs(given)))
    else:
        print(to_markdown({name: read_run(sd.open(folder).version()) for name, folder in given.items()}))


def parse_run(text: str) -> tuple[str, Path]:
    name, _, folder = text.rpartition("=")
    if not (name and folder):
        raise sd.SeasDataError(f"{text!r} is not NAME=WORKSPACE.")
    return name, Path(folder)


def store_runs(given: Mapping[str, Path]) -> dict[str, Figure]:
    """Store the figures of the workspaces ``given`` by name, write the page, and return the figures of all runs."""
    stored: dict[str, Figure] = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    stored |= {name: read_run(sd.open(folder).version()) for name, folder in given.items()}
    stored = dict(sorted(stored.items()))
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(run, sort_keys=True)}" for name, run in stored.items())
    FIGURES.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    PAGE.write_text(replace_block(PAGE.read_text(encoding="utf-8"), START, to_markdown(stored)), encoding="utf-8")
    return stored


def read_run(version: Version) -> Figure:
    """Return the figures of a run."""
    stated = sd.load_recipe(RECIPE).model_dump(mode="json")
    used = version.manifest.recipe
    settings = {key: value for name in SECTIONS for key, value in differences(stated[name], used[name], name)}
    seed = settings.pop("loop.seed", stated["loop"]["seed"])
    settings.pop("loop.iterations", None)
    return {
        "version": version.name,
        "digest": version.digest,
        "recipe": used["name"],
        "seed": seed,
        "settings": settings,
        "matrix": rows_of(version, "attack-success-matrix"),
        "differences": rows_of(version, "attack-success-differences"),
        "red_teams": rows_of(version, "red-teams"),
        "validity": rows_of(version, "attack-validity"),
        "off_type": read_off_type(version),
        "targets": rows_of(version, "target-sets") + read_utility(version),
        "models": [
            {key: row[key] for key in ("model", "method", "rows", "statement")} for row in rows_of(version, "models")
        ],
        "pairs": rows_of(version, "pairs-by-role"),
        "stages": [
            {key: row[key] for key in ("version", "stage", "seconds", "rows")}
            for row in rows_of(version, "stage-times")
            if row["seconds"] >= 10
        ],
    }


def rows_of(version: Version, name: str) -> list[Figure]:
    """Return the rows of a query of the library."""
    query = load(CHECKOUT / "sql")[name]
    return version.sql(query.sql, query.values([])).to_dicts()


def read_off_type(version: Version) -> list[Figure]:
    """Return the proportion of each red team's evaluation attacks that are off type: red_team, value."""
    attacks = typed_attacks(version).filter(pl.col("split") == "test")
    shares = attacks.group_by(red_team="model").agg(value=pl.col("off_type").is_not_null().mean())
    return shares.sort("red_team").to_dicts()


def read_utility(version: Version) -> list[Figure]:
    """Return the utility of each target, as rows of ``target-sets``."""
    query = """
        select name, facets ->> 'target' as target, facets ->> 'task' as task, value, low, high, n
        from metrics where name = 'utility' order by all
    """
    return version.sql(query).to_dicts()


def differences(stated: Any, used: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the dotted key and the value used of each setting that both have and that differs, apart from files."""
    if isinstance(stated, Mapping) and isinstance(used, Mapping):
        for key in sorted(stated.keys() & used.keys()):
            yield from differences(stated[key], used[key], f"{path}.{key}")
    elif stated != used and not path.startswith(FILES):
        yield path, used


def to_markdown(runs: Mapping[str, Figure]) -> str:
    """Return the table of all runs, those of runs that differ in the seed alone, and the tables of each."""
    parts = ["### All runs", overview(runs), *pooled(runs)]
    for name, run in runs.items():
        parts += [f"### {name}", *describe(run)]
    return "\n\n".join(parts)


def overview(runs: Mapping[str, Figure]) -> str:
    """Return a row for each run: the corners of the matrix, and what the last models are otherwise."""
    header = ["run", "seed", "iterations", "R0 on T0", "last R on T0", "R0 on last T", "last R on last T"]
    header += ["valid attacks, R0 to last", "unique, R0 to last", "over-refusal, T0 to last", "general, T0 to last"]
    rows = []
    for name, run in runs.items():
        last = max(int(row["model"][1:]) for row in run["models"])
        cells = [cell(run, f"R{red}", f"T{target}") for red, target in ((0, 0), (last, 0), (0, last), (last, last))]
        ends = [
            " to ".join(show(find(run["red_teams"], name=name, red_team=f"R{each}")) for each in (0, last))
            for name in ("validity", "unique")
        ]
        ends += [
            " to ".join(show(of_target(run, f"T{each}", column)) for each in (0, last))
            for column in ("over-refusal, harmless", "right answers, general")
        ]
        rows.append([name, str(run["seed"]), str(last), *cells, *ends])
    return table(header, rows)


def pooled(runs: Mapping[str, Figure]) -> Iterator[str]:
    """Yield a matrix for each group of runs that differ in the seed alone: the mean of each cell, and its range."""
    groups: dict[str, dict[str, Figure]] = {}
    for name, run in runs.items():
        key = json.dumps([run["recipe"], run["settings"], len(run["models"])], sort_keys=True)
        groups.setdefault(key, {})[name] = run
    for group in groups.values():
        if len(group) == 1:
            continue
        reds, targets = model_names(next(iter(group.values())))
        rows = [[red, *(pooled_cell(group.values(), red, target) for target in targets)] for red in reds]
        yield f"Attack success, mean of {'; '.join(group)} (lowest to highest):"
        yield table(["", *targets], rows)


def pooled_cell(runs: Iterable[Figure], red: str, target: str) -> str:
    """Return a cell of the matrix of several runs: the mean, and the lowest and highest value."""
    values = [row["value"] for run in runs for row in [find(run["matrix"], red_team=red, target=target)] if row]
    return f"{number(sum(values) / len(values))} ({number(min(values))} to {number(max(values))})" if values else ""


def describe(run: Figure) -> Iterator[str]:
    """Yield the paragraphs and tables of one run."""
    settings = sorted(run["settings"].items())
    changed = ", ".join(f"`{key}={json.dumps(value, sort_keys=True)}`" for key, value in settings) or "none"
    yield (
        f"`{run['recipe']}`, {run['version']}, digest `{run['digest'][:16]}`. Settings other than those of "
        f"`pipelines/smollm2.yaml`: {changed}."
    )
    models = {row["model"]: row for row in run["models"]}
    reds, targets = model_names(run)
    yield "Attack success, with its interval; below it, that of valid attacks alone:"
    yield table(["", *targets], [[red, *(cell(run, red, target, valid=True) for target in targets)] for red in reds])
    steps = [row for row in run.get("differences", []) if row["against"] == "the previous red team"]
    if steps:
        yield "Attack success less that of the red team before, paired by seed:"
        cells = [[show(find(steps, red_team=red, target=target), True) for target in targets] for red in reds[1:]]
        yield table(["", *targets], [[red, *row] for red, row in zip(reds[1:], cells, strict=True)])
    yield "Red teams, by their evaluation attacks:"
    yield table(
        ["", "rows", "valid", "others", "off type", "unique", "similarity to the nearest other", "to that of `train`"],
        [[red, rows_trained(models[red]), *red_team(run, red)] for red in reds],
    )
    yield "Targets:"
    columns = [name for name in TARGET_COLUMNS if any(of_target(run, target, name) for target in targets)]
    yield table(
        ["", "rows", *columns],
        [
            [target, rows_trained(models[target]), *(show(of_target(run, target, name), True) for name in columns)]
            for target in targets
        ],
    )
    yield "Candidates for pairs of attacks, by what became of them: " + "; ".join(pair_counts(run)) + "."
    seconds = ", ".join(f"{row['stage']} {row['seconds']:,.0f}" for row in run["stages"])
    yield f"Seconds of the clock, beside other work, of stages of ten and more: {seconds}."


def model_names(run: Figure) -> tuple[list[str], list[str]]:
    """Return the red teams and the targets of a run, in order."""
    names = [row["model"] for row in run["models"]]
    return [name for name in names if name.startswith("R")], [name for name in names if name.startswith("T")]


def red_team(run: Figure, red: str) -> list[str]:
    """Return the cells of a red team's row."""
    outcomes = [row for row in run["validity"] if row["red_team"] == red and row["outcome"] != "valid"]
    others = ", ".join(f"{row['attacks']} `{row['outcome']}`" for row in outcomes)
    figures = [find(run["red_teams"], red_team=red, name=name) for name in ("validity", "unique")]
    alike = [find(run["red_teams"], red_team=red, name="diversity", against=each) for each in ("itself", "train")]
    off_type = find(run.get("off_type", []), red_team=red)
    return [show(figures[0], True), others, show(off_type), show(figures[1]), *(show(each, True) for each in alike)]


def pair_counts(run: Figure) -> Iterator[str]:
    """Yield what became of the candidates for red and target pairs in each iteration."""
    rows = [row for row in run["pairs"] if row["role"] in ("red", "target")]
    for iteration, role in sorted({(row["iteration"], row["role"]) for row in rows}):
        own = [row for row in rows if (row["iteration"], row["role"]) == (iteration, role)]
        yield f"iteration {iteration}, {role}: " + ", ".join(f"{row['rows']} `{row['outcome']}`" for row in own)


def cell(run: Figure, red: str, target: str, *, valid: bool = False) -> str:
    """Return a cell of the matrix."""
    found = find(run["matrix"], red_team=red, target=target)
    if found is None:
        return ""
    return span(found) + (f"<br>{number(found['of_valid'])}" if valid and found["of_valid"] is not None else "")


def of_target(run: Figure, target: str, column: str) -> Figure | None:
    """Return the figure of a target in a column of its table."""
    name, prompts = TARGET_COLUMNS[column]
    wanted = {"name": name, "target": target} | ({} if prompts is None else {"prompt_set": prompts})
    return find(run["targets"], **wanted, **({"judge": JUDGES[name]} if name in JUDGES else {}))


def rows_trained(model: Figure) -> str:
    return "unchanged" if model["method"] == "unchanged" else f"{model['rows']:,} ({model['method']})"


def find(rows: list[Figure], **wanted: str) -> Figure | None:
    """Return the first of ``rows`` that has these values."""
    return next((row for row in rows if all(row.get(key) == value for key, value in wanted.items())), None)


def show(figure: Figure | None, interval: bool = False) -> str:
    return "" if figure is None else span(figure) if interval else number(figure["value"])


def replace_block(page: str, start: str, text: str) -> str:
    """Return ``page`` with ``text`` between the line ``start`` and the next end."""
    before, found, rest = page.partition(start)
    _, end, after = rest.partition(END)
    if not (found and end):
        raise SystemExit(f"the page has no place for the figures: {start.strip()} and {END.strip()}")
    return f"{before}{start}\n{text}\n\n{END}{after}"
