"""Terminal and JSON output of push and takedown. Text from outside is escaped for the terminal."""

import sys

from seas_data.console import echo
from seas_data.query.text_table import write_table
from seas_data.release.hub.plan import PushPlan
from seas_data.release.hub.push import PushResult
from seas_data.release.takedown import Takedown
from seas_data.text import printable


def print_release(plan: PushPlan) -> None:
    """Print the files of the release that a dry run would push, before the Hub is asked."""
    write_table(("file", "bytes"), plan.new.items())
    echo(f"{len(plan.new)} files, {plan.upload_bytes:,} bytes. No check failed that is not waived.")
    sys.stdout.flush()


def print_push(name: str, result: PushResult, *, tag: str | None) -> None:
    """Print the result of a push of ``name``; for a dry run, the comparison of its release with the repository."""
    plan = result.plan
    if result.not_asked is not None:
        unknown = "what is new, changed or deleted there, who can read it" + (
            f", and whether {tag} is free" if tag else ""
        )
        echo(f"{name} to {result.url}: not asked: {unknown}. The Hub did not answer: {printable(result.not_asked)}.")
        echo("Dry run: nothing was pushed.")
        return
    if result.commit is None:
        files = [
            (change, *file)
            for change, group in (("new", plan.new), ("changed", plan.changed))
            for file in group.items()
        ]
        if len(plan.new) < len(plan.local):
            write_table(("change", "file", "bytes"), [*files, *(("deleted", path, None) for path in plan.deleted)])
        for line in plan.card:
            echo(f"card     {line}")
        echo(
            f"{name} to {result.url}: {len(plan.new)} files new, {len(plan.changed)} changed, {len(plan.deleted)} "
            f"deleted, {len(plan.same)} unchanged; {len(plan.unmanaged)} files of others stay. Upload: at most "
            f"{plan.upload_bytes:,} bytes. Dry run: nothing was pushed."
        )
        return
    if plan.is_empty:
        echo(f"{result.url} is up to date; nothing was uploaded.")
    else:
        echo(
            f"Pushed {name} to {result.url}, commit {result.commit[:7]}: {len(plan.new)} files new, "
            f"{len(plan.changed)} changed, {len(plan.deleted)} deleted, {len(plan.same)} unchanged."
        )
    if tag:
        echo(f"Tag: {tag}.")


def push_json(result: PushResult, *, tag: str | None) -> dict[str, object]:
    """Return the result of a push as JSON data."""
    plan = result.plan
    release = {path: file.size for path, file in plan.local.items()}
    facts: dict[str, object] = {"url": result.url, "commit": result.commit, "tag": tag, "release": release}
    if result.not_asked is not None:
        unknown = dict.fromkeys(("new_commit", "files", "unmanaged", "bytes", "card"))
        return facts | unknown | {"not_asked": result.not_asked}
    return facts | {
        "new_commit": not plan.is_empty and result.commit is not None,
        "files": {"new": plan.new, "changed": plan.changed, "same": plan.same, "deleted": plan.deleted},
        "unmanaged": plan.unmanaged,
        "bytes": plan.upload_bytes,
        "card": plan.card,
        "not_asked": None,
    }


def print_takedown(result: Takedown, workspace: str) -> None:
    """Print what a takedown removed, and what still contains it."""
    removed = ", ".join(f"{table} {rows:,}" for table, rows in result.rows.items() if rows)
    echo(f"{result.version.name} no longer contains them; rows removed: {removed}.")
    echo(f"Taken down, with everything that contains their text: {_few([*result.prompts, *result.responses])}.")
    if result.alike:
        echo(
            f"Similar rows that stay: {_few(result.alike)}. Read them with seas-data why, and take them down too if "
            "needed."
        )
    if result.versions:
        echo(
            f"Still in {', '.join(result.versions)} of {workspace}: to remove it for good, push {result.version.name}, "
            f"pull it into a new workspace, and delete {workspace}."
        )
    for each in result.published:
        echo(f"Still in {printable(each)}: delete that tag, and squash the history or delete the repository.")
    if result.unknown:
        echo(
            f"Unknown, because they are not in this workspace: {_few(result.unknown)}. Pull each of them and search it "
            "with seas-data why."
        )
    if result.models:
        echo(f"Trained on it: {_few(result.models)}. Train these models again to remove it from their weights.")


def _few(names: list[str]) -> str:
    """Return the first of ``names``, escaped for the terminal, and the number of others."""
    return printable(", ".join(names[:20])) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def takedown_json(result: Takedown) -> dict[str, object]:
    """Return the result of a takedown as JSON data."""
    return {
        "version": result.version.name,
        "digest": result.version.digest,
        "rows": result.rows,
        "prompts": result.prompts,
        "responses": result.responses,
        "versions": result.versions,
        "published": result.published,
        "unknown": result.unknown,
        "models": result.models,
        "alike": result.alike,
    }
