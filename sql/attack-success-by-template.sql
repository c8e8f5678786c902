-- title: Attack success by template
-- question: Which wrappers have the highest attack success against the target, and do wrapped prompts succeed more
--     often than unwrapped ones? Generated attacks count under the wrappers of the examples in their seed.
-- topic: safety
-- parameter: target text '' "Target; empty for the newest"
-- parameter: prompt_set text '' "Prompt set: train, evaluation, test or a held-out source; empty for all"
-- parameter: judge text '' "Judge whose verdicts count; empty for the one that training used, else the first"
-- parameter: max_rows integer 50 "Maximum number of templates to list"
-- chart: bar x=value y=template_id low=low high=high
with units as (
    select
        unit_id,
        seed_id,
        count(*) filter (unsafe) as successes,
        count(*) as answers
    from answers
    where kind = 'adversarial' and unsafe is not null and judge = judge_of($judge)
        and ($prompt_set = '' or prompt_set = $prompt_set) and target = target_of($target)
    group by all
),
-- A prompt stands for itself, a seed for the attacks on it by its examples.
unit_prompts as (
    select unit_id, unit_id as prompt_id from units where seed_id is null
    union all
    select unit_id, unnest(example_ids) from units join seeds using (seed_id)
),
unit_templates as (
    select distinct unit_id, template_id from unit_prompts left join templates using (prompt_id)
),
-- Materialized, so that a version without answers reads no prompts.
listed as materialized (
    select prompt_id, template_id from templates where template_id in (select template_id from unit_templates)
),
sizes as (
    select
        listed.template_id,
        count(*) as kept,
        mode(kept.attack_style order by kept.attack_style) as attack_style
    from kept join listed using (prompt_id)
    group by listed.template_id
)
select
    coalesce(unit_templates.template_id, 'none') as template_id,
    any_value(sizes.attack_style) as attack_style,
    sum(successes) / sum(answers) as value,
    rate_low(successes, answers) as low,
    rate_high(successes, answers) as high,
    cast(sum(answers) as bigint) as n,
    count(*) as units,
    any_value(sizes.kept) as kept
from units
join unit_templates using (unit_id)
left join sizes on sizes.template_id = unit_templates.template_id
group by unit_templates.template_id
order by unit_templates.template_id is null desc, low desc, unit_templates.template_id
limit $max_rows
