"""Whether what is in the release may be there: licences, personal data, failed judges, what the profile keeps back."""

import polars as pl

from seas_data.release import licences as licence
from seas_data.release import personal, recipes
from seas_data.release.checks.check import Candidate, Check, result
from seas_data.release.profile import redact


def licences(candidate: Candidate) -> Check:
    """The licences of sources and of models that wrote or judged are known and allow one licence for the release."""
    found = licence.of(candidate.version, candidate.profile)
    ids = [name for _, names in found.faults for name in names]
    well = f"the release is under {found.licence.id}" if found.licence else ""
    return result("licences", ids, well, "; ".join(sentence for sentence, _ in found.faults))


def personal_data(candidate: Candidate) -> Check:
    """No e-mail address, telephone number, IP or postal address in any text that is released."""
    return _scanned(candidate, "personal-data", pl.col("kind").is_in(personal.PERSONAL), "personal data")


def secrets(candidate: Candidate) -> Check:
    """No key, token or password in any text that is released, nor in the recipe."""
    return _scanned(candidate, "secrets", ~pl.col("kind").is_in(personal.PERSONAL), "secrets")


def _scanned(candidate: Candidate, name: str, which: pl.Expr, what: str) -> Check:
    found = personal.findings(candidate.version, candidate.profile).filter(which)
    counts = found.group_by("kind", "table").len().sort("kind", "table").iter_rows()
    ill = (
        f"{what} in the release ({', '.join(f'{kind} in {table}: {count}' for kind, table, count in counts)}); look at "
        "the rows, and take them out with seas-data forget, or say why they may stay"
    )
    return result(name, found["id"], f"no {what} found", ill)


def unparsed(candidate: Candidate) -> Check:
    """Of each judge's verdicts no more than the recipe's ``release.unparsed_share`` could not be read."""
    limit = recipes.of(candidate.version.manifest).release.unparsed_share
    found = candidate.answer("unread").filter(pl.col("share") > limit)
    shares = found.select("judge", "share").unique().sort("judge").iter_rows()
    told = ", ".join(f"{judge}: {share:.1%}" for judge, share in shares)
    ill = (
        f"verdicts could not be read ({told}, and {limit:.1%} may be); mend the judge and judge again, or set "
        "release.unparsed_share"
    )
    return result(
        "unparsed", found["response_id"], f"of no judge more than {limit:.1%} of the verdicts could not be read", ill
    )


_UNREAD = """
with said as (select *, verdict = 'unparsed' as failed from verdicts where verdict is not null),
shared as (select judge, response_id, failed, avg(failed::int) over (partition by judge) as share from said)
select judge, response_id, share from shared where failed
"""


def card(candidate: Candidate) -> Check:
    """The card that is stored says what the version says."""
    if candidate.card is None:
        return Check("card", True, (), "no card was given; push writes it anew")
    from seas_data.release.card import card_current

    lines = card_current(candidate.card, candidate.version, candidate.profile, candidate.allowed)
    ill = "the card is out of date; write it anew with seas-data card"
    return Check("card", not lines, tuple(lines), ill if lines else "the card is current")


# Said here a second time, apart from ``profile``, so that a slip there does not go unseen.
_NO_TEXT = {"responses": ("response_id", "text"), "verdicts": ("response_id", "raw")}
_RED_ONLY = {"pairs": ("pair_id", ("chosen", "rejected")), "demonstrations": ("demonstration_id", ("completion",))}


def profile(candidate: Candidate) -> Check:
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
    return result("profile", ids, f"the {candidate.profile} profile holds nothing that it excludes", ill)


def _redacted(candidate: Candidate, table: str, columns: list[str]) -> pl.DataFrame:
    shards = candidate.version.paths().get(table, [])
    parts = [redact(table, pl.read_parquet(path, columns=columns), candidate.profile) for path in shards]
    return pl.concat(parts) if parts else pl.DataFrame(schema=dict.fromkeys(columns, pl.String))


def _not_prompts(candidate: Candidate, table: str, key: str, sides: tuple[str, ...]) -> pl.Series:
    """Return the ids of released pairs of which a side is anything but the prompt that it names."""
    ids = [f"{side}_id" for side in sides]
    rows = _redacted(candidate, table, [key, "role", *ids, *sides])
    if rows.is_empty():
        return rows[key]
    wrong = [rows.filter(pl.col("role") != "red")[key]]
    texts = candidate.version.select(
        "select prompt_id, text from prompts union all select prompt_id, text from attacks"
    )
    for side, named in zip(sides, ids, strict=True):
        told = rows.select(key, prompt_id=named, said=pl.col(side).list.eval(pl.element().struct.field("content")))
        told = told.with_columns(text=pl.col("said").list.join("\n"))
        wrong.append(told.join(texts, on=["prompt_id", "text"], how="anti")[key])
    return pl.concat(wrong)


QUESTIONS = {"unread": _UNREAD}
