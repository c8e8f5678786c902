-- title: Attack success by cluster
-- question: Which topics have the highest attack success against the target? Generated attacks count under the
--     clusters of the examples in their seed. Units are prompts or seeds.
-- topic: safety
-- parameter: target text '' "Target; empty for the newest"
-- parameter: prompt_set text '' "Prompt set: train, evaluation, test or a held-out source; empty for all"
-- parameter: judge text '' "Judge whose verdicts count; empty for the one that training used, else the first"
-- parameter: min_units integer 5 "Minimum number of units of a cluster"
-- parameter: max_rows integer 50 "Maximum number of clusters to list"
-- chart: bar x=value y=label low=low high=high
with units as (
    select
        unit_id,
        seed_id,
        count(*) filter (unsafe) as successes,
        count(*) as answers
    from answers
    where kind = 'adversarial' and unsafe is not null and judge = judge_of($judge)
        and ($prompt_set = '' or prompt_set = $prompt_set) and target = target_of($target)
    group by all
),
-- A prompt stands for itself, a seed for the attacks on it by its examples.
unit_prompts as (
    select unit_id, unit_id as prompt_id from units where seed_id is null
    union all
    select unit_id, unnest(example_ids) from units join seeds using (seed_id)
),
unit_clusters as (
    select distinct unit_id, cluster from unit_prompts join clusters using (prompt_id)
),
-- Materialized, so that a version without answers reads no prompts.
listed as materialized (
    select prompt_id, cluster, label from clusters where cluster in (select cluster from unit_clusters)
),
labels as (
    select cluster, min(label) as label, count(*) as kept
    from kept join listed using (prompt_id)
    group by cluster
),
rates as (
    select
        unit_clusters.cluster,
        sum(successes) / sum(answers) as value,
        rate_low(successes, answers) as low,
        rate_high(successes, answers) as high,
        cast(sum(answers) as bigint) as n,
        count(*) as units
    from units
    join unit_clusters using (unit_id)
    group by unit_clusters.cluster
)
select cluster, label, value, low, high, n, units, kept
from rates
join labels using (cluster)
where units >= $min_units
order by low desc, cluster
limit $max_rows
