-- title: From sources to kept
-- question: What became of every row that came in?
-- topic: curation
-- chart: table
select source, 'kept' as outcome, coalesce(split, 'no split') as fate, count(*) as rows
from kept left join splits using (prompt_id)
group by all
union all
select source, 'dropped', dropped.reason, count(*)
from dropped join prompts using (prompt_id)
group by all
union all
select source, 'set aside', reason, count(*)
from set_aside
group by all
order by all
