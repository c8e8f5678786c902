-- title: Styles and their wrappers
-- question: Which attack styles are a handful of wrappers around changing requests, and which are prompts that somebody
--     wrote one by one?
-- topic: data
-- chart: bar x=wrapped y=attack_style
with styled as (
    select
        kept.attack_style, kept.source, kept.text_digest, templates.template_id, templates.payload, templates.request_id,
        if(templates.template_id is null, 0, count(*) over (partition by kept.attack_style, templates.template_id))
            as of_template
    from kept
    left join templates using (prompt_id)
    where kept.attack_style is not null and kept.role = 'training'
)
select
    attack_style,
    count(*) as kept,
    count(template_id) / count(*) as wrapped,
    count(distinct template_id) as templates,
    max(of_template) / count(*) as largest_template,
    count(distinct payload) as payloads,
    count(request_id) / count(*) as shares_a_request,
    count(distinct source) as sources
from styled
group by attack_style
order by wrapped desc, kept desc, attack_style
