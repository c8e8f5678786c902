-- title: Lengths
-- question: How long are the kept prompts of each source and kind, in characters?
-- topic: data
-- chart: point x=median y=source color=kind low=tenth high=ninetieth
select
    source,
    kind,
    count(*) as kept,
    min(length(text)) as shortest,
    quantile_disc(length(text), 0.1) as tenth,
    quantile_disc(length(text), 0.5) as median,
    quantile_disc(length(text), 0.9) as ninetieth,
    quantile_disc(length(text), 0.99) as ninety_ninth,
    max(length(text)) as longest
from kept
group by source, kind
order by source, kind
