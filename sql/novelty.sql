-- title: Novelty of each iteration
-- question: How similar are the attacks added by an iteration to their nearest earlier attack, and the attacks written
--     for evaluation to their nearest training prompt (mean cosine)? Lower means more novel.
-- topic: coverage
-- chart: line x=iteration y=value color=attacks low=low high=high
select
    if(name = 'novelty', cast(facets ->> 'iteration' as integer), try_cast(substr(facets ->> 'red_team', 2) as integer))
        as iteration,
    if(name = 'novelty', 'added, against all earlier', 'for the evaluation, against train') as attacks,
    value, low, high, n
from metrics
where name = 'novelty' or (name = 'diversity' and facets ->> 'against' = 'train')
order by attacks desc, iteration
