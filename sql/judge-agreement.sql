-- title: Judge agreement
-- question: How often do two judges say the same of a response, and how much of that is more than chance (Cohen's
--     kappa)? What did not parse is a label of its own.
-- parameter: of text verdict "What they say: verdict or refusal"
-- chart: bar x=kappa y=judges low=low high=high
with said as (
    select response_id, judge, if($of = 'refusal', refusal, verdict) as label from verdicts
),
told as (
    select
        one.judge || ' and ' || other.judge as judges,
        asked.seed_id, responses.prompt_id,
        one.label as one_label,
        other.label as other_label
    from said as one
    join said as other on one.response_id = other.response_id and one.judge < other.judge
    join responses on responses.response_id = one.response_id
    left join asked on asked.prompt_id = responses.prompt_id
    where one.label is not null and other.label is not null
),
firsts as (select judges, one_label as label, count(*) as rows from told group by judges, one_label),
seconds as (select judges, other_label as label, count(*) as rows from told group by judges, other_label),
totals as (select judges, count(*) as n from told group by judges),
by_chance as (
    select totals.judges, coalesce(sum(firsts.rows * seconds.rows) / any_value(totals.n * totals.n), 0) as chance
    from totals
    left join firsts on firsts.judges = totals.judges
    left join seconds on seconds.judges = totals.judges and seconds.label = firsts.label
    group by totals.judges
),
units as (
    select
        judges, coalesce(seed_id, prompt_id) as unit_id,
        count(*) filter (one_label = other_label) as agreements,
        count(*) as responses
    from told
    group by all
),
agreed as (
    select
        judges,
        cast(sum(responses) as bigint) as n,
        sum(agreements) / sum(responses) as same,
        share_low(agreements, responses) as same_low,
        share_high(agreements, responses) as same_high
    from units
    group by judges
)
select
    judges, n, same, chance,
    (same - chance) / nullif(1 - chance, 0) as kappa,
    (same_low - chance) / nullif(1 - chance, 0) as low,
    (same_high - chance) / nullif(1 - chance, 0) as high
from agreed
join by_chance using (judges)
order by judges
