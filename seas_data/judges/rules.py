"""``by: rules``: verdicts and refusal classes by regular expressions and lists of words in the recipe.

The sandbox is judged by rules. Expressions are in Rust's syntax, where matching takes time linear in the text, so no
expression or text can hang a run. Look-around and back-references do not exist there; an expression that uses them is
rejected when the recipe is planned.

Words are searched in the folded text (``seas_data.folding``), once with and once without its look-alike letters, so
full-width letters, invisible characters and letters of other scripts hide no word. An expression matches if it matches
the text as it is or the text in NFKC without invisible characters; both keep case and white space.
"""

import re

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.folding import (
    fold,
    fold_look_alikes,
    is_blank,
    is_written_without_blanks,
    remove_disguise,
    scripts_without_blanks,
    shows_nothing,
)
from seas_data.judges.frames import VERDICT_COLUMNS
from seas_data.judges.guards.guard import Subject
from seas_data.recipe import JudgePatterns, JudgeRules


def check(rules: JudgeRules) -> None:
    """Raise SeasDataError if an expression does not compile, a word is blank or a rule has neither."""
    named = {name: getattr(rules, name) for name in ("unsafe", "refusal", "compliance")}
    named |= {f"categories: {name}": patterns for name, patterns in rules.categories.items()}
    for name, patterns in named.items():
        if patterns is not None:
            check_patterns(patterns, f"the judge {rules.name}", name)


def check_patterns(patterns: JudgePatterns, where: str, name: str) -> None:
    """Raise SeasDataError if an expression does not compile, a word is blank or there is neither.

    ``where`` begins the message, ``name`` is the key of ``patterns``.
    """
    if not patterns.patterns and not patterns.words:
        raise SeasDataError(f"{where}: {name} is empty; give it patterns or words")
    for pattern in patterns.patterns:
        try:
            pl.Series([""]).str.contains(pattern)
        except pl.exceptions.PolarsError as problem:
            message = str(problem).partition("\n\nThis error")[0].splitlines()[-1]
            reason = message.removeprefix("error: ").removeprefix("regex error: ")
            raise SeasDataError(
                f"{where}: {pattern!r} is not a regular expression in Rust's syntax ({reason}); fix it under {name}"
            ) from problem
    if any(is_blank(word) for word in patterns.words):
        raise SeasDataError(f"{where}: a word under {name} is blank; remove it")


def judge_rows(rows: pl.DataFrame, rules: JudgeRules, subject: Subject) -> pl.DataFrame:
    """Return the verdict, categories and refusal class of each row; prompts have no refusal class.

    Input columns: ``request_id``, ``prompt``, ``response`` (null if prompts are judged).
    Output columns: ``request_id`` and ``VERDICT_COLUMNS``.
    """
    verdict, refusal = judge_text(pl.col(subject), rules)
    columns = {name: pl.lit(None, dtype) for name, dtype in VERDICT_COLUMNS.items()}
    columns |= {"verdict": verdict} if subject == "prompt" else {"verdict": verdict, "refusal": refusal}
    if rules.categories:
        columns["categories"] = find_categories(pl.col(subject), rules)
    return rows.select("request_id", **columns)


def judge_text(text: pl.Expr, rules: JudgeRules) -> tuple[pl.Expr, pl.Expr]:
    """Return the verdict and the refusal class of ``text``, null if the rules give none.

    A text that shows nothing is unparsed.
    """
    blank = shows_nothing(text)
    verdict = refusal = pl.lit(None, pl.String)
    of_unsafe = [patterns for patterns in (rules.unsafe, *rules.categories.values()) if patterns is not None]
    if of_unsafe:
        found = pl.any_horizontal([matches(text, patterns) for patterns in of_unsafe])
        unsafe = pl.when(found).then(pl.lit("unsafe")).otherwise(pl.lit("safe"))
        verdict = pl.when(blank).then(pl.lit("unparsed")).otherwise(unsafe)
    if rules.refusal is not None:
        complies = pl.lit(False) if rules.compliance is None else matches(text, rules.compliance)
        refused = pl.when(complies).then(pl.lit("partial_refusal")).otherwise(pl.lit("full_refusal"))
        answered = pl.lit("full_compliance")
        refusal = pl.when(~blank).then(pl.when(matches(text, rules.refusal)).then(refused).otherwise(answered))
    return verdict, refusal


def find_categories(text: pl.Expr, rules: JudgeRules) -> pl.Expr:
    """Return the names of ``rules.categories`` that ``text`` matches, in their order; null if it shows nothing."""
    names = [pl.when(matches(text, patterns)).then(pl.lit(name)) for name, patterns in rules.categories.items()]
    return pl.when(~shows_nothing(text)).then(pl.concat_list(names).list.drop_nulls())


def matches(text: pl.Expr, patterns: JudgePatterns) -> pl.Expr:
    """Return whether ``text`` contains a match of an expression or one of the words."""
    found = []
    if patterns.patterns:
        plain = text.map_elements(remove_disguise, return_dtype=pl.String)
        found += [form.str.contains(expression) for expression in patterns.patterns for form in (text, plain)]
    if patterns.words:
        for form in (fold, fold_look_alikes):
            words = {form(word) for word in patterns.words}
            folded = text.map_elements(form, return_dtype=pl.String)
            found += [folded.str.contains(expression) for expression in _whole_words(words)]
    return pl.any_horizontal(found)


def _whole_words(words: set[str]) -> list[str]:
    """Return expressions for folded ``words`` as whole words.

    A word ends where no letter, mark or digit follows, and where a script begins that is written without blanks. A word
    of such a script has no boundaries: ``密码`` is in ``这是密码吗``.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for word in sorted(words):
        before, after = _boundary(word[0]), _boundary(word[-1])
        groups.setdefault((f"(?:^|{before})" if before else "", f"(?:$|{after})" if after else ""), []).append(word)
    return [f"{before}(?:{'|'.join(map(pl.escape_regex, each))}){after}" for (before, after), each in groups.items()]


def _boundary(character: str) -> str:
    """Return an expression for what may stand beside the first or last ``character`` of a word; "" for anything."""
    if is_written_without_blanks(character):
        return ""
    # Particles of Korean are attached to words of other scripts.
    hangul = "" if re.match("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]", character) else r"\p{Hangul}"
    return rf"[^\pL\pM\pN]|[{scripts_without_blanks()}{hangul}]"
