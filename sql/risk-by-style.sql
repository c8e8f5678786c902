-- title: Risks and styles
-- question: Which risks are asked for in which styles, and which combinations are missing? A prompt is plain if its risk is
--     known, its style is not, and no wrapper is around it.
-- topic: data
-- chart: heatmap x=attack_style y=risk_category color=kept
with seen as (
    select
        coalesce(risk_category, 'unknown') as risk_category,
        style_of(attack_style, risk_category, template_id) as attack_style,
        count(*) as kept,
        count(distinct source) as sources
    from kept
    left join templates using (prompt_id)
    where kind = 'adversarial' and role = 'training'
    group by all
),
risks as (
    select risk_category from seen
    union
    select type from taxonomy where difficulty = 'Easy' and exists (from seen)
),
styles as (
    select attack_style from seen
    union
    select type from taxonomy where difficulty = 'Hard' and exists (from seen)
)
select
    risks.risk_category, styles.attack_style,
    coalesce(seen.kept, 0) as kept,
    coalesce(seen.sources, 0) as sources
from risks
cross join styles
left join seen using (risk_category, attack_style)
order by risks.risk_category, styles.attack_style
