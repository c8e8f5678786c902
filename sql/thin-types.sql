-- title: Thin types
-- question: Which types have the least distinct data, counting each wrapper and each request once, and how many of
--     their prompts are in train and test?
-- topic: coverage
-- chart: bar x=distinct_prompts y=type
with training as (
    -- 64 bits of ids and digests are enough to join and count by, and take less memory.
    select
        type, source, language, label_source, hash(prompt_id) as id, hash(text_digest) as digest
    from kept
    where kind = 'adversarial' and role = 'training'
),
counted as (
    select
        type,
        count(*) as kept,
        count(*) filter (label_source = 'classifier') as labelled_by_classifier,
        count(*) filter (language = 'en') / count(*) as english,
        count(distinct source) as sources,
        list_max(map_values(histogram(source))) / count(*) as largest_source
    from training
    group by type
),
-- This and what follows join one table each, because several do not fit into memory at ten million prompts.
worded as (
    -- Prompts of one wrapper differ only in their payload.
    select
        type,
        count(distinct coalesce(request, digest)) as requests,
        count(distinct coalesce(wrapper, digest)) as wordings
    from training
    left join (
        select
            hash(prompt_id) as id,
            if(request_id is null, null, hash(request_id)) as request,
            if(template_id is null, null, hash(template_id)) as wrapper
        from templates
    ) using (id)
    group by type
),
placed as (
    select type, count(*) filter (split = 'train') as train, count(*) filter (split = 'test') as test
    from training join (select hash(prompt_id) as id, split from splits) using (id)
    group by type
),
clustered as (
    select type, count(distinct cluster) as clusters
    from training join (select hash(prompt_id) as id, cluster from clusters) using (id)
    group by type
)
select
    counted.type,
    kept,
    requests,
    wordings,
    least(requests, wordings) as distinct_prompts,
    coalesce(train, 0) as train,
    coalesce(test, 0) as test,
    labelled_by_classifier,
    english,
    sources,
    largest_source,
    coalesce(clusters, 0) as clusters
from counted
join worded on worded.type is not distinct from counted.type
left join placed on placed.type is not distinct from counted.type
left join clustered on clustered.type is not distinct from counted.type
union all by name
select
    type,
    0 as kept, 0 as requests, 0 as wordings, 0 as distinct_prompts, 0 as train, 0 as test, 0 as labelled_by_classifier,
    0 as sources, 0 as clusters
from taxonomy
where type not in (select type from counted where type is not null) and exists (from counted)
order by distinct_prompts, kept, type
