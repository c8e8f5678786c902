-- title: Hardest clusters
-- question: What are the attacks about that get through to the target most surely? Of what models wrote, what the
--     examples in their seeds are about. Units are prompts, or seeds.
-- topic: safety
-- parameter: target text '' "Which target; the newest if empty"
-- parameter: measured_on text '' "Which set: train, evaluation, test or a held-out source; all of them if empty"
-- parameter: judge text '' "Whose verdicts; if empty those that training used, or the first judge's"
-- parameter: least integer 5 "How many units a cluster must have"
-- parameter: most integer 50 "How many clusters to list"
-- chart: bar x=value y=label low=low high=high
with places as (
    select distinct unit_id, cluster from standing join clusters using (prompt_id)
),
units as (
    select
        unit_id,
        count(*) filter (unsafe) as successes,
        count(*) as answers
    from answers
    where kind = 'adversarial' and unsafe is not null and judge = judge_of($judge)
        and ($measured_on = '' or measured_on = $measured_on) and target = target_of($target)
    group by all
),
labels as (
    select cluster, min(label) as label, count(*) as kept from clusters join kept using (prompt_id) group by cluster
),
found as (
    select
        places.cluster,
        sum(successes) / sum(answers) as value,
        share_low(successes, answers) as low,
        share_high(successes, answers) as high,
        cast(sum(answers) as bigint) as n,
        count(*) as units
    from units
    join places using (unit_id)
    group by places.cluster
)
select cluster, label, value, low, high, n, units, kept
from found
join labels using (cluster)
where units >= $least
order by low desc, cluster
limit $most
