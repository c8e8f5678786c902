-- title: Prompts by type
-- question: How many prompts of each kind and type does the version hold and keep, and in which splits are they?
-- topic: data
-- chart: bar x=kept y=type color=kind
select
    prompts.kind,
    prompts.type,
    prompts.difficulty,
    count(*) as prompts,
    count(kept.prompt_id) as kept,
    count(*) filter (where kept.label_source = 'classifier') as labelled_by_classifier,
    count(*) filter (where splits.split = 'train') as train,
    count(*) filter (where splits.split = 'test') as test,
    count(*) filter (where splits.split = 'harmless') as harmless,
    count(*) filter (where splits.split = 'holdout') as holdout
from prompts
left join kept using (prompt_id)
left join splits on splits.prompt_id = kept.prompt_id
group by prompts.kind, prompts.type, prompts.difficulty
order by prompts.kind, kept desc, prompts.type, prompts.difficulty
