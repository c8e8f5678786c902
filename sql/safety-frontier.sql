-- title: Safety and over-refusal
-- question: How does each target trade attack success against over-refusal and retention (scored by the expected words
--     where the prompt has them, otherwise by the judge)?
-- topic: safety
-- parameter: judge text '' "Judge whose verdicts count; empty for the one that training used, else the first"
-- chart: point x=over_refusal y=attack_success color=target
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
)
select
    target,
    max(value) filter (name = 'attack_success' and prompt_set = 'test') as attack_success,
    max(value) filter (name = 'over_refusal' and prompt_set = 'harmless') as over_refusal,
    max(value) filter (name = 'right_answer' and prompt_set = 'harmless') as harmless_right,
    arg_max(value, judge is null) filter (name = 'retention' and prompt_set = 'general') as retention,
    max(low) filter (name = 'attack_success' and prompt_set = 'test') as attack_success_low,
    max(high) filter (name = 'attack_success' and prompt_set = 'test') as attack_success_high,
    max(low) filter (name = 'over_refusal' and prompt_set = 'harmless') as over_refusal_low,
    max(high) filter (name = 'over_refusal' and prompt_set = 'harmless') as over_refusal_high
from judged
group by target
order by length(target), target
