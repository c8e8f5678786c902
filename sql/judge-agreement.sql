-- title: Judge agreement
-- question: How often do two judges say the same of a response, and how much of that is more than chance (Cohen's
--     kappa)? What did not parse is a label of its own.
-- topic: quality
-- parameter: of text verdict verdict|refusal "What they say"
-- chart: bar x=kappa y=judges low=low high=high
with said as (
    select response_id, judge, if($of = 'refusal', refusal, verdict) as label from verdicts where label is not null
),
told as (
    select
        one.judge || ' and ' || other.judge as judges,
        coalesce(asked.seed_id, responses.prompt_id) as unit_id,
        one.label as one_label,
        other.label as other_label,
        count(*) as rows
    from (from said where judge < (select max(judge) from said)) as one
    join (from said where judge > (select min(judge) from said)) as other
        on one.response_id = other.response_id and one.judge < other.judge
    join responses on responses.response_id = one.response_id
    left join asked on asked.prompt_id = responses.prompt_id
    group by all
),
firsts as (select judges, one_label as label, sum(rows) as rows from told group by judges, one_label),
seconds as (select judges, other_label as label, sum(rows) as rows from told group by judges, other_label),
products as (
    select judges, sum(firsts.rows * seconds.rows) as product
    from firsts
    join seconds using (judges, label)
    group by judges
),
units as (
    select
        judges, unit_id,
        coalesce(sum(rows) filter (one_label = other_label), 0) as agreements,
        sum(rows) as responses
    from told
    group by judges, unit_id
),
agreed as (
    select
        judges,
        sum(responses) as n,
        sum(agreements) / sum(responses) as same,
        share_low(agreements, responses) as same_low,
        share_high(agreements, responses) as same_high
    from units
    group by judges
),
figures as (
    select
        judges, same, same_low, same_high,
        cast(n as bigint) as n,
        coalesce(product, 0) / (n * n) as chance
    from agreed
    left join products using (judges)
)
select
    judges, n, same, chance,
    (same - chance) / nullif(1 - chance, 0) as kappa,
    (same_low - chance) / nullif(1 - chance, 0) as low,
    (same_high - chance) / nullif(1 - chance, 0) as high
from figures
order by judges
