-- title: Judge confusion
-- question: How do the labels of two judges compare on the same responses?
-- topic: quality
-- parameter: label text verdict verdict|refusal "Which label to compare"
-- chart: heatmap x=other_label y=label color=proportion row=judge column=other_judge
with labels as (
    select response_id, judge, if($label = 'refusal', refusal, verdict) as label from verdicts
)
select
    one.judge,
    other.judge as other_judge,
    one.label as label,
    other.label as other_label,
    count(*) as responses,
    count(*) / sum(count(*)) over (partition by one.judge, other.judge, one.label) as proportion
from labels as one
join labels as other on one.response_id = other.response_id and one.judge < other.judge
where one.label is not null and other.label is not null
group by one.judge, other.judge, one.label, other.label
order by one.judge, other.judge, label, other_label
