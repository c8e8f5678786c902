-- title: Novelty of each iteration
-- question: How close do the attacks that an iteration added come to their nearest earlier attack (cosine, averaged), and
--     those that its red team wrote for the evaluation to the training prompts? Lower is newer.
-- topic: coverage
-- chart: line x=iteration y=value color=attacks low=low high=high
select
    if(name = 'novelty', cast(facets ->> 'iteration' as integer), try_cast(substr(facets ->> 'red_team', 2) as integer))
        as iteration,
    if(name = 'novelty', 'that joined, against all earlier', 'for the evaluation, against train') as attacks,
    value, low, high, n
from metrics
where name = 'novelty' or (name = 'diversity' and facets ->> 'against' = 'train')
order by attacks, iteration
