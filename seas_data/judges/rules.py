"""Verdicts and refusal classes by rule: regular expressions and lists of words that the recipe gives.

The sandbox is judged this way, and so is whatever has words of its own. Expressions are Rust's, whose matching takes
time linear in the text: no expression, and no text, can make it run for ever. Look-around and back-references are not
to be had; an expression that uses them is refused when the recipe is planned.
"""

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.recipe import JudgePatterns, JudgeRules


def check(rules: JudgeRules) -> None:
    """Raise SeasDataError for the first expression that does not compile, and for a rule that looks for nothing."""
    for name in ("unsafe", "refusal", "compliance"):
        patterns: JudgePatterns | None = getattr(rules, name)
        if patterns is None:
            continue
        if not patterns.patterns and not patterns.words:
            raise SeasDataError(f"the judge {rules.name} looks for nothing: give {name} patterns or words")
        for pattern in patterns.patterns:
            try:
                pl.Series([""]).str.contains(pattern)
            except pl.exceptions.PolarsError as problem:
                said = str(problem).partition("\n\nThis error")[0].splitlines()[-1]
                reason = said.removeprefix("error: ").removeprefix("regex error: ")
                raise SeasDataError(
                    f"the judge {rules.name}: {pattern!r} is no regular expression in Rust's syntax ({reason})"
                ) from problem
        if any(not word.strip() for word in patterns.words):
            raise SeasDataError(f"the judge {rules.name}: one of the words under {name} is blank")


def judged(text: pl.Expr, rules: JudgeRules) -> tuple[pl.Expr, pl.Expr]:
    """Return (verdict, refusal class) of ``text``, null where the rules give none. A blank text is unparsed."""
    blank = text.str.strip_chars() == ""
    nothing = pl.lit(None, pl.String)
    verdict, refusal = nothing, nothing
    if rules.unsafe is not None:
        unsafe = pl.when(found(text, rules.unsafe)).then(pl.lit("unsafe")).otherwise(pl.lit("safe"))
        verdict = pl.when(blank).then(pl.lit("unparsed")).otherwise(unsafe)
    if rules.refusal is not None:
        partly = pl.lit(False) if rules.compliance is None else found(text, rules.compliance)
        refused = pl.when(partly).then(pl.lit("partial_refusal")).otherwise(pl.lit("full_refusal"))
        answered = pl.lit("full_compliance")
        refusal = pl.when(~blank).then(pl.when(found(text, rules.refusal)).then(refused).otherwise(answered))
    return verdict, refusal


def found(text: pl.Expr, patterns: JudgePatterns) -> pl.Expr:
    """Return whether one of the expressions matches somewhere in ``text``, or one of the words stands in it."""
    expressions = list(patterns.patterns)
    if patterns.words:
        words = "|".join(r"\s+".join(pl.escape_regex(part) for part in word.split()) for word in patterns.words)
        expressions.append(rf"(?i)(?:^|\W)(?:{words})(?:\W|$)")
    return pl.any_horizontal([text.str.contains(expression) for expression in expressions])
