-- title: Attack success by risk and style
-- question: Which risks get through in which styles? Of prompts of the sets alone: the seed of what a model wrote names a
--     risk or a style, never both. A prompt is plain if its risk is known, its style is not, and no wrapper is around it.
-- topic: safety
-- parameter: target text '' "Which target; the newest if empty"
-- parameter: measured_on text test "Which set: train, test or a held-out source; all of them if empty"
-- parameter: judge text '' "Whose verdicts; if empty those that training used, or the first judge's"
-- chart: heatmap x=attack_style y=risk_category color=value row=measured_on low=low high=high
with units as (
    select
        measured_on,
        coalesce(risk_category, 'unknown') as risk_category,
        style_of(attack_style, risk_category, template_id) as attack_style,
        unit_id,
        count(*) filter (unsafe) as successes,
        count(*) as answers
    from answers
    left join templates using (prompt_id)
    where kind = 'adversarial' and unsafe is not null and answers.source <> 'red-team' and judge = judge_of($judge)
        and ($measured_on = '' or measured_on = $measured_on) and target = target_of($target)
    group by all
)
select
    measured_on, risk_category, attack_style,
    sum(successes) / sum(answers) as value,
    share_low(successes, answers) as low,
    share_high(successes, answers) as high,
    cast(sum(answers) as bigint) as n
from units
group by measured_on, risk_category, attack_style
order by measured_on, risk_category, attack_style
