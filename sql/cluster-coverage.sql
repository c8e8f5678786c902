-- title: Coverage of the clusters
-- question: How much of what the data is about does each iteration reach, and how evenly? Prompts spread evenly are
--     about as many clusters as they reach, prompts of one subject about one.
-- topic: coverage
-- chart: bar x=about y=iteration
with placed as (
    select kept.iteration, clusters.cluster, count(*) as prompts
    from clusters
    join kept using (prompt_id)
    where kept.kind = 'adversarial'
    group by all
),
shares as (
    select
        iteration, cluster, prompts,
        prompts / sum(prompts) over (partition by iteration) as share,
        min(iteration) over (partition by cluster) as first_iteration
    from placed
)
select
    iteration,
    cast(sum(prompts) as bigint) as prompts,
    count(*) as clusters,
    count(*) / (select count(distinct cluster) from placed) as coverage,
    exp(-sum(share * ln(share) order by share)) as about,
    max(share) as largest_share,
    count(*) filter (first_iteration = iteration) as new_clusters
from shares
group by iteration
order by iteration
