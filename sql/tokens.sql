-- title: Tokens written
-- question: How many tokens did each model write, in the turns of the loop and in evaluations, and how many a second of
--     the stage that they were written in (which includes loading the model)?
-- topic: cost
-- chart: bar x=tokens y=model color=work row=stage
with written as (
    select
        'v' || greatest(iteration, 1) as version,
        if(split = 'train', 'attacks', 'evaluate ' || model) as stage,
        model,
        'attacks' as work,
        tokens
    from attacks
    union all
    select
        if(asked.measured_on = 'train', 'v' || (try_cast(substr(responses.model, 2) as integer) + 1), null),
        if(asked.measured_on = 'train', 'responses', 'evaluate ' || responses.model),
        responses.model,
        'responses',
        responses.tokens
    from responses
    join asked using (prompt_id)
),
took as (
    select version, stage, sum(seconds order by seconds) as seconds from runs group by all
    union all
    -- A target is evaluated again by each later version, which brings a new red team.
    select null, stage, sum(seconds order by seconds) from runs where starts_with(stage, 'evaluate T') group by all
)
select
    written.version, written.stage, written.model, written.work,
    count(*) as texts,
    cast(sum(tokens) as bigint) as tokens,
    avg(tokens) as tokens_per_text,
    any_value(seconds) as seconds,
    sum(tokens) / nullif(any_value(seconds), 0) as tokens_per_second
from written
left join took on took.stage = written.stage and took.version is not distinct from written.version
group by written.version, written.stage, written.model, written.work
order by written.version nulls last, written.stage, length(model), model
