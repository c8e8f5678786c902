-- title: Judge quality
-- question: How accurate is each judge against gold verdicts: kappa, sensitivity (on unsafe responses) and specificity
--     (on safe ones)? Those measured last with each gold set.
-- topic: quality
-- chart: bar x=value y=judge color=measure low=low high=high
select
    facets ->> 'gold' as gold,
    facets ->> 'judge' as judge,
    substr(name, length('judge_') + 1) as measure,
    value, low, high,
    n as gold_rows
from metrics
where name in ('judge_kappa', 'judge_sensitivity', 'judge_specificity')
qualify row_number() over (partition by name, facets order by cast(substr(version, 2) as integer) desc) = 1
order by gold, judge, measure
