"""A sample of the kept prompts that have a place on the map, for the report's map and ``explore``."""


def sample_cte(condition: str) -> str:
    """Return the common table expression ``sampled``: the prompt_id of at most about ``$limit`` prompts.

    They are drawn from the rows of ``clusters`` that are not dropped and meet ``condition``: all of them if they are no
    more than ``$limit``, else the same proportion of each cluster, at least one, first by prompt_id, which is a hash.
    """
    return f"""placed as (
    select prompt_id, cluster from clusters anti join dropped using (prompt_id) where {condition}
),
cluster_sizes as (select cluster, count(*) as size from placed group by cluster),
totals as (select sum(size) as points, count(*) as clusters from cluster_sizes),
sampled as (
    select prompt_id
    from placed join cluster_sizes using (cluster) cross join totals
    qualify points <= $limit or row_number() over (partition by cluster order by prompt_id)
        <= 1 + floor(cast(size as double) * greatest($limit - clusters, 0) / cast(points as double))
)"""
