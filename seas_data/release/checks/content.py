"""Whether what is in the release may be there: licences, personal data, failed judges, what the profile keeps back."""

import polars as pl

from seas_data import tables
from seas_data.release import licences as licence
from seas_data.release import recipes
from seas_data.release.checks.check import Candidate, Told, told
from seas_data.release.privacy import pii as personal
from seas_data.release.visibility import redact


def licences(candidate: Candidate) -> Told:
    """The licences of sources and of models that wrote or judged are known and allow one licence for the release."""
    found = licence.of(candidate.version, candidate.profile)
    ids = [name for _, names in found.faults for name in names]
    well = f"the release is under {found.licence.id}" if found.licence else ""
    return told(ids, well, "; ".join(sentence for sentence, _ in found.faults))


def personal_data(candidate: Candidate) -> Told:
    """No e-mail address, telephone number, IP or postal address in any text that is released."""
    return _scanned(candidate, pl.col("kind").is_in(personal.PERSONAL), "personal data")


def secrets(candidate: Candidate) -> Told:
    """No key, token or password in any text that is released, nor in the recipe."""
    return _scanned(candidate, ~pl.col("kind").is_in(personal.PERSONAL), "secrets")


def _scanned(candidate: Candidate, which: pl.Expr, what: str) -> Told:
    found = candidate.findings.filter(which)
    counts = found.group_by("kind", "table").len().sort("kind", "table").iter_rows()
    ill = (
        f"{what} in the release ({', '.join(f'{kind} in {table}: {count}' for kind, table, count in counts)}); look at "
        "the rows, and take them out with seas-data forget, or say why they may stay"
    )
    return told(found["id"], f"no {what} found", ill)


def unparsed(candidate: Candidate) -> Told:
    """Of each judge's verdicts no more than the recipe's ``release.unparsed_share`` could not be read."""
    limit = recipes.of(candidate.version.manifest).release.unparsed_share
    found = candidate.answer("unread").filter(pl.col("share") > limit)
    shares = found.select("judge", "share").unique().sort("judge").iter_rows()
    listed = ", ".join(f"{judge}: {share:.1%}" for judge, share in shares)
    ill = (
        f"verdicts could not be read ({listed}, and {limit:.1%} may be); mend the judge and judge again, or set "
        "release.unparsed_share"
    )
    return told(found["id"], f"of no judge more than {limit:.1%} of the verdicts could not be read", ill)


# Of a judge that classes refusals alone, which gives no verdicts, it is the class that could not be read.
_UNREAD = """
with said as (
    select judge, response_id as id, verdict, refusal, count(verdict) over (partition by judge) > 0 as of_harm
    from verdicts
),
failing as (
    select judge, id, if(of_harm, verdict = 'unparsed', refusal is null) as failed
    from said where verdict is not null or not of_harm
),
shared as (select judge, id, failed, avg(failed::int) over (partition by judge) as share from failing)
select judge, id, share from shared where failed
"""


def card(candidate: Candidate) -> Told:
    """The card that is stored says what the version says."""
    if candidate.card is None:
        return (), "no card was given; push writes it anew"
    from seas_data.release import card as cards

    fresh = cards.dataset_card(candidate.version, candidate.profile, candidate.allowed)
    lines = cards.differences(candidate.card, fresh)
    ill = "the card is out of date; write it anew with seas-data card"
    return tuple(lines), ill if lines else "the card is current"


# Said here a second time, apart from ``profile``, so that a slip there does not go unseen.
_NO_TEXT = {"responses": ("response_id", "text"), "verdicts": ("response_id", "raw")}
_RED_ONLY = {"pairs": ("pair_id", ("chosen", "rejected")), "demonstrations": ("demonstration_id", ("completion",))}


def profile(candidate: Candidate) -> Told:
    """The public profile holds no answer of a model, no judge's words, no holdout text, and no pair but of prompts."""
    ids: list[str] = []
    if candidate.profile == "public":
        for table, (key, column) in _NO_TEXT.items():
            shown = _redacted(candidate, table, [key, column])
            ids.extend(shown.filter(pl.col(column).is_not_null())[key])
        prompts = _redacted(candidate, "prompts", ["prompt_id", "role", "text"])
        ids.extend(prompts.filter(pl.col("role") == "holdout", pl.col("text").is_not_null())["prompt_id"])
        for table, (key, sides) in _RED_ONLY.items():
            ids.extend(_not_prompts(candidate, table, key, sides))
    ill = "the public profile would hold what it must not: texts of models, judges or holdout sets; do not push it"
    return told(ids, f"the {candidate.profile} profile holds nothing that it excludes", ill)


def _redacted(candidate: Candidate, table: str, columns: list[str]) -> pl.DataFrame:
    shards = candidate.version.paths().get(table, [])
    parts = [redact(table, tables.read(table, path, columns), candidate.profile) for path in shards]
    return pl.concat(parts) if parts else pl.DataFrame(schema=dict.fromkeys(columns, pl.String))


def _not_prompts(candidate: Candidate, table: str, key: str, sides: tuple[str, ...]) -> pl.Series:
    """Return the ids of released pairs that ask other than their seed does, or a side of which is no named prompt."""
    ids = [f"{side}_id" for side in sides]
    rows = _redacted(candidate, table, [key, "role", "seed_id", "prompt", *ids, *sides])
    if rows.is_empty():
        return rows[key]
    prompts = candidate.version.select(
        "select prompt_id as named, text from prompts union all select prompt_id, text from attacks"
    )
    seeds = candidate.version.select("select seed_id as named, text from seeds")
    wrong = [rows.filter(pl.col("role") != "red")[key], _other(rows, key, "prompt", "seed_id", seeds)]
    wrong += [_other(rows, key, side, named, prompts) for side, named in zip(sides, ids, strict=True)]
    return pl.concat(wrong)


def _other(rows: pl.DataFrame, key: str, side: str, named: str, texts: pl.DataFrame) -> pl.Series:
    """Return the ids of ``rows`` whose ``side`` is not the text (of ``texts``: named, text) that ``named`` names."""
    said = pl.col(side).list.eval(pl.element().struct.field("content")).list.join("\n")
    return rows.select(key, named=named, text=said).join(texts, on=["named", "text"], how="anti")[key]


QUESTIONS = {"unread": _UNREAD}
