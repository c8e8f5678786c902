"""Intervals in SQL: the macros that the queries of the library share, as plain DuckDB beside the views.

They say what ``statistics`` says, so that a figure of a query and one of the evaluation agree to the last digits:

    wilson_low(share, n), wilson_high       the score interval of a share of n rows
    effective_n(successes, rows)            how many independent rows a group is worth
    share_low(successes, rows), share_high  Wilson's interval on that number
    paired_low(change), paired_high         the interval of a mean of paired differences, from -1 to 1
    rogan_gladen(rate, sensitivity, specificity)
    style_of(style, risk, template)         a prompt's style; plain where its risk alone is known; else unknown
    judge_of(given), refusal_judge_of       whose verdicts count, and whose refusal classes
    target_of(given), target_before(given, later)    which target: as given, or the newest; the one before ``later``

``effective_n``, ``share_...`` and ``paired_...`` are aggregates: they go over one row for each unit (a seed, or a
prompt) whose rows are not independent of each other, which has its number of successes and of rows. Whole numbers are
summed as they come, others in order, so that the same rows give the same bits in however many threads.
"""

from typing import Final

from seas_data.metrics.intervals import Z

_WILSON = f"""
case when n <= 0 then {{edge}} when share = {{edge}} then {{edge}} else {{bound}}(
    (share + {Z**2!r} / (2 * n)) / (1 + {Z**2!r} / n)
    {{sign}} {Z!r} / (1 + {Z**2!r} / n) * sqrt(share * (1 - share) / n + {Z**2!r} / (4 * n * n)), {{edge}}.0) end"""

# Residuals of units add up to sum((k - p n)²), which is written out so that one pass will do.
_EFFECTIVE_N = """
case
    when count(*) <= 1 or sum(successes) = 0 or sum(successes) = sum(rows) then cast(count(*) as double)
    else greatest(sum(rows) / greatest(
        count(*) / (count(*) - 1.0) * (
            sum(successes * successes)
            - 2 * (sum(successes) / sum(rows)) * sum(successes * rows)
            + (sum(successes) / sum(rows)) ** 2 * sum(rows * rows)
        ) / sum(rows) ** 2
        / ((sum(successes) / sum(rows)) * (1 - sum(successes) / sum(rows)) / (sum(rows) - 1)), 1.0), 1.0)
end"""

_CHANGES = "(sum(change order by change) / (count(change) + 2))"
_PAIRED = f"""
{{bound}}({_CHANGES} {{sign}} {Z!r} * sqrt(greatest(
    (sum(change * change order by change) + 1) / (count(change) + 2) - {_CHANGES} ** 2, 0) / (count(change) + 2)
), {{edge}}.0)"""

# Worked out once, when a query asks for them: DuckDB then knows them before it reads a row.
_VARIABLES: Final = {
    "judge": """
        select coalesce(
            (select judge from pairs where judge is not null and role <> 'harmless'
                group by judge order by count(*) desc, judge limit 1),
            (select min(judge) from verdicts where verdict is not null),
            (select min(facets ->> 'judge') from metrics where name = 'attack_success')
        )""",
    # A harmless pair names who classed its refusals, unless it was made when all pairs named the judge of harm.
    "refusal_judge": """
        select coalesce(
            (select judge from pairs
                where role = 'harmless' and judge in (select judge from verdicts where refusal is not null)
                group by judge order by count(*) desc, judge limit 1),
            (select min(judge) from verdicts where refusal is not null and judge = getvariable('judge')),
            (select min(judge) from verdicts where refusal is not null),
            (select min(facets ->> 'judge') from metrics where name = 'over_refusal')
        )""",
    "targets": "select list(model order by length(model), model) from (select distinct model from responses)",
}
_JUDGE = "coalesce(nullif(given, ''), getvariable('judge'))"
_REFUSAL_JUDGE = "coalesce(nullif(given, ''), getvariable('refusal_judge'))"
_TARGET = "coalesce(nullif(given, ''), list_last(getvariable('targets')))"
_BEFORE = """
coalesce(nullif(given, ''), list_last(list_filter(
    getvariable('targets'), lambda model: (length(model), model) < (length(later), later)
)))"""

_MACROS: Final = {
    "wilson_low(share, n)": _WILSON.format(edge=0, bound="greatest", sign="-"),
    "wilson_high(share, n)": _WILSON.format(edge=1, bound="least", sign="+"),
    "effective_n(successes, rows)": _EFFECTIVE_N,
    "share_low(successes, rows)": "wilson_low(sum(successes) / sum(rows), effective_n(successes, rows))",
    "share_high(successes, rows)": "wilson_high(sum(successes) / sum(rows), effective_n(successes, rows))",
    "paired_low(change)": _PAIRED.format(bound="greatest", sign="-", edge=-1),
    "paired_high(change)": _PAIRED.format(bound="least", sign="+", edge=1),
    "rogan_gladen(rate, sensitivity, specificity)": """
        case when sensitivity + specificity > 1
        then least(greatest((rate + specificity - 1) / (sensitivity + specificity - 1), 0.0), 1.0) end""",
    "style_of(style, risk, template)": """
        case when style is not null then style when risk is not null and template is null then 'plain'
        else 'unknown' end""",
    "judge_of(given)": _JUDGE,
    "refusal_judge_of(given)": _REFUSAL_JUDGE,
    "target_of(given)": _TARGET,
    "target_before(given, later)": _BEFORE,
}


def statements() -> list[str]:
    """Return the statements that create the macros; those of judges and targets need ``variables``."""
    return [f"create or replace macro {name} as ({' '.join(body.split())})" for name, body in _MACROS.items()]


def variables() -> list[str]:
    """Return the statements that look up, in ``pairs``, ``verdicts``, ``metrics`` and ``responses``, who is meant."""
    return [f"set variable {name} = ({' '.join(body.split())})" for name, body in _VARIABLES.items()]


def asked_for(query: str) -> bool:
    """Tell whether ``query`` may use a macro that needs ``variables``."""
    text = query.casefold()
    return any(name.partition("(")[0] in text for name, body in _MACROS.items() if "getvariable" in body)
