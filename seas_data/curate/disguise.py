"""Flag rows whose text is disguised: equal to another only in the folded form, or with a hidden payload.

A disguised copy is an attack of its own: only its likeness by characters or meaning drops it. It is on the side of the
split of the plain text (``dedup.edges``).
"""

import polars as pl

from seas_data.curate.outcome import build_decisions
from seas_data.curate.turns import turn_texts
from seas_data.folding import fold_look_alikes, fold_width, has_hidden_payload
from seas_data.text import normalise


def flag_disguised(prompts: pl.DataFrame, earlier: pl.Series) -> pl.DataFrame:
    """Return a flag for each row of ``prompts`` whose text hides something.

    ``disguised``: another row has the same text in look-alike letters, other widths or without invisible characters;
    the witness is the plainest of these rows, which is not flagged. ``hidden_payload``: the text carries data in
    invisible characters. Rows of ``earlier`` versions were flagged in their own version.

    Input columns: ``prompt_id``, ``text``, ``leak_digest`` and, if there are conversations, ``messages``.
    Output columns: ``outcome.DECISION_COLUMNS`` (step ``edges``).
    """
    new = ~pl.col("prompt_id").is_in(earlier.implode())
    hides = pl.col("prompt_id").is_in(_find_hidden_payloads(prompts).implode())
    copies = prompts.select("prompt_id", "text", "leak_digest").filter(pl.len().over("leak_digest") > 1)
    several = copies.with_columns(
        normal=pl.Series([normalise(fold_width(text)) for text in copies["text"]], dtype=pl.String),
        folded=pl.Series([fold_look_alikes(text) for text in copies["text"]], dtype=pl.String),
    ).filter(pl.col("normal").n_unique().over("folded") > 1)
    plainest = (
        several.with_columns(changed=pl.struct("normal", "folded").map_elements(_count_changes, return_dtype=pl.Int64))
        .sort("folded", "changed", "prompt_id")
        .group_by("folded", maintain_order=True)
        .agg(witness_id=pl.col("prompt_id").first(), plain=pl.col("normal").first())
    )
    disguised = several.join(plainest, on="folded").filter(new, pl.col("normal") != pl.col("plain"))
    return pl.concat(
        [
            build_decisions(disguised.sort("prompt_id"), step="edges", decision="flag", reason="disguised"),
            build_decisions(
                prompts.filter(new, hides).sort("prompt_id"), step="edges", decision="flag", reason="hidden_payload"
            ),
        ]
    )


def _find_hidden_payloads(prompts: pl.DataFrame) -> pl.Series:
    """Return the ids of the rows with a hidden payload in their text or, of a conversation, in any turn."""
    texts = pl.concat([prompts.select("prompt_id", "text"), turn_texts(prompts).select("prompt_id", "text")])
    hides = pl.Series([has_hidden_payload(text) for text in texts["text"]], dtype=pl.Boolean)
    return texts.filter(hides)["prompt_id"]


def _count_changes(row: dict[str, str]) -> int:
    """Return how many characters of the normal form are not in the folded one."""
    kept = set(row["folded"])
    return sum(character not in kept for character in row["normal"])
