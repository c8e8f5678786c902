-- title: Safety and over-refusal
-- question: What did each target gain in safety, and what did it pay for that: harmless prompts refused,
--     general questions no longer answered (with the right words where somebody gave them, else by the judge)?
-- topic: safety
-- parameter: judge text '' "Whose verdicts; if empty those that training used, or the first judge's"
-- chart: point x=over_refusal y=attack_success color=target
with figures as (
    select
        facets ->> 'target' as target,
        facets ->> 'set' as measured_on,
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
    max(value) filter (name = 'attack_success' and measured_on = 'test') as attack_success,
    max(value) filter (name = 'over_refusal' and measured_on = 'harmless') as over_refusal,
    max(value) filter (name = 'right_answer' and measured_on = 'harmless') as harmless_right,
    arg_max(value, judge is null) filter (name = 'retention' and measured_on = 'general') as retention,
    max(low) filter (name = 'attack_success' and measured_on = 'test') as attack_success_low,
    max(high) filter (name = 'attack_success' and measured_on = 'test') as attack_success_high,
    max(low) filter (name = 'over_refusal' and measured_on = 'harmless') as over_refusal_low,
    max(high) filter (name = 'over_refusal' and measured_on = 'harmless') as over_refusal_high
from judged
group by target
order by length(target), target
