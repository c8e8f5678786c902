-- title: Label classifier accuracy
-- question: How often does the classifier predict the type that the source states (accuracy, macro F1), and how often
--     is it confident enough to predict at all (coverage)? Cross-validated by group, and leaving out one source at a
--     time. 95 % intervals.
-- topic: quality
-- chart: point x=value y=source color=measure low=low high=high
with newest as (
    from metrics
    where name in ('label_accuracy', 'label_coverage', 'label_macro_f1')
    qualify rank() over (order by cast(substr(version, 2) as integer) desc) = 1
)
select
    substr(name, length('label_') + 1) as measure,
    facets ->> 'validation' as left_out,
    facets ->> 'source' as source,
    facets ->> 'rows' as rows_counted,
    round(value, 4) as value,
    round(low, 4) as low,
    round(high, 4) as high,
    n as prompts
from newest
order by measure, left_out, source nulls first, rows_counted
