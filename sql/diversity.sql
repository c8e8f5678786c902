-- title: Diversity
-- question: How alike are the attacks of one type, iteration or source among themselves: the cosine of each with the
--     nearest other one, averaged (the measure of the SEAS paper)? Of a sample of each. Lower is more diverse.
-- topic: coverage
-- parameter: by text type all|type|iteration|source "What to tell apart"
-- parameter: sample integer 200 "How many prompts of each to look at, and to compare them with"
-- chart: bar x=nearest_other y=label low=low high=high
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
alike as (
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
        -- each pair was multiplied once, and speaks for both of its prompts
        select label, model, one as number, score from alike
        union all
        select label, model, other, score from alike
    )
    group by label, model, number
),
sizes as (select label, count(*) as of_prompts from placed group by label)
select
    label,
    avg(score order by score) as nearest_other,
    avg(score order by score) - 1.959963984540054 * stddev_samp(score order by score) / sqrt(count(*)) as low,
    avg(score order by score) + 1.959963984540054 * stddev_samp(score order by score) / sqrt(count(*)) as high,
    count(*) as n,
    any_value(of_prompts) as of_prompts
from nearest
join sizes using (label)
group by label
order by nearest_other desc, label
