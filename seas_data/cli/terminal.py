"""What people see: versions, differences and stories as aligned lines, every word from outside made safe first."""

import shlex
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl
from pydantic import BaseModel

from seas_data.analysis import grid, headline, table
from seas_data.recipe import JudgeRules, Loop, ModelHttp, ModelInProcess, Recipe, TrainingDpo, TrainingSettings
from seas_data.text import masked, printable

if TYPE_CHECKING:
    from seas_data.release.checks import Check


def _table(columns: Iterable[str], rows: Iterable[Iterable[Any]], title: str | None = None) -> None:
    names, listed = list(columns), [list(row) for row in rows]
    cells = [[table.shown(name, row[place], reveal=True) for row in listed] for place, name in enumerate(names)]
    numeric = [
        bool(listed) and all(isinstance(row[place], int | float | None) for row in listed)
        for place in range(len(names))
    ]
    if title:
        print(title)
    if hidden := grid.write(names, cells, numeric, sys.stdout):
        print(f"... and {hidden} columns more: a wider terminal or --json shows them")


def records(entries: list[dict[str, Any]]) -> None:
    """Print records as a table, one a line."""
    if not entries:
        print("no rows")
        return
    shortened = [entry | {"digest": entry["digest"][:12]} if "digest" in entry else entry for entry in entries]
    _table(shortened[0], (entry.values() for entry in shortened))


def plan(recipe: Recipe) -> None:
    """Print what a recipe would build: its sources, the settings of each step, and its loop."""
    print(f"{recipe.name}: {printable(recipe.description)}\n")
    _table(
        ("source", "from", "kind", "language", "licence", "role", "priority"),
        (
            (
                name,
                source.path or f"{source.hub}@{source.revision}",
                source.kind or f"by {source.columns.kind}",
                source.language or f"by {source.columns.language}"
                if source.columns.language or source.language
                else None,
                source.licence or "none stated",
                source.role,
                source.priority,
            )
            for name, source in recipe.sources.items()
        ),
    )
    print()
    _table(
        ("step", "settings"),
        (
            (step, ", ".join(f"{key} {value}" for key, value in settings.items()) if settings else "left out")
            for step, settings in recipe.curation.model_dump().items()
        ),
    )
    embedders = ", ".join(f"{printable(each.model)} for {'/'.join(each.languages)}" for each in recipe.embedders)
    print(f"\nembedders: {embedders or 'none'}")
    if recipe.loop is not None:
        _loop_plan(recipe, recipe.loop)
    print("Nothing was built. Without --dry-run this recipe is.")


def _loop_plan(recipe: Recipe, loop: Loop) -> None:
    """Print what the loop would play: who, how often, what is learned from, and how."""
    attacks = loop.seeds * loop.attack.prompts
    print(
        f"\nloop, iterations: {loop.iterations}, each of {loop.seeds:,} seeds x {loop.attack.prompts} attacks x "
        f"{loop.attack.responses} responses: {attacks:,} attacks and {attacks * loop.attack.responses:,} responses to "
        "judge"
    )
    rows = f"{loop.evaluation.rows:,} rows at most" if loop.evaluation.rows else "all rows"
    print(
        f"measured on {loop.evaluation.seeds:,} seeds x {loop.evaluation.prompts} attacks x "
        f"{loop.evaluation.responses} responses for each pair of models, and on {rows} of each set\n"
    )
    plays: dict[str, list[str]] = {name: [] for name in recipe.models}
    plays[loop.red_team.model].append(f"red team ({loop.red_team.start})")
    plays[loop.target.model].append(f"target ({loop.target.start})")
    for judge in recipe.judges:
        if not isinstance(judge, JudgeRules):
            plays[judge.model].append(f"judge {judge.label}")
    if recipe.pairs.mode == "mart" and recipe.pairs.mart.reward is not None:
        plays[recipe.pairs.mart.reward].append("rewards")
    _table(
        ("model", "plays", "is", "revision", "licence", "runs"),
        (
            (name, plays[name], model.model, model.revision, model.licence or "none stated", _how_it_runs(model))
            for name, model in recipe.models.items()
        ),
    )
    print()
    _table(
        ("judge", "by", "model"),
        ((each.label, each.by, None if isinstance(each, JudgeRules) else each.model) for each in recipe.judges),
    )
    print()
    mart = recipe.pairs.mode == "mart"
    roles = ("mart",) if mart else ("red", "target", "harmless", "general")
    _table(
        (f"pairs, mode {recipe.pairs.mode}", "settings"),
        ((role, _settings(getattr(recipe.pairs, role))) for role in roles),
    )
    print()
    _trainings(recipe, loop, fine_tuned=mart or loop.update == "sft")
    print()


