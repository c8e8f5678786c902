-- title: Recall of semantic duplicates
-- question: What proportion of the pairs that are similar by meaning was found, where not all pairs were compared?
--     (From comparing a sample of prompts with all.) Empty if all pairs were compared.
-- topic: curation
-- chart: table
select
    version,
    facets ->> 'model' as model,
    cast(facets ->> 'threshold' as double) as threshold,
    value as recall,
    low, high,
    n as pairs,
    cast(facets ->> 'rows_compared' as bigint) as prompts_compared
from metrics
where name = 'semantic_recall'
order by length(version), version, model, threshold
