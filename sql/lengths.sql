-- title: Prompt lengths
-- question: How long are the kept prompts of each source and kind, in characters?
-- topic: data
-- chart: point x=median y=source color=kind low=p10 high=p90
select
    source,
    kind,
    count(*) as kept,
    min(length(text)) as shortest,
    quantile_disc(length(text), 0.1) as p10,
    quantile_disc(length(text), 0.5) as median,
    quantile_disc(length(text), 0.9) as p90,
    quantile_disc(length(text), 0.99) as p99,
    max(length(text)) as longest
from kept
group by source, kind
order by source, kind
