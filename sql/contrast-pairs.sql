-- title: Contrast pairs
-- question: Which attacks are nearly identical in wording to a prompt that is not an attack?
-- topic: curation
-- parameter: min_score number 0.0 "Minimum score to list"
-- parameter: max_rows integer 100 "Maximum number of pairs to list"
-- chart: table
with flagged as (
    select prompt_id, witness_id, score, detail from decisions where reason = 'contrast_pair'
    union all
    select witness_id, prompt_id, score, detail from decisions where reason = 'contrast_pair'
),
pairs as (
    select
        prompt_id as adversarial_id,
        witness_id as other_id,
        max(score) as score,
        arg_max(detail, (score, detail)) as measure
    from flagged
    group by prompt_id, witness_id
)
select
    pairs.adversarial_id,
    pairs.other_id,
    other.kind as other_kind,
    attack.source as adversarial_source,
    other.source as other_source,
    attack.type,
    pairs.score,
    pairs.measure,
    pairs.adversarial_id not in (select prompt_id from dropped) and pairs.other_id not in (select prompt_id from dropped)
        as both_kept
from pairs
join prompts attack on attack.prompt_id = pairs.adversarial_id and attack.kind = 'adversarial'
join prompts other on other.prompt_id = pairs.other_id and other.kind <> 'adversarial'
where pairs.score >= $min_score
order by pairs.score desc, pairs.adversarial_id, pairs.other_id
limit $max_rows
