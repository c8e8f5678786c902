-- title: Licences
-- question: Which licences apply to the prompts, and how many prompts does each cover?
-- topic: data
-- chart: bar x=kept y=licence
select
    coalesce(prompts.licence, if(prompts.model is null, 'not stated', 'written by a model')) as licence,
    count(*) as prompts,
    count(*) filter (dropped.prompt_id is null) as kept,
    count(*) filter (dropped.prompt_id is null) / nullif(sum(count(*) filter (dropped.prompt_id is null)) over (), 0)
        as proportion_of_kept,
    count(distinct prompts.source) as sources,
    list_sort(list(distinct prompts.source)) as source_names
from prompts
left join dropped using (prompt_id)
group by 1
order by kept desc, licence
