-- title: Judges beside people
-- question: How right is each judge, held beside what people said of a sample: beyond chance (kappa), on unsafe answers
--     (sensitivity) and on safe ones (specificity)?
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
order by gold, judge, measure
