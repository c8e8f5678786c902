-- title: Drop reasons by source
-- question: Which prompts did curation drop from each source, in which step and for which reason, and what proportion
--     of the source is that?
-- topic: curation
-- parameter: source text '' "Source; empty for all"
-- chart: bar x=prompts y=source color=reason
with sizes as (
    select source, count(*) as size from prompts group by source
)
select
    prompts.source,
    dropped.step,
    dropped.reason,
    count(*) as prompts,
    round(count(*) / min(sizes.size), 4) as proportion_of_source
from dropped
join prompts using (prompt_id)
join sizes on sizes.source = prompts.source
where ($source = '' or prompts.source = $source)
group by prompts.source, dropped.step, dropped.reason
order by prompts.source, prompts desc, dropped.step, dropped.reason
