-- title: Tokens written
-- question: How many tokens did each model write, in the turns of the loop and in evaluations, and how many a second of
--     the stage that they were written in (which includes loading the model)?
-- topic: cost
-- chart: bar x=tokens y=model color=work row=stage
with turns as (
    -- The n-th version in which attacks were written is that of the n-th turn.
    select version, row_number() over (order by length(version), version) as iteration
    from runs
    where stage = 'attacks'
    group by version
),
written as (
    select
        greatest(iteration, 1) as iteration,
        if(split = 'train', 'attacks', 'evaluate ' || model) as stage,
        model,
        'attacks' as work,
        tokens
    from attacks
    union all
    select
        if(asked.measured_on = 'train', try_cast(substr(responses.model, 2) as integer) + 1, null),
        if(asked.measured_on = 'train', 'responses', 'evaluate ' || responses.model),
        responses.model,
        'responses',
        responses.tokens
    from responses
    join asked using (prompt_id)
),
placed as (select turns.version, written.* from written left join turns using (iteration)),
took as (
    select version, stage, sum(seconds order by seconds) as seconds from runs group by all
    union all
    -- A target is evaluated again by each later version, which brings a new red team.
    select null, stage, sum(seconds order by seconds) from runs where starts_with(stage, 'evaluate T') group by all
)
select
    placed.version, placed.stage, model, work,
    count(*) as texts,
    cast(sum(tokens) as bigint) as tokens,
    avg(tokens) as tokens_per_text,
    any_value(seconds) as seconds,
    sum(tokens) / nullif(any_value(seconds), 0) as tokens_per_second
from placed
left join took on took.stage = placed.stage and took.version is not distinct from placed.version
group by placed.version, placed.stage, model, work
order by length(placed.version) nulls last, placed.version, placed.stage, length(model), model
