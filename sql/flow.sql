-- title: From sources to kept prompts
-- question: What happened to each row of each source: kept (by split), dropped (by reason) or set aside (by reason)?
-- topic: curation
-- chart: table
select source, 'kept' as outcome, coalesce(split, 'no split') as detail, count(*) as rows
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
