"""What changed between two versions, and the story of one prompt."""

from typing import Any

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.text import text_digest

_LABELS = ("kind", "type", "risk_category", "attack_style")


ROWS = """
select
    prompts.prompt_id, prompts.kind, prompts.type, prompts.risk_category, prompts.attack_style,
    dropped.step, dropped.reason, dropped.witness_id
from prompts left join dropped using (prompt_id)
order by prompts.prompt_id
"""
"""Of each prompt its labels and, where it is not kept, why: what ``compared`` takes."""


def difference(before: Version, after: Version) -> dict[str, Any]:
    """Return what ``after`` has that ``before`` has not, and the other way round; see ``compared``."""
    return compared(before.select(ROWS), after.select(ROWS))


def compared(before: pl.DataFrame, after: pl.DataFrame) -> dict[str, Any]:
    """Return what is different between two versions, whose ``ROWS`` are given.

    Keys: ``added`` and ``removed`` (kept rows by kind and type), ``dropped`` (rows kept before and dropped since),
    ``reasons`` (why rows that are new in ``after`` were dropped), ``relabelled`` (rows whose labels changed) and
    ``rows`` (prompts before, after). Every value but ``rows`` is a frame.
    """
    kept = pl.col("reason").is_null()
    kept_before, kept_after, drops = before.filter(kept), after.filter(kept), after.filter(~kept)
    gone = kept_before.join(kept_after, on="prompt_id", how="anti")
    labels = [pl.col(f"{name}_after").ne_missing(pl.col(name)) for name in _LABELS]
    return {
        "rows": {"before": before.height, "after": after.height},
        "added": _by_type(kept_after.join(kept_before, on="prompt_id", how="anti", maintain_order="left")),
        "removed": _by_type(gone.join(after, on="prompt_id", how="anti")),
        "dropped": drops.join(gone, on="prompt_id", how="semi", maintain_order="left").select(
            "prompt_id", "step", "reason", "witness_id"
        ),
        "reasons": _count(drops.join(before, on="prompt_id", how="anti"), "step", "reason"),
        "relabelled": before.join(after, on="prompt_id", suffix="_after", maintain_order="left")
        .filter(pl.any_horizontal(labels))
        .select("prompt_id", *(column for name in _LABELS for column in (name, f"{name}_after"))),
    }


def find(version: Version, text_or_id: str) -> list[str]:
    """Return the ids of the prompts that ``text_or_id`` means: an id, the start of one, or a text in any case.

    Raises SeasDataError when there is none.
    """
    found = version.select(
        "select prompt_id from prompts where text_digest = $digest or prompt_id = $id "
        "or (length($id) >= 6 and starts_with(prompt_id, $id)) order by prompt_id",
        {"digest": text_digest(text_or_id), "id": text_or_id},
    )["prompt_id"].to_list()
    if not found:
        raise SeasDataError(
            f"no prompt of {version.name} has that id or text; ids are in: "
            'seas-data sql -q "select prompt_id, source, source_id from prompts"'
        )
    return found


def story(version: Version, prompt_id: str) -> dict[str, Any]:
    """Return all that a version knows of one prompt.

    Keys: ``prompt`` (its row), ``kept``, ``decisions`` (its own), ``witness_of`` (what was dropped or
    flagged because of it), ``template`` (with how many prompts share it), ``same_request``, ``split``, ``cluster``.
    """
    one = {"id": prompt_id}
    return {
        "prompt": _only(version.select("select * from prompts where prompt_id = $id", one)),
        "kept": version.select("select 1 from kept where prompt_id = $id", one).height == 1,
        "decisions": version.select("select * exclude prompt_id from decisions where prompt_id = $id", one).to_dicts(),
        "witness_of": version.select(
            "select prompt_id, decision, reason, score from decisions where witness_id = $id "
            "order by score desc, prompt_id",
            one,
        ).to_dicts(),
        "template": _only(
            version.select(
                "select template_id, payload, request_id, (select count(*) from templates other "
                "where other.template_id = templates.template_id) as prompts_in_template "
                "from templates where prompt_id = $id",
                one,
            )
        ),
        "same_request": version.select(
            "select other.prompt_id from templates mine join templates other using (request_id) "
            "where mine.prompt_id = $id and other.prompt_id <> $id order by 1",
            one,
        )["prompt_id"].to_list(),
        "split": _only(version.select("select split, group_id from splits where prompt_id = $id", one)),
        "cluster": _only(version.select("select cluster, label, x, y from clusters where prompt_id = $id", one)),
    }


def _only(frame: pl.DataFrame) -> dict[str, Any] | None:
    return frame.row(0, named=True) if frame.height else None


def _by_type(frame: pl.DataFrame) -> pl.DataFrame:
    return _count(frame, "kind", "type")


def _count(frame: pl.DataFrame, *columns: str) -> pl.DataFrame:
    return frame.group_by(columns).len("rows").sort("rows", *columns, descending=[True, *[False] * len(columns)])
