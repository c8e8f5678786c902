"""Where each answer of a version stands: of which set its prompt is, who attacked, who answered, what judges said.

A response by itself is an id and a text. People judge a fair share of every place (``review``), and how far a judge is
right is told place by place (``gold``), so both ask the same question of a version: here, of its view ``answers``.
"""

import polars as pl

from seas_data.query.version import Version

PLACE = ("set", "red_team", "target")
"""What makes a place; which iteration it belongs to follows from its models."""

_STANDING = """
select
    response_id,
    any_value(prompt_id) as prompt_id,
    any_value(prompt_set) as "set",
    any_value(red_team) as red_team,
    any_value(target) as target,
    cast(any_value(iteration) as integer) as iteration,
    any_value(kind) as kind,
    any_value(type) as type,
    any_value(unit_id) as cluster,
    string_agg(verdict, ' ' order by judge) as verdicts
from answers
where verdict is not null
group by response_id
order by response_id
"""
_JUDGED = """
select response_id, judge, verdict, refusal from verdicts
where verdict is not null or refusal is not null
order by response_id, judge
"""
_TEXTS = """
select responses.response_id, coalesce(attacks.text, prompts.text) as prompt, responses.text as response
from (select unnest($ids) as response_id) join responses using (response_id)
left join attacks using (prompt_id) left join prompts using (prompt_id)
order by response_id
"""


def standing(version: Version) -> pl.DataFrame:
    """Return where each response of ``version`` stands that has a judge's verdict, by id.

    Columns: response_id; prompt_id; set (train, evaluation, test, harmless, general, or a holdout source); red_team
    (null where no model wrote the prompt); target; iteration (in train, the one that learned from it; elsewhere that of
    the newer model); kind and type of the prompt; cluster (the seed, or else the prompt: answers to one are not
    independent); verdicts (of all its judges, by their names).
    """
    return version.select(_STANDING)


def judged(version: Version) -> pl.DataFrame:
    """Return response_id, judge, verdict and refusal: a row for each response and judge that said either."""
    return version.select(_JUDGED)


def texts(version: Version, ids: pl.Series) -> pl.DataFrame:
    """Return response_id, prompt and response (texts) of the responses ``ids``, by id."""
    return version.select(_TEXTS, {"ids": ids.to_list()})
