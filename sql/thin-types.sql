-- title: Thin types
-- question: Which types have the least data, once wrappers and repeated requests count once, and what of it lies in
--     train and test?
-- chart: bar x=different y=type
with typed as (
    select kept.*, templates.template_id, templates.request_id, splits.split, clusters.cluster
    from kept
    left join templates using (prompt_id)
    left join splits using (prompt_id)
    left join clusters using (prompt_id)
    where kept.kind = 'adversarial' and kept.role = 'training'
)
select
    type,
    count(*) as kept,
    -- Prompts of one wrapper differ in their payload alone, and those of one request in their wrapper.
    count(distinct coalesce(request_id, text_digest)) as requests,
    count(distinct coalesce(template_id, text_digest)) as wordings,
    least(count(distinct coalesce(request_id, text_digest)), count(distinct coalesce(template_id, text_digest)))
        as different,
    count(*) filter (split = 'train') as train,
    count(*) filter (split = 'test') as test,
    count(*) filter (label_source = 'classifier') as labelled_by_classifier,
    count(*) filter (language = 'en') / count(*) as english,
    count(distinct source) as sources,
    max(of_source) / count(*) as largest_source,
    count(distinct cluster) as clusters
from (select *, count(*) over (partition by type, source) as of_source from typed)
group by type
order by different, type
