"""Output for people: versions, differences, checks and prompts as aligned text, with control characters escaped."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from seas_data.cli.shared import echo
from seas_data.query import headline
from seas_data.query.text_table import write_table
from seas_data.text import masked, printable

if TYPE_CHECKING:
    from seas_data.release.checks import CheckResult


def print_records(entries: list[dict[str, Any]]) -> None:
    """Print records as a table, one per line."""
    if not entries:
        echo("no rows")
        return
    shortened = [entry | {"digest": entry["digest"][:12]} if "digest" in entry else entry for entry in entries]
    write_table(shortened[0], (entry.values() for entry in shortened))


def print_version(content: dict[str, Any]) -> None:
    """Print the result of ``summary.describe_version``."""
    tags = f" ({', '.join(content['tags'])})" if content["tags"] else ""
    parent = f", after {content['parent']}" if content["parent"] else ""
    echo(f"{content['version']}{tags}{parent}: recipe {content['recipe'].get('name')}, digest {content['digest']}\n")
    if content["matrix"]:
        _print_matrix(content["matrix"])
        echo()
    if content["frontier"]:
        _print_frontier(content["frontier"])
        echo()
    _print_figures(content["figures"], content["parent"])
    echo()
    before = content["kinds_before"]
    write_table(
        ("kept, by kind", "rows", *([f"since {content['parent']}"] if before else [])),
        (
            (kind, rows, *([f"{rows - before.get(kind, 0):+,}"] if before else []))
            for kind, rows in content["kinds"].items()
        ),
    )
    echo()
    write_table(("kept, by split", "rows"), content["splits"].items())
    echo()
    write_table(
        ("decided by", "decision", "reason", "rows"),
        ((row["step"], row["decision"], row["reason"], row["rows"]) for row in content["decisions"]),
    )


def print_loop(content: dict[str, Any]) -> None:
    """Print the result of ``summary.describe_loop`` and the commands to run next."""
    echo(f"{content['version']}, after iteration {content['iteration']}: digest {content['digest']}\n")
    _print_matrix(content["matrix"])
    echo()
    _print_frontier(content["frontier"])
    for statement in content["statements"]:
        echo(printable(statement))
    echo(
        "\nNext: seas-data sql target-sets; seas-data sql attack-success-by-type; seas-data sql pairs-by-role; "
        "seas-data log"
    )


def print_checks(results: "Sequence[CheckResult]") -> None:
    """Print the result of each check and the first ids that fail it."""
    write_table(
        ("check", "", ""), [(each.name, "passed" if each.passed else "FAILED", each.message) for each in results]
    )
    for each in results:
        if not each.passed and each.ids:
            ids = ", ".join(printable(name) for name in each.ids[:_MAXIMUM_IDS])
            rest = len(each.ids) - _MAXIMUM_IDS
            more = f", and {rest} more (use --json for all)" if rest > 0 else ""
            echo(f"{each.name}: {len(each.ids)} failing: {ids}{more}")


_MAXIMUM_IDS = 10


def _print_matrix(cells: list[dict[str, Any]]) -> None:
    """Print the result of attack-success-matrix with one row per red team and one column per target.

    Validity and similarity of a red team's attacks are beside its row. Success over valid attacks follows if there are
    invalid ones.
    """
    rates = {(each["red_team"], each["target"]): each for each in cells}
    targets = dict.fromkeys(each["target"] for each in cells)
    of_teams = {each["red_team"]: each for each in cells}
    beside = {
        label: key
        for label, key in (("validity", "validity"), ("similarity", "nearest_similarity"))
        if any(each[key] is not None for each in cells)
    }
    write_table(
        ("attack success", *targets, *beside),
        (
            (
                red,
                *(_format_rate(rates.get((red, each))) for each in targets),
                *(_format_number(row[key]) for key in beside.values()),
            )
            for red, row in of_teams.items()
        ),
        title="Attack success of each red team against each target (95 % interval)",
    )
    if any(each["of_valid"] not in (None, each["value"]) for each in cells):
        echo()
        write_table(
            ("of valid attacks", *targets),
            (
                (red, *(_format_number(rates.get((red, each), {}).get("of_valid")) for each in targets))
                for red in of_teams
            ),
            title="Attack success over valid attacks (seas-data sql attack-validity)",
        )


_AXES = {"attack success": "attack_success", "over-refusal": "over_refusal", "utility": "utility"}
_BESIDE = {"right on harmless": "harmless_right", "general answered": "retention"}


def _print_frontier(rows: list[dict[str, Any]]) -> None:
    """Print the result of the query safety-frontier: its three axes with their intervals, then its warnings."""
    shown = {name: column for name, column in (_AXES | _BESIDE).items() if any(row[column] is not None for row in rows)}
    write_table(
        ("target", *shown),
        ((row["target"], *(_format_rate(_with_interval(row, column)) for column in shown.values())) for row in rows),
        title="Safety and its cost, on prompts held out from training (95 % interval)",
    )
    for tasks in dict.fromkeys(row["utility_tasks"] for row in rows if row["utility_tasks"]):
        echo(f"utility: {printable(tasks)}")
    for row in rows:
        if row["warning"]:
            echo(f"warning: {row['target']}: {printable(row['warning'])} (more than its interval)")


def _with_interval(row: dict[str, Any], column: str) -> dict[str, Any]:
    return {"value": row[column], "low": row.get(f"{column}_low"), "high": row.get(f"{column}_high")}


def _print_figures(rows: list[dict[str, Any]], parent: str | None) -> None:
    """Print the headline figures with their change since the parent version."""
    listed = []
    for row in rows:
        rate = row["better"] is not None
        change = "" if row["change"] is None else f"{row['change']:+.3f}" if rate else f"{row['change']:+,.0f}"
        direction = headline.change_direction(row)
        value = _format_rate(row) if rate else f"{row['value']:,.0f}"
        listed.append(
            (row["figure"], row["models"], value, *([f"{change} {direction or ''}".strip()] if parent else []))
        )
    write_table(("figure", "models", "value", *([f"since {parent}"] if parent else [])), listed)


def _format_number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _format_rate(figure: dict[str, Any] | None) -> str:
    if figure is None or figure["value"] is None:
        return ""
    interval = "" if figure["low"] is None else f" ({figure['low']:.3f} to {figure['high']:.3f})"
    return f"{figure['value']:.3f}{interval}"


def print_diff(changes: dict[str, Any], before: str, after: str) -> None:
    """Print the result of ``Version.diff``."""
    rows = changes["rows"]
    echo(f"{before} -> {after}: {rows['before']:,} -> {rows['after']:,} prompts")
    titles = {
        "added": f"kept rows added in {after}",
        "reasons": "new rows that were dropped, by reason",
        "dropped": f"rows kept in {before} and dropped in {after}",
        "removed": f"rows of {before} that are not in {after}",
        "relabelled": "rows with changed labels",
    }
    for name, title in titles.items():
        frame: pl.DataFrame = changes[name]
        echo(f"\n{title}: {int(frame['rows'].sum()) if 'rows' in frame.columns else frame.height:,}")
        if frame.height:
            write_table(frame.columns, frame.head(20).iter_rows())
        if frame.height > 20:
            echo(f"... and {frame.height - 20:,} more rows: use --json")


def print_prompts(prompts: list[dict[str, Any]], *, reveal: bool) -> None:
    """Print the result of ``explain.describe_prompt`` for each prompt."""
    for number, content in enumerate(prompts):
        if number:
            echo()
        _print_prompt(content, reveal=reveal)


def _print_prompt(content: dict[str, Any], *, reveal: bool) -> None:
    prompt, template, split, cluster = content["prompt"], content["template"], content["split"], content["cluster"]
    show = printable if reveal else masked
    drop = next((each for each in content["decisions"] if each["decision"] == "drop"), None)
    outcome = "kept" if content["kept"] else f"dropped: {drop['reason']}" if drop else "dropped"
    lines: list[tuple[str, str]] = [
        ("prompt", f"{prompt['prompt_id']}  {outcome}"),
        ("text", "(withheld from this release)" if prompt["text"] is None else show(prompt["text"])),
        *([("turns", ", ".join(turn["role"] for turn in prompt["messages"]))] if prompt["messages"] else []),
        (
            "from",
            f"{prompt['source']} {prompt['source_id']} ({prompt['repository'] or 'no repository stated'}), "
            f"licence {prompt['licence'] or 'not stated'}, language {prompt['language'] or 'not stated'}, "
            f"{prompt['role']}",
        ),
        ("labels", _format_labels(prompt)),
    ]
    witnesses = {each["prompt_id"]: each for each in content["witnesses"]}
    for each in content["decisions"]:
        lines.append(("decision", _format_decision(each)))
        if each["witness_id"]:
            lines.append(("witness", _format_witness(witnesses.get(each["witness_id"]), show)))
    if template and template["template_id"]:
        lines.append(("template", f"{template['template_id']}, shared by {template['prompts_in_template']:,} prompts"))
        lines.append(("payload", show(template["payload"] or "")))
    if content["same_request"]:
        lines.append(
            ("same request", f"{len(content['same_request'])} others: {', '.join(content['same_request'][:5])}")
        )
    if split:
        lines.append(("split", f"{split['split']}, group {split['group_id']}"))
    if cluster:
        lines.append(("cluster", f"{cluster['cluster']}: {cluster['label']}"))
    witnessed = content["witness_of"]
    lines += [
        ("witness of", f"{each['prompt_id']}  {each['decision']}: {each['reason']}{_format_score(each['score'])}")
        for each in witnessed[:10]
    ]
    if len(witnessed) > 10:
        lines.append(("", f"... and {len(witnessed) - 10:,} more"))
    if not reveal:
        lines.append(("", "use --reveal to show the whole text"))
    for name, value in lines:
        echo(f"{name:<13}{printable(value)}".rstrip())


def _format_labels(prompt: dict[str, Any]) -> str:
    source = f" by {prompt['label_source']}" if prompt["label_source"] else ""
    probability = f" (probability {prompt['label_probability']:.2f})" if prompt["label_probability"] is not None else ""
    own = " / ".join(part for part in (prompt["source_risk"], prompt["source_style"]) if part)
    kind = f"{prompt['kind']}, type {prompt['type'] or 'unknown'} {prompt['difficulty'] or ''}".rstrip()
    return f"{kind}{source}{probability}" + (f"; labels of its source: {own}" if own else "")


def _format_decision(each: dict[str, Any]) -> str:
    witness = f", because of {each['witness_id']}" if each["witness_id"] else ""
    threshold = f" (threshold {each['threshold']:g})" if each["threshold"] is not None else ""
    detail = f"; {each['detail']}" if each["detail"] else ""
    verdict = f"{each['version']} {each['step']}: {each['decision']}, {each['reason']}"
    return f"{verdict}{witness}{_format_score(each['score'])}{threshold}{detail}"


def _format_witness(witness: dict[str, Any] | None, show: Callable[[str], str]) -> str:
    if witness is None:
        return "no row of this version (it was taken down, or the release leaves it out)"
    text = "(withheld from this release)" if witness["text"] is None else show(witness["text"])
    return f"{witness['source']} {witness['source_id']} ({witness['repository'] or 'no repository stated'}): {text}"


def _format_score(score: float | None) -> str:
    return "" if score is None else f", score {score:.3f}"
