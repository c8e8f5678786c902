-- title: Red team quality
-- question: How good are the attacks of each red team as prompts: complete, unique, of the requested type, and
--     diverse?
-- topic: safety
-- chart: bar x=value y=red_team color=against row=name low=low high=high
select
    facets ->> 'red_team' as red_team,
    name,
    coalesce(facets ->> 'against', facets ->> 'reason') as against,
    value, low, high, n
from metrics
where name in ('validity', 'unique', 'on_type', 'grammatical', 'diversity', 'phrase_entropy', 'invalid')
order by name, against, length(red_team), red_team, facets
