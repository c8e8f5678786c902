-- title: Label confusion
-- question: Which types does the classifier confuse in cross-validation? "none" means no label.
-- topic: quality
-- chart: heatmap x=predicted y=given color=proportion
with newest as (
    from metrics
    where name = 'label_confusion'
    qualify rank() over (order by cast(substr(version, 2) as integer) desc) = 1
)
select
    facets ->> 'true' as given,
    facets ->> 'predicted' as predicted,
    cast(round(value * n) as bigint) as prompts,
    n as prompts_of_type,
    round(value, 4) as proportion,
    round(low, 4) as low,
    round(high, 4) as high
from newest
where value > 0
order by given, prompts desc, predicted
