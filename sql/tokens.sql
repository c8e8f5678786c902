-- title: Generated tokens
-- question: How many tokens did each model generate in the loop and in evaluations, and at how many tokens per second
--     of the stage (including loading the model)?
-- topic: cost
-- chart: bar x=tokens y=model color=kind row=stage
with iterations as (
    -- The n-th version with an attacks stage is that of the n-th iteration.
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
        'attacks' as kind,
        tokens
    from attacks
    union all
    select
        if(target_prompts.prompt_set = 'train', try_cast(substr(responses.model, 2) as integer) + 1, null),
        if(target_prompts.prompt_set = 'train', 'responses', 'evaluate ' || responses.model),
        responses.model,
        'responses',
        responses.tokens
    from responses
    join target_prompts using (prompt_id)
),
by_version as (select iterations.version, written.* from written left join iterations using (iteration)),
stage_seconds as (
    select version, stage, sum(seconds order by seconds) as seconds from runs group by all
    union all
    -- Each later version evaluates a target again, against its new red team.
    select null, stage, sum(seconds order by seconds) from runs where starts_with(stage, 'evaluate T') group by all
)
select
    by_version.version, by_version.stage, model, kind,
    count(*) as texts,
    cast(sum(tokens) as bigint) as tokens,
    avg(tokens) as tokens_per_text,
    any_value(seconds) as seconds,
    sum(tokens) / nullif(any_value(seconds), 0) as tokens_per_second
from by_version
left join stage_seconds
    on stage_seconds.stage = by_version.stage and stage_seconds.version is not distinct from by_version.version
group by by_version.version, by_version.stage, model, kind
order by length(by_version.version) nulls last, by_version.version, by_version.stage, length(model), model
