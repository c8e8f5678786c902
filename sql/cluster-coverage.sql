-- title: Cluster coverage
-- question: How many of the clusters does each iteration reach, and how evenly? The effective number of clusters is
--     the exponential of the entropy: it equals the number of clusters if prompts are spread evenly, and 1 if all are
--     in one.
-- topic: coverage
-- chart: bar x=effective_clusters y=iteration
with placed as (
    select kept.iteration, clusters.cluster, count(*) as prompts
    from clusters
    join kept using (prompt_id)
    where kept.kind = 'adversarial'
    group by all
),
proportions as (
    select
        iteration, cluster, prompts,
        prompts / sum(prompts) over (partition by iteration) as proportion,
        min(iteration) over (partition by cluster) as first_iteration
    from placed
)
select
    iteration,
    cast(sum(prompts) as bigint) as prompts,
    count(*) as clusters,
    count(*) / (select count(distinct cluster) from placed) as coverage,
    exp(-sum(proportion * ln(proportion) order by proportion)) as effective_clusters,
    max(proportion) as largest_proportion,
    count(*) filter (first_iteration = iteration) as new_clusters
from proportions
group by iteration
order by iteration
