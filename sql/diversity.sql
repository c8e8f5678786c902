-- title: Diversity
-- question: How similar are attacks of the same type, iteration or source: the cosine of each attack to its nearest
--     neighbour, averaged over a sample (the measure of the SEAS paper)? Lower means more diverse.
-- topic: coverage
-- parameter: by text type all|type|iteration|source "Column to group by"
-- parameter: sample integer 200 "Prompts to sample of each group"
-- chart: bar x=nearest_similarity y=label low=low high=high
with placed as (
    select
        kept.prompt_id,
        case $by
            when 'type' then kept.type
            when 'iteration' then cast(kept.iteration as varchar)
            when 'source' then kept.source
            else 'all'
        end as label,
        embeddings.model
    from kept
    join embeddings using (prompt_id)
    where kept.kind = 'adversarial'
),
drawn as (
    select chosen.label, chosen.model, chosen.number, embeddings.vector
    from (
        select *, row_number() over (partition by label, model order by md5(prompt_id), prompt_id) as number
        from placed
        where label is not null
        qualify number <= $sample
    ) as chosen
    join embeddings using (prompt_id, model)
),
similarity as (
    select
        one.label, one.model,
        one.number as one,
        other.number as other,
        list_dot_product(one.vector, other.vector) as score
    from drawn as one
    join drawn as other on one.label = other.label and one.model = other.model and one.number < other.number
),
nearest as (
    select label, least(max(score), 1.0) as score
    from (
        -- each pair is computed once and counts for both of its prompts
        select label, model, one as number, score from similarity
        union all
        select label, model, other, score from similarity
    )
    group by label, model, number
),
sizes as (select label, count(*) as all_prompts from placed group by label)
select
    label,
    avg(score order by score) as nearest_similarity,
    avg(score order by score) - 1.959963984540054 * stddev_samp(score order by score) / sqrt(count(*)) as low,
    avg(score order by score) + 1.959963984540054 * stddev_samp(score order by score) / sqrt(count(*)) as high,
    count(*) as n,
    any_value(all_prompts) as all_prompts
from nearest
join sizes using (label)
group by label
order by nearest_similarity desc, label
