-- title: Leaks
-- question: Is any prompt that measures a model also used for training? Every count should be 0.
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
    -- The completion of a red-team demonstration is a prompt.
    select completion_id from demonstrations where role = 'red'
    union all
    select unnest(example_ids) from seeds where split = 'train'
),
-- Equal leak digests: the same text, disguised or not. Rows of older workspaces have their text's digest only.
digests as (
    select prompt_id, coalesce(leak_digest, text_digest) as leak_digest from prompts
),
gone as materialized (
    select prompt_id from dropped
),
outside_train as (
    select prompt_id, split from splits where split <> 'train'
),
tested as (
    from digests semi join outside_train using (prompt_id)
),
held_out as (
    from outside_train semi join tested using (prompt_id)
),
-- Those with the text of a held-out prompt are few, so they are found before what was dropped is left out.
same_text as (
    from digests where leak_digest in (select leak_digest from tested)
),
-- Of a group in two splits at least one is not train, and those are few.
tested_groups as (
    select group_id, min(split) <> max(split) as crosses
    from splits anti join gone using (prompt_id)
    where split not in ('train', 'holdout')
    group by group_id
),
crossing as (
    select group_id from tested_groups where crosses
    union
    select group_id from splits anti join gone using (prompt_id)
    where split = 'train' and group_id in (select group_id from tested_groups)
),
leaks as (
    select 1 as place, 'groups in more than one split' as leak, count(*) as rows from crossing
    union all
    select 2, 'train prompts with the text of a held-out prompt', count(distinct prompt_id)
    from same_text join splits using (prompt_id) anti join gone using (prompt_id)
    where split = 'train'
    union all
    select 3, 'test prompts in pairs, demonstrations or training seeds', count(distinct prompt_id)
    from held_out where split = 'test' and prompt_id in (select prompt_id from trained)
    union all
    select 4, 'over-refusal test prompts in pairs, demonstrations or training seeds', count(distinct prompt_id)
    from held_out where split = 'harmless' and prompt_id in (select prompt_id from trained)
    union all
    select 5, 'prompts of held-out sources in pairs, demonstrations or training seeds', count(distinct prompt_id)
    from held_out where split = 'holdout' and prompt_id in (select prompt_id from trained)
)
select leak, rows from leaks where exists (from splits) order by place
