-- title: Template sizes
-- question: Which wrappers were detected, how many prompts use each, and how many of those are kept?
-- topic: curation
-- parameter: max_rows integer 50 "Maximum number of templates to list"
-- chart: bar x=prompts y=template_id color=attack_style
select
    templates.template_id,
    count(*) as prompts,
    count(*) filter (dropped.prompt_id is null) as kept,
    count(distinct templates.payload) as payloads,
    count(distinct templates.request_id) as requests_shared_with_others,
    list_sum(list_transform(min(wrappers.segments), lambda part: length(part))) as wrapper_characters,
    mode(prompts.attack_style order by prompts.attack_style) as attack_style,
    list_sort(list(distinct prompts.source)) as sources
from templates
join prompts using (prompt_id)
left join dropped using (prompt_id)
left join wrappers on wrappers.template_id = templates.template_id
where templates.template_id is not null
group by templates.template_id
order by prompts desc, templates.template_id
limit $max_rows