def _trainings(recipe: Recipe, loop: Loop, *, fine_tuned: bool) -> None:
    """Print the trainings that there will be; of updates that fine-tune, nothing of what only DPO reads."""
    for_dpo = TrainingDpo.model_fields.keys() - TrainingSettings.model_fields.keys()
    shown = ("learning_rate", "batch", "epochs", "max_length", *(() if fine_tuned else ("beta", "loss")))
    update = "sft" if fine_tuned else "dpo"
    methods = {"red_sft": "sft", "target_sft": "sft", "red": update, "target": update}
    given = {"red_sft": loop.red_team.start == "given", "target_sft": loop.target.start == "given"}
    rows = []
    for name, method in methods.items():
        settings = getattr(recipe.training, name)
        if not given.get(name):
            besides = _settings(settings, {*shown, *(for_dpo if fine_tuned else ())})
            rows.append((name, method, *(_short(getattr(settings, key, None)) for key in shown), besides))
    _table(("training", "by", *shown, "and"), rows)


def _short(value: Any) -> Any:
    return f"{value:g}" if isinstance(value, float) else value


def _how_it_runs(model: ModelInProcess | ModelHttp) -> str:
    if isinstance(model, ModelInProcess):
        return f"in this process, on {model.device}"
    if model.serve is None:
        return f"at {model.url}"
    return shlex.join(model.serve).replace("'{model}'", "{model}").replace("'{port}'", "{port}")


def _settings(settings: BaseModel | None, but: set[str] | None = None) -> str:
    """Return ``settings`` as text; given keys to leave out, only those of the others that are not as by default."""
    if settings is None:
        return "left out"
    said = settings.model_dump(exclude=but, exclude_defaults=but is not None)
    long = {key: f"of {len(said[key])} characters" for key in said.keys() & {"chat_template"} if said[key]}
    return ", ".join(f"{key} {_short(value)}" for key, value in (said | long).items() if value is not None)


def summary(content: dict[str, Any]) -> None:
    """Print what ``summary.show`` found."""
    tags = f" ({', '.join(content['tags'])})" if content["tags"] else ""
    parent = f", after {content['parent']}" if content["parent"] else ""
    print(f"{content['version']}{tags}{parent}: recipe {content['recipe'].get('name')}, digest {content['digest']}\n")
    if content["matrix"]:
        _matrix(content["matrix"])
        print()
    _figures(content["figures"], content["parent"])
    print()
    before = content["kinds_before"]
    _table(
        ("kept, by kind", "rows", *([f"since {content['parent']}"] if before else [])),
        (
            (kind, rows, *([f"{rows - before.get(kind, 0):+,}"] if before else []))
            for kind, rows in content["kinds"].items()
        ),
    )
    print()
    _table(("kept, by split", "rows"), content["splits"].items())
    print()
    _table(
        ("decided by", "decision", "reason", "rows"),
        ((row["step"], row["decision"], row["reason"], row["rows"]) for row in content["decisions"]),
    )


def loop(content: dict[str, Any]) -> None:
    """Print what ``summary.loop`` found: the matrix, what safety cost, and where to look next."""
    print(f"{content['version']}, after iteration {content['iteration']}: digest {content['digest']}\n")
    _matrix(content["matrix"])
    print()
    _table(
        content["frontier"][0] if content["frontier"] else (),
        (row.values() for row in content["frontier"]),
        title="What safety cost, on prompts that no model was trained on",
    )
    for statement in content["statements"]:
        print(printable(statement))
    print(
        "\nNext: seas-data sql target-sets; seas-data sql attack-success-by-type; seas-data sql pairs-by-role; "
        "seas-data log"
    )


def checks(found: "Sequence[Check]") -> None:
    """Print each check with what it found, and the first ids that fail it."""
    _table(("check", "", ""), [(each.name, "passed" if each.passed else "FAILED", each.sentence) for each in found])
    for each in found:
        if not each.passed and each.ids:
            shown = ", ".join(printable(name) for name in each.ids[:_IDS])
            more = f", and {len(each.ids) - _IDS} more (--json has them all)" if len(each.ids) > _IDS else ""
            print(f"{each.name}: {len(each.ids)} fail: {shown}{more}")


_IDS = 10


def _matrix(cells: list[dict[str, Any]]) -> None:
    """Print ``cells`` (red_team, target, value, low, high), a row for each red team and a column for each target."""
    told = {(each["red_team"], each["target"]): each for each in cells}
    targets = dict.fromkeys(each["target"] for each in cells)
    _table(
        ("attack success", *targets),
        ((red, *(_rate(told.get((red, each))) for each in targets)) for red in dict.fromkeys(red for red, _ in told)),
        title="How often each red team gets through to each target (95 % interval)",
    )


