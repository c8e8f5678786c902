-- title: Prompts by type
-- question: How many prompts of each kind and type does the version hold and keep, and in which splits are they?
-- topic: data
-- chart: bar x=kept y=type color=kind
select
    prompts.kind,
    prompts.type,
    prompts.difficulty,
    count(*) as prompts,
    count(*) filter (dropped.prompt_id is null) as kept,
    count(*) filter (dropped.prompt_id is null and prompts.label_source = 'classifier') as labelled_by_classifier,
    count(*) filter (dropped.prompt_id is null and splits.split = 'train') as train,
    count(*) filter (dropped.prompt_id is null and splits.split = 'test') as test,
    count(*) filter (dropped.prompt_id is null and splits.split = 'harmless') as harmless,
    count(*) filter (dropped.prompt_id is null and splits.split = 'holdout') as holdout
from prompts
left join dropped using (prompt_id)
left join splits using (prompt_id)
group by prompts.kind, prompts.type, prompts.difficulty
order by prompts.kind, kept desc, prompts.type, prompts.difficulty
