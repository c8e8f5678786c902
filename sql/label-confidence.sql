-- title: Label confidence
-- question: How sure was the classifier of the types that it gave, and of which types is it least sure?
-- topic: quality
-- chart: point x=median y=type low=tenth high=ninetieth
select
    type,
    count(*) as labelled,
    count(*) / sum(count(*)) over () as share,
    quantile_cont(label_probability, 0.1) as tenth,
    quantile_cont(label_probability, 0.5) as median,
    quantile_cont(label_probability, 0.9) as ninetieth,
    count(*) filter (label_probability < 0.7) as under_70,
    count(*) filter (label_probability >= 0.7 and label_probability < 0.9) as from_70_to_90,
    count(*) filter (label_probability >= 0.9) as from_90
from kept
where label_source = 'classifier'
group by type
order by median, type
