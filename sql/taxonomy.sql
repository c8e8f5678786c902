-- title: Taxonomy
-- question: Which categories does the version's taxonomy have, and how many training prompts are kept of each?
-- topic: data
-- chart: bar x=kept y=type color=axis
with counts as (
    select type, count(*) as kept from kept where kind = 'adversarial' and role = 'training' group by type
)
select
    taxonomy.axis,
    taxonomy.type,
    taxonomy.difficulty,
    coalesce(counts.kept, 0) as kept,
    taxonomy.description
from taxonomy
left join counts using (type)
where exists (from prompts)
order by taxonomy.position
