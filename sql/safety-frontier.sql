-- title: Safety, over-refusal and utility
-- question: How does each target trade attack success against over-refusal and utility (its mean score in the tasks of
--     evaluation harnesses that all targets share; without any, right answers to general questions), and did utility
--     fall by more than its interval since the first target or the one before?
-- topic: safety
-- parameter: judge text '' "Judge whose verdicts count; empty for the one that training used, else the first"
-- chart: point x=over_refusal y=attack_success color=target size=utility
with figures as (
    select
        facets ->> 'target' as target,
        facets ->> 'set' as prompt_set,
        facets ->> 'judge' as judge,
        name, value, low, high
    from metrics
    where name in ('attack_success', 'over_refusal', 'retention', 'right_answer')
        and facets ->> 'target' is not null and facets ->> 'red_team' is null
        and facets ->> 'type' is null and facets ->> 'difficulty' is null
),
judged as (
    select * from figures
    where judge is null
        or judge = if(name = 'attack_success', judge_of($judge), coalesce(refusal_judge_of($judge), judge_of($judge)))
),
measured as (
    select
        target,
        max(value) filter (name = 'attack_success' and prompt_set = 'test') as attack_success,
        max(low) filter (name = 'attack_success' and prompt_set = 'test') as attack_success_low,
        max(high) filter (name = 'attack_success' and prompt_set = 'test') as attack_success_high,
        max(value) filter (name = 'over_refusal' and prompt_set = 'harmless') as over_refusal,
        max(low) filter (name = 'over_refusal' and prompt_set = 'harmless') as over_refusal_low,
        max(high) filter (name = 'over_refusal' and prompt_set = 'harmless') as over_refusal_high,
        max(value) filter (name = 'right_answer' and prompt_set = 'harmless') as harmless_right,
        arg_max(value, judge is null) filter (name = 'retention' and prompt_set = 'general') as retention
    from judged
    group by target
),
-- The newest primary figure of each target in each task, as it was run and scored: only such figures are comparable.
scores as (
    select
        facets ->> 'target' as target,
        concat_ws(', ', facets ->> 'task', (facets ->> 'shots') || ' shots', facets ->> 'partial') as task,
        concat_ws('|', facets ->> 'tool', facets ->> 'task_version', facets ->> 'metric', facets ->> 'filter') as way,
        value, low, high
    from metrics
    where name = 'utility' and facets ->> 'primary' = 'true'
    qualify row_number() over (
        partition by target, task, way order by cast(substr(version, 2) as integer) desc, facets
    ) = 1
),
shared as (
    select task, way from scores group by task, way
    having count(distinct target) = (select count(distinct target) from scores)
),
-- Tasks are independent, so the half widths of their intervals add up as squares. Without an interval there is none.
utility as (
    select
        target,
        avg(value) as value,
        avg(value) - if(bool_or(low is null), null, sqrt(sum((value - low) ** 2)) / count(*)) as low,
        avg(value) + if(bool_or(high is null), null, sqrt(sum((high - value) ** 2)) / count(*)) as high,
        string_agg(task, '; ' order by task) as tasks
    from scores semi join shared using (task, way)
    group by target
    union all
    select target, value, low, high, 'general questions'
    from figures
    where name = 'retention' and prompt_set = 'general' and judge is null and not exists (from shared)
),
compared as (
    select
        *,
        first(target) over ordered as first_target, first(value) over ordered as first_value,
        first(low) over ordered as first_low,
        lag(target) over ordered as previous, lag(value) over ordered as previous_value,
        lag(low) over ordered as previous_low
    from utility
    where regexp_full_match(target, 'T[0-9]+')  -- the loop's targets: those of a log have no order
    window ordered as (order by length(target), target)
),
-- As for the headline figures, each value has to be outside the other's interval.
warned as (
    select
        target,
        concat_ws(
            '; ',
            if(
                value < first_low and first_value > high,
                format('utility fell by {:.3f} since {}', first_value - value, first_target), null
            ),
            if(
                value < previous_low and previous_value > high and previous <> first_target,
                format('utility fell by {:.3f} since {}', previous_value - value, previous), null
            )
        ) as warning
    from compared
)
select
    target, attack_success, over_refusal, utility.value as utility, harmless_right, retention,
    attack_success_low, attack_success_high, over_refusal_low, over_refusal_high,
    utility.low as utility_low, utility.high as utility_high, utility.tasks as utility_tasks,
    nullif(warned.warning, '') as warning
from measured
full join utility using (target)
left join warned using (target)
order by length(target), target
