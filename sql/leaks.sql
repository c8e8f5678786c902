-- title: Leaks
-- question: Is anything that measures a model also in what a model is trained on? Every figure is to be 0.
-- topic: curation
-- chart: table
with trained as (
    select prompt_id from pairs where prompt_id is not null
    union all
    select chosen_id from pairs where role = 'red'
    union all
    select rejected_id from pairs where role = 'red'
    union all
    select prompt_id from demonstrations where prompt_id is not null
    union all
    -- What a red team learns to write is a prompt.
    select completion_id from demonstrations where role = 'red'
    union all
    select unnest(example_ids) from seeds where split = 'train'
),
held as (
    select splits.prompt_id, splits.split, prompts.text_digest
    from splits join prompts using (prompt_id)
    where splits.split <> 'train'
),
found as (
    select 1 as place, 'groups in more than one split' as leak, count(*) as rows
    from (
        select group_id from splits join kept using (prompt_id) where split <> 'holdout'
        group by group_id having count(distinct split) > 1
    )
    union all
    select 2, 'prompts of train with the same text as one that is held out', count(distinct prompt_id)
    from splits join kept using (prompt_id)
    where split = 'train' and text_digest in (select text_digest from held)
    union all
    select 3, 'test prompts in pairs, demonstrations or training seeds', count(distinct prompt_id)
    from held where split = 'test' and prompt_id in (select prompt_id from trained)
    union all
    select 4, 'prompts of the over-refusal test there', count(distinct prompt_id)
    from held where split = 'harmless' and prompt_id in (select prompt_id from trained)
    union all
    select 5, 'prompts of held-out sets there', count(distinct prompt_id)
    from held where split = 'holdout' and prompt_id in (select prompt_id from trained)
)
select leak, rows from found where exists (from splits) order by place
