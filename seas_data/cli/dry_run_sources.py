"""The sources in `build --dry-run`: each is opened; three masked rows show what became of each column."""

import polars as pl

from seas_data import sources
from seas_data.console import echo
from seas_data.errors import SeasDataError
from seas_data.query.text_table import write_table
from seas_data.recipe import Recipe, Source
from seas_data.recipe.paths import is_in_sandbox
from seas_data.sources.account import Account, account_lines, describe_source, require_readable
from seas_data.text import masked, printable

_ROWS = 3


def write_sources(recipe: Recipe) -> bool:
    """Open each local source of ``recipe`` and print its first rows. Return whether a build would read all of them.

    What would stop a build is printed, not raised, so that every source is looked at.
    """
    readable = True
    accounts = {}
    max_characters = max(sources.MAX_CHARACTERS, recipe.curation.limits.max_characters)
    for name, source in recipe.sources.items():
        if source.hub is not None or is_in_sandbox(str(source.path)):
            made = "the Hub, which a dry run does not call" if source.hub is not None else "the sandbox"
            echo(f"\n{name}: comes from {made}")
            continue
        try:
            found = sources.read_source(name, source, labelling=recipe.labelling, max_characters=max_characters)
            _write_rows(name, source, found.prompts)
            accounts[name] = describe_source(source, found)
            require_readable(name, source, found)
        except SeasDataError as problem:
            readable = False
            echo(f"\nA build would stop here: {printable(str(problem))}")
    if accounts:
        echo("\n" + "\n".join(account_lines(Account(accounts))))
    return readable


def _write_rows(name: str, source: Source, prompts: pl.DataFrame) -> None:
    columns = source.columns
    echo(f"\n{name}: the first of {prompts.height:,} prompts")
    rows = []
    for row in prompts.head(_ROWS).iter_rows(named=True):
        risk, style = row["source_risk"], row["source_style"]
        rows.append(
            (
                masked(row["text"]),
                row["source_id"],
                row["kind"],
                f"{_short(risk)} -> {row['risk_category'] or 'nothing'}" if columns.risk or source.log else None,
                f"{_short(style)} -> {row['attack_style'] or 'nothing'}" if columns.style or source.log else None,
                row["language"],
            )
        )
    write_table(
        (
            f"text (from {source.log or columns.text})",
            f"id (from {source.log or columns.id or 'row number'})",
            f"kind (from {columns.kind})" if source.kind is None else "kind",
            f"risk (from {columns.risk})" if columns.risk else "risk",
            f"style (from {columns.style})" if columns.style else "style",
            f"language (from {columns.language or ('the recipe' if source.language else 'the text')})",
        ),
        rows,
    )


def _short(label: str | None) -> str:
    return "no label" if label is None else label if len(label) <= 40 else f"{label[:37]}..."
