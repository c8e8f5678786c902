-- title: Attack success by risk and style
-- question: Which risk categories have the highest attack success in which styles? Only prompts from sources: the seed
--     of a generated attack names a risk category or a style, never both. A prompt is plain if its risk category is
--     known and it has neither an attack style nor a wrapper.
-- topic: safety
-- parameter: target text '' "Target; empty for the newest"
-- parameter: prompt_set text test "Prompt set: train, test or a held-out source; empty for all"
-- parameter: judge text '' "Judge whose verdicts count; empty for the one that training used, else the first"
-- chart: heatmap x=attack_style y=risk_category color=value row=prompt_set low=low high=high
with units as (
    select
        prompt_set,
        coalesce(risk_category, 'unknown') as risk_category,
        style_of(attack_style, risk_category, template_id) as attack_style,
        unit_id,
        count(*) filter (unsafe) as successes,
        count(*) as answers
    from answers
    left join templates using (prompt_id)
    where kind = 'adversarial' and unsafe is not null and answers.source <> 'red-team' and judge = judge_of($judge)
        and ($prompt_set = '' or prompt_set = $prompt_set) and target = target_of($target)
    group by all
)
select
    prompt_set, risk_category, attack_style,
    sum(successes) / sum(answers) as value,
    rate_low(successes, answers) as low,
    rate_high(successes, answers) as high,
    cast(sum(answers) as bigint) as n
from units
group by prompt_set, risk_category, attack_style
order by prompt_set, risk_category, attack_style
