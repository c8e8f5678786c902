-- title: Clusters
-- question: What are the kept prompts about, and how many of each cluster are attacks, harmless look-alikes and
--     general prompts?
-- topic: coverage
-- parameter: max_rows integer 50 "Maximum number of clusters to list"
-- chart: bar x=kept y=label color=cluster
select
    clusters.cluster,
    min(clusters.label) as label,
    count(*) as kept,
    count(*) filter (where kept.kind = 'adversarial') as adversarial,
    count(*) filter (where kept.kind = 'harmless') as harmless,
    count(*) filter (where kept.kind = 'general') as general,
    count(distinct kept.source) as sources,
    count(distinct kept.type) as types
from clusters
join kept using (prompt_id)
group by clusters.cluster
order by kept desc, clusters.cluster
limit $max_rows
