-- title: Contamination
-- question: Which sources contain prompts that are too similar to held-out prompts? The weakest match of each group is
--     named for manual review (seas-data why ID).
-- topic: curation
-- chart: bar x=prompts y=source color=holdout
select
    prompts.source,
    holdout.source as holdout,
    decisions.decision,
    decisions.detail as measure,
    count(distinct decisions.prompt_id) as prompts,
    count(distinct decisions.witness_id) as holdout_prompts,
    min(decisions.score) as lowest_score,
    quantile_disc(decisions.score, 0.5) as median_score,
    max(decisions.score) as highest_score,
    arg_min(decisions.prompt_id, (decisions.score, decisions.prompt_id)) as weakest_id,
    arg_min(decisions.witness_id, (decisions.score, decisions.prompt_id)) as weakest_holdout_id
from decisions
join prompts using (prompt_id)
left join prompts holdout on holdout.prompt_id = decisions.witness_id
where decisions.reason = 'contaminated'
group by prompts.source, holdout.source, decisions.decision, decisions.detail
order by prompts desc, prompts.source, holdout, decisions.decision, measure