def _figures(rows: list[dict[str, Any]], parent: str | None) -> None:
    """Print the numbers that matter, with their change since the parent version."""
    listed = []
    for row in rows:
        rate = row["better"] is not None
        change = "" if row["change"] is None else f"{row['change']:+.3f}" if rate else f"{row['change']:+,.0f}"
        verdict = headline.verdict(row)
        value = _rate(row) if rate else f"{row['value']:,.0f}"
        listed.append((row["figure"], row["of"], value, *([f"{change} {verdict or ''}".strip()] if parent else [])))
    _table(("figure", "of", "value", *([f"since {parent}"] if parent else [])), listed)


def _rate(figure: dict[str, Any] | None) -> str:
    if figure is None or figure["value"] is None:
        return ""
    interval = "" if figure["low"] is None else f" ({figure['low']:.3f} to {figure['high']:.3f})"
    return f"{figure['value']:.3f}{interval}"


def difference(changes: dict[str, Any], before: str, after: str) -> None:
    """Print what ``explain.difference`` found."""
    rows = changes["rows"]
    print(f"{before} -> {after}: {rows['before']:,} -> {rows['after']:,} prompts")
    titles = {
        "added": f"kept rows that {after} adds",
        "reasons": "new rows that were dropped",
        "dropped": f"rows that {before} kept and {after} drops",
        "removed": f"rows that {after} does not hold any more",
        "relabelled": "rows whose labels changed",
    }
    for name, title in titles.items():
        frame: pl.DataFrame = changes[name]
        print(f"\n{title}: {int(frame['rows'].sum()) if 'rows' in frame.columns else frame.height:,}")
        if frame.height:
            _table(frame.columns, frame.head(20).iter_rows())
        if frame.height > 20:
            print(f"... and {frame.height - 20:,} more: --json lists them all")


def stories(found: list[dict[str, Any]], *, reveal: bool) -> None:
    """Print the story of each prompt that was found."""
    for number, story in enumerate(found):
        if number:
            print()
        _story(story, reveal=reveal)


def _story(story: dict[str, Any], *, reveal: bool) -> None:
    prompt, template, split, cluster = story["prompt"], story["template"], story["split"], story["cluster"]
    shown = printable if reveal else masked
    drop = next((each for each in story["decisions"] if each["decision"] == "drop"), None)
    fate = "kept" if story["kept"] else f"dropped: {drop['reason']}" if drop else "dropped"
    lines: list[tuple[str, str]] = [
        ("prompt", f"{prompt['prompt_id']}  {fate}"),
        ("text", "(withheld in this release)" if prompt["text"] is None else shown(prompt["text"])),
        (
            "from",
            f"{prompt['source']} {prompt['source_id']} ({prompt['repository'] or 'no repository stated'}), "
            f"licence {prompt['licence'] or 'not stated'}, language {prompt['language'] or 'not stated'}, "
            f"{prompt['role']}",
        ),
        ("labels", _labels(prompt)),
    ]
    lines += [("decision", _decision(each)) for each in story["decisions"]]
    if template and template["template_id"]:
        lines.append(("template", f"{template['template_id']}, shared by {template['prompts_in_template']:,} prompts"))
        lines.append(("payload", shown(template["payload"] or "")))
    if story["same_request"]:
        lines.append(("same request", f"{len(story['same_request'])} others: {', '.join(story['same_request'][:5])}"))
    if split:
        lines.append(("split", f"{split['split']}, group {split['group_id']}"))
    if cluster:
        lines.append(("cluster", f"{cluster['cluster']}: {cluster['label']}"))
    because = story["witness_of"]
    lines += [
        ("witness of", f"{each['prompt_id']}  {each['decision']}: {each['reason']}{_score(each['score'])}")
        for each in because[:10]
    ]
    if len(because) > 10:
        lines.append(("", f"... and {len(because) - 10:,} more"))
    if not reveal:
        lines.append(("", "--reveal shows the text"))
    for name, value in lines:
        print(f"{name:<13}{printable(value)}".rstrip())


def _labels(prompt: dict[str, Any]) -> str:
    source = f" by {prompt['label_source']}" if prompt["label_source"] else ""
    chance = f" (probability {prompt['label_probability']:.2f})" if prompt["label_probability"] is not None else ""
    own = " / ".join(part for part in (prompt["source_risk"], prompt["source_style"]) if part)
    kind = f"{prompt['kind']}, type {prompt['type'] or 'unknown'} {prompt['difficulty'] or ''}".rstrip()
    return f"{kind}{source}{chance}" + (f"; its source says: {own}" if own else "")


def _decision(each: dict[str, Any]) -> str:
    witness = f", because of {each['witness_id']}" if each["witness_id"] else ""
    threshold = f" (threshold {each['threshold']:g})" if each["threshold"] is not None else ""
    detail = f"; {each['detail']}" if each["detail"] else ""
    verdict = f"{each['version']} {each['step']}: {each['decision']}, {each['reason']}"
    return f"{verdict}{witness}{_score(each['score'])}{threshold}{detail}"


def _score(score: float | None) -> str:
    return "" if score is None else f", score {score:.3f}"
