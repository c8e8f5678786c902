"""What people see: versions, differences and stories as aligned lines, every word from outside made safe first."""

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from seas_data.query import formats as table
from seas_data.query import headline
from seas_data.query import text_table as grid
from seas_data.text import masked, printable

if TYPE_CHECKING:
    from seas_data.release.checks import CheckResult


def write_table(columns: Iterable[str], rows: Iterable[Iterable[Any]], title: str | None = None) -> None:
    """Print ``rows`` below the names of their ``columns``, aligned."""
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
    write_table(shortened[0], (entry.values() for entry in shortened))


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
    write_table(
        ("kept, by kind", "rows", *([f"since {content['parent']}"] if before else [])),
        (
            (kind, rows, *([f"{rows - before.get(kind, 0):+,}"] if before else []))
            for kind, rows in content["kinds"].items()
        ),
    )
    print()
    write_table(("kept, by split", "rows"), content["splits"].items())
    print()
    write_table(
        ("decided by", "decision", "reason", "rows"),
        ((row["step"], row["decision"], row["reason"], row["rows"]) for row in content["decisions"]),
    )


def loop(content: dict[str, Any]) -> None:
    """Print what ``summary.loop`` found: the matrix, what safety cost, and where to look next."""
    print(f"{content['version']}, after iteration {content['iteration']}: digest {content['digest']}\n")
    _matrix(content["matrix"])
    print()
    write_table(
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


def checks(found: "Sequence[CheckResult]") -> None:
    """Print each check with what it found, and the first ids that fail it."""
    write_table(
        ("check", "", ""), [(each.name, "passed" if each.passed else "FAILED", each.message) for each in found]
    )
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
    write_table(
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
        verdict = headline.change_direction(row)
        value = _rate(row) if rate else f"{row['value']:,.0f}"
        listed.append((row["figure"], row["of"], value, *([f"{change} {verdict or ''}".strip()] if parent else [])))
    write_table(("figure", "of", "value", *([f"since {parent}"] if parent else [])), listed)


def _rate(figure: dict[str, Any] | None) -> str:
    if figure is None or figure["value"] is None:
        return ""
    interval = "" if figure["low"] is None else f" ({figure['low']:.3f} to {figure['high']:.3f})"
    return f"{figure['value']:.3f}{interval}"


def difference(changes: dict[str, Any], before: str, after: str) -> None:
    """Print what ``explain.diff_versions`` found."""
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
            write_table(frame.columns, frame.head(20).iter_rows())
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
