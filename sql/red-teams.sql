-- title: Red teams
-- question: What are each red team's prompts worth as prompts: whole, different, of the type asked for,
--     and how varied?
-- topic: safety
-- chart: bar x=value y=red_team color=against row=name low=low high=high
select
    facets ->> 'red_team' as red_team,
    name,
    facets ->> 'against' as against,
    value, low, high, n
from metrics
where name in ('validity', 'unique', 'on_type', 'grammatical', 'diversity', 'phrase_entropy')
order by name, against, length(red_team), red_team, facets
