"""Where each answer of a version stands: of which set its prompt is, who attacked, who answered, what judges said.

A response by itself is an id and a text. People judge a fair share of every place (``review``), and how far a judge is
right is told place by place (``gold``), so both ask the same question of a version, and it is answered here.
"""

import polars as pl

from seas_data.version import Version

PLACE = ("set", "red_team", "target")
"""What makes a place; which iteration it belongs to follows from its models."""

# The sets are those of the metrics. What the red team wrote to seeds of test is the evaluation; train is what the
# models learned from, in which attacks have a red team and the others (harmless prompts) none.
_STANDING = """
with asked as (
    select
        attacks.prompt_id, attacks.model as red_team, attacks.seed_id, seeds.type, 'adversarial' as kind,
        if(attacks.split = 'test', 'evaluation', 'train') as "set"
    from attacks left join seeds using (seed_id)
    union all
    select
        prompts.prompt_id, null, null, prompts.type, prompts.kind,
        case
            when splits.split = 'holdout' then prompts.source
            when splits.split = 'test' and prompts.kind = 'general' then 'general'
            else splits.split
        end
    from prompts join splits using (prompt_id) anti join attacks using (prompt_id)
),
said as (
    select response_id, string_agg(verdict, ' ' order by judge) as verdicts
    from verdicts where verdict is not null group by 1
)
select
    responses.response_id, responses.prompt_id, asked."set", asked.red_team, responses.model as target,
    greatest(try_cast(substr(asked.red_team, 2) as integer), try_cast(substr(responses.model, 2) as integer))
        as iteration,
    asked.kind, asked.type, coalesce(asked.seed_id, responses.prompt_id) as cluster, said.verdicts
from responses join asked using (prompt_id) join said using (response_id)
where responses.text is not null
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
    """Return where each response of ``version`` stands that has a text and a judge's verdict, by id.

    Columns: response_id; prompt_id; set (train, evaluation, test, harmless, general, or a holdout source); red_team
    (null where no model wrote the prompt); target; iteration (of the newer of the two models); kind and type of the
    prompt; cluster (the seed, or else the prompt: answers to one are not independent); verdicts (of all its judges, by
    their names).
    """
    return version.select(_STANDING)


def judged(version: Version) -> pl.DataFrame:
    """Return response_id, judge, verdict and refusal: a row for each response and judge that said either."""
    return version.select(_JUDGED)


def texts(version: Version, ids: pl.Series) -> pl.DataFrame:
    """Return response_id, prompt and response (texts) of the responses ``ids``, by id."""
    return version.select(_TEXTS, {"ids": ids.to_list()})
