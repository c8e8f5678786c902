"""SQL macros that the queries of the library share: intervals, and the default judge and target.

They compute what ``metrics.intervals`` computes, so that a query and the evaluation agree to the last digits:

    wilson_low(proportion, n), wilson_high  the score interval of a proportion of n rows
    effective_n(successes, rows)            the effective number of independent rows of a group
    rate_low(successes, rows), rate_high    Wilson's interval with that number of rows
    paired_low(change), paired_high         the interval of a mean of paired differences, from -1 to 1
    rogan_gladen(rate, sensitivity, specificity)
    style_of(style, risk, template)         a prompt's style; plain if only its risk category is known; else unknown
    judge_of(name), refusal_judge_of(name)  the judge of that name; for '' the one that training used
    target_of(name)                         the target of that name; for '' the newest
    target_before(name, later)              the target of that name; for '' the newest before ``later``

``effective_n``, ``rate_...`` and ``paired_...`` are aggregates over one row per unit (a seed or a prompt), with the
unit's number of successes and of rows: rows of one unit are not independent. Integers are summed in any order, floats
in a fixed order, so that the result has the same bits for any number of threads.
"""

from typing import Final

from seas_data.metrics.intervals import Z

_WILSON = f"""
case when n <= 0 then {{edge}} when proportion = {{edge}} then {{edge}} else {{bound}}(
    (proportion + {Z**2!r} / (2 * n)) / (1 + {Z**2!r} / n)
    {{sign}} {Z!r} / (1 + {Z**2!r} / n) * sqrt(
        proportion * (1 - proportion) / n + {Z**2!r} / (4 * n * n)), {{edge}}.0) end"""

# The squared residuals of units, sum((k - p n)²), are expanded so that one pass is enough.
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

# Computed once, only for queries that use them: DuckDB then has them as constants before it reads a row.
_VARIABLES: Final = {
    "judge": """
        select coalesce(
            (select judge from pairs where judge is not null and role <> 'harmless'
                group by judge order by count(*) desc, judge limit 1),
            (select min(judge) from verdicts where verdict is not null),
            (select min(facets ->> 'judge') from metrics where name = 'attack_success')
        )""",
    # A harmless pair names the judge of its refusals; older versions name the judge of harm in all pairs.
    "refusal_judge": """
        select coalesce(
            (select judge from pairs
                where role = 'harmless' and judge in (select judge from verdicts where refusal is not null)
                group by judge order by count(*) desc, judge limit 1),
            (select min(judge) from verdicts where refusal is not null and judge = getvariable('judge')),
            (select min(judge) from verdicts where refusal is not null),
            (select min(facets ->> 'judge') from metrics where name = 'over_refusal')
        )""",
    # Targets that a log names come before those of the loop, which are the newest.
    "targets": """
        select list(model order by regexp_full_match(model, 'T[0-9]+'), length(model), model)
        from (select distinct model from responses)""",
}
_JUDGE_OF = "coalesce(nullif(name, ''), getvariable('judge'))"
_REFUSAL_JUDGE_OF = "coalesce(nullif(name, ''), getvariable('refusal_judge'))"
_TARGET_OF = "coalesce(nullif(name, ''), list_last(getvariable('targets')))"
_TARGET_BEFORE = """
coalesce(nullif(name, ''), list_last(list_filter(
    getvariable('targets'), lambda model: (length(model), model) < (length(later), later)
)))"""

_MACROS: Final = {
    "wilson_low(proportion, n)": _WILSON.format(edge=0, bound="greatest", sign="-"),
    "wilson_high(proportion, n)": _WILSON.format(edge=1, bound="least", sign="+"),
    "effective_n(successes, rows)": _EFFECTIVE_N,
    "rate_low(successes, rows)": "wilson_low(sum(successes) / sum(rows), effective_n(successes, rows))",
    "rate_high(successes, rows)": "wilson_high(sum(successes) / sum(rows), effective_n(successes, rows))",
    "paired_low(change)": _PAIRED.format(bound="greatest", sign="-", edge=-1),
    "paired_high(change)": _PAIRED.format(bound="least", sign="+", edge=1),
    "rogan_gladen(rate, sensitivity, specificity)": """
        case when sensitivity + specificity > 1
        then least(greatest((rate + specificity - 1) / (sensitivity + specificity - 1), 0.0), 1.0) end""",
    "style_of(style, risk, template)": """
        case when style is not null then style when risk is not null and template is null then 'plain'
        else 'unknown' end""",
    "judge_of(name)": _JUDGE_OF,
    "refusal_judge_of(name)": _REFUSAL_JUDGE_OF,
    "target_of(name)": _TARGET_OF,
    "target_before(name, later)": _TARGET_BEFORE,
}


def create_statements() -> list[str]:
    """Return the statements that create the macros. The macros of judges and targets need ``set_variables``."""
    return [f"create or replace macro {name} as ({' '.join(body.split())})" for name, body in _MACROS.items()]


def set_variables() -> list[str]:
    """Return the statements that look up the default judges and the targets in the version's tables."""
    return [f"set variable {name} = ({' '.join(body.split())})" for name, body in _VARIABLES.items()]


def needs_variables(query: str) -> bool:
    """Return whether ``query`` may use a macro that needs ``set_variables``."""
    text = query.casefold()
    return any(name.partition("(")[0] in text for name, body in _MACROS.items() if "getvariable" in body)
