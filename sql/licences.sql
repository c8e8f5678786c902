-- title: Licences
-- question: Under which licences does the data stand, and how much of it under each?
-- topic: data
-- chart: bar x=kept y=licence
select
    coalesce(prompts.licence, if(prompts.model is null, 'none given', 'written by a model')) as licence,
    count(*) as prompts,
    count(kept.prompt_id) as kept,
    count(kept.prompt_id) / nullif(sum(count(kept.prompt_id)) over (), 0) as share_of_kept,
    count(distinct prompts.source) as sources,
    list_sort(list(distinct prompts.source)) as names
from prompts
left join kept using (prompt_id)
group by 1
order by kept desc, licence
