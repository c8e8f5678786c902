"""Everything a version records about one prompt."""

from typing import Any

import polars as pl

from seas_data.conversation import every_text
from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.text import text_digest


def find_prompts(version: Version, text_or_id: str) -> list[str]:
    """Return the ids of the prompts with this id, id prefix (at least 6 characters) or text (ignoring case).

    The text may be that of one turn of a conversation.

    Raises SeasDataError if no prompt matches.
    """
    digest = text_digest(text_or_id)
    found = version.select(
        "select prompt_id from prompts where text_digest = $digest or prompt_id = $id "
        "or (length($id) >= 6 and starts_with(prompt_id, $id))",
        {"digest": digest, "id": text_or_id},
    )["prompt_id"].to_list()
    turns = version.select("select prompt_id, messages from prompts where messages is not null")
    found += [
        prompt_id
        for prompt_id, messages in turns.iter_rows()
        if any(text_digest(text) == digest for text in every_text(messages))
    ]
    ids = sorted(set(found))
    if not ids:
        raise SeasDataError(
            f"no prompt of {version.name} has this id or text; list the ids with: "
            'seas-data sql -q "select prompt_id, source, source_id from prompts"'
        )
    return ids


def describe_prompt(version: Version, prompt_id: str) -> dict[str, Any]:
    """Return everything the version records about one prompt.

    Keys: ``prompt`` (its row), ``kept``, ``decisions`` (about it), ``witnesses`` (the prompts that the decisions name;
    their text is null where a release withholds it), ``witness_of`` (prompts dropped or flagged because of it),
    ``template`` (with the number of prompts that share it), ``same_request``, ``split`` and ``cluster``.
    """
    values = {"id": prompt_id}
    return {
        "prompt": _first_row(version.select("select * from prompts where prompt_id = $id", values)),
        "kept": version.select("select 1 from kept where prompt_id = $id", values).height == 1,
        "decisions": version.select(
            "select * exclude prompt_id from decisions where prompt_id = $id", values
        ).to_dicts(),
        "witnesses": version.select(
            "select prompt_id, source, source_id, repository, text from prompts where prompt_id in "
            "(select witness_id from decisions where prompt_id = $id) order by prompt_id",
            values,
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
