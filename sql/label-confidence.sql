-- title: Label confidence
-- question: How confident is the classifier in the types it assigned, and which types have the lowest confidence?
-- topic: quality
-- chart: point x=median y=type low=p10 high=p90
select
    type,
    count(*) as labelled,
    count(*) / sum(count(*)) over () as proportion,
    quantile_cont(label_probability, 0.1) as p10,
    quantile_cont(label_probability, 0.5) as median,
    quantile_cont(label_probability, 0.9) as p90,
    count(*) filter (label_probability < 0.7) as under_70,
    count(*) filter (label_probability >= 0.7 and label_probability < 0.9) as from_70_to_90,
    count(*) filter (label_probability >= 0.9) as from_90
from kept
where label_source = 'classifier'
group by type
order by median, type
