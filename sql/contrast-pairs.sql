-- title: Contrast pairs
-- question: Which prompts are almost the same words as one of the opposite kind, one an attack and one not?
-- topic: curation
-- parameter: at_least number 0.0 "The lowest score to list"
-- parameter: most integer 100 "How many pairs to list"
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
        arg_max(detail, (score, detail)) as alike_by
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
    pairs.alike_by,
    pairs.adversarial_id in (select prompt_id from kept) and pairs.other_id in (select prompt_id from kept) as both_kept
from pairs
join prompts attack on attack.prompt_id = pairs.adversarial_id and attack.kind = 'adversarial'
join prompts other on other.prompt_id = pairs.other_id and other.kind <> 'adversarial'
where pairs.score >= $at_least
order by pairs.score desc, pairs.adversarial_id, pairs.other_id
limit $most
