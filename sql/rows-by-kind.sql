-- title: Prompts by kind
-- question: How many attacks, harmless look-alikes and general prompts are kept, how difficult are the attacks, and in
--     which splits are they?
-- topic: data
-- chart: bar x=kept y=kind color=difficulty
select
    kept.kind,
    kept.difficulty,
    count(*) as kept,
    count(*) filter (splits.split = 'train') as train,
    count(*) filter (splits.split = 'test') as test,
    count(*) filter (splits.split = 'harmless') as harmless,
    count(*) filter (splits.split = 'holdout') as holdout
from kept
left join splits using (prompt_id)
group by kept.kind, kept.difficulty
order by kept.kind, kept desc, kept.difficulty
