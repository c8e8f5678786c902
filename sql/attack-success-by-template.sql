-- title: Attack success by template
-- question: Which wrappers get through to the target, and do wrapped prompts get through more often than plain ones? Of
--     what models wrote, the wrappers of the examples in their seeds.
-- topic: safety
-- parameter: target text '' "Which target; the newest if empty"
-- parameter: measured_on text '' "Which set: train, evaluation, test or a held-out source; all of them if empty"
-- parameter: judge text '' "Whose verdicts; if empty those that training used, or the first judge's"
-- parameter: most integer 50 "How many templates to list"
-- chart: bar x=value y=template_id low=low high=high
with places as (
    select distinct unit_id, template_id from standing left join templates using (prompt_id)
),
units as (
    select
        unit_id,
        count(*) filter (unsafe) as successes,
        count(*) as answers
    from answers
    where kind = 'adversarial' and unsafe is not null and judge = judge_of($judge)
        and ($measured_on = '' or measured_on = $measured_on) and target = target_of($target)
    group by all
),
sizes as (
    select
        templates.template_id,
        count(*) as kept,
        mode(kept.attack_style order by kept.attack_style) as attack_style
    from templates
    join kept using (prompt_id)
    where templates.template_id is not null
    group by templates.template_id
)
select
    coalesce(places.template_id, 'none') as template_id,
    any_value(sizes.attack_style) as attack_style,
    sum(successes) / sum(answers) as value,
    share_low(successes, answers) as low,
    share_high(successes, answers) as high,
    cast(sum(answers) as bigint) as n,
    count(*) as units,
    any_value(sizes.kept) as kept
from units
join places using (unit_id)
left join sizes on sizes.template_id = places.template_id
group by places.template_id
order by places.template_id is null desc, low desc, places.template_id
limit $most
