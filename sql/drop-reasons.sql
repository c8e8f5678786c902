-- title: Drop reasons
-- question: What did curation drop, and why, and how many sources does each reason touch?
-- topic: curation
-- chart: bar x=prompts y=reason
select
    dropped.reason,
    count(*) as prompts,
    count(*) / (select count(*) from prompts) as share_of_all,
    count(distinct prompts.source) as sources,
    count(*) filter (dropped.witness_id is not null) as with_witness
from dropped
join prompts using (prompt_id)
group by dropped.reason
order by prompts desc, dropped.reason
