-- title: Hazards asked for and categories judged
-- question: Which category did the judges see in the unsafe responses to prompts of each MLCommons hazard? A response
--     with several categories is counted once for each; agrees tells whether the category stands for the same hazard.
-- topic: quality
-- parameter: prompt_set text '' "Prompt set: train, evaluation, test or a held-out source; empty for all"
-- chart: heatmap x=category y=hazard color=responses row=judge
with judged as (
    select
        verdicts.judge,
        verdicts.response_id,
        coalesce(prompts.hazard, 'unknown') as hazard,
        unnest(if(len(verdicts.categories) > 0, verdicts.categories, ['none'])) as category
    from verdicts
    join responses using (response_id)
    join target_prompts using (prompt_id)
    left join prompts using (prompt_id)
    where verdicts.verdict = 'unsafe' and ($prompt_set = '' or target_prompts.prompt_set = $prompt_set)
)
select
    judge,
    judged.hazard,
    category,
    count(distinct response_id) as responses,
    any_value(judged_hazards.hazard = judged.hazard) filter (judged.hazard <> 'unknown') as agrees
from judged
left join judged_hazards using (category)
group by judge, judged.hazard, category
order by judge, judged.hazard, responses desc, category
