-- title: Decision ledger
-- question: What did each step of each version decide, for which reason, and about prompts of which source?
-- topic: curation
-- parameter: by_source boolean true "Whether to group by source"
-- chart: bar x=prompts y=reason color=decision row=step
select
    decisions.version,
    decisions.step,
    decisions.decision,
    decisions.reason,
    if($by_source, prompts.source, null) as source,
    count(distinct decisions.prompt_id) as prompts,
    count(distinct decisions.witness_id) as witnesses,
    min(decisions.score) as lowest_score,
    quantile_cont(decisions.score, 0.5) as median_score,
    max(decisions.threshold) as threshold
from decisions
left join prompts using (prompt_id)
group by decisions.version, decisions.step, decisions.decision, decisions.reason, if($by_source, prompts.source, null)
order by
    length(decisions.version), decisions.version, decisions.step, decisions.decision, prompts desc, decisions.reason,
    source
