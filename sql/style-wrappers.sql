-- title: Attack styles and their wrappers
-- question: Which attack styles consist of a few wrappers around varying payloads, and which of individually written
--     prompts?
-- topic: data
-- chart: bar x=wrapped y=attack_style
with styled as (
    select
        kept.attack_style, kept.source, kept.text_digest, templates.template_id, templates.payload,
        templates.request_id
    from kept
    left join templates using (prompt_id)
    where kept.attack_style is not null and kept.role = 'training'
)
select
    attack_style,
    count(*) as kept,
    count(template_id) / count(*) as wrapped,
    count(distinct template_id) as templates,
    coalesce(list_max(map_values(histogram(template_id))), 0) / count(*) as largest_template,
    count(distinct payload) as payloads,
    count(request_id) / count(*) as with_shared_request,
    count(distinct source) as sources
from styled
group by attack_style
order by wrapped desc, kept desc, attack_style
