-- title: Thin types
-- question: Which types have the least distinct data, counting each wrapper and each request once, and how many of
--     their prompts are in train and test?
-- topic: coverage
-- chart: bar x=distinct_prompts y=type
with worded as (
    select
        kept.prompt_id, kept.type, kept.source,
        kept.language = 'en' as in_english, kept.label_source = 'classifier' as by_classifier,
        -- 64 bits of ids and digests are enough to count them, and join faster than the digests
        hash(coalesce(templates.request_id, kept.text_digest)) as request,
        -- Prompts of one wrapper differ only in their payload.
        hash(coalesce(templates.template_id, kept.text_digest)) as wording
    from kept left join templates using (prompt_id)
    where kept.kind = 'adversarial' and kept.role = 'training'
),
typed as (
    select worded.* exclude (prompt_id), split = 'train' as in_train, split = 'test' as in_test, clusters.cluster
    from worded left join splits using (prompt_id) left join clusters using (prompt_id)
),
counted as (
    select
        type,
        count(*) as kept,
        count(distinct request) as requests,
        count(distinct wording) as wordings,
        least(count(distinct request), count(distinct wording)) as distinct_prompts,
        count(*) filter (in_train) as train,
        count(*) filter (in_test) as test,
        count(*) filter (by_classifier) as labelled_by_classifier,
        count(*) filter (in_english) / count(*) as english,
        count(distinct source) as sources,
        list_max(map_values(histogram(source))) / count(*) as largest_source,
        count(distinct cluster) as clusters
    from typed
    group by type
)
select * from counted
union all by name
select
    type,
    0 as kept, 0 as requests, 0 as wordings, 0 as distinct_prompts, 0 as train, 0 as test, 0 as labelled_by_classifier,
    0 as sources, 0 as clusters
from taxonomy
where type not in (select type from counted where type is not null) and exists (from counted)
order by distinct_prompts, kept, type
