-- title: Taxonomy
-- question: Which categories does the version's taxonomy have, and how many training prompts are kept of each?
-- topic: data
-- chart: bar x=kept y=type color=axis
select
    taxonomy.axis,
    taxonomy.type,
    taxonomy.difficulty,
    count(kept.prompt_id) as kept,
    taxonomy.description
from taxonomy
left join kept on kept.type = taxonomy.type and kept.kind = 'adversarial' and kept.role = 'training'
where exists (from prompts)
group by taxonomy.axis, taxonomy.type, taxonomy.difficulty, taxonomy.description, taxonomy.position
order by taxonomy.position
