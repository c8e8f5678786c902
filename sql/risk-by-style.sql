-- title: Risk categories and attack styles
-- question: Which risk categories occur in which attack styles, and which combinations are missing? A prompt is plain
--     if its risk category is known and it has neither an attack style nor a wrapper.
-- topic: data
-- chart: heatmap x=attack_style y=risk_category color=kept
with counts as (
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
    select risk_category from counts
    union
    select type from taxonomy where axis = 'risk' and exists (from counts)
),
styles as (
    select attack_style from counts
    union
    select type from taxonomy where axis = 'style' and exists (from counts)
)
select
    risks.risk_category, styles.attack_style,
    coalesce(counts.kept, 0) as kept,
    coalesce(counts.sources, 0) as sources
from risks
cross join styles
left join counts using (risk_category, attack_style)
order by risks.risk_category, styles.attack_style
