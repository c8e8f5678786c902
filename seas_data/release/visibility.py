"""What a release holds of each table: the profiles.

    gated     every table as it is
    public    prompts, labels, verdicts, decisions and metrics; no text that a model answered, no pair that holds one,
              and of the holdout sets no text either

A holdout set is somebody else's test: who publishes its texts among training data spoils the test for everyone, and its
licence need not allow it. The public profile keeps its rows, with the digest of each text, so that every decision and
every figure still has what it speaks of, and who has the set can match it again (docs/release.md says how).

``redact`` is a pure function of a shard's rows, so an unchanged shard gives the same redacted shard in every version
and only new ones have to travel. What is not listed here is not in the public profile: a new table has to be thought
about.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import polars as pl

from seas_data.errors import SeasDataError

Profile = Literal["public", "gated"]
PROFILES: tuple[Profile, ...] = get_args(Profile)


@dataclass(frozen=True)
class Rule:
    """What a profile leaves out of a table, and why.

    ``empty`` names columns that become null, in the rows of which ``of`` is true (in all without it). Rows of which
    ``only`` is not true are left out.
    """

    because: str
    empty: tuple[str, ...] = ()
    of: pl.Expr | None = None
    only: pl.Expr | None = None


_NOTHING = Rule("a table of which it is not known whether it may be public", only=pl.lit(False))
_PROMPTS_ONLY = Rule(
    "only rows of role red are prompts on all sides; the others hold responses", only=pl.col("role") == "red"
)

PUBLIC: dict[str, Rule | None] = {
    "prompts": Rule(
        "texts of holdout sets are other people's tests, and stay out of what models are trained on",
        empty=("text",),
        of=pl.col("role") == "holdout",
    ),
    "responses": Rule("texts of responses may be harmful", empty=("text",)),
    "verdicts": Rule("what a judge wrote may quote the response", empty=("raw",)),
    "pairs": _PROMPTS_ONLY,
    "demonstrations": _PROMPTS_ONLY,
    "expected": Rule("right answers to test prompts are part of the tests", only=pl.lit(False)),
    **dict.fromkeys(
        ("set_aside", "decisions", "relabels", "templates", "wrappers", "splits", "clusters", "embeddings")
    ),
    **dict.fromkeys(("metrics", "seeds", "attacks", "settings", "checkpoints", "unpaired", "tombstones")),
}
"""The rule of each table in the public profile; None: it is whole."""


def named(name: str) -> Profile:
    """Return the profile of that name. Raises SeasDataError if there is none."""
    for profile in PROFILES:
        if profile == name:
            return profile
    raise SeasDataError(f"there is no profile {name}; --profile is {' or '.join(PROFILES)}")


def rule(table: str, profile: Profile) -> Rule | None:
    """Return what ``profile`` leaves out of ``table``; None if nothing."""
    return None if profile == "gated" else PUBLIC.get(table, _NOTHING)


def redact(table: str, frame: pl.DataFrame, profile: Profile) -> pl.DataFrame:
    """Return what ``profile`` holds of rows of ``table``: same columns, types and order."""
    found = rule(table, profile)
    if found is None:
        return frame
    if found.only is not None:
        frame = frame.filter(found.only)
    emptied = pl.lit(True) if found.of is None else found.of.fill_null(True)
    return frame.with_columns(
        pl.when(emptied).then(None).otherwise(pl.col(name)).cast(frame.schema[name]).alias(name)
        for name in found.empty
        if name in frame.columns  # which an older shard may lack
    )
