-- title: Drop reasons
-- question: Why did curation drop prompts, and how many sources does each reason affect?
-- topic: curation
-- chart: bar x=prompts y=reason
select
    dropped.reason,
    count(*) as prompts,
    count(*) / (select count(*) from prompts) as proportion_of_all,
    count(distinct prompts.source) as sources,
    count(*) filter (dropped.witness_id is not null) as with_witness
from dropped
join prompts using (prompt_id)
group by dropped.reason
order by prompts desc, dropped.reason
