"""Index of the judged responses of a version: prompt set, red team, target, iteration and verdicts of each.

A response itself has only an id and a text. ``sheet`` samples responses from every cell, and ``gold`` measures judges
cell by cell, so both use this index, which is computed from the view ``answers``. A cell is a combination of prompt
set, red team and target.
"""

import polars as pl

from seas_data.query.version import Version

CELL = ("set", "red_team", "target")
"""The columns of a cell. Its iteration follows from its models."""

_INDEX = """
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
_JUDGE_OUTPUTS = """
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
_TURNS = """
select responses.response_id, prompts.messages
from (select unnest($ids) as response_id) join responses using (response_id) join prompts using (prompt_id)
where prompts.messages is not null
"""


def index_responses(version: Version) -> pl.DataFrame:
    """Return the index of the responses of ``version`` with a verdict, sorted by response_id.

    Output columns: response_id; prompt_id; set (train, evaluation, test, harmless, general, or a holdout source);
    red_team (null if no model wrote the prompt); target; iteration (in train: the one that trained on the response;
    elsewhere: that of the newer model); kind and type of the prompt; cluster (the seed, or the prompt without one:
    responses of a cluster are not independent); verdicts (of all judges, in the order of the judges' names).
    """
    return version.select(_INDEX)


def judge_outputs(version: Version) -> pl.DataFrame:
    """Return a row for each response and judge that gave a verdict or a refusal class.

    Output columns: response_id, judge, verdict, refusal; sorted by response_id and judge.
    """
    return version.select(_JUDGE_OUTPUTS)


def response_texts(version: Version, ids: pl.Series) -> pl.DataFrame:
    """Return the texts of the responses ``ids``.

    Output columns: response_id, prompt, response; sorted by response_id.
    """
    return version.select(_TEXTS, {"ids": ids.to_list()})


def response_turns(version: Version, ids: pl.Series) -> dict[str, list[dict[str, str]]]:
    """Return the turns of the prompts that the responses ``ids`` answer, by response; only of conversations."""
    return dict(version.select(_TURNS, {"ids": ids.to_list()}).iter_rows())
