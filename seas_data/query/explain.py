"""The difference between two versions, and everything a version records about one prompt."""

from typing import Any

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.text import text_digest

_LABELS = ("kind", "type", "risk_category", "attack_style")


PROMPT_ROWS = """
select
    prompts.prompt_id, prompts.kind, prompts.type, prompts.risk_category, prompts.attack_style,
    dropped.step, dropped.reason, dropped.witness_id
from prompts left join dropped using (prompt_id)
order by prompts.prompt_id
"""
"""The query whose result ``compare_rows`` takes: each prompt's labels and, if it was dropped, the step and reason."""


def diff_versions(before: Version, after: Version) -> dict[str, Any]:
    """Return the differences between two versions; see ``compare_rows``."""
    return compare_rows(before.select(PROMPT_ROWS), after.select(PROMPT_ROWS))


def compare_rows(before: pl.DataFrame, after: pl.DataFrame) -> dict[str, Any]:
    """Return the differences between the ``PROMPT_ROWS`` of two versions.

    Keys: ``added`` and ``removed`` (kept rows by kind and type), ``dropped`` (rows kept before and dropped since),
    ``reasons`` (drop reasons of rows that are new in ``after``), ``relabelled`` (rows whose labels changed) and
    ``rows`` (number of prompts before and after). All values except ``rows`` are frames.

    Input columns: prompt_id, kind, type, risk_category, attack_style, step, reason, witness_id.
    """
    kept = pl.col("reason").is_null()
    kept_before, kept_after, drops = before.filter(kept), after.filter(kept), after.filter(~kept)
    no_longer_kept = kept_before.join(kept_after, on="prompt_id", how="anti")
    labels = [pl.col(f"{name}_after").ne_missing(pl.col(name)) for name in _LABELS]
    return {
        "rows": {"before": before.height, "after": after.height},
        "added": _count_by_type(kept_after.join(kept_before, on="prompt_id", how="anti", maintain_order="left")),
        "removed": _count_by_type(no_longer_kept.join(after, on="prompt_id", how="anti")),
        "dropped": drops.join(no_longer_kept, on="prompt_id", how="semi", maintain_order="left").select(
            "prompt_id", "step", "reason", "witness_id"
        ),
        "reasons": _count(drops.join(before, on="prompt_id", how="anti"), "step", "reason"),
        "relabelled": before.join(after, on="prompt_id", suffix="_after", maintain_order="left")
        .filter(pl.any_horizontal(labels))
        .select("prompt_id", *(column for name in _LABELS for column in (name, f"{name}_after"))),
    }


def find_prompts(version: Version, text_or_id: str) -> list[str]:
    """Return the ids of the prompts with this id, id prefix (at least 6 characters) or text (ignoring case).

    Raises SeasDataError if no prompt matches.
    """
    ids = version.select(
        "select prompt_id from prompts where text_digest = $digest or prompt_id = $id "
        "or (length($id) >= 6 and starts_with(prompt_id, $id)) order by prompt_id",
        {"digest": text_digest(text_or_id), "id": text_or_id},
    )["prompt_id"].to_list()
    if not ids:
        raise SeasDataError(
            f"no prompt of {version.name} has this id or text; list the ids with: "
            'seas-data sql -q "select prompt_id, source, source_id from prompts"'
        )
    return ids


def describe_prompt(version: Version, prompt_id: str) -> dict[str, Any]:
    """Return everything the version records about one prompt.

    Keys: ``prompt`` (its row), ``kept``, ``decisions`` (about it), ``witness_of`` (prompts dropped or flagged because
    of it), ``template`` (with the number of prompts that share it), ``same_request``, ``split`` and ``cluster``.
    """
    values = {"id": prompt_id}
    return {
        "prompt": _first_row(version.select("select * from prompts where prompt_id = $id", values)),
        "kept": version.select("select 1 from kept where prompt_id = $id", values).height == 1,
        "decisions": version.select(
            "select * exclude prompt_id from decisions where prompt_id = $id", values
        ).to_dicts(),
        "witness_of": version.select(
            "select prompt_id, decision, reason, score from decisions where witness_id = $id "
            "order by score desc, prompt_id",
            values,
        ).to_dicts(),
        "template": _first_row(
            version.select(
                "select template_id, payload, request_id, (select count(*) from templates other "
                "where other.template_id = templates.template_id) as prompts_in_template "
                "from templates where prompt_id = $id",
                values,
            )
        ),
        "same_request": version.select(
            "select other.prompt_id from templates this join templates other using (request_id) "
            "where this.prompt_id = $id and other.prompt_id <> $id order by 1",
            values,
        )["prompt_id"].to_list(),
        "split": _first_row(version.select("select split, group_id from splits where prompt_id = $id", values)),
        "cluster": _first_row(
            version.select("select cluster, label, x, y from clusters where prompt_id = $id", values)
        ),
    }


def _first_row(frame: pl.DataFrame) -> dict[str, Any] | None:
    return frame.row(0, named=True) if frame.height else None


def _count_by_type(frame: pl.DataFrame) -> pl.DataFrame:
    return _count(frame, "kind", "type")


def _count(frame: pl.DataFrame, *columns: str) -> pl.DataFrame:
    return frame.group_by(columns).len("rows").sort("rows", *columns, descending=[True, *[False] * len(columns)])
