-- title: Splits
-- question: How many kept prompts and groups does each split have, how large is the largest group, and how many groups
--     also occur in another split? That last count should be 0.
-- topic: data
-- chart: bar x=kept y=split
with sides as (
    select splits.split, splits.group_id, count(*) as size
    from splits anti join dropped using (prompt_id)
    group by splits.split, splits.group_id
),
-- Of a group in two splits at least one is not train, and those are few.
others as (select group_id, count(*) as splits from sides where split <> 'train' group by group_id),
shared as (
    select group_id from others where splits > 1
    union
    select group_id from sides where split = 'train' and group_id in (select group_id from others)
)
select
    split,
    cast(sum(size) as bigint) as kept,
    count(*) as groups,
    max(size) as largest_group,
    count(*) filter (group_id in (select group_id from shared)) as groups_in_other_splits
from sides
group by split
order by list_position(['train', 'test', 'harmless', 'holdout'], split)
