-- title: Diversity
-- question: How similar are attacks of the same type, iteration or source: the cosine of each attack to its nearest
--     neighbour, averaged over a sample (the measure of the SEAS paper)? Lower means more diverse. Of more than
--     300,000 prompts with a vector, the sample is drawn from 300,000, the first by id.
-- topic: coverage
-- parameter: by text type all|type|iteration|source "Column to group by"
-- parameter: sample integer 200 "Prompts to sample of each group"
-- chart: bar x=nearest_similarity y=label low=low high=high
with first_ids as (
    -- Ids are hashes, so those under a bound are a sample; the vectors of others need not be read.
    select if(count(*) <= 300000, 'g', printf('%012x', cast(2.0 ** 48 * 300000 / count(*) as bigint))) as bound
    from embeddings
),
placed as (
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
groups as (
    select
        label, model,
        count(*) as prompts,
        min({'digest': md5(prompt_id), 'prompt_id': prompt_id}, least(greatest(cast($sample as bigint), 1), 1000000))
            filter (prompt_id < (select bound from first_ids)) as chosen
    from placed
    where label is not null
    group by label, model
),
drawn as (
    select chosen.label, chosen.model, chosen.number, embeddings.vector
    from (
        select label, model, unnest(chosen).prompt_id as prompt_id, generate_subscripts(chosen, 1) as number from groups
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
sizes as (select label, cast(sum(prompts) as bigint) as all_prompts from groups group by label)
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
