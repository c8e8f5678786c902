-- title: Judges beside each other
-- question: What does one judge say where another says safe, unsafe or nothing that parses?
-- topic: quality
-- parameter: of text verdict verdict|refusal "What they say"
-- chart: heatmap x=other_says y=says color=share row=judge column=other_judge
with said as (
    select response_id, judge, if($of = 'refusal', refusal, verdict) as label from verdicts
)
select
    one.judge,
    other.judge as other_judge,
    one.label as says,
    other.label as other_says,
    count(*) as responses,
    count(*) / sum(count(*)) over (partition by one.judge, other.judge, one.label) as share
from said as one
join said as other on one.response_id = other.response_id and one.judge < other.judge
where one.label is not null and other.label is not null
group by one.judge, other.judge, one.label, other.label
order by one.judge, other.judge, says, other_says
