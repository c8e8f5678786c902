-- title: Languages
-- question: Which languages do the prompts have, and how many prompts of each can the embedder encode?
-- topic: data
-- chart: bar x=kept y=language
select
    prompts.language,
    count(*) as prompts,
    count(*) filter (dropped.prompt_id is null) as kept,
    count(*) filter (dropped.prompt_id is null and prompts.role = 'training') as released,
    count(distinct prompts.source) as sources,
    count(*) filter (where prompts.prompt_id in (select prompt_id from embeddings)) as embedded,
    count(*) filter (
        where prompts.prompt_id in (select prompt_id from decisions where reason = 'not_embeddable')
    ) as flagged_not_embeddable
from prompts
left join dropped using (prompt_id)
group by prompts.language
order by prompts desc, prompts.language
